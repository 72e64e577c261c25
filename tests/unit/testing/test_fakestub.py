# SPDX-License-Identifier: Apache-2.0
"""The fake stub is what it stands for: it passes kgdb's conformance suite, and notices what would harm a kernel."""

from __future__ import annotations

import pytest

from nullmodem.rsp.client import ClientConnection, Reply
from nullmodem.rsp.framing import encode_packet
from nullmodem.testing import conformance
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Stop, Task, Trace
from nullmodem.testing.fakestub import FakeKgdb, connected

TEXT = 0xFFFFFFFF81000000
STACK = 0xFFFFC90000000000
DATA = 0xFFFFFFFF82000000


def a_machine(cpus: int = 2) -> Machine:
    machine = Machine(cpus=cpus)
    machine.memory[TEXT] = Region(bytearray(range(256)) * 4, executable=True)
    machine.memory[DATA] = Region(bytearray(64), writable=True)
    machine.memory[STACK] = Region(bytearray(4096), writable=True)
    machine.cpus[0] = Cpu(42, {"rip": TEXT, "rsp": STACK + 512, "eflags": 0x246, "cs": 0x10, "ss": 0x18, "fs": 9})
    machine.tasks = {pid: Task(f"task{pid}", rsp=STACK + 8 * pid) for pid in range(1, 60)}
    return machine


class Direct:
    """A careful client of a fake, without a line."""

    text = TEXT

    def __init__(self, fake: FakeKgdb) -> None:
        self.fake = fake
        self.connection = ClientConnection()

    def exchange(self, payload: bytes) -> bytes:
        self.connection.request(payload)
        events = self.connection.receive(self.fake.receive(self.connection.data_to_send()))
        (reply,) = (event for event in events if isinstance(event, Reply))
        return reply.payload


def ask(fake: FakeKgdb, payload: bytes) -> bytes:
    """Send raw bytes, acknowledge the reply, and return what came back between."""
    return fake.receive(b"$%b#%02x" % (payload, sum(payload) & 0xFF)) + fake.receive(b"+")


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_it_passes_the_suite_of_the_real_one(check) -> None:
    machine = a_machine()
    stub = Direct(FakeKgdb(machine, Trace([TEXT, TEXT + 4, TEXT + 9])))
    stub.exchange(b"?")
    check(stub)
    harmful = check is conformance.stack_pointer_cannot_be_set
    assert machine.violations == (["rsp set to 0xffffc900000001f8, which the stub ignores"] if harmful else [])
    assert not machine.software


HARMFUL = [
    (b"mffffffff81000000,200", "m of 512 bytes", False),
    (b"mffffffff81000000,-1", "m of 18446744073709551615 bytes", True),
    (b"mffffffff81000000,ffffffffffffffff", "m of 18446744073709551615 bytes", True),
    (b"Mffffffff82000000,ffff:00", "M of 65535 bytes does not carry so many", True),
    (b"Xffffffff82000000,ffff:", "X of 65535 bytes does not carry so many", True),
    (b"Mffffffff82000000,8:00", "M of 8 bytes does not carry so many", False),
    (b"Mffffffff82000000,1:zz", "M of 1 bytes does not carry so many", False),
    (b"Xffffffff82000000,1:ab", "X of 1 bytes does not carry so many", False),
    (b"G00", "G with 2 digits", False),
    (b"P10=", "P10=: not 8 bytes", False),
    (b"P11=0000000000000000", "not 4 bytes", False),
    (b"P39=00", "not 8 bytes", False),
    (b"P7=0000000000000000", "rsp set to 0x0", False),
    (b"Hg-9", "thread -9 of a CPU that does not exist", True),
    (b"cffffffff81000004", "resumes at 0xffffffff81000004", False),
    (b"sffffffff81000004", "resumes at 0xffffffff81000004", False),
    (b"cz", "resumes at 0x0", False),
    (b"C09", "C09 sent, which no user asked for", False),
    (b"C15", "C15 sent, which no user asked for", False),
    (b"R0", "R0 sent, which no user asked for", True),
    (b"k", "k sent, which no user asked for", False),
    (b"3", "3 sent, which no user asked for", False),
    (b"Z0,ffffffff82000000,1", "breakpoint at 0xffffffff82000000, which is not live text", False),
    (b"m" + b"0" * 1100, "packet of more than BUFMAX - 1 bytes", False),
]


@pytest.mark.parametrize(("payload", "violation", "deadly"), HARMFUL, ids=lambda value: str(value)[:24])
def test_a_packet_that_would_harm_a_kernel_is_recorded(payload: bytes, violation: str, deadly: bool) -> None:
    fake = FakeKgdb(a_machine())
    ask(fake, payload)
    assert violation in fake.machine.violations[0]
    assert fake.dead is deadly
    assert fake.running is (payload[:1] in b"csCk" and not deadly)


def test_a_dead_machine_answers_nothing() -> None:
    fake = FakeKgdb(a_machine())
    ask(fake, b"mffffffff81000000,-1")
    assert fake.receive(encode_packet(b"?")) == b""
    assert fake.stop() == b""
    assert fake.typed == b"+$?#3f"


def test_a_request_the_user_asked_for_is_no_violation() -> None:
    fake = FakeKgdb(a_machine(), allow="k")
    ask(fake, b"k")
    assert fake.machine.violations == []


def test_a_breakpoint_in_freed_memory_is_noticed_on_resume() -> None:
    fake = FakeKgdb(a_machine())
    ask(fake, b"Z0,ffffffff81000004,1")
    fake.machine.free(TEXT)
    ask(fake, b"c")
    assert fake.machine.violations == ["resumed with a breakpoint in freed memory at 0xffffffff81000004"]


def test_it_waits_in_its_ack_slot_and_repeats_its_packet_for_noise() -> None:
    fake = FakeKgdb(a_machine())
    assert fake.receive(b"$?#3f") == b"+$S05#b8"
    assert fake.receive(b"x\x03-") == b"$S05#b8$S05#b8"
    assert fake.receive(b"\x03+x") == b""


def test_a_dollar_in_the_ack_slot_drops_both_packets() -> None:
    fake = FakeKgdb(a_machine())
    fake.receive(b"$?#3f")
    assert fake.receive(b"$?#3f") == b"-"
    assert fake.receive(b"$?#3f") == b"+$S05#b8"


def test_a_wrong_checksum_is_rejected_and_a_missing_end_waited_for() -> None:
    fake = FakeKgdb(a_machine())
    assert fake.receive(b"$?#00") == b"-"
    assert fake.receive(b"$?#zz") == b"-"
    assert fake.receive(b"$?") == b""
    assert fake.receive(b"$?#3F") == b"-"
    assert fake.receive(b"$?#3F") == b"+$S05#b8"


def test_it_reports_a_stop_only_to_a_client_it_knows() -> None:
    fake = FakeKgdb(a_machine())
    assert ask(fake, b"c") == b"+"
    assert fake.stop(Stop(5, 1)) == b"$T05thread:fffffffd;#d4"
    assert fake.receive(b"+") == b""
    assert ask(fake, b"D") == b"+$OK#9a"
    assert fake.receive(b"hello") == b""
    assert fake.stop() == b""
    assert not fake.connected
    assert fake.typed == b"+hello"


def test_an_orderly_reboot_is_told_to_a_client() -> None:
    fake = FakeKgdb(a_machine())
    assert ask(fake, b"c") == b"+"
    assert fake.reboot(1) == b"$W01#b8"
    assert fake.reboot() == b""
    unknown = FakeKgdb(a_machine())
    ask(unknown, b"D")
    assert unknown.reboot() == b""


def test_a_continue_with_another_signal_is_explained_and_jumps_to_the_signals_number() -> None:
    fake = FakeKgdb(a_machine(), allow="C")
    assert fake.receive(encode_packet(b"C0b")).startswith(b"+$O4b474442")
    assert fake.receive(b"+") == b""
    assert fake.machine.cpus[0].registers["rip"] == 0x0B


def test_reboot_wants_a_single_zero() -> None:
    fake = FakeKgdb(a_machine(), allow="R")
    assert ask(fake, b"R00") == b"+$#00"
    assert ask(fake, b"R0") == b"+$OK#9a"
    assert fake.dead


def test_a_kernel_with_kdb_runs_commands() -> None:
    fake = FakeKgdb(a_machine(), monitor=lambda command: f"{command}!\nbye".encode())
    assert fake.receive(encode_packet(b"qRcmd,6869")) == b"+$O6869210a#20"
    assert fake.receive(b"+") == b"$O627965#92"
    assert fake.receive(b"+") == b"$OK#9a"
    assert fake.receive(b"+") == b""
    assert ask(fake, b"qRcmd,686") == b"+$E01#a6"
    assert ask(FakeKgdb(a_machine()), b"qRcmd,6869") == b"+$#00"


def test_kdb_keeps_the_line_until_it_is_asked_for_its_status() -> None:
    fake = FakeKgdb(a_machine(), monitor=lambda command: b"", allow="3")
    ask(fake, b"Z0,ffffffff81000004,1")
    assert ask(fake, b"3") == b"+\r\n[0]kdb> "
    assert not fake.machine.software
    assert fake.receive(b"+help\r$?#3f") == b"+$S05#b8"
    assert fake.receive(b"+") == b""
    assert fake.requests[-1] == b"?"


def test_a_trace_runs_to_breakpoints_and_steps() -> None:
    machine = a_machine()
    fake = FakeKgdb(machine, Trace([TEXT, TEXT + 2, TEXT + 4, TEXT + 8, TEXT + 4]))
    ask(fake, b"Z0,ffffffff81000004,1")
    assert ask(fake, b"c") == b"+$T05thread:2a;#39"
    assert machine.cpus[0].registers["rip"] == TEXT + 5
    ask(fake, b"P10=04000081ffffffff")
    assert ask(fake, b"c") == b"+$T05thread:2a;#39"  # the breakpoint under the pc is armed again
    ask(fake, b"P10=04000081ffffffff")
    ask(fake, b"z0,ffffffff81000004,1")
    ask(fake, b"s")
    assert machine.cpus[0].registers["rip"] == TEXT + 8
    ask(fake, b"Z1,ffffffff81000004,1")
    ask(fake, b"c")
    assert machine.cpus[0].registers["rip"] == TEXT + 4
    assert ask(fake, b"c") == b"+"
    assert fake.running
    assert machine.violations == []


def test_a_step_stops_at_a_breakpoint_without_hitting_it() -> None:
    machine = a_machine()
    fake = FakeKgdb(machine, Trace([TEXT, TEXT + 2]))
    ask(fake, b"Z0,ffffffff81000002,1")
    ask(fake, b"s")
    assert machine.cpus[0].registers["rip"] == TEXT + 2


def test_resuming_behind_an_int3_is_a_violation() -> None:
    machine = a_machine()
    fake = FakeKgdb(machine, Trace([TEXT, TEXT + 2]))
    ask(fake, b"Z0,ffffffff81000002,1")
    ask(fake, b"c")
    ask(fake, b"c")
    assert machine.violations == ["resumed at 0xffffffff81000003, where no instruction of the trace begins"]


ANSWERS = [
    (b"", b""),
    (b"m", b"E22"),
    (b"mzz,1", b"E22"),
    (b"m0;1", b"E22"),
    (b"M0,1", b"E22"),
    (b"Mffffffff82000000,0:", b"OK"),
    (b"p", b"0000000000000000"),
    (b"p18", b"E22"),
    (b"p17", b"00000000"),
    (b"P12", b"E22"),
    (b"P39=0000000000000000", b"OK"),
    (b"P18=00000000", b"E22"),
    (b"P14=00000000", b"OK"),
    (b"Hx1", b""),
    (b"Hg", b"OK"),
    (b"Hg3c", b"E22"),
    (b"Hc0", b"OK"),
    (b"T3c", b"E22"),
    (b"Tfffffffd", b"OK"),
    (b"qCRC:1,1", b"QC2a"),
    (b"qfoo", b""),
    (b"qThreadExtraInfo,3c", b"E22"),
    (b"qThreadExtraInfo,0", b"shadowCPU-2".hex().encode()),
    (b"qThreadExtraInfo,fffffffd", b"shadowCPU1".hex().encode()),
    (b"Z", b""),
    (b"Z5,0,1", b""),
    (b"Z0", b"E22"),
    (b"Z0,zz,1", b"E22"),
    (b"Z0,0;1", b"E22"),
    (b"Z2,ffffffff82000000,3", b"E01"),
    (b"Z2,ffffffff82000000,8", b"OK"),
    (b"vCont?", b""),
]


@pytest.mark.parametrize(("payload", "answer"), ANSWERS, ids=lambda value: str(value)[:24])
def test_odd_requests_are_answered_as_the_kernel_does(payload: bytes, answer: bytes) -> None:
    fake = FakeKgdb(a_machine())
    assert Direct(fake).exchange(payload) == answer if payload else ask(fake, payload) == b"+$#00"
    assert fake.machine.violations == []


def test_breakpoints_are_refused_as_the_kernel_does() -> None:
    machine = a_machine()
    stub = Direct(FakeKgdb(machine))
    machine.blocked.add(TEXT + 1)
    assert stub.exchange(b"Z0,ffffffff81000001,1") == b"E22"
    machine.text_busy = True
    assert stub.exchange(b"Z0,ffffffff81000002,1") == b"E16"
    machine.text_busy = False
    for offset in range(1000):
        assert stub.exchange(b"Z0,%x,1" % (TEXT + 2 + offset)) == b"OK"
        assert stub.exchange(b"z0,%x,1" % (TEXT + 2 + offset)) == b"OK"
    assert stub.exchange(b"Z0,%x,1" % (TEXT + 1010)) == b"E07"
    assert stub.exchange(b"Z0,%x,1" % (TEXT + 2)) == b"OK"
    stub.exchange(b"?")
    assert stub.exchange(b"Z0,%x,1" % (TEXT + 1010)) == b"OK"


def test_a_sleeping_task_has_no_pc() -> None:
    machine = a_machine()
    machine.tasks[7] = Task("sleeper", rbp=0x1122, rsp=0x3344)
    stub = Direct(FakeKgdb(machine))
    stub.exchange(b"Hg7")
    registers = bytes.fromhex(stub.exchange(b"g").decode())
    assert registers[48:64] == (0x1122).to_bytes(8, "little") + (0x3344).to_bytes(8, "little")
    assert registers[128:136] == bytes(8)
    assert stub.exchange(b"pf")[:16] == b"0" * 16


def test_it_serves_a_line_from_a_thread() -> None:
    fake = FakeKgdb(a_machine())
    with connected(fake) as (line, serving):
        line.write(b"$c#63")
        assert line.read() == b"+"
        serving.say(b"hello\n")
        assert line.read() == b"hello\n"
        serving.stop_machine()
        assert line.read() == b"$T05thread:2a;#39"
        serving.stop_machine()  # stopped already: nothing to say
    assert not fake.running
