# SPDX-License-Identifier: Apache-2.0
"""The typed client of the kernel's stub: what it sends, what it refuses to send, and what it makes of the answers."""

from __future__ import annotations

import pytest

from nullmodem.errors import LocalProtocolError, MemoryFault, StubError, WireTimeout
from nullmodem.rsp.replies import StopReply
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.client import KgdbStub
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Stop, Task
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.testing.line import ModelledLine
from support.runner import PATIENCE, stub_on

TEXT, DATA = 0xFFFF_FFFF_8100_0000, 0xFFFF_FFFF_8200_0000
SOFTWARE = BreakpointKind.SOFTWARE


def a_machine(cpus: int = 2, tasks: int = 40) -> Machine:
    machine = Machine(cpus=cpus)
    machine.memory[TEXT] = Region(bytearray(range(256)) * 16, executable=True)
    machine.memory[DATA] = Region(bytearray(4096), writable=True)
    machine.cpus[0] = Cpu(42, {"rip": TEXT + 8, "rsp": DATA + 2048, "eflags": 0x246})
    machine.tasks = {pid: Task(f"task{pid}", rsp=DATA + 8 * pid) for pid in range(1, tasks + 1)} | {42: Task("me")}
    return machine


def test_memory_is_read_and_written_within_the_limits() -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        assert stub.read_memory(TEXT, 511) == (bytes(range(256)) * 2)[:511]
        stub.write_memory(DATA, bytes(X86_64.max_write))
        stub.write_memory(DATA + 4095, b"\x7f")
        assert stub.read_memory(DATA + 4095, 1) == b"\x7f"
        assert fake.requests[0] == b"mffffffff81000000,1ff"


@pytest.mark.parametrize("length", [0, -1, 512, 1 << 63, (1 << 64) - 1])
def test_a_read_that_would_overrun_the_stubs_buffer_is_never_sent(length: int) -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        with pytest.raises(LocalProtocolError):
            stub.read_memory(TEXT, length)
        with pytest.raises(LocalProtocolError):
            stub.read_memory(1 << 64, 1)
        with pytest.raises(LocalProtocolError):
            stub.read_memory((1 << 64) - 4, 8)
        with pytest.raises(LocalProtocolError):
            stub.read_memory(-8, 8)
        assert fake.requests == []


def test_a_write_that_would_overrun_the_stubs_buffer_is_never_sent() -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        for data in (b"", bytes(X86_64.max_write + 1)):
            with pytest.raises(LocalProtocolError):
                stub.write_memory(DATA, data)
        assert fake.requests == []


def test_what_cannot_be_read_or_written_is_a_memory_fault() -> None:
    with stub_on(a_machine()) as (stub, _fake, _line):
        with pytest.raises(MemoryFault, match="cannot read 8 bytes"):
            stub.read_memory(0xFFFF_FFFF_FFFF_E000, 8)
        with pytest.raises(MemoryFault, match="cannot write 1 bytes"):
            stub.write_memory(TEXT, b"\xcc")


@pytest.mark.parametrize("name", ["rsp", "cs", "ss", "ds", "es"])
def test_a_register_the_stub_ignores_is_refused(name: str) -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        with pytest.raises(LocalProtocolError, match=f"cannot change {name}"):
            stub.write_register(X86_64.register(name), 1)
        assert not any(packet.startswith(b"P") for packet in fake.requests)


def test_registers_are_read_and_written() -> None:
    machine = a_machine()
    with stub_on(machine) as (stub, _fake, _line):
        assert stub.read_registers().pc == TEXT + 8
        stub.write_register(X86_64.register("rip"), TEXT)
        stub.write_register(X86_64.register("eflags"), 0x1_0000_0002)
        assert machine.cpus[0].registers["rip"] == TEXT
        assert machine.cpus[0].registers["eflags"] == 2


def test_only_threads_the_stub_has_listed_are_asked_for() -> None:
    """``Hg-9`` of a processor that is not there oopses the kernel."""
    with stub_on(a_machine()) as (stub, fake, _line):
        for thread in (-9, -4, 7, 0, -1, 1 << 40):
            with pytest.raises(LocalProtocolError):
                stub.read_registers(thread)
            with pytest.raises(LocalProtocolError):
                stub.thread_name(thread)
        listed = stub.threads()
        assert listed[:2] == (-2, -3)
        assert len(listed) == 43
        assert stub.read_registers(7).sp == DATA + 56
        assert stub.thread_name(7) == "task7"
        assert stub.thread_name(-3) == "shadowCPU1"
        with pytest.raises(LocalProtocolError):
            stub.read_registers(-4)
        assert b"Hgfffffffc" not in fake.requests


def test_tasks_have_to_be_listed_again_after_the_target_ran() -> None:
    with stub_on(a_machine()) as (stub, fake, line):
        stub.threads()
        stub.resume()
        line.deliver(fake.stop(Stop()))
        assert isinstance(stub.take_stop(), StopReply)
        with pytest.raises(LocalProtocolError):
            stub.read_registers(7)
        stub.read_registers(-3)  # processors stay


def test_the_first_page_of_threads_costs_one_packet() -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        assert len(stub.threads(first_page=True)) == 19
        assert fake.requests == [b"qfThreadInfo"]


def test_registers_of_the_current_thread_are_never_those_of_one_selected_before() -> None:
    machine = a_machine()
    with stub_on(machine) as (stub, _fake, _line):
        stub.threads()
        stub.read_registers(7)
        assert stub.read_registers().pc == TEXT + 8
        stub.read_registers(7)
        stub.forget_breakpoints()  # to the kernel this is no new stop: it still has thread 7 selected
        assert stub.read_registers().pc == TEXT + 8
        stub.write_register(X86_64.register("rax"), 5)
        assert machine.cpus[0].registers["rax"] == 5


def test_a_thread_that_another_debugger_selected_is_not_taken_for_the_current_one() -> None:
    with stub_on(a_machine()) as (stub, fake, line):
        line.write(b"$Hg7#e6")
        assert line.read() == b"+$OK#9a"
        line.write(b"+")
        stub.halt_reason()
        assert stub.read_registers().pc == TEXT + 8
        assert fake.requests[:2] == [b"Hg7", b"?"]


def test_resuming_is_for_the_thread_that_stopped() -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        stub.threads()
        stub.read_registers(7)
        stub.resume()
        assert fake.running
        assert not stub.is_stopped


def test_nothing_is_asked_of_a_target_that_runs() -> None:
    with stub_on(a_machine()) as (stub, fake, _line):
        stub.resume()
        before = len(fake.requests)
        for ask in (
            stub.halt_reason,
            stub.read_registers,
            stub.threads,
            stub.current_thread,
            stub.detach,
            lambda: stub.read_memory(TEXT, 1),
            lambda: stub.write_memory(DATA, b"x"),
            lambda: stub.insert(SOFTWARE, TEXT, 1),
        ):
            with pytest.raises(LocalProtocolError):
                ask()
        assert len(fake.requests) == before
        assert not fake.typed


def test_a_fault_is_handed_back_where_it_happened() -> None:
    machine = a_machine()
    with stub_on(machine) as (stub, fake, _line):
        stub.deliver_fault(TEXT + 8)
        assert fake.requests == [b"C09ffffffff81000008"]
        machine.violations.clear()  # the fake does not know that only the last sixteen digits count


def test_detaching_lifts_breakpoints_and_lets_it_run() -> None:
    machine = a_machine()
    with stub_on(machine) as (stub, fake, _line):
        stub.insert(SOFTWARE, TEXT, 1)
        stub.detach()
        assert fake.running
        assert not machine.software
        assert not fake.connected


def test_breakpoint_errors_keep_the_kernels_number() -> None:
    machine = a_machine()
    machine.blocked.add(TEXT + 1)
    with stub_on(machine) as (stub, _fake, _line):
        stub.insert(SOFTWARE, TEXT, 1)
        for ask, errno in (
            (lambda: stub.insert(SOFTWARE, TEXT, 1), 17),
            (lambda: stub.insert(SOFTWARE, TEXT + 1, 1), 22),
            (lambda: stub.remove(SOFTWARE, TEXT + 2, 1), 2),
        ):
            with pytest.raises(StubError) as caught:
                ask()
            assert caught.value.errno == errno


def test_what_travels_is_counted() -> None:
    with stub_on(a_machine()) as (stub, _fake, _line):
        stub.read_memory(TEXT, 4)
        first = stub.meter.cost
        assert first.round_trips == 1
        assert first.bytes_out == len("$mffffffff81000000,4#xx")
        assert first.bytes_in == len("+$00010203#xx")
        stub.read_memory(TEXT, 4)
        assert (stub.meter.cost - first).bytes_out == first.bytes_out + 1  # with the ack of the reply before


def standing(drop: int) -> tuple[KgdbStub, ModelledLine]:
    """A stub that was asked ``?``, on a line that will lose the first ``drop`` dollars from here on."""
    lost = 0

    def lose(_place: int, data: bytes) -> bytes:
        nonlocal lost
        if b"$c" in data and lost < drop:
            lost += 1
            return data.replace(b"$c", b"c")
        return data

    line = ModelledLine(FakeKgdb(a_machine()))
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    line.outward = lose
    return stub, line


def test_a_target_that_did_not_take_the_resume_is_asked_and_resumed_again() -> None:
    stub, line = standing(drop=1)
    stub.resume()
    assert line.fake.requests == [b"?", b"Hg0"]
    stub.overdue()
    assert line.fake.requests == [b"?", b"Hg0", b"qC", b"c"]
    assert stub.take_stop() is None
    assert stub.patience() is None


def test_a_target_that_never_takes_the_resume_is_shown_to_stand_still() -> None:
    stub, _line = standing(drop=100)
    stub.resume()
    stub.overdue()
    stub.overdue()
    with pytest.raises(WireTimeout, match="did not acknowledge"):
        stub.overdue()
    assert stub.is_stopped


def test_a_target_that_took_the_resume_and_stopped_while_it_was_asked_is_not_resumed_again() -> None:
    stub, line = standing(drop=0)
    line.inward = lambda _place, data: data.replace(b"+", b"")
    stub.resume()
    line.inward = lambda _place, data: data
    line.outward = lambda _place, data: (line.poke(line.fake.stop), data)[1]
    assert stub.patience() is not None
    stub.overdue()
    assert stub.take_stop() is not None
    assert line.fake.requests.count(b"c") == 1


def test_a_target_that_stands_somewhere_else_is_not_told_to_go_on_again() -> None:
    stub, line = standing(drop=1)
    stub.resume()
    assert not stub.overdue(lambda: stub.current_thread() == 7)
    assert stub.is_stopped
    assert line.fake.requests == [b"?", b"Hg0", b"qC", b"qC"]
    assert stub.read_memory(TEXT, 1) == b"\0"


def stepping(line: ModelledLine) -> KgdbStub:
    """A stub that steps; what comes behind its acknowledgement is lost."""
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    stub.read_registers()
    line.inward = lambda _place, data: data[:1]
    stub.step()
    stub.take_stop()
    line.inward = lambda _place, data: data
    return stub


def test_the_end_of_a_step_that_was_lost_whole_is_asked_for() -> None:
    line = ModelledLine(FakeKgdb(a_machine(), lambda _machine, _stepping: Stop()))
    stub = stepping(line)
    assert stub.patience() == PATIENCE.seconds(64)
    assert stub.overdue()
    line.wait(line, PATIENCE.answer)
    assert stub.take_stop() is not None
    assert line.fake.requests[-1] == b"s"


def test_the_end_of_a_step_that_does_not_come_is_asked_for_a_few_times() -> None:
    line = ModelledLine(FakeKgdb(a_machine()))
    stub = stepping(line)
    for _ in range(3):
        assert stub.patience() is not None
        assert stub.overdue()
    assert stub.patience() is None
    assert line.fake.typed == b"---"


def test_a_reply_that_noise_cut_short_with_a_good_checksum_is_asked_for_again() -> None:
    """A ``#`` before two digits that happen to be the sum of what stands before it."""
    line = ModelledLine(FakeKgdb(a_machine()))
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    assert sum(b"0809") & 0xFF == 0xD1
    line.fake.machine.memory[TEXT].data[8:12] = b"\x08\x09\xd1\x0b"
    answers = iter([lambda data: data.replace(b"$0809d1", b"$0809#d1"), lambda data: data])
    line.inward = lambda _place, data: next(answers)(data) if b"$" in data else data
    assert stub.read_memory(TEXT + 8, 4) == b"\x08\x09\xd1\x0b"
    assert line.fake.requests == [b"mffffffff81000008,4"] * 2


def test_a_stop_on_its_way_is_not_taken_for_the_answer_that_drops_all_breakpoints() -> None:
    line = ModelledLine(FakeKgdb(a_machine()))
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    stub.insert(SOFTWARE, TEXT, 1)
    stub.resume()
    another = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    line.poke(line.fake.stop)
    assert another.halt_reason(timeout=1.0).thread is None
    assert line.fake.machine.software == frozenset()
