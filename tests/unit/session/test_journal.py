# SPDX-License-Identifier: Apache-2.0
"""The journal: what is armed is in the file before it is armed, and the file is whole at every moment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import RemoteProtocolError, StubError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint, BreakpointTable
from nullmodem.session.journal import Journal, JournaledStub, JournalHead, read_journal

if TYPE_CHECKING:
    from pathlib import Path

HEAD = JournalHead(
    "serial:/dev/ttyUSB0?baud=115200", "/k/vmlinux", ("/k", "/m"), "same", ("break", "ssh:root@board"), 42
)
TEXT = 0xFFFF_FFFF_C000_0000


def at(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


class Watching:
    """An inserter that notes what the journal said when it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[tuple[Breakpoint, ...]] = []
        self.error: StubError | None = None

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        self.said.append(read_journal(self.path)[1])
        if self.error is not None:
            raise self.error

    def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
        self.said.append(read_journal(self.path)[1])

    def forget_breakpoints(self) -> None:
        self.said.append(read_journal(self.path)[1])


def a_table(path: Path) -> tuple[BreakpointTable, Watching]:
    stub = Watching(path)
    table = BreakpointTable(stub)
    journal = Journal(path, HEAD)
    table.send_through(lambda inserter: JournaledStub(inserter, journal))
    return table, stub


def test_it_says_where_the_target_is_from_the_beginning(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", HEAD)
    assert read_journal(tmp_path / "journal") == (HEAD, ())
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_breakpoint_is_in_it_before_the_stub_hears_of_it(tmp_path: Path) -> None:
    table, stub = a_table(tmp_path / "journal")
    table.want("gdb", at(TEXT))
    table.want("gdb", at(TEXT + 8))
    assert stub.said == [(at(TEXT),), (at(TEXT), at(TEXT + 8))]


def test_one_that_is_lifted_may_stay_in_it_and_is_not_written_again(tmp_path: Path) -> None:
    table, _stub = a_table(tmp_path / "journal")
    table.want("gdb", at(TEXT))
    table.unwant("gdb", at(TEXT))
    table.synchronise()
    before = (tmp_path / "journal").read_bytes()
    table.synchronise(extra=[at(TEXT)])
    assert (tmp_path / "journal").read_bytes() == before
    assert table.armed == {at(TEXT)}


def test_it_does_not_grow_with_the_steps_of_a_session(tmp_path: Path) -> None:
    table, stub = a_table(tmp_path / "journal")
    table.want("gdb", at(TEXT))
    stub.path = tmp_path / "unread"
    Journal(stub.path, HEAD)
    for step in range(6000):
        table.synchronise(extra=[at(TEXT + 1 + step)])
    armed = read_journal(tmp_path / "journal")[1]
    assert table.armed <= set(armed)
    assert len(armed) < 4096


def test_what_the_stub_refuses_may_be_in_it(tmp_path: Path) -> None:
    table, stub = a_table(tmp_path / "journal")
    stub.error = StubError("no", errno=22)
    with pytest.raises(Exception, match="will not have a breakpoint"):
        table.want("gdb", at(TEXT))
    assert read_journal(tmp_path / "journal")[1] == (at(TEXT),)


def test_a_line_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    table, _stub = a_table(tmp_path / "journal")
    table.want("gdb", at(TEXT))
    with (tmp_path / "journal").open("ab") as file:
        file.write(b"0 ffffffffc00")
    assert read_journal(tmp_path / "journal")[1] == (at(TEXT),)


def test_a_disk_that_is_full_does_not_stop_debugging(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gone" / "journal"
    path.parent.mkdir()
    journal = Journal(path, HEAD)
    path.unlink()
    path.parent.rmdir()
    with caplog.at_level(logging.WARNING):
        journal.note(at(TEXT), set())
        journal.clear()
    assert "the journal cannot be written" in caplog.text


def test_one_that_is_gone_on_with_has_what_was_armed_before(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, HEAD, [at(TEXT)])
    assert read_journal(path)[1] == (at(TEXT),)
    journal.note(at(TEXT + 1), {at(TEXT + 1)})
    assert read_journal(path)[1] == (at(TEXT), at(TEXT + 1))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}\n",
        b"[1]\n",
        b'{"version": 2, "wire": "", "vmlinux": "", "search": [], "ways": []}\n',
        b'{"version": 1, "wire": 3, "vmlinux": "", "search": [], "ways": []}\n',
        b'{"version": 1, "wire": "", "vmlinux": "", "search": [1], "ways": []}\n',
        b'{"version": 1, "wire": "", "vmlinux": "", "search": [], "ways": []}\n9 10 1\n',
        b'{"version": 1, "wire": "", "vmlinux": "", "search": [], "ways": []}\n0 1ffffffffffffffff 1\n',
        b'{"version": 1, "wire": "", "vmlinux": "", "search": [], "ways": []}\nnonsense\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_no_journal_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(text)
    with pytest.raises(RemoteProtocolError):
        read_journal(tmp_path / "journal")
