# SPDX-License-Identifier: Apache-2.0
"""What a line can do besides changing a byte: fall silent, go on for ever, talk in between, overrun, be unplugged."""

from __future__ import annotations

import tracemalloc

import pytest

from fuzz.recorded import DATA, PATIENCE, SOFTWARE, TEXT, Session, a_fake
from nullmodem.errors import WireClosed, WireTimeout
from nullmodem.rsp.framing import encode_packet
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Stop
from nullmodem.testing.line import ModelledLine, clean

CODE = bytes(range(64))
ACTS = {
    "continue": lambda stub: stub.resume(),
    "write": lambda stub: stub.write_memory(DATA, b"\x01\x02"),
    "insert": lambda stub: stub.insert(SOFTWARE, TEXT + 4, 1),
}


def a_stub(**options: object) -> tuple[KgdbStub, ModelledLine, bytearray]:
    """A stub that was asked ``?``, its line, and the text that came between packets."""
    line = ModelledLine(a_fake(), **options)  # type: ignore[arg-type]
    text = bytearray()
    stub = KgdbStub(line, X86_64, patience=PATIENCE, on_text=text.extend, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    text.clear()
    return stub, line, text


def cut_once(line: ModelledLine, keep: int) -> None:
    """Of the next packet from the stub only the first ``keep`` bytes arrive, and nothing behind them."""
    seen = 0

    def cut(_place: int, data: bytes) -> bytes:
        nonlocal seen
        if seen < 0 or (b"$" not in data and not seen):
            return data
        seen = -1
        return data[: data.index(b"$") + keep]

    line.inward = cut


@pytest.mark.parametrize("keep", [1, 2, 10, 100])
def test_half_a_reply_and_silence_cost_one_deadline(keep: int) -> None:
    stub, line, _text = a_stub()
    cut_once(line, keep)
    before = line.clock.now
    assert stub.read_memory(TEXT, 64) == CODE
    assert line.clock.now - before == pytest.approx(PATIENCE.answer)
    assert line.fake.requests.count(b"mffffffff81000000,40") == 1


def test_half_a_stop_and_silence_cost_one_deadline_and_no_second_continue() -> None:
    stub, line, _text = a_stub()
    stub.resume()
    cut_once(line, 7)
    line.poke(lambda: line.fake.stop(Stop()))
    assert stub.take_stop() is None
    patience = stub.patience()
    assert patience is not None
    assert not line.wait(line, patience)
    stub.overdue()
    assert stub.take_stop() is not None
    assert line.fake.requests.count(b"c") == 1


@pytest.mark.parametrize("copies", [1, 2])
def test_a_stop_that_is_lost_with_the_acknowledgement_before_it_is_asked_for_and_no_continue_repeated(
    copies: int,
) -> None:
    """One chunk of a USB adapter: a question would make the stub forget the stop, and answer as if it had not run."""
    stub, line, _text = a_stub()
    stub.insert(SOFTWARE, TEXT + 4, 1)
    stub.select_current()
    lost: list[bytes] = []

    def lose(_place: int, data: bytes) -> bytes:
        if len(lost) == copies:
            return data
        lost.append(data)
        return data[len(data) // 2 :] if len(lost) > 1 else b""

    line.inward = lose
    stub.resume()
    assert lost == [b"+$T05thread:02;#08"]
    assert not line.wait(line, stub.patience() or 0)
    stub.overdue()
    stop = stub.take_stop()
    assert stop is not None
    assert stop.thread == 2
    line.inward = clean
    assert stub.read_registers()["rip"] == TEXT + 5
    assert line.fake.requests.count(b"c") == 1
    assert line.fake.machine.violations == []


def test_a_thread_that_the_stub_did_not_hear_chosen_is_not_taken_for_chosen() -> None:
    stub, line, _text = a_stub()
    stub.threads()
    stub.read_registers(3)
    line.outward = lambda _place, _data: b""
    with pytest.raises(WireTimeout):
        stub.read_registers()
    line.outward = clean
    assert stub.read_registers()["rsp"] == DATA, "the stopped thread's own"


def test_output_that_does_not_end_is_given_up_in_time_and_the_line_is_good_again_after_it() -> None:
    line = ModelledLine(a_fake(), latency=0.016)
    line.fake._monitor = lambda _command: b"a line\n" * 3000
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    with pytest.raises(WireTimeout, match=r"no answer to Monitor: 6\d s of output, and more"):
        stub.run_kdb("dmesg")
    assert line.clock.now < 75
    assert stub.current_thread() == 2
    assert stub.read_memory(TEXT, 64) == CODE
    assert line.fake.requests.count(b"qC") == 1


def test_what_still_came_of_output_that_was_given_up_is_not_taken_for_the_next_commands() -> None:
    line = ModelledLine(a_fake(), latency=0.016)
    line.fake._monitor = lambda command: b"a line\n" * 3000 if command == "dmesg" else b"short\n"
    stub = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    stub.halt_reason()
    with pytest.raises(WireTimeout):
        stub.run_kdb("dmesg")
    assert stub.run_kdb("ps") == "short\n"


def test_a_deadline_grows_with_what_travels_at_the_lines_rate() -> None:
    line = ModelledLine(a_fake(), baud=1200)
    stub = KgdbStub(line, X86_64, patience=Patience(1.0, baud=1200), clock=line.clock, wait=line.wait)
    stub.halt_reason()
    asked = len(line.fake.requests)
    assert stub.read_memory(TEXT, 200) == bytes(range(200))
    assert len(line.fake.requests) == asked + 1, "four seconds of data are no silence"


@pytest.mark.parametrize("act", ACTS)
def test_a_line_that_stays_silent_is_given_up_in_time_and_what_acts_was_sent_once(act: str) -> None:
    stub, line, _text = a_stub()
    stub.select_current()
    line.inward = lambda _place, _data: b""
    before = line.clock.now
    with pytest.raises(WireTimeout):  # noqa: PT012 - a continue is missed when it is overdue
        ACTS[act](stub)
        assert not line.wait(line, stub.patience() or 0)
        stub.overdue()
    assert line.clock.now - before < 20 * PATIENCE.answer
    letter = {"continue": b"c", "write": b"M", "insert": b"Z"}[act]
    assert len([request for request in line.fake.requests if request.startswith(letter)]) == 1


def test_a_packet_without_an_end_is_bounded_and_the_next_one_is_read() -> None:
    stub, line, _text = a_stub()
    line.deliver(b"$" + b"a" * 100)
    assert stub.read_memory(TEXT, 64) == CODE
    tracemalloc.start()
    for _ in range(20):
        line.deliver(b"$" + b"a" * 100_000)
        assert stub.read_memory(TEXT, 64) == CODE
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 21


def test_text_around_packets_is_kept_whole_and_in_order() -> None:
    stub, line, text = a_stub()
    stub.resume()
    line.deliver(b"[    1.0] first line\r\n")
    assert stub.take_stop() is None
    line.deliver(b"[    2.0] 100% of $5 #7")
    line.deliver(b"\r\n")
    line.poke(lambda: line.fake.stop(Stop()))
    stop = stub.take_stop()
    assert stop is not None
    assert stop.thread == 2
    assert bytes(text) == b"[    1.0] first line\r\n[    2.0] 100% of $5 #7\r\n"


@pytest.mark.parametrize("forged", [b"OK", b"00" * 64, b"QC02", b"m01,02"])
def test_a_packet_in_the_text_of_a_running_kernel_is_no_stop(forged: bytes) -> None:
    stub, line, _text = a_stub()
    stub.resume()
    line.deliver(b"\r\n" + encode_packet(forged) + b"\r\n")
    assert stub.take_stop() is None
    assert not stub.is_stopped


def test_a_session_at_115200_baud_overruns_no_fifo() -> None:
    session = Session(ModelledLine(a_fake(), baud=115200, latency=0.016))
    session.run()
    assert session.line.overruns == 0


def test_an_unplugged_line_is_an_error_at_once() -> None:
    stub, line, _text = a_stub()
    before = line.clock.now
    line.unplug()
    with pytest.raises(WireClosed):
        stub.read_registers()
    with pytest.raises(WireClosed):
        stub.take_stop()
    assert line.clock.now == before


def test_a_reboot_that_is_announced_ends_the_line() -> None:
    stub, line, _text = a_stub()
    stub.resume()
    line.poke(lambda: line.fake.reboot(1))
    with pytest.raises(WireClosed, match="reboots"):
        stub.take_stop()


def test_a_cable_that_changes_hands_in_the_middle_of_a_packet_is_understood() -> None:
    """The first debugger dies with half a request on the line; the next one is answered."""
    _first, line, _text = a_stub()
    line.write(b"$mffffffff8100")
    second = KgdbStub(line, X86_64, patience=PATIENCE, clock=line.clock, wait=line.wait)
    assert second.halt_reason().signal == 5
    assert second.read_memory(TEXT, 64) == CODE
