# SPDX-License-Identifier: Apache-2.0
"""A recording as a stub: what was answered is answered again, memory in whatever pieces, and nothing is made up."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import MemoryFault, StubError, UsageError, WireClosed
from nullmodem.rsp.client import ClientConnection, Damaged, Reply, StrayPacket
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.client import KgdbStub
from nullmodem.stub.recorded import read_stops
from nullmodem.stub.replay import Replay, serve
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Task, Trace
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.waiting import wait_readable
from nullmodem.wire.recorder import RecordedStream, Recorder
from nullmodem.wire.recording import Direction, Entry, Header, Recording, read_recording
from nullmodem.wire.streams import SocketStream
from support.modules import REPOSITORY
from support.runner import PATIENCE, DirectLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.rsp.replies import StopReply

TEXT, DATA = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000
PC = X86_64.register("rip")
SOFTWARE = BreakpointKind.SOFTWARE
FILES = sorted((REPOSITORY / "tests" / "recordings").glob("*.rec"))


def run_to_stop(stub: KgdbStub, go: Callable[[], None]) -> StopReply:
    go()
    while (stop := stub.take_stop()) is None:
        assert wait_readable([stub], 10)
    return stop


def all_together(stub: KgdbStub) -> None:
    stub.read_registers()


def one_by_one(stub: KgdbStub) -> None:
    for register in X86_64.registers:
        stub.read_register(register)


def only_pc(stub: KgdbStub) -> None:
    stub.read_register(PC)


def pc_and_all(stub: KgdbStub) -> None:
    only_pc(stub)
    all_together(stub)


def record(path: Path, read_registers: Callable[[KgdbStub], None]) -> Recording:
    """Two stops of a fake machine: attached at TEXT, then a breakpoint at TEXT+4."""
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(range(256)) * 16, executable=True)
    machine.memory[DATA] = Region(bytearray(4096), writable=True)
    machine.cpus[0] = Cpu(2, {"rip": TEXT, "rsp": DATA})
    machine.tasks = {pid: Task(f"task{pid}", rsp=DATA + pid) for pid in (2, 3)}
    line = DirectLine(FakeKgdb(machine, Trace([TEXT + at for at in (0, 4, 7)])))
    stream = RecordedStream(line, Recorder(path, X86_64.name))
    stub = KgdbStub(stream, X86_64, patience=PATIENCE)
    stub.halt_reason()
    stub.current_thread()
    read_registers(stub)
    stub.threads()
    stub.read_registers(3)
    stub.read_memory(TEXT, 64)
    stub.read_memory(TEXT + 64, 64)
    with pytest.raises(MemoryFault):
        stub.read_memory(0xFFFFFFFF83000000, 8)
    stub.insert(SOFTWARE, TEXT + 4, 1)
    run_to_stop(stub, stub.resume)
    read_registers(stub)
    stub.write_memory(DATA, b"changed")
    stub.read_memory(DATA, 16)
    stream.close()
    return read_recording(path)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return record(tmp_path / "rec", all_together)


@contextlib.contextmanager
def replayed(recording: Recording, missing: list[str] | None = None, first: int = 1) -> Iterator[KgdbStub]:
    ours, theirs = socket.socketpair()
    replay = Replay(recording, X86_64, first=first, on_missing=(missing if missing is not None else []).append)
    thread = threading.Thread(target=serve, args=(replay, SocketStream(theirs)))
    thread.start()
    stream = SocketStream(ours)
    try:
        yield KgdbStub(stream, X86_64, patience=PATIENCE)
    finally:
        stream.close()
        thread.join()


def test_a_stop_is_answered_as_it_was_and_memory_in_any_pieces(recording: Recording) -> None:
    with replayed(recording) as stub:
        assert stub.halt_reason().signal == 5
        assert stub.current_thread() == 2
        assert stub.read_registers().pc == TEXT
        assert stub.threads() == (-2, 2, 3)
        assert stub.read_registers(3).sp == DATA + 3
        assert stub.read_registers().sp == DATA
        whole = bytes(range(128))
        assert stub.read_memory(TEXT, 128) == whole
        assert stub.read_memory(TEXT + 60, 8) == whole[60:68]


def test_what_was_not_recorded_is_refused_and_said(recording: Recording) -> None:
    missing: list[str] = []
    with replayed(recording, missing) as stub:
        stub.halt_reason()
        with pytest.raises(MemoryFault):
            stub.read_memory(TEXT + 120, 16)
        with pytest.raises(MemoryFault):
            stub.read_memory(DATA, 1)  # of the next stop
        with pytest.raises(StubError, match="not recorded at stop 1"):
            stub.thread_name(stub.threads()[1])
        assert missing[:2] == [
            f"not recorded at stop 1: 16 bytes at {TEXT + 120:#x}",
            f"not recorded at stop 1: 1 bytes at {DATA:#x}",
        ]
        with pytest.raises(MemoryFault):
            stub.read_memory(0xFFFFFFFF83000010, 4)  # the page could not be read then either
        assert len(missing) == 3


def test_every_way_to_run_leads_to_the_next_stop_and_then_to_the_end(recording: Recording) -> None:
    for go in (KgdbStub.resume, KgdbStub.step, lambda stub: stub.deliver_fault(TEXT)):
        with replayed(recording) as stub:
            stub.halt_reason()
            stop = run_to_stop(stub, lambda go=go, stub=stub: go(stub))
            assert (stop.signal, stop.thread) == (5, 2)
            assert stub.read_memory(DATA, 4) == b"chan"
            with pytest.raises(WireClosed):
                run_to_stop(stub, stub.resume)


@pytest.mark.parametrize("read_registers", [all_together, one_by_one, pc_and_all])
def test_registers_are_known_in_whatever_form_they_were_read(
    tmp_path: Path, read_registers: Callable[[KgdbStub], None]
) -> None:
    with replayed(record(tmp_path / "rec", read_registers)) as stub:
        stub.halt_reason()
        one = {register.name: stub.read_register(register) for register in X86_64.registers}
        assert (one["rip"], one["rsp"]) == (TEXT, DATA)
        assert one == stub.read_registers().as_dict()


def test_of_registers_that_were_read_one_by_one_none_is_made_up(tmp_path: Path) -> None:
    missing: list[str] = []
    with replayed(record(tmp_path / "rec", only_pc), missing) as stub:
        stub.halt_reason()
        assert stub.read_register(PC) == TEXT
        with pytest.raises(StubError, match="not recorded at stop 1"):
            stub.read_registers()
        with pytest.raises(StubError, match="not recorded at stop 1"):
            stub.read_register(X86_64.register("rsp"))
    assert len(missing) == 2


@pytest.mark.parametrize("read_registers", [all_together, one_by_one, pc_and_all])
def test_who_has_the_breakpoint_sets_the_pc_back_and_who_has_not_is_shown_it(
    tmp_path: Path, read_registers: Callable[[KgdbStub], None]
) -> None:
    with replayed(record(tmp_path / "rec", read_registers), first=2) as stub:
        stub.halt_reason()
        assert (stub.read_register(PC), stub.read_registers().pc) == (TEXT + 4, TEXT + 4)
        stub.insert(SOFTWARE, TEXT + 4, 1)
        assert (stub.read_register(PC), stub.read_registers().pc) == (TEXT + 5, TEXT + 5)


def test_there_must_be_a_stop_and_the_one_that_is_wanted(recording: Recording) -> None:
    nothing = Recording(Header("", "x86-64"), (Entry(0, Direction.FROM_TARGET, b"Linux version 6.1\r\n"),))
    with pytest.raises(UsageError, match="no stop"):
        Replay(nothing, X86_64)
    with pytest.raises(UsageError, match="there is no stop 3: the recording has 2"):
        Replay(recording, X86_64, first=3)


@given(st.lists(st.tuples(st.sampled_from([Direction.TO_TARGET, Direction.FROM_TARGET]), st.binary(max_size=60))))
def test_any_bytes_can_be_read_as_stops(pieces: list[tuple[Direction, bytes]]) -> None:
    entries = [Entry(float(at), direction, data) for at, (direction, data) in enumerate(pieces)]
    begun = [Entry(0, Direction.TO_TARGET, b"$?#3f"), Entry(0, Direction.FROM_TARGET, b"+$S05#b8")]
    assert len(read_stops([*begun, *entries])) >= 1


# -- what real kernels said ------------------------------------------------------------------------------------------


def test_there_are_recordings_of_real_kernels() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_kernel_s_recording_is_answered_word_for_word(path: Path) -> None:
    recording = read_recording(path)
    replay = Replay(recording, X86_64)
    conversation = exchanges(recording)
    assert len(conversation) > 20
    client = ClientConnection()
    for request, expected in conversation:
        client.request(request)
        events = client.receive(replay.receive(client.data_to_send()))
        answers = [event.payload for event in events if isinstance(event, Reply)]
        assert answers == [expected], request


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pc_of_a_real_stop_can_be_read_alone(path: Path) -> None:
    """As a session reads it; these recordings were made when it read all registers of each stop."""
    recording = read_recording(path)
    stops = read_stops(recording.entries)
    assert not any(payload.startswith(b"p") for stop in stops for _thread, payload in stop.answers)
    wanted = [number for number, stop in enumerate(stops, 1) if (None, b"g") in stop.answers]
    assert len(wanted) >= 5
    for number in wanted:
        with replayed(recording, first=number) as stub:
            assert stub.read_register(PC) == stub.read_registers().pc


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_our_client_understands_a_real_kernel_however_its_bytes_are_cut(path: Path, size: int) -> None:
    """Every packet is understood, none is taken for damaged, and nothing is asked for again."""
    client = ClientConnection()
    answers = []
    for request, raw in raw_exchanges(read_recording(path)):
        client.request(request)
        for start in range(0, len(raw), size):
            for event in client.receive(raw[start : start + size]):
                assert not isinstance(event, Damaged)
                answers += [event.payload] if isinstance(event, Reply | StrayPacket) else []
        assert (client.outstanding is None) == (b"$" in raw), request  # the last one let the target run for good
    assert answers == [reply for _request, reply in exchanges(read_recording(path))]


def raw_exchanges(recording: Recording) -> list[tuple[bytes, bytes]]:
    """Each request's payload, and all bytes that came before the next one was sent."""
    found: list[tuple[bytes, bytes]] = []
    for direction, group in itertools.groupby(recording.entries, lambda entry: entry.direction):
        data = b"".join(entry.data for entry in group)
        if direction is Direction.TO_TARGET:
            found.append((data.partition(b"$")[2].rpartition(b"#")[0], b""))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + data)
    return [(request, raw) for request, raw in found if request and raw]


def exchanges(recording: Recording) -> list[tuple[bytes, bytes]]:
    """Each request's payload, and its answer's."""
    return [
        (request, raw.partition(b"$")[2].rpartition(b"#")[0])
        for request, raw in raw_exchanges(recording)
        if b"$" in raw
    ]
