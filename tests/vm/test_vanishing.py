# SPDX-License-Identifier: Apache-2.0
"""gdbs that are killed, lines that are cut, gdbs that disagree: the target does what the policy says, and says so."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.framing import encode_packet
from nullmodem.session.model import ModulesChanged, Policy, State
from nullmodem.waiting import wait_readable
from support.gdb import EVERY_KERNEL_ONE_GDB
from support.inside import TROUBLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench
    from nullmodem.api.commands import RunningCommand
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb]
ONE_POLICY = list(zip(EVERY_KERNEL_ONE_GDB, Policy, strict=True))
"""What is not among the long tests: each policy, each kernel, and each gdb once."""
both_policies = pytest.mark.parametrize(
    "booted",
    [
        pytest.param(
            (*machine.values[0], policy),
            id=f"{machine.id}-{policy.value}",
            marks=() if (machine, policy) in ONE_POLICY else pytest.mark.soak,
        )
        for machine in EVERY_KERNEL_ONE_GDB
        for policy in Policy
    ],
    indirect=True,
    scope="module",
)
SECONDS = 60.0
READ = "dd if=/dev/simple bs=64 count=1 2>/dev/null"


def holds(bench: Bench) -> bool:
    return bench.policy is Policy.HOLD


def heard_on_the_console(bench: Bench, do: Callable[[], None], what: str) -> str:
    """What the console says when this is done."""
    before = bench.machine.target.console.position
    do()
    return bench.machine.target.wait_console(rf"nullmodem: .*{what}.*", SECONDS, since=before)


def vanish(bench: Bench, gdb: Gdb) -> None:
    """Kill a gdb, the only one, that had the target stand still; the target stays so or goes on, and that is said."""
    said = heard_on_the_console(bench, gdb.kill, "is gone;")
    if holds(bench):
        assert "the target stays stopped, as the policy says" in said
        assert bench.machine.live.is_stopped
    else:
        assert "its breakpoints are lifted and the target runs on" in said
        bench.machine.live.wait_until_running(SECONDS)
    assert any(said.endswith(text) for _when, text in bench.machine.live.status().said)


def assert_well(bench: Bench, command: RunningCommand | None = None) -> None:
    """The target runs to the end of what it was doing, with no breakpoint of anybody's in its way."""
    live = bench.machine.live
    live.wait_until_running(SECONDS)
    if command is not None:
        assert command.wait(SECONDS, stops=False).result is not None
    stops = live.stop.number if live.stop else 0
    if any(module.name == "simple" for module in live.modules()):
        assert bench.sh(READ) == "hello"
    assert live.stop is None or live.stop.number == stops
    assert live.clients() == ()
    assert not TROUBLE.search(bench.sh("dmesg"))


@pytest.fixture
def loaded(shared_bench: Bench) -> Bench:
    """With the example module loaded."""
    shared_bench.build("simple")
    shared_bench.machine.load("simple").wait(SECONDS)
    return shared_bench


@both_policies
def test_killed_right_after_it_has_connected(loaded: Bench) -> None:
    vanish(loaded, loaded.gdb())
    if holds(loaded):
        assert "received signal SIGINT" not in loaded.gdb()("detach")
    assert_well(loaded)


@both_policies
def test_killed_at_a_breakpoint(loaded: Bench) -> None:
    gdb = loaded.gdb()
    gdb("break simple_read")
    reading = loaded.start(gdb, READ)
    assert "simple_read (" in gdb.wait()
    vanish(loaded, gdb)
    if holds(loaded):
        heir = loaded.gdb()
        assert "simple_read (" in heir("frame")
        heir("detach")
    assert_well(loaded, reading)


@both_policies
def test_killed_while_the_target_runs_with_its_breakpoints(loaded: Bench) -> None:
    gdb = loaded.gdb()
    gdb("break simple_read")
    gdb.send("continue")
    loaded.machine.live.wait_until_running(SECONDS)
    heard_on_the_console(
        loaded, gdb.kill, "is gone; the target runs on, and its breakpoints are lifted at the next stop"
    )
    assert loaded.machine.live.is_running
    assert_well(loaded, loaded.machine.run(READ))


@both_policies
def test_killed_in_the_middle_of_a_next(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("spinner")
    bench.machine.load("spinner").wait(SECONDS)
    gdb = bench.gdb()
    gdb("tbreak spinner_run")
    spinning = bench.start(gdb, "echo 2 > /sys/module/spinner/parameters/spin")
    said = gdb.wait()
    for _ in range(5):
        if "= spinner_loop(" in said:
            break
        said = gdb("next")
    assert "= spinner_loop(" in said
    position = bench.machine.target.console.position
    gdb.send("next")  # two seconds in a loop that is not left until then
    bench.machine.live.wait_until_running(SECONDS)
    said = heard_on_the_console(bench, gdb.kill, "is gone;")
    assert "rounds, checksum" not in bench.machine.target.console.text(position), "it was too late"
    if "stays stopped" in said:  # between two of the steps that a `next` is made of
        assert holds(bench)
        bench.machine.continue_target()
    assert_well(bench, spinning)


@both_policies
def test_killed_while_a_module_waits_to_run_its_init(shared_bench: Bench) -> None:
    bench, live = shared_bench, shared_bench.machine.live
    bench.build("simple")
    gdb = bench.gdb()
    gdb("break simple_read")
    gdb.send("continue")
    live.wait_until_running(SECONDS)
    events = live.subscribe()
    os.kill(gdb.pid, signal.SIGSTOP)  # it does not answer the news of the module
    insmod = bench.machine.load("simple")
    while not isinstance(events.get(), ModulesChanged):
        assert wait_readable([events], SECONDS)
    events.close()
    assert live.is_stopped
    vanish(bench, gdb)
    if holds(bench):
        heir = bench.gdb()
        assert "do_init_module (" in heir("frame")
        heir("detach")
    assert_well(bench, insmod)


@both_policies
@pytest.mark.parametrize("piece", [b"$", b"$mffffffff81", b"$c#6", b"$X0,4:}", b"+$vCont;c"])
def test_cut_in_the_middle_of_a_packet(loaded: Bench, piece: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(loaded.server.address)
        line.sendall(encode_packet(b"?"))
        heard = b""
        while b"#" not in heard[:-2]:
            heard += line.recv(1 << 16)
        assert b"$T02" in heard
        line.sendall(b"+" + piece)
        said = heard_on_the_console(loaded, line.close, "is gone;")
    assert ("stays stopped" in said) == holds(loaded)
    if holds(loaded):
        loaded.machine.continue_target()
    assert_well(loaded)


@both_policies
def test_who_waits_for_another_goes_on_when_that_one_is_killed(loaded: Bench) -> None:
    holder, waiting = loaded.gdb(), loaded.gdb()
    holder("monitor take")
    waiting("break simple_read")
    waiting.send("continue")  # the one will not let it go, the other wants it to
    waiting.wait_for("gdb holds the target; waiting until it stops again")
    live = loaded.machine.live
    assert live.state is State.STOPPED
    holder.kill()
    live.wait_until_running(SECONDS)
    reading = loaded.machine.run(READ)
    assert "simple_read (" in waiting.wait()
    assert len(live.clients()) == 1
    waiting("detach")
    assert_well(loaded, reading)


@both_policies
def test_a_stop_that_comes_from_the_target_itself_with_nobody_attached(loaded: Bench) -> None:
    live = loaded.machine.live
    said = heard_on_the_console(
        loaded, lambda: loaded.sh("(sleep 1; echo g >/proc/sysrq-trigger) >/dev/null 2>&1 &"), "with nobody attached; "
    )
    if holds(loaded):
        assert "it stays stopped" in said
        assert live.state is State.STOPPED
        loaded.machine.continue_target()
    else:
        assert "it runs on" in said
    assert_well(loaded)
