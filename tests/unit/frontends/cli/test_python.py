# SPDX-License-Identifier: Apache-2.0
"""`nullmodem shell` and `script` before there is a target: tests/vm has them with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("script", "nothing.py"), "cannot read nothing.py: No such file or directory"),
        (("script", "latin.py"), "latin.py is no Python source"),
        (
            ("script", "--boot", "-s", "x", "empty.py"),
            "--session means a running machine; --boot and --module boot one",
        ),
        (("script", "--module", "nothing", "empty.py"), "there is no nothing"),
        (("script", "empty.py"), "no session is running"),
        (("shell", ".", "-s", "x"), "a PATH is for a machine of its own, and --session means a running one"),
        (("shell", "-s", "other"), "no session 'other' is running"),
        (("shell",), "Or boot a machine now: `nullmodem shell PATH`"),
        (("shell", "nothing"), "there is no nothing"),
    ],
)
def test_what_is_wrong_with_the_request_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "latin.py").write_bytes(b"'\xe4'")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_a_script_that_is_no_python_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("import sys\nsys.exit(7\n")
    result = CliRunner().invoke(main, ("script", "--module", "nothing", "bad.py"))
    assert result.exit_code == 1
    assert 'File "bad.py", line 2' in result.stderr
    assert "SyntaxError" in result.stderr
    assert "Traceback" not in result.stderr
    assert "room.py" not in result.stderr
