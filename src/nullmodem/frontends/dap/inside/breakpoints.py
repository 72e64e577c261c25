# SPDX-License-Identifier: Apache-2.0
"""A module's entry, and breakpoints while a module is exchanged."""

import re

import gdb
from inside.exceptions import catch_load
from inside.requests import part, request

dap_breakpoints = part("breakpoint")
_disabled = []


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
