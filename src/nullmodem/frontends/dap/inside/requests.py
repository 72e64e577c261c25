# SPDX-License-Identifier: Apache-2.0
"""Registering requests with gdb's debug adapter."""

import importlib

import gdb


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
    return getattr(breakpoints, _SETTER)(kind, specs, creator)


_SETTER = (
    "_set_breakpoints_callback" if hasattr(part("breakpoint"), "_set_breakpoints_callback") else "_set_breakpoints"
)
_set = getattr(part("breakpoint"), _SETTER)


def _set_or_leave_none(kind, specs, creator):
    """gdb keeps a breakpoint that it cannot insert, as where there is no memory, and lets the target go no more; its
    adapter does not know it (breakpoint.c install_breakpoint, which throws when it is in the list already)."""

    def make(**spec):
        before = {each.number for each in gdb.breakpoints()}
        try:
            return creator(**spec)
        except gdb.error:
            for each in gdb.breakpoints():
                if each.number not in before:
                    each.delete()
            raise

    return _set(kind, specs, make)


setattr(part("breakpoint"), _SETTER, _set_or_leave_none)
