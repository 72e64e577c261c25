# SPDX-License-Identifier: Apache-2.0
"""The pause in which clients are told that the list of modules has changed.

The kernel stands in its module loader meanwhile, before the module's init or after its exit. Every client that was
waiting gets the news, plants its pending breakpoints, and asks to go on; when the last has asked, the target does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.session.model import Resume


class Barrier:
    """Who has been told and has not answered, and what the one that may run the target asked for."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._asked_by = ""
        self.request: Resume | None = None
        self.up = False

    def raise_for(self, clients: Iterable[str]) -> bool:
        """Wait for these. False, and nothing to wait for, when there are none."""
        self._missing = set(clients)
        self.request = None
        self.up = bool(self._missing)
        return self.up

    def lower(self) -> None:
        """Wait for nobody any more: the target goes on without them, or is gone."""
        self._missing.clear()
        self.request = None
        self.up = False

    def join(self, client: str) -> None:
        """One more has been told."""
        self._missing.add(client)

    def left(self, client: str) -> bool:
        """A client is gone, and what it asked for with it. True when it was the last; the barrier is down then."""
        if client == self._asked_by:
            self.request = None
        return self.answered(client, None)

    def answered(self, client: str, request: Resume | None) -> bool:
        """A client asked to go on. True when it was the last; the barrier is down then."""
        self._missing.discard(client)
        if request is not None:
            self.request, self._asked_by = request, client
        if self.up and not self._missing:
            self.up = False
            return True
        return False
