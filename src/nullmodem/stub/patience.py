# SPDX-License-Identifier: Apache-2.0
"""How long a stub is waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the stub, in seconds, as a function of what travels.

    ``answer`` is what a stopped kernel may take to answer anything at all; each byte both ways adds ten bits at
    ``baud``. None for a line that has no rate, such as a socket.
    """

    answer: float = 10.0
    baud: int | None = None

    def seconds(self, characters: int) -> float:
        return self.answer + (characters * 10 / self.baud if self.baud else 0.0)
