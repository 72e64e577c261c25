# SPDX-License-Identifier: Apache-2.0
"""Having the target run: answered when gdb has set out, or with the reason why it could not."""

import inspect

import gdb
from inside import threads
from inside.requests import part, request

events, steps, state = map(part, ("events", "next", "state"))

# Older ones name this otherwise. There, a step that fails is answered as one that does not, as gdb has it.
_set_out = getattr(steps, "exec_and_expect_stop", None)


_ABORTED = "Command aborted."

_takes = inspect.signature(_set_out).parameters if _set_out is not None else {}
# 16 and 17 keep a failure to themselves unless they are told otherwise; others have no choice.
_aloud = {"propagate_exception": True} if "propagate_exception" in _takes else {}


def set_out(command, *reason, **options):
    """gdb's own, which after a failure believes that the target runs, and that the editor knows: it has announced that
    before it set the breakpoints (infrun.c proceed), and nothing announces that it stands still."""
    try:
        _set_out(command, *reason, **{**options, **_aloud})
    except Exception as error:  # whatever it is: what gdb believes is put right, and it is raised again
        events._suppress_cont = False
        threads.look_again()
        if str(error) == _ABORTED:
            # What it says of a breakpoint that could not be set it has printed, to nobody (infrun.c keep_going).
            raise gdb.GdbError(_ABORTED + " Most often a breakpoint is set where there is no memory.") from error
        raise


@request("nullmodem/stands", expect_stopped=False)
def stands(**extra):
    """After a command that was to have the target go on, and failed."""
    threads.look_again()
    return {"stands": not events.inferior_running}


def _step(command, thread, granularity):
    state.set_thread(thread)
    kinds = getattr(events, "StopKinds", None)
    set_out(command + ("i" if granularity == "instruction" else "") + " &", *([kinds.STEP] if kinds else []))


def _next(*, threadId: int, granularity: str = "statement", **extra):
    _step("next", threadId, granularity)


def _step_in(*, threadId: int, granularity: str = "statement", **extra):
    _step("step", threadId, granularity)


def _follow(*, threadId: int, **extra):
    """The target runs already, away from the stop of this thread. gdb's ``continue`` would first step it off a
    breakpoint where it stood, which is out until that step has been (infrun.c proceed): until the next stop, so that
    whatever else comes there would pass. It does not where it is told to go on from an address; the pc, which it has
    from the stop, it does not write as it was (regcache.c raw_write)."""
    for each in gdb.selected_inferior().threads():
        if each.global_num == threadId:
            each.switch()  # the command would ask the stub whether it lives (thread.c thread_alive)
    gdb.newest_frame().select()
    set_out("jump *$pc &", *([None] if "reason" in _takes else []))


if _set_out is not None:
    request("nullmodem/follow")(_follow)
    steps.exec_and_expect_stop = set_out
    # gdb's own are answered before they are tried.
    request("next")(_next)
    request("stepIn")(_step_in)
