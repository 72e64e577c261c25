# SPDX-License-Identifier: Apache-2.0
"""Registering requests with gdb's debug adapter."""

import importlib


def part(name):
    """A module of `gdb.dap`, which itself hides one: there, ``server`` is the running server (gdb/dap/__init__.py)."""
    return importlib.import_module("gdb.dap." + name)


server = part("server")


def request(name, **options):
    """gdb's own decorator, in place of what gdb has under that name. 14.1 has fewer options."""
    server._commands.pop(name, None)
    try:
        return server.request(name, **options)
    except TypeError:
        return server.request(name)


def set_breakpoints(kind, specs, creator):
    """Have gdb keep those of a kind that stay, make the others, and remove those that are wanted no more."""
    breakpoints = part("breakpoint")
    # Until 17 that is called a callback, and what has this name is for source breakpoints alone.
    make = getattr(breakpoints, "_set_breakpoints_callback", None) or breakpoints._set_breakpoints
    return make(kind, specs, creator)
