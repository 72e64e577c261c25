# SPDX-License-Identifier: Apache-2.0
"""The dialect of kernels with kdb, on a fake of one. On a real one: tests/vm/test_kdb.py."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.kdb import COMMAND_LIMIT, OUTPUT_LIMIT, REFUSED, PromptWatch, check_command
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Cpu, Machine, Region
from nullmodem.testing.fakestub import FakeKgdb
from support.runner import DirectLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.testing.fakestub import Monitor

TEXT = 0xFFFFFFFF81000000


@contextlib.contextmanager
def stub_with(monitor: Monitor | None) -> Iterator[tuple[KgdbStub, FakeKgdb, DirectLine]]:
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(256), executable=True)
    machine.cpus[0] = Cpu(7, {"rip": TEXT})
    fake = FakeKgdb(machine, monitor=monitor)
    line = DirectLine(fake)
    try:
        yield KgdbStub(line, X86_64, patience=Patience(answer=0.2)), fake, line
    finally:
        line.close()
    assert machine.violations == []


def test_a_command_s_text_comes_whole_in_one_round_trip() -> None:
    with stub_with(lambda command: b"".join(b"%d %b\n" % (n, command.encode()) for n in range(300))) as (stub, _f, _l):
        stub.halt_reason()
        before = stub.meter.cost
        assert stub.run_kdb(" md 0x10 ").splitlines()[299] == "299 md 0x10"
        assert (stub.meter.cost - before).round_trips == 1
        assert stub.run_kdb("ps").count("\n") == 300
        assert stub.current_thread() == 7


def test_more_text_than_is_kept_is_still_taken_from_the_line() -> None:
    with stub_with(lambda _command: b"x" * 400 * 4000) as (stub, fake, _line):
        stub.halt_reason()
        fake._monitor = lambda _command: b"\n".join([b"x" * 400] * 4000)
        assert OUTPUT_LIMIT <= len(stub.run_kdb("dmesg")) < OUTPUT_LIMIT + 500
        assert stub.current_thread() == 7


def test_a_kernel_without_kdb_is_named() -> None:
    with stub_with(None) as (stub, _fake, _line):
        stub.halt_reason()
        with pytest.raises(UsageError, match="this kernel has no kdb"):
            stub.run_kdb("ps")
        assert stub.current_thread() == 7


# kdb_parse drops `-` and backslashes, ends a word at `=`, and takes an unknown one for the command it begins with.
DISGUISED = (
    *("mm4 0 0", "-mm 0 0", r"m\m 0 0", "mm=1", "go1 0", "rm1 rip 0", "reboot1", "-reboot", "killx 9 1", "bp1", "sr1"),
    *("'mm' 0", '"go"', "#go", "md=1", "btt 0", "ef 0", "bta", "hello", "h", "per", "rdx", "ps1", "md8x", "md3"),
)


@pytest.mark.parametrize(
    "command",
    [*REFUSED, *DISGUISED, "g", "go 0x1234", "reb", "mm 0 0", "", "  ", "ps\rgo", "dmesg | grep x", "bt \x03", "é"],
)
def test_what_would_take_the_target_from_the_session_is_never_sent(command: str) -> None:
    with stub_with(lambda _command: b"") as (stub, fake, _line):
        stub.halt_reason()
        with pytest.raises(UsageError):
            stub.run_kdb(command)
        assert fake.requests == [b"?"]


READING_WITH_ARGUMENTS = ("ps A", "btp 1", "btc 0", "dmesg 20", "per_cpu runqueues 8 0", "help", "?", "ftdump 10 0")
DUMPS = ("md", "mds schedule", "mdp 1000 4", "mdr schedule+0x10 1024", "md8c1024 ffffffff81000000", "md4 $X 0x400 10")


@pytest.mark.parametrize("command", [*READING_WITH_ARGUMENTS, *DUMPS])
def test_what_only_reads_is_sent_as_it_is(command: str) -> None:
    assert check_command(f" {command} ") == command


@pytest.mark.parametrize(
    "command",
    [
        "md 0 7fffffff",
        "md ffffffff81000000 1025",
        "mdr 0 0x401",
        "md8c1025 0",
        "md8c999999999",
        "mds 0 fff",
        "md 0 1 2000",
    ],
)
def test_a_dump_without_end_is_not_asked_for(command: str) -> None:
    with pytest.raises(UsageError, match="at most 1024"):
        check_command(command)


def test_behind_a_dump_s_address_come_numbers() -> None:
    with pytest.raises(UsageError, match=r"come numbers, not \+"):
        check_command("md schedule + 10 7fffffff")


@given(st.text())
def test_whatever_is_asked_the_packet_fits_twice_into_the_kernel_s_buffer(text: str) -> None:
    with contextlib.suppress(UsageError):
        command = check_command(text)
        assert 0 < len(command) <= COMMAND_LIMIT
        # gdb_cmd_query converts as many bytes as there are digits, from behind `qRcmd,` in 1024.
        assert 6 + 2 * 2 * len(command) < 1024


@given(st.none() | st.integers(0, 4096), st.text(st.characters(codec="ascii")), st.lists(st.integers(0, 60)))
def test_the_prompt_is_seen_however_it_is_cut(cpu: int | None, before: str, cuts: list[int]) -> None:
    """A kernel for one processor gives no number."""
    number = "" if cpu is None else f"[{cpu}]"
    text = f"{before}\r\n{number}kdb> ".encode()
    watch = PromptWatch()
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    seen = [watch.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    assert seen[-1]
    assert not watch.feed(b"x")


def test_words_that_end_like_a_prompt_without_a_number_are_none() -> None:
    watch = PromptWatch()
    assert not watch.feed(b"\r\nusage: kdb> ")
    assert watch.feed(b"\nkdb> ")


def test_a_stop_that_lands_in_kdb_is_taken_from_it_and_told_without_breakpoints() -> None:
    told: list[int] = []
    with stub_with(lambda _command: b"") as (stub, fake, line):
        stub.after_kdb = told.append
        stub.halt_reason()
        stub.insert(BreakpointKind.SOFTWARE, TEXT + 4, 1)
        stub.resume()
        assert stub.take_stop() is None
        line.poke(lambda: fake.stop(in_kdb=True))
        stop = stub.take_stop()
        assert stop is not None
        assert (stop.signal, stop.thread, told) == (5, 7, [7])
        assert stub.is_stopped
        assert stub.read_registers().pc == TEXT
        assert fake.machine.software == frozenset()


def test_console_text_that_looks_like_the_prompt_costs_a_wait_and_nothing_else() -> None:
    with stub_with(lambda _command: b"") as (stub, fake, line):
        stub.halt_reason()
        stub.resume()
        line.deliver(b"[    1.0] somebody prints [0]kdb> ")
        assert stub.take_stop() is None
        assert not stub.is_stopped
        line.poke(fake.stop)
        stop = stub.take_stop()
        assert stop is not None
        assert stop.thread == 7
        assert stub.read_registers().pc == TEXT
