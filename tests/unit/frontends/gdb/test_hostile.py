# SPDX-License-Identifier: Apache-2.0
"""Invariant: whatever a client sends, the stub gets only what is harmless to a kernel, the session goes on serving
others, no thread fails, and everything ends.

The kernel's stub trusts what it is sent; each request here has overwritten its memory, made it oops, or killed it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.rsp.framing import encode_packet
from nullmodem.session.model import State
from support.fakekernel import FakeKernel
from support.hostile import TRUSTED, fill, is_refusal
from support.rig import PID, STACK, rig_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Gdb, Rig

TOP = (1 << 64) - 1


def text(rig: Rig) -> int:
    return rig.kernel.symbol("do_init_module") + 4


def assert_unharmed(rig: Rig, gdb: Gdb) -> None:
    """The target stands where it stood, and everything is served as before."""
    assert rig.live.state is State.STOPPED
    assert gdb.ask(b"qC") == b"QC%x" % PID
    assert gdb.ask(b"m%x,4" % text(rig)) == (rig.machine.read(text(rig), 4) or b"").hex().encode()
    assert rig.machine.violations == []
    assert not rig.fake.dead


@pytest.mark.parametrize("request_", TRUSTED.values(), ids=TRUSTED.keys())
def test_it_goes_no_farther_than_the_session(rig: Rig, request_: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    places = {
        "text": text(rig),
        "data": rig.kernel.symbol("init_task"),
        "init": rig.kernel.symbol("start_kernel"),
        "stack": STACK,
        "pid": PID,
    }
    registers, before = dict(rig.machine.cpus[0].registers), len(rig.fake.requests)
    answer = gdb.ask(fill(request_, places))
    assert is_refusal(answer), answer
    assert_unharmed(rig, gdb)
    assert rig.machine.cpus[0].registers == registers
    assert not any(packet[:1] in (b"c", b"s", b"R", b"k", b"3", b"C") for packet in rig.fake.requests[before:])
    assert len(rig.machine.software) == 2
    assert rig.machine.hardware == {}


@pytest.mark.parametrize("letter", [b"m", b"x"])
def test_a_read_longer_than_the_stubs_buffer_is_made_of_shorter_ones(rig: Rig, letter: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    expected = rig.machine.read(STACK, 0x500) or b""
    answer = gdb.ask(b"%b%x,500" % (letter, STACK))
    assert answer == (expected.hex().encode() if letter == b"m" else b"b" + expected)
    assert_unharmed(rig, gdb)


@pytest.mark.parametrize("thread", [-9, -4, 5, 0x7A12FF, 1 << 30])
def test_a_thread_that_is_not_there_is_never_asked_for(rig: Rig, thread: int) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Hg%x" % (thread & 0xFFFF_FFFF))
    assert gdb.ask(b"g").startswith(b"E")
    assert gdb.ask(b"p10").startswith(b"E")
    assert gdb.ask(b"T%x" % (thread & 0xFFFF_FFFF)).startswith(b"E")
    assert gdb.ask(b"qThreadExtraInfo,%x" % (thread & 0xFFFF_FFFF)) == b""
    assert gdb.ask(b"P0=0102030405060708").startswith(b"E")
    gdb.ask(b"Hg0")
    assert_unharmed(rig, gdb)


@pytest.mark.parametrize("request_", [b"g", b"m%x,4", b"M%x,1:00", b"P0=0000000000000000", b"Z0,%x,1", b"qfThreadInfo"])
def test_nothing_is_asked_of_a_target_that_runs(rig: Rig, request_: bytes) -> None:
    """A client that does not wait for the stop it asked for."""
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(b"c")
    rig.until(State.RUNNING)
    before = len(rig.fake.requests)
    assert gdb.ask(request_ % text(rig) if b"%x" in request_ else request_).startswith(b"E")
    assert len(rig.fake.requests) == before
    assert rig.fake.running


def test_before_it_has_attached_a_client_changes_nothing(rig: Rig) -> None:
    rig.gdb().attach()
    stranger = rig.gdb()
    for request_ in (b"P0=0102030405060708", b"M%x,1:7f" % STACK, b"Z0,%x,1" % text(rig), b"z0,%x,1" % text(rig)):
        assert stranger.ask(request_).startswith(b"E")
    for request_ in (b"c", b"s", b"vCont;c"):
        assert stranger.ask(request_).startswith(b"E")
    assert rig.live.state is State.STOPPED


def test_signals_the_stub_takes_for_commands_are_not_passed_on(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    for request_ in (b"C09", b"vCont;C09", b"C15"):
        gdb.send(request_)
        rig.until(State.RUNNING)
        gdb.raw(b"\x03")
        gdb.stop()
    assert not any(packet.startswith(b"C") for packet in rig.fake.requests)


# -- anything at all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"$" * 5000,
        b"\x00" * 5000,
        b"+" * 5000,
        b"-" * 5000,
        b"\x03" * 50,
        b"$g#zz" * 20,
        b"$m#00$",
        b"$" + b"A" * 200_000 + b"#00",
        b"$m" + b"0" * 60_000 + b",1#00",
        b"$x}#aa",
        b"$a*#bb",
        b"%Stop:T05#00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bytes_that_are_no_protocol_end_that_connection_at_the_most(rig: Rig, data: bytes) -> None:
    good, bad = rig.gdb(), rig.gdb()
    good.attach()
    with contextlib.suppress(OSError):
        bad.raw(data)
    assert_unharmed(rig, good)
    bad.vanish()
    assert_unharmed(rig, good)


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"m", b"M", b"X", b"x", b"g", b"G", b"p", b"P", b"Z0,", b"z0,", b"Z2,", b"H", b"Hg", b"T", b"qC"]),
    st.sampled_from(
        [b"vCont;", b"vCont;s", b"vCont;r", b"qXfer:", b"qRcmd,", b"qSupported:", b"D", b"?", b"!", b"c", b"s"]
    ),
    st.sampled_from(
        [b"ffffffff81000000", b"ffffffffffffffff", b"-1", b"0", b"1", b"200", b",", b":", b";", b"=", b"p1.1"]
    ),
    st.integers(0, TOP).map(lambda number: b"%x" % number),
)
PAYLOADS = st.lists(PIECES, min_size=1, max_size=5).map(b"".join)


@pytest.fixture(scope="module")
def shared(kernel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One target for all the examples of a test: none of them may leave it worse than it was."""
    with rig_on(FakeKernel(kernel_file), tmp_path_factory.mktemp("hostile")) as rig:
        yield rig


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(PAYLOADS, max_size=8), noise=st.binary(max_size=30), cut=st.integers(0, 400))
def test_any_packets_leave_a_session_that_serves(shared: Rig, payloads: list[bytes], noise: bytes, cut: int) -> None:
    bad = shared.gdb()
    data = b"".join(encode_packet(payload) for payload in payloads)
    with contextlib.suppress(OSError):
        bad.raw(encode_packet(b"?") + data[:cut] + noise + data[cut:])
    bad.vanish()
    good = shared.gdb()
    good.attach()
    assert good.ask(b"qC") == b"QC%x" % PID
    assert good.ask(b"D") == b"OK"
    good.vanish()
    shared.until(State.RUNNING)
    assert shared.live.clients() == ()
    assert shared.machine.violations == []
    assert len(shared.machine.software) == 2
    assert shared.machine.hardware == {}
