# SPDX-License-Identifier: Apache-2.0
"""What is measured: what a user types, and which part of it is counted. Add to it here; nothing else need change.

A scenario is a function that gets a side (`sides.Side`) with a target that runs and no gdb on it, and leaves it so. It
debugs as a user would and counts operations with ``side.counted(NAME)``. The names and the order in which they are
shown are those of `OPERATIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sides import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from sides import Side

OPERATIONS = {
    "load": "a module is loaded, from insmod to running on with init done",
    "unload": "it is unloaded",
    "load again": "it is loaded again, unchanged",
    "attach": "attach to the running target",
    "second gdb": "a second gdb attaches to the same stop",
    "hit": "continue, until a breakpoint is hit and gdb shows the line",
    "hit, five more set": "the same with five more breakpoints that are not hit",
    "interrupt, five set": "continue, and interrupt, with five breakpoints set",
    "bt": "bt, the first time in a stop",
    "bt again": "bt again in the same stop",
    "print struct": "print a struct of 200 bytes",
    "print struct again": "print it again in the same stop",
    "x/400xb": "x/400xb",
    "info threads": "info threads",
    "stepi": "stepi",
    "next": "next over a line of ten instructions",
    "next, loop": "next over a line with a loop of three turns that calls a function",
    "finish": "finish",
}

TRIGGER = "echo 3 > /sys/module/cost/parameters/run"


def loading(side: Side) -> None:
    """A module comes and goes while gdb waits for something else."""
    side.attach()
    side.follow_modules()
    side.resume()
    insmod = side.insmod("cost")
    with side.counted("load"):
        side.run(insmod)
    with side.counted("unload"):
        side.run("rmmod cost")
    with side.counted("load again"):
        side.run(insmod)
    side.interrupt()
    side.leave()
    side.run("rmmod cost")


def stopping(side: Side) -> None:
    """Attach, run into a breakpoint, and look around there."""
    side.run(side.insmod("cost"))
    with side.counted("attach"):
        side.attach()
    side.learn("cost")
    side.gdb("break cost_look")
    # The first time everything is set for the first time; what is counted is the ever same.
    _, command = side.hit(TRIGGER)
    side.let_run(command)
    with side.counted("hit"):
        said, command = side.hit(TRIGGER)
    assert "Breakpoint 1, cost_look (" in said, said
    with side.counted("bt"):
        side.gdb("bt")
    with side.counted("bt again"):
        side.gdb("bt")
    with side.counted("print struct"):
        said = side.gdb("print cost_state")
    assert '"cost"' in said, said
    with side.counted("print struct again"):
        side.gdb("print cost_state")
    with side.counted("x/400xb"):
        side.gdb("x/400xb cost_bytes")
    with side.counted("info threads"):
        side.gdb("info threads")
    if isinstance(side, Session):
        with side.counted("second gdb"):
            other = side.second_gdb()
        assert "cost.c:" in other("bt 1")
        other("detach")
        other.quit()
    side.let_run(command)
    for number in range(1, 6):
        side.gdb(f"break cost_never_{number}")
    _, command = side.hit(TRIGGER)
    side.let_run(command)
    with side.counted("hit, five more set"):
        said, command = side.hit(TRIGGER)
    assert "Breakpoint 1, cost_look (" in said, said
    side.let_run(command)
    side.gdb("delete 1")
    side.resume()
    side.interrupt()
    with side.counted("interrupt, five set"):
        side.resume()
        side.interrupt()
    side.gdb("delete")
    side.leave()
    side.run("rmmod cost")


def stepping(side: Side) -> None:
    """Step through lines of several kinds, from a breakpoint on each."""
    side.run(side.insmod("cost"))
    side.attach()
    side.learn("cost")
    side.gdb("tbreak cost_straight")
    said, command = side.hit(TRIGGER)
    assert "cost_mixed[0] =" in said, said
    with side.counted("next"):
        said = side.gdb("next")
    assert "cost_mixed[1] ^=" in said, said
    with side.counted("stepi"):
        side.gdb("stepi")
    with side.counted("finish"):
        said = side.gdb("finish")
    assert "cost_run (amount=3)" in said, said
    side.let_run(command)
    side.gdb("tbreak cost_loop")
    said, command = side.hit(TRIGGER)
    while "for (i = 0;" not in said:
        said = side.gdb("next")
    with side.counted("next, loop"):
        said = side.gdb("next")
    assert "cost_run (amount=3)" in said or "return sum" in said, said
    side.let_run(command)
    side.leave()
    side.run("rmmod cost")


SCENARIOS: tuple[Callable[[Side], None], ...] = (loading, stopping, stepping)
