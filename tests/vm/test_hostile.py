# SPDX-License-Identifier: Apache-2.0
"""What has harmed a kernel, sent by a client of a session that is on a real one: the kernel does not hear of it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import State
from nullmodem.symbols.ranges import AddressRange
from nullmodem.symbols.vmlinux import Vmlinux
from support.client import Client
from support.gdb import EVERY_KERNEL_ONE_GDB
from support.hostile import TRUSTED, fill, is_refusal
from support.inside import TROUBLE, kernel_text, peek, read_memory, unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Bench

pytestmark = [
    pytest.mark.vm,
    pytest.mark.one_pair,
    pytest.mark.parametrize("booted", EVERY_KERNEL_ONE_GDB, indirect=True, scope="module"),
]

SECONDS = 60.0
VICTIM = "bpf_stats_enabled_key"
"""What an over-long `m` overwrites, on the kernels where it was tried."""


@pytest.fixture
def client(shared_bench: Bench) -> Iterator[Client]:
    """Somebody on the session's socket who knows the protocol and sends what it likes; the target stands for it."""
    client = connected(shared_bench)
    with contextlib.closing(client.socket):  # one that stayed would hold the target for the tests to come
        client.ask(b"qSupported:multiprocess+;error-message+")
        client.send(b"?")
        client.stop()
        yield client


def connected(bench: Bench) -> Client:
    line = socket.socket(socket.AF_UNIX)
    line.connect(bench.server.address)
    return Client(line, SECONDS)


def symbol(bench: Bench, name: str) -> int:
    found = Vmlinux.open(bench.machine.kernel.vmlinux).symbol(name)
    assert found is not None, name
    return found.address + bench.machine.live.slide


def places(bench: Bench) -> dict[str, int]:
    live = bench.machine.live
    assert live.stop is not None
    return {
        "text": symbol(bench, "do_sys_openat2") + 4,
        "data": symbol(bench, "init_task"),
        "init": symbol(bench, "start_kernel"),
        "stack": live.reported_registers().sp,
        "pid": live.stop.thread,
    }


def memory(bench: Bench, directory: Path) -> dict[str, bytes]:
    """What each request aims at, and what has been hit beside it, as it is now."""
    at = places(bench) | {"victim": symbol(bench, VICTIM)}
    del at["pid"]
    # Above the stack pointer: below it the stub itself is at work.
    return {name: peek(bench.machine, AddressRange(start, start + 64), directory) for name, start in at.items()}


def assert_well(bench: Bench) -> None:
    bench.machine.live.wait_until_running(SECONDS)
    assert bench.sh("echo alive") == "alive\n"
    log = bench.sh("dmesg")
    assert not TROUBLE.search(log), log


@pytest.mark.slow
def test_none_of_it_gets_past_the_session(shared_bench: Bench, tmp_path: Path) -> None:
    bench, live = shared_bench, shared_bench.machine.live
    text_before = read_memory(bench.machine, kernel_text(bench.machine), tmp_path)
    client = connected(bench)
    client.ask(b"qSupported:multiprocess+;error-message+")
    client.send(b"?")
    number = live.stop.number if client.stop() and live.stop else 0
    registers, before, at = client.ask(b"g"), memory(bench, tmp_path), places(bench)
    wrong = {}
    for name, request in TRUSTED.items():
        answer = client.ask(fill(request, at))
        if not is_refusal(answer):
            wrong[name] = answer
        assert live.state is State.STOPPED, name
        assert live.stop is not None
        assert live.stop.number == number, name
    assert wrong == {}
    assert memory(bench, tmp_path) == before
    assert client.ask(b"g") == registers
    assert client.ask(b"D") == b"OK"
    client.socket.close()
    assert_well(bench)
    assert unexplained(text_before, read_memory(bench.machine, kernel_text(bench.machine), tmp_path)) == {}


def test_a_read_longer_than_the_stubs_buffer_overwrites_nothing(
    shared_bench: Bench, client: Client, tmp_path: Path
) -> None:
    before = memory(shared_bench, tmp_path)
    text = places(shared_bench)["text"]
    there = peek(shared_bench.machine, AddressRange(text, text + 0x500), tmp_path)
    for letter in (b"m", b"x"):
        answer = client.ask(b"%b%x,500" % (letter, text))
        assert answer == (there.hex().encode() if letter == b"m" else b"b" + there)
    assert memory(shared_bench, tmp_path) == before
    assert client.ask(b"D") == b"OK"
    assert_well(shared_bench)


@pytest.mark.parametrize("thread", [-9, -4, 0x7A12FF, 0x7FFFFFFF])
def test_a_processor_that_is_not_there_is_not_asked_for_its_registers(
    shared_bench: Bench, client: Client, thread: int
) -> None:
    client.ask(b"Hg%x" % (thread & 0xFFFF_FFFF))
    assert client.ask(b"g").startswith(b"E")
    assert client.ask(b"P0=0102030405060708").startswith(b"E")
    client.ask(b"Hg0")
    assert client.ask(b"D") == b"OK"
    assert_well(shared_bench)


@pytest.mark.parametrize("request_", [b"C09", b"C15", b"vCont;C09"])
def test_a_signal_is_not_handed_to_a_kernel_that_raised_none(
    shared_bench: Bench, client: Client, request_: bytes
) -> None:
    client.send(request_)
    shared_bench.machine.live.wait_until_running(SECONDS)
    assert_well(shared_bench)
    client.raw(b"\x03")
    client.stop()
    assert client.ask(b"D") == b"OK"
    assert_well(shared_bench)


def test_a_call_of_a_function_is_refused_before_its_frame_is_written(shared_bench: Bench) -> None:
    gdb = shared_bench.gdb()
    assert "Cannot access memory at address" in gdb("print (int)nr_context_switches()")
    gdb("detach")
    assert_well(shared_bench)


@pytest.mark.parametrize("request_", [b"k", b"vKill;1"])
def test_a_kill_lets_the_kernel_run(shared_bench: Bench, client: Client, request_: bytes) -> None:
    client.send(request_)
    shared_bench.machine.live.wait_until_running(SECONDS)
    assert_well(shared_bench)
    assert shared_bench.machine.target.alive
