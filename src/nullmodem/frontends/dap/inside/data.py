# SPDX-License-Identifier: Apache-2.0
"""Data breakpoints, which gdb's debug adapter has none of.

One on a module's variable goes when the module does: whatever lands there is something else. It comes back with it.
"""

import itertools
import re

import gdb
from inside.homes import address_of, home, module_of
from inside.requests import part, request, server, set_breakpoints
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
    found = home(address)
    place = "%s %s+%d" % found if found else "0x%x" % address
    return "%s:%d" % (place, size), "%s at 0x%x, %d bytes" % (value.type, address, size)


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


_PLACE = re.compile(r"(?:(0x[0-9a-f]{1,16})|(\w+) (\S+)\+([0-9]{1,9})):([1248])")
_AWAY = "%s is not loaded; it is set when it is, if that has this variable"


def _module(data_id):
    """The module whose variable it is, or None."""
    match = _PLACE.fullmatch(str(data_id))
    return match and match[2]


def _watch(*, dataId, accessType=None):
    match = _PLACE.fullmatch(dataId)
    if match is None:
        raise gdb.GdbError("%r is no data breakpoint of this session" % dataId)
    kind = {None: gdb.WP_WRITE, "write": gdb.WP_WRITE, "readWrite": gdb.WP_ACCESS}.get(accessType)
    if kind is None:
        raise gdb.GdbError("reading alone cannot be watched on this processor")
    number, module, variable, offset, size = match.groups()
    start = int(number, 16) if number else address_of(module, variable)
    if start is None:
        raise gdb.GdbError(_AWAY % module)
    expression = "*(%s *) 0x%x" % (SIZES[int(size)], start + int(offset or 0))
    return gdb.Breakpoint(expression, type=gdb.BP_WATCHPOINT, wp_class=kind)


_wanted = []
"""What the editor wants, with the number that it knows each by, and whether it is set."""

# Of those that are not set yet, and so have no number of gdb's; gdb's own stay far below.
_numbers = itertools.count(1 << 24)


def _set(wanted):
    """gdb keeps those that are set already."""
    return set_breakpoints("data", [dict(each["spec"]) for each in wanted], _watch)


@request("setDataBreakpoints", expect_stopped=False)
def set_data_breakpoints(*, breakpoints=(), **extra):
    names = ("dataId", "accessType", "condition", "hitCondition")
    wanted = [{"spec": {name: each.get(name) for name in names}} for each in breakpoints]
    shown = _set(wanted)
    for each, made in zip(wanted, shown, strict=True):
        if _module(each["spec"]["dataId"]) and "id" not in made:
            made["id"] = next(_numbers)
        each.update(id=made.get("id"), set=made["verified"])
    _wanted[:] = wanted
    return {"breakpoints": shown}


def _changed(module, *, goes):
    """A module has come, or ``goes``."""
    concerned = [each for each in _wanted if each["id"] and _module(each["spec"]["dataId"]) == module]
    if not any(each["set"] or not goes for each in concerned):
        return
    there = [each for each in _wanted if not goes or each not in concerned]
    made = {id(each): shown for each, shown in zip(there, _set(there), strict=True)}
    for each in concerned:
        now = made.get(id(each), {"verified": False, "message": _AWAY % module})
        if each["set"] != now["verified"]:
            each["set"] = now["verified"]
            shown = {**now, "id": each["id"], "gdbId": now.get("id")}
            server.send_event("breakpoint", {"reason": "changed", "breakpoint": shown})


def _has_come(event):
    _changed(module_of(event.new_objfile), goes=False)


def _goes(event):
    _changed(module_of(event.objfile), goes=True)


gdb.events.new_objfile.connect(_has_come)
gdb.events.free_objfile.connect(_goes)
