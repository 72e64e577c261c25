# SPDX-License-Identifier: Apache-2.0
"""Modules that come and go while gdbs wait: all of them are told, and nobody is waited for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import State
from support.rig import PID, Arrival

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.rsp.replies import StopReply
    from support.rig import Gdb, Rig

LIVE, COMING, GOING = 0, 1, 2


def pc(stop: StopReply) -> int:
    return int.from_bytes(dict(stop.registers)[16], "little")


def two(rig: Rig) -> tuple[Gdb, Gdb]:
    """The first holds the target; both are at their prompts."""
    first, second = rig.gdb(), rig.gdb()
    first.attach()
    second.attach()
    assert first.ask(b"P0=0100000000000000") == b"OK"
    return first, second


def go(rig: Rig, *gdbs: Gdb) -> None:
    """Let these continue, the last of which may."""
    for gdb in gdbs:
        gdb.send(b"vCont;c")
        assert gdb.nothing_comes()
    rig.until(State.RUNNING)
    assert rig.fake.running


def code(rig: Rig) -> int:
    return rig.kernel.symbol("do_init_module") + 4


def test_a_load_is_told_before_its_init_runs_and_the_list_shows_it(rig: Rig, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    stop = gdb.stop()
    assert (stop.library, stop.signal) == (True, 0)
    libraries = gdb.ask(b"qXfer:libraries:read::0,fff")
    assert b"fake_mod.ko" in libraries
    assert b'address="0x0"' not in libraries
    text = loaded.sections[".text"]
    assert gdb.ask(b"Z0,%x,1" % text) == b"OK"
    go(rig, gdb)
    rig.happen(Arrival(text))
    assert pc(gdb.stop()) == text


def test_breakpoints_go_with_the_memory_they_are_in(rig: Rig, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    gdb.stop()
    text, init = loaded.sections[".text"], loaded.sections[".init.text"]
    data = loaded.sections[".data"]
    for address in (text, init):
        assert gdb.ask(b"Z0,%x,1" % address) == b"OK"
    assert gdb.ask(b"Z0,%x,1" % data).startswith(b"E.no breakpoint")
    assert gdb.ask(b"Z2,%x,4" % data) == b"OK"
    go(rig, gdb)
    assert {text, init} <= rig.machine.software
    rig.happen(rig.module_event(loaded, LIVE))
    rig.settle()
    assert rig.fake.running, "that a module is live is no news to gdb"
    assert init not in rig.machine.software
    assert text in rig.machine.software
    rig.machine.free(loaded.regions["init_text"][0])
    rig.happen(rig.module_event(loaded, GOING))
    assert gdb.stop().library
    assert b"fake_mod" not in gdb.ask(b"qXfer:libraries:read::0,fff")
    assert gdb.ask(b"z0,%x,1" % text) == b"OK", "taking out what is gone is no error"
    assert gdb.ask(b"Z0,%x,1" % text).startswith(b"E.no breakpoint")
    assert gdb.ask(b"Z0,%x,1" % init).startswith(b"E.no breakpoint")
    go(rig, gdb)
    rig.machine.free(loaded.regions["text"][0])
    assert not {text, init} & rig.machine.software
    assert data not in rig.machine.hardware


def test_the_target_waits_for_all_who_wait_and_for_nobody_else(rig: Rig, module_path: Path) -> None:
    first, second = two(rig)
    third = rig.gdb()
    third.attach()
    second.send(b"c")
    second.nothing_comes()
    go(rig, first)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert first.stop().library
    assert second.stop().library
    first.send(b"c")
    first.nothing_comes()
    assert not rig.fake.running, "second has not answered"
    second.send(b"c")
    rig.settle()
    second.nothing_comes()
    assert rig.fake.running
    third.send(b"c")
    assert third.nothing_comes(), "it was at its prompt and has missed no stop"


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_who_vanishes_instead_of_answering_is_not_waited_for(
    rig: Rig, module_path: Path, order: tuple[str, str]
) -> None:
    gdbs = dict(zip(("first", "second"), two(rig), strict=True))
    gdbs["second"].send(b"c")
    gdbs["second"].nothing_comes()
    go(rig, gdbs["first"])
    rig.happen(rig.module_loads(rig.load(module_path)))
    for gdb in gdbs.values():
        assert gdb.stop().library
    answering, vanishing = (gdbs[name] for name in order)
    answering.send(b"c")
    answering.nothing_comes()
    vanishing.vanish()
    rig.settle()
    assert rig.fake.running
    assert rig.live.state is State.RUNNING


def test_a_step_asked_for_by_one_who_then_vanished_is_not_taken(rig: Rig, module_path: Path) -> None:
    first, second = two(rig)
    second.send(b"c")
    second.nothing_comes()
    go(rig, first)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert first.stop().library
    assert second.stop().library
    first.send(b"vCont;s:%x;c" % PID)
    first.nothing_comes()
    first.vanish()
    second.vanish()
    rig.settle()
    assert rig.live.state is State.RUNNING
    assert rig.fake.running


def test_ctrl_c_while_modules_are_told_is_a_stop_at_once(rig: Rig, module_path: Path) -> None:
    first, second = two(rig)
    second.send(b"c")
    second.nothing_comes()
    go(rig, first)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert first.stop().library
    assert second.stop().library
    second.send(b"c")
    second.nothing_comes()
    second.raw(b"\x03")
    stop = second.stop()
    assert stop.signal == 2
    assert not stop.library
    first.send(b"c")
    assert first.stop().signal == 2, "it has missed that stop"
    assert rig.live.state is State.STOPPED


def test_who_attaches_while_modules_are_told_is_not_kept_waiting(rig: Rig, module_path: Path) -> None:
    """The first gdb may stay at its prompt there: that is how its `catch load` works."""
    first = rig.gdb()
    first.attach()
    go(rig, first)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert first.stop().library
    second = rig.gdb()
    assert second.attach().thread == PID
    assert b"fake_mod" in second.ask(b"qXfer:libraries:read::0,fff")


def test_who_comes_to_wait_while_modules_are_told_is_told_too(rig: Rig, module_path: Path) -> None:
    first, second = two(rig)
    go(rig, first)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert first.stop().library
    second.send(b"c")
    assert second.stop().library
    first.send(b"c")
    first.nothing_comes()
    assert not rig.fake.running
    second.send(b"c")
    second.nothing_comes()
    assert rig.fake.running
    assert first.nothing_comes()


def test_a_breakpoint_where_the_session_itself_listens_is_shown_after_the_modules_were_told(
    rig: Rig, module_path: Path
) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.hook("do_init_module")
    gdb.ask(b"Z0,%x,1" % at)
    go(rig, gdb)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert gdb.stop().library
    gdb.send(b"c")
    stop = gdb.stop()
    assert (stop.library, pc(stop)) == (False, at)
    go(rig, gdb)


def test_a_module_without_a_file_is_told_of_in_words_and_shown_to_nobody(rig: Rig, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    loaded = rig.load(module_path)
    (rig.modules / module_path.name).unlink()
    rig.happen(rig.module_loads(loaded))
    assert gdb.stop().library
    assert b"has no symbols" in gdb.console
    assert b"fake_mod" not in gdb.ask(b"qXfer:libraries:read::0,fff")


def test_a_load_that_nobody_waits_for_stops_nothing(rig: Rig, module_path: Path) -> None:
    rig.happen(rig.module_loads(rig.load(module_path)))
    rig.settle()
    assert rig.fake.running
    assert [module.name for module in rig.live.modules()] == ["fake_mod"]


def test_a_variable_of_a_module_that_has_gone_is_watched_no_longer(rig: Rig, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    gdb.stop()
    data = loaded.sections[".data"]
    assert gdb.ask(b"Z2,%x,4" % data) == b"OK"
    go(rig, gdb)
    rig.happen(rig.module_event(loaded, GOING))
    assert gdb.stop().library
    rig.story.meanwhile = lambda: rig.memory.write(data, b"else")  # the memory is somebody else's now
    gdb.send(b"vCont;s:%x;c" % PID)
    stop = gdb.stop()
    assert stop.watch is None


def test_so_it_is_when_the_module_went_unseen_before_a_stop_in_kdb(rig: Rig, module_path: Path) -> None:
    head = rig.kernel.symbol("modules")
    none = bytes(rig.memory.read(head, 16))
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    gdb.stop()
    data = loaded.sections[".data"]
    assert gdb.ask(b"Z2,%x,4" % data) == b"OK"
    go(rig, gdb)
    rig.memory.write(head, none)
    rig.machine.cpus[0].registers["rip"] = rig.break_pc
    rig.line.poke(lambda: rig.fake.stop(in_kdb=True))
    gdb.stop()
    rig.story.meanwhile = lambda: rig.memory.write(data, b"else")
    gdb.send(b"vCont;s:%x;c" % PID)
    assert gdb.stop().library
    gdb.send(b"vCont;s:%x;c" % PID)
    stop = gdb.stop()
    assert (stop.library, stop.watch) == (False, None)
