# SPDX-License-Identifier: Apache-2.0
"""A module's entry, and breakpoints while a module is exchanged."""

import contextlib
import functools
import re

import gdb
from inside.exceptions import catch_load
from inside.requests import part, request

dap_breakpoints = part("breakpoint")
_disabled = []


def _kept_in(make):
    """Have the breakpoints that were made stay in the target while it stands.

    Another debugger may let it run while this gdb takes it to stand, and is to run into them. Not while they are made:
    gdb would keep one that cannot be put in, and know nothing of it here.
    """

    @functools.wraps(make)
    def made(*arguments):
        gdb.execute("set breakpoint always-inserted off")
        try:
            return make(*arguments)
        finally:
            gdb.execute("set breakpoint always-inserted on")
            _put_in()

    return made


def _put_in():
    """Any breakpoint that is enabled again has gdb put in all of them."""
    enabled = [each for each in gdb.breakpoints() if each.enabled]
    # That one cannot be put in is said when the target is to go on.
    with dap_breakpoints.suppress_new_breakpoint_event(), contextlib.suppress(gdb.error):
        for each in enabled[:1]:
            each.enabled = True


for _name in ("_set_breakpoints", "_set_breakpoints_callback"):  # the second until 17
    if hasattr(dap_breakpoints, _name):
        setattr(dap_breakpoints, _name, _kept_in(getattr(dap_breakpoints, _name)))


@request("nullmodem/entry", expect_stopped=False)
def entry(*, function: str, source: str = "", module: str = "", **extra):
    """A temporary breakpoint that the editor does not see; without a function, a stop at the module's load."""
    with dap_breakpoints.suppress_new_breakpoint_event():
        if function:
            place = {"function": function, **({"source": source} if source else {})}
            made = gdb.Breakpoint(temporary=True, **place)
        else:
            made = catch_load("/" + re.escape(module) + r"\.ko$", temporary=True)
    return {"id": made.number}


@request("nullmodem/forget", expect_stopped=False)
def forget(*, id: int, **extra):
    """Remove the breakpoint of an entry that was not reached."""
    with dap_breakpoints.suppress_new_breakpoint_event():
        for each in gdb.breakpoints():
            if each.number == id:
                each.delete()


@request("nullmodem/disable", expect_stopped=False)
def disable(**extra):
    """Every breakpoint, until `nullmodem/enable`."""
    with dap_breakpoints.suppress_new_breakpoint_event():
        for each in gdb.breakpoints():
            if each.enabled:
                each.enabled = False
                _disabled.append(each)


@request("nullmodem/enable", expect_stopped=False)
def enable(**extra):
    with dap_breakpoints.suppress_new_breakpoint_event():
        for each in _disabled:
            if each.is_valid():
                each.enabled = True
        _disabled.clear()
