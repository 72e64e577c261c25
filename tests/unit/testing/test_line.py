# SPDX-License-Identifier: Apache-2.0
"""The modelled line: bytes take their time, a stub that transmits is deaf, and no real time passes."""

from __future__ import annotations

import pytest

from nullmodem.errors import WireClosed
from nullmodem.rsp.framing import encode_packet
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Stop
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.testing.line import ModelledLine
from nullmodem.waiting import wait_readable

TEXT = 0xFFFFFFFF81000000
READ = encode_packet(b"mffffffff81000000,40")


def a_line(**options: object) -> ModelledLine:
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(range(64)), executable=True)
    machine.cpus[0] = Cpu(2, {"rip": TEXT})
    return ModelledLine(FakeKgdb(machine), **options)  # type: ignore[arg-type]


def all_that_comes(line: ModelledLine) -> bytes:
    data = b""
    while line.wait(line, 10):
        data += line.read()
    return data


def test_a_byte_takes_ten_bits_and_the_latency() -> None:
    line = a_line(baud=1000, latency=0.5)
    line.write(b"$g#67")
    assert line.wait(line, 60)
    assert line.clock.now == pytest.approx(5 * 0.01 + 0.5 + 0.01 + 0.5)
    assert line.read() == b"+"


def test_a_reply_comes_a_byte_at_a_time_and_its_length_is_its_time() -> None:
    line = a_line(baud=1000)
    line.write(READ)
    reply = all_that_comes(line)
    assert reply == b"+" + encode_packet(bytes(range(64)).hex().encode())
    assert line.arrived == len(reply)
    assert line.clock.now == pytest.approx((len(READ) + len(reply)) * 0.01 + 10)


def test_waiting_ends_when_its_time_is_over() -> None:
    line = a_line(baud=1000)
    line.write(READ)
    assert not line.wait(line, 0.1)
    assert line.clock.now == pytest.approx(0.1)
    assert not wait_readable([line], 0)


def test_the_descriptor_is_readable_while_something_has_arrived() -> None:
    line = a_line()
    line.write(b"$g#67")
    assert wait_readable([line], 0)
    assert line.read(1) == b"+"
    assert wait_readable([line], 0)
    line.read()
    assert not wait_readable([line], 0)


def test_a_stub_that_transmits_loses_what_its_fifo_cannot_keep() -> None:
    line = a_line(baud=115200)
    line.write(READ + b"+" + READ + b"+" + READ)
    assert all_that_comes(line).count(b"$") < 3
    assert line.overruns > 0


def test_an_ack_in_front_of_the_next_request_is_lost_to_nobody() -> None:
    line = a_line(baud=115200)
    for _ in range(3):
        line.write(b"+" + READ)
        assert all_that_comes(line).count(b"$") == 1
    assert line.overruns == 0


def test_a_line_without_a_rate_overruns_nothing() -> None:
    line = a_line()
    line.write(READ + b"+" + READ + b"+" + READ)
    assert all_that_comes(line).count(b"$") == 3


def test_break_and_g_stop_a_running_machine() -> None:
    line = a_line(baud=115200)
    line.write(b"$c#63")
    line.wait(line, 1)
    assert line.read() == b"+"
    line.write(b"g")
    assert not line.wait(line, 1)
    line.send_break()
    line.write(b"h")
    assert not line.wait(line, 1)
    line.send_break()
    line.write(b"g")
    assert all_that_comes(line) == encode_packet(b"T05thread:02;")


def test_text_and_stops_from_the_far_end_come_in_order() -> None:
    line = a_line(baud=115200)
    line.write(b"$c#63")
    line.wait(line, 1)
    line.read()
    line.deliver(b"hello\r\n")
    line.poke(lambda: line.fake.stop(Stop(11)))
    assert all_that_comes(line) == b"hello\r\n" + encode_packet(b"T0bthread:02;")


def test_an_unplugged_line_ends_for_who_reads_and_fails_for_who_writes() -> None:
    line = a_line()
    line.write(b"$g#67")
    line.unplug()
    assert line.wait(line, 1)
    assert line.read() == b""
    with pytest.raises(WireClosed):
        line.write(b"+")
    with pytest.raises(WireClosed):
        line.send_break()
