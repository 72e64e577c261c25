# SPDX-License-Identifier: Apache-2.0
"""Data breakpoints, which gdb's debug adapter has none of."""

import re

import gdb
from inside.requests import part, request, set_breakpoints
from inside.variables import value_of

frames, varref = map(part, ("frames", "varref"))


def evaluate(expression):
    try:
        return gdb.parse_and_eval(expression)
    except gdb.error as error:
        raise gdb.GdbError(str(error)) from error


SIZES = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long"}


def _watchable(value, bytes):
    """The place of a value, and how much of it hardware can watch."""
    if value.is_optimized_out:
        return None, "it has been optimized out"
    if value.address is None:
        return None, "it is in a register, or no place at all: only memory can be watched"
    address, size = int(value.address), bytes or value.type.sizeof
    if size not in SIZES:
        return None, "it has %d bytes; 1, 2, 4 or 8 can be watched" % size
    if address % size:
        return None, "it is not aligned to its %d bytes" % size
    return "0x%x:%d" % (address, size), "%s at 0x%x, %d bytes" % (value.type, address, size)


@request("dataBreakpointInfo")
def data_breakpoint_info(*, name: str, variablesReference=None, frameId=None, bytes=None, asAddress=False, **extra):
    if asAddress:
        value = evaluate("*(%s *) (%s)" % (SIZES.get(bytes or 8, "unsigned long"), name))
    elif variablesReference:
        value = value_of(varref.find_variable(variablesReference), name)
    else:
        if frameId is not None:
            frames.select_frame(frameId)
        value = evaluate(name)
    place, description = _watchable(value, bytes)
    result = {"dataId": place, "description": description if place is None else name + ": " + description}
    if place is not None:
        result.update({"accessTypes": ["write", "readWrite"], "canPersist": False})
    return result


def _watch(*, dataId, accessType=None):
    match = re.fullmatch(r"(0x[0-9a-f]{1,16}):([1248])", dataId)
    if match is None:
        raise gdb.GdbError("%r is no data breakpoint of this session" % dataId)
    kind = {None: gdb.WP_WRITE, "write": gdb.WP_WRITE, "readWrite": gdb.WP_ACCESS}.get(accessType)
    if kind is None:
        raise gdb.GdbError("reading alone cannot be watched on this processor")
    expression = "*(%s *) %s" % (SIZES[int(match[2])], match[1])
    return gdb.Breakpoint(expression, type=gdb.BP_WATCHPOINT, wp_class=kind)


@request("setDataBreakpoints", expect_stopped=False)
def set_data_breakpoints(*, breakpoints=(), **extra):
    names = ("dataId", "accessType", "condition", "hitCondition")
    specs = [{name: each.get(name) for name in names} for each in breakpoints]
    return {"breakpoints": set_breakpoints("data", specs, _watch)}
