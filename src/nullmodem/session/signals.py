# SPDX-License-Identifier: Apache-2.0
"""Signals, by gdb's numbers."""

from __future__ import annotations

SIGINT, SIGTRAP = 2, 5
HOST_SIGNALS = {7: 10, 10: 30, 12: 31}
"""The stub reports Linux's numbers where gdb has its own: SIGBUS, SIGUSR1, SIGUSR2 (include/gdb/signals.def)."""
