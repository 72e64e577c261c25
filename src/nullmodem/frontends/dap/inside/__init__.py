# SPDX-License-Identifier: Apache-2.0
"""Runs inside gdb: what its debug adapter lacks for kernels, registered as requests like its own.

Of gdb's package `gdb.dap` only what has been there since 14.1 is relied on without asking: `server.request`, the table
of requests, `events`, `breakpoint._set_breakpoints`.
"""

import gdb
from inside import breakpoints, code, data, exceptions, running, threads, variables
from inside.requests import request

for _setting in ("confirm off", "print thread-events off", "style enabled off", "python print-stack none"):
    gdb.execute("set " + _setting)


@request("nullmodem/ready", expect_stopped=False)
def ready(**extra):
    """Answered only if everything here could be registered: this is the last of it."""
    parts = breakpoints, code, data, exceptions, running, threads, variables
    return {"ready": len(parts)}
