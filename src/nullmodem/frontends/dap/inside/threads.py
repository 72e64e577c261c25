# SPDX-License-Identifier: Apache-2.0
"""Threads that gdb has just heard of."""

import gdb
from inside.requests import part

events = part("events")

# gdb takes a thread that it has just heard of for a sign that the target runs, and refuses everything until the next
# stop (gdb.dap.events._new_thread). On a stopped kernel the list of tasks grows when it is asked for.
_running = False


def _resumed(event):
    global _running
    _running = True


def _stopped(event):
    global _running
    _running = False


def look_again():
    """Nothing has said whether the target runs since it was to set out."""
    global _running
    _running = events.inferior_running = any(thread.is_running() for thread in gdb.selected_inferior().threads())


def _new_thread(event):
    events.inferior_running = _running


gdb.events.cont.connect(_resumed)
gdb.events.stop.connect(_stopped)
gdb.events.new_thread.connect(_new_thread)
