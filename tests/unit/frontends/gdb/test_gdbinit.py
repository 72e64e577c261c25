# SPDX-License-Identifier: Apache-2.0
"""The .gdbinit for people who start gdb themselves: a real gdb reads it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.gdbinit import Remote, parse_remote, render, write
from support.gdb import debian

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gdb


def gdb(path: Path, *commands: str) -> str:
    words = [word for command in commands for word in ("-ex", command)]
    result = subprocess.run(
        [debian(), "-nx", "-q", "-batch", "-x", str(path), *words], capture_output=True, text=True, check=False
    )
    return result.stdout + result.stderr


def test_a_device_has_a_speed_which_gdb_sets_before_it_connects(tmp_path: Path) -> None:
    path, line = tmp_path / "init", tmp_path / "ttyUSB0"
    write(path, render(parse_remote(str(line), 38400)), force=False)
    said = gdb(path, "help rmt", "rmt", "show serial baud")
    assert f"{line}: No such file or directory." in said
    assert "Baud rate for remote serial I/O is 38400." in said
    assert "gdbstart -s 38400 -t TTY" in said


def test_a_port_has_none_and_the_kernel_s_symbols_are_read(tmp_path: Path) -> None:
    path = tmp_path / "init"
    remote = parse_remote("127.0.0.1:1")
    write(path, render(Remote(remote.target, remote.about, file=str(tmp_path / "no 'such' vmlinux"))), force=False)
    said = gdb(path, "rmt")
    assert f"{tmp_path}/no 'such' vmlinux: No such file or directory." in said
    assert "baud" not in path.read_text()


@pytest.mark.parametrize(
    "text", ["", "ttyS0", "host:", ":1", "host:0", "host:65536", "host:x", "/dev/tty S0", "a\nb:1"]
)
def test_what_gdb_could_not_connect_to_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_remote(text)


def test_a_file_that_is_there_is_overwritten_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / ".gdbinit"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write(path, "new", force=False)
    assert path.read_text() == "mine"
    write(path, "new", force=True)
    assert path.read_text() == "new"
    with pytest.raises(UsageError, match="cannot write"):
        write(tmp_path / "none" / "file", "new", force=True)
