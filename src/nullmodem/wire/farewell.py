# SPDX-License-Identifier: Apache-2.0
"""The packet with which a kernel says that it reboots. Pure.

It waits for no acknowledgement (gdbstub_exit in kernel/debug/gdbstub.c); what kernel/reboot.c prints must follow.
"""

from __future__ import annotations

from typing import Final

REBOOT_SECONDS: Final = 5.0
_TEXT: Final = 8192


class Farewell:
    """Waits for the words behind one such packet. ``deadline`` is until when."""

    def __init__(self) -> None:
        self.deadline: float | None = None

    def forget(self) -> None:
        """Wait no longer."""
        self.deadline = None

    def is_meant(self, rest: bytes, now: float) -> bool | None:
        """Whether the kernel reboots, of which ``rest`` has come behind the packet; None while that is not known."""
        if self.deadline is None:
            self.deadline = now + REBOOT_SECONDS
        meant = b"reboot: " in rest
        if not meant and len(rest) <= _TEXT and now < self.deadline:
            return None
        self.deadline = None
        return meant
