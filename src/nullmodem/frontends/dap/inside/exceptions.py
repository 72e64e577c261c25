# SPDX-License-Identifier: Apache-2.0
"""What stops like an exception: faults, warnings, and the loads of modules."""

import gdb
from inside.requests import request, set_breakpoints

FAULTS = "SIGSEGV SIGBUS SIGFPE SIGILL"


def catch_load(pattern, temporary=False):
    """gdb's Python has no catchpoints to make; the newest is the one just made."""
    gdb.execute(("tcatch load " if temporary else "catch load ") + pattern, to_string=True)
    return max(gdb.breakpoints(), key=lambda each: each.number)


def _catch(*, filter, pattern=None):
    if filter == "warn":
        # Every WARN ends there, by a trap or a call (kernel/panic.c).
        return gdb.Breakpoint(function="__warn")
    return catch_load(pattern or "")


@request("setExceptionBreakpoints", expect_stopped=False)
def set_exception_breakpoints(*, filters=(), filterOptions=(), **extra):
    wanted = [{"filterId": each} for each in filters] + list(filterOptions)
    known = {"oops", "warn", "load"}
    specs, results = [], []
    for each in wanted:
        name, condition = each["filterId"], each.get("condition") or None
        if name not in known:
            results.append({"verified": False, "reason": "failed", "message": "there is no filter " + repr(name)})
        elif name == "oops":
            results.append({"verified": True})
        else:
            # What is given with a load is the name of a module, not an expression.
            spec = {"filter": name, "condition": None if name == "load" else condition, "hitCondition": None}
            if name == "load":
                spec["pattern"] = condition
            results.append(len(specs))
            specs.append(spec)
    stops = any(each["filterId"] == "oops" for each in wanted)
    gdb.execute("handle " + FAULTS + (" stop print pass" if stops else " nostop noprint pass"), to_string=True)
    made = set_breakpoints("exception", specs, _catch)
    return {"breakpoints": [made[each] if isinstance(each, int) else each for each in results]}


def _string(value):
    try:
        return value.string()
    except (gdb.error, UnicodeDecodeError):
        return str(value)


@request("exceptionInfo")
def exception_info(**extra):
    """What the kernel says of the WARN that is under way; of anything else the session knows more."""
    frame = gdb.newest_frame()
    if frame.name() != "__warn":
        return {"exceptionId": ""}
    file, line = frame.read_var("file"), frame.read_var("line")
    where = "%s:%d" % (_string(file), int(line)) if int(file) else "an unknown place"
    return {"exceptionId": "warn", "description": "WARNING at " + where, "breakMode": "always"}
