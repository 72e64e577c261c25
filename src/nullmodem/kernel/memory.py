# SPDX-License-Identifier: Apache-2.0
"""How the kernel's memory is read: a Protocol, so that this wing need not know the wire."""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """Memory of the stopped target, by virtual address."""

    def read(self, address: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``address``; any length, split and cached as the implementation likes.

        Raises MemoryFault when any of them cannot be read.
        """
        ...
