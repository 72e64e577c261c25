# SPDX-License-Identifier: Apache-2.0
"""What gdb asks, packet by packet, and what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.framing import Ack, Nack, Packet
from nullmodem.session.model import State
from nullmodem.stub.x86_64 import X86_64
from support.rig import PID, STACK

if TYPE_CHECKING:
    from support.rig import Rig

CPU0, CPU1 = 0x7A1200, 0x7A1201
RIP = 16


def pc(registers: tuple[tuple[int, bytes], ...]) -> int:
    return int.from_bytes(dict(registers)[RIP], "little")


def test_features_are_announced_and_nothing_the_kernel_would_have_to_do(rig: Rig) -> None:
    gdb = rig.gdb()
    features = gdb.ask(b"qSupported:multiprocess+;xmlRegisters=i386").split(b";")
    assert {b"QStartNoAckMode+", b"qXfer:libraries:read+", b"vContSupported+", b"swbreak+", b"binary-upload+"} <= {
        *features
    }
    assert not any(feature.startswith((b"QNonStop", b"multiprocess+")) for feature in features)
    assert any(feature.startswith(b"PacketSize=") for feature in features)
    assert rig.live.state is State.RUNNING, "a gdb that only says hello stops nobody"


def test_the_first_question_stops_the_target_and_brings_all_registers(rig: Rig) -> None:
    stop = rig.gdb().attach()
    assert stop.thread == PID
    assert pc(stop.registers) == rig.break_pc
    assert [number for number, _value in stop.registers] == list(range(len(X86_64.registers)))
    assert rig.live.state is State.STOPPED


def test_what_gdb_asks_at_a_stop_costs_no_packet(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    before = len(rig.fake.requests)
    for _ in range(3):
        gdb.ask(b"g")
        gdb.ask(b"p10")
        gdb.ask(b"qC")
        gdb.ask(b"qOffsets")
        gdb.ask(b"qXfer:libraries:read::0,1000")
        gdb.ask(b"qXfer:features:read:target.xml:0,1000")
    assert len(rig.fake.requests) == before


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"vCont?", b"vCont;c;C;s;S;r"),
        (b"qAttached", b"1"),
        (b"!", b"OK"),
        (b"Hc-1", b"OK"),
        (b"Hg0", b"OK"),
        (b"Hgp1.-1", b"OK"),
        (b"qsThreadInfo", b"l"),
        (b"p39", b"xxxxxxxx"),
        (b"p18", b"xxxxxxxx"),
        (b"vMustReplyEmpty", b""),
        (b"QNonStop:1", b""),
        (b"qTStatus", b""),
        (b"qSymbol::", b""),
        (b"vFile:setfs:0", b""),
        (b"jThreadsInfo", b""),
        (b"", b""),
    ],
)
def test_small_questions(rig: Rig, request_: bytes, answer: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(request_) == answer


def test_offsets_name_the_running_kernels_text(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"qOffsets") == b"TextSeg=%x" % rig.kernel.symbol("_text")


def test_the_target_description_has_no_register_features(rig: Rig) -> None:
    gdb = rig.gdb()
    document = gdb.ask(b"qXfer:features:read:target.xml:0,1000")
    assert document.startswith(b"l")
    assert b"<osabi>none</osabi>" in document
    assert b"<feature" not in document


def test_documents_come_in_pieces_of_any_size(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    whole = gdb.ask(b"qXfer:threads:read::0,fff")
    pieces, offset = b"", 0
    while True:
        piece = gdb.ask(b"qXfer:threads:read::%x,7" % offset)
        pieces += piece[1:]
        offset += len(piece) - 1
        if piece.startswith(b"l"):
            break
        assert len(piece) == 8
    assert pieces.count(b"<thread ") == whole.count(b"<thread ") == 3


def test_threads_are_the_processors_and_the_task_that_stopped(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"qfThreadInfo") == b"m%x,%x,%x" % (PID, CPU0, CPU1)
    assert gdb.ask(b"qC") == b"QC%x" % PID
    assert gdb.ask(b"T%x" % CPU1) == b"OK"
    assert gdb.ask(b"T%x" % (CPU1 + 1)).startswith(b"E")
    assert gdb.ask(b"Tdead").startswith(b"E")
    assert gdb.ask(b"Hg%x" % CPU1) == b"OK"
    assert gdb.ask(b"p10") == rig.kernel.symbol("do_init_module").to_bytes(8, "little").hex().encode()
    assert gdb.ask(b"Hg0") == b"OK"
    assert gdb.ask(b"p10") == rig.break_pc.to_bytes(8, "little").hex().encode()


def test_memory_is_read_in_hex_and_raw(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.kernel.symbol("kgdb_breakpoint")
    plain = rig.machine.read(at, 200)
    assert plain is not None
    assert gdb.ask(b"m%x,c8" % at) == plain.hex().encode()
    assert gdb.ask(b"x%x,c8" % at) == b"b" + plain
    assert gdb.ask(b"x%x,0" % at) == b"b"
    assert gdb.ask(b"m1000,8").startswith(b"E")
    assert gdb.ask(b"xffffffffffffff00,100").startswith(b"E")
    assert gdb.ask(b"m%x,4000" % STACK) == b"00" * 0x4000


def test_memory_is_written_in_hex_and_raw_and_read_back(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = STACK + 0x2800
    assert gdb.ask(b"M%x,4:deadbeef" % at) == b"OK"
    assert gdb.ask(b"X%x,5:}\x03#$*" % (at + 4)) == b"OK"
    assert gdb.ask(b"x%x,9" % at) == b"b\xde\xad\xbe\xef}\x03#$*"
    assert rig.machine.read(at, 9) == b"\xde\xad\xbe\xef}\x03#$*"
    assert gdb.ask(b"X%x,0:" % at) == b"OK"
    assert gdb.ask(b"M1000,1:00").startswith(b"E")


@pytest.mark.parametrize(("below", "length"), [(8, 8), (1, 2), (0x2000, 1)])
def test_nothing_is_written_below_the_stack_pointer(rig: Rig, below: int, length: int) -> None:
    """There the kernel's debugger has its own frames; gdb would write there to call a function."""
    gdb = rig.gdb()
    gdb.attach()
    pointer = STACK + 0x2000
    assert b"uses the stack below" in gdb.ask(b"M%x,%x:%b" % (pointer - below, length, b"a5" * length))
    assert rig.machine.read(pointer - below, length) == bytes(length)


def test_registers_are_written_one_by_one_and_several_together(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"P0=0102030405060708") == b"OK"
    registers = bytearray.fromhex(gdb.ask(b"g").decode())
    assert registers == bytes(range(1, 9))  # the others are asked for one by one
    assert gdb.ask(b"G" + (registers + b"\x09" * 8).hex().encode()) == b"OK"
    assert gdb.ask(b"p1") == b"09" * 8
    gdb.send(b"c")
    rig.until(State.RUNNING)
    assert rig.machine.cpus[0].registers["rax"] == int.from_bytes(bytes(range(1, 9)), "little")
    assert rig.machine.cpus[0].registers["rbx"] == int.from_bytes(b"\x09" * 8, "little")


@pytest.mark.parametrize("number", [7, 18, 19, 20, 21])
def test_a_register_that_cannot_be_set_is_refused_unless_it_stays_as_it_is(rig: Rig, number: int) -> None:
    """gdb writes all of them back after an inferior call that was refused; that must not fail half-way."""
    gdb = rig.gdb()
    gdb.attach()
    before = gdb.ask(b"p%x" % number)
    other = (int(before[:2], 16) ^ 1).to_bytes(1, "little").hex().encode() + before[2:]
    assert gdb.ask(b"P%x=%b" % (number, other)).startswith(b"E")
    assert gdb.ask(b"P%x=%b" % (number, before)) == b"OK"
    assert gdb.ask(b"p%x" % number) == before


def test_registers_of_another_thread_are_not_written(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Hg%x" % CPU1)
    assert gdb.ask(b"P0=0102030405060708").startswith(b"E")
    assert "rax" not in rig.machine.cpus[1].registers


def test_monitor_commands_list_themselves(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"qRcmd," + b"help".hex().encode()) == b"OK"
    listed = gdb.console.decode()
    for name in ("status", "modules", "loadmap", "threads", "registers", "wire", "take"):
        gdb.console = b""
        assert f"monitor {name}" in listed
        assert gdb.ask(b"qRcmd," + name.encode().hex().encode()) == b"OK"
        assert gdb.console
    for line in (b"", b'"', b"nosuch", b"loadmap nosuch", b"threads some", b"\xc3\xa9", b"help help", b"s"):
        gdb.console = b""
        assert gdb.ask(b"qRcmd," + line.hex().encode()) == b"OK"
        assert gdb.console


def test_no_ack_mode_ends_acknowledgements(rig: Rig) -> None:
    gdb = rig.gdb()
    assert gdb.ask(b"QStartNoAckMode") == b"OK"
    gdb.send(b"vCont?")
    assert gdb.frame() == Packet(b"vCont;c;C;s;S;r")
    gdb.send(b"qAttached")
    assert gdb.frame() == Packet(b"1")


def test_a_rejected_reply_is_sent_again_and_a_damaged_request_is_rejected(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.raw(b"$qAttached#8f")
    assert gdb.frame() == Ack()
    assert gdb.frame() == Packet(b"1")
    gdb.raw(b"-")
    assert gdb.frame() == Packet(b"1")
    gdb.raw(b"+$qAttached#00")
    assert gdb.frame() == Nack()
    assert gdb.ask(b"qAttached") == b"1"


def test_requests_in_one_piece_and_byte_by_byte_are_the_same(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    for byte in b"$qC#b4":
        gdb.raw(bytes((byte,)))
    assert gdb.packet() == b"QC%x" % PID
    gdb.raw(b"$qC#b4+$qAttached#8f+$qC#b4")
    assert [gdb.packet() for _ in range(3)] == [b"QC%x" % PID, b"1", b"QC%x" % PID]
