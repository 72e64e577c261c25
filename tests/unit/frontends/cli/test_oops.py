# SPDX-License-Identifier: Apache-2.0
"""`nullmodem oops` on logs in files; on a running session's target: tests/vm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from nullmodem.__main__ import main
from support.fakekernel import build_kernel, build_module

if TYPE_CHECKING:
    from pathlib import Path

LOG = """\
[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.000001] CPU: 0 PID: 1 Comm: insmod 6.1.99-fake #1 {kernel}
[    1.000002] RIP: 0010:hot+0x0/0x40 [fake_mod]
[    1.000003] Call Trace:
[    1.000004]  do_init_module+0x1/0x40
[    1.000005] ---[ end trace 0000000000000000 ]---
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a vmlinux, a module and a log of theirs, without build-ids."""
    directory = tmp_path_factory.mktemp("oops")
    build_kernel(directory)
    build_module(directory)
    (directory / "log").write_text(LOG.format(kernel=""))
    return directory


def oops(*arguments: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(main, ["oops", *map(str, arguments)], input=text)


def test_a_log_is_shown_with_source_lines(files: Path) -> None:
    result = oops(files / "log", "--vmlinux", files / "vmlinux", "--modules", files, "--unverified")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("== oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n")
    assert "hot at " in result.output
    assert "fakemodule.c:" in result.output
    assert "debug_core.c:" in result.output


def test_the_log_may_come_from_standard_input(files: Path) -> None:
    text = LOG.format(kernel="")
    result = oops("-", "--vmlinux", files / "vmlinux", text=text)
    assert result.exit_code == 0, result.output
    assert "debug_core.c:" in result.output
    assert "(there is no file of fake_mod: no directory was given)" in result.output


def test_a_file_that_cannot_be_verified_is_not_used_unless_one_says_so(files: Path) -> None:
    result = oops(files / "log", "--vmlinux", files / "vmlinux", "--modules", files)
    assert result.exit_code == 0
    assert "fake_mod.ko is not used: the report has no build-id of it" in result.output


def test_another_kernel_is_said_to_be_another(files: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG.format(kernel="ab" * 20))
    result = oops(tmp_path / "log", "--vmlinux", files / "vmlinux")
    assert "vmlinux is another build than the kernel that printed this" in result.output
    assert "debug_core.c:" not in result.output


def test_a_log_without_a_report_is_exit_code_1(files: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("[    1.000000] simple: loading\n")
    result = oops(tmp_path / "log", "--vmlinux", files / "vmlinux")
    assert result.exit_code == 1
    assert "there is no oops, warning, lockup or panic in this log" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nothing.log", "--vmlinux", "vmlinux"), "cannot read nothing.log: No such file or directory"),
        (("log", "--vmlinux", "vmlinux", "--kernel", "6.1"), "--vmlinux and --kernel exclude each other"),
        (("log", "--kernel", "5.4"), "no kernel '5.4'"),
        (("log", "--vmlinux", "vmlinux", "--modules", "nowhere"), "there is no nowhere to look for modules in"),
    ],
)
def test_what_is_wrong_with_the_request_is_said(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(files)
    result = oops(*arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_a_vmlinux_that_is_none_is_an_error_and_no_traceback(files: Path) -> None:
    result = oops(files / "log", "--vmlinux", files / "log")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
