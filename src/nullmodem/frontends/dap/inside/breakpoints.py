# SPDX-License-Identifier: Apache-2.0
"""A module's entry, and breakpoints while a module is exchanged."""

import re

import gdb
from inside.exceptions import catch_load
from inside.requests import part, request

dap_breakpoints = part("breakpoint")
_disabled = []
_described = dap_breakpoints._breakpoint_descriptor
_WITHOUT_SENSE = re.compile(r"^\d+\.\d+\s+N\*\s", re.MULTILINE)


def _descriptor(breakpoint):
    """gdb's own calls one verified whose condition was taken before its module came, and makes no sense there. gdb
    never stops at it, and says so nowhere but in this table (breakpoint.c print_one_breakpoint_location)."""
    shown = _described(breakpoint)
    if shown["verified"] and breakpoint.condition:
        table = gdb.execute("info breakpoints %d" % breakpoint.number, to_string=True)
        if _WITHOUT_SENSE.search(table):
            message = "It never stops: gdb cannot evaluate its condition there: " + breakpoint.condition
            shown = {**shown, "verified": False, "reason": "failed", "message": message}
    return shown


dap_breakpoints._breakpoint_descriptor = _descriptor


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
