# SPDX-License-Identifier: Apache-2.0
"""`gdbstart` and `gdbinit`: what they refuse, and the file they write. On real targets: tests/vm/test_gdbstart.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.api.gdbstart import program
from nullmodem.frontends.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that nobody else sees."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))


def test_the_program_is_printed_as_it_is() -> None:
    result = CliRunner().invoke(main, ["gdbstart", "--print"])
    assert result.exit_code == 0
    assert result.stdout == program()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gdbstart",), "give one of --install and --print"),
        (("gdbstart", "--install", "--print"), "give one of --install and --print"),
        (("gdbstart", "--print", "/tmp"), "neither a machine nor a destination"),
        (("gdbstart", "--install", "--ssh", "-v"), "is no host for ssh"),
        (("gdbstart", "--install", "--ssh", "board", "-s", "x"), "exclude each other"),
        (("gdbstart", "--install"), "no session is running"),
        (("gdbinit",), "no session is running"),
        (("gdbinit", "ttyUSB0"), "neither a serial device nor HOST:PORT"),
        (("gdbinit", "board:2001", "-s", "x"), "exclude each other"),
        (("gdbinit", "board:2001", "--vmlinux", "/no/vmlinux"), "there is no file /no/vmlinux"),
        (("gdbinit", "board:2001", "--speed", "0"), "'--speed'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_file_goes_where_it_is_wanted_and_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "init"
    arguments = ["gdbinit", "/dev/ttyUSB0", "--speed", "9600", "-o", str(file)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert result.stdout == f"{file}\n"
    assert f"add-auto-load-safe-path {file}" in result.stderr
    text = file.read_text()
    assert "  set serial baud 9600\n  target remote /dev/ttyUSB0\n" in text
    assert CliRunner().invoke(main, arguments).exit_code == 2
    assert CliRunner().invoke(main, [*arguments[:3], "19200", *arguments[4:], "--force"]).exit_code == 0
    assert "19200" in file.read_text()
