# SPDX-License-Identifier: Apache-2.0
"""kdb, the kernel's own debugger shell, where the kernel has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession


def run_kdb(live: LiveSession, command: str) -> str:
    """What kdb prints for a command that looks at the target, which stays the session's.

    Raises:
        UsageError: the kernel has no kdb, or this is no command to be sent.
        StateError: the target runs.
    """
    return live.with_stub("run a kdb command", lambda stub: stub.run_kdb(command))
