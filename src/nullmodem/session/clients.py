# SPDX-License-Identifier: Apache-2.0
"""Who is attached, who may run the target, and who has yet to answer.

Reading is free for all. Running and writing is for the one client that holds the *lease*: the first to ask for it
gets it, and keeps it until it goes or another takes it. Two debuggers that both resume the machine would each lose
the other's place; the one without the lease waits instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from nullmodem.errors import LeaseError
from nullmodem.session.model import Client


@dataclass(slots=True)
class Attached:
    """One client, as the session keeps it.

    ``waiting``: it has asked to resume and has not been told of a stop since. ``seen_stop`` and ``seen_modules`` are
    what it was last told. ``follows_modules``: it wants to be told of every change before the target goes on.
    ``lists_threads``: it does so when its user's command has ended, and may go on from a stop by itself before.
    """

    id: str
    name: str
    follows_modules: bool
    waiting: bool = False
    seen_stop: int = 0
    seen_modules: int = 0
    lists_threads: bool = False


class Clients:
    """The attached clients and the lease among them."""

    def __init__(self) -> None:
        self._clients: dict[str, Attached] = {}
        self._holder: str | None = None
        self._count = 0

    @property
    def all(self) -> tuple[Client, ...]:
        return tuple(Client(c.id, c.name, c.waiting, c.id == self._holder, c.seen_stop) for c in self._clients.values())

    @property
    def attached(self) -> tuple[Attached, ...]:
        return tuple(self._clients.values())

    @property
    def all_wait(self) -> bool:
        """Whether nobody looks at the present stop; so, too, when nobody is attached."""
        return all(client.waiting for client in self._clients.values())

    @property
    def holder(self) -> Attached | None:
        return self._clients.get(self._holder) if self._holder else None

    def add(
        self, name: str, stop: int, modules: int, *, follows_modules: bool, lists_threads: bool = False
    ) -> Attached:
        """A new client, which knows of this stop and of this list of modules."""
        self._count += 1
        client = Attached(
            f"{name}#{self._count}",
            name,
            follows_modules,
            seen_stop=stop,
            seen_modules=modules,
            lists_threads=lists_threads,
        )
        self._clients[client.id] = client
        return client

    def get(self, id_: str) -> Attached:
        """Raises LeaseError for one that is not attached (any more)."""
        try:
            return self._clients[id_]
        except KeyError:
            msg = f"{id_} is not attached to this session"
            raise LeaseError(msg, holder="") from None

    def look(self, id_: str, stop: int) -> None:
        """A client that waits for the next stop looks at this one instead: the target is not let go meanwhile."""
        client = self.get(id_)
        client.waiting, client.seen_stop = False, stop

    def shown(self, stop: int) -> None:
        """Everybody who waited has been told of this stop."""
        for client in self._clients.values():
            if client.waiting:
                client.waiting, client.seen_stop = False, stop

    def told(self, modules: int) -> tuple[str, ...]:
        """Everybody who waited and follows modules has been told of this list of them; returns who that is."""
        told = [client for client in self._clients.values() if client.follows_modules and client.waiting]
        for client in told:
            client.waiting, client.seen_modules = False, modules
        return tuple(client.id for client in told)

    def remove(self, id_: str) -> bool:
        """True if it was attached."""
        if self._holder == id_:
            self._holder = None
        return self._clients.pop(id_, None) is not None

    def acquire(self, id_: str) -> bool:
        """Whether the client holds the lease now; it gets it if nobody has it."""
        self.get(id_)
        if self._holder is None:
            self._holder = id_
        return self._holder == id_

    def take(self, id_: str) -> Attached | None:
        """Give the lease to the client, whoever has it. Returns who had it."""
        self.get(id_)
        before = self.holder
        self._holder = id_
        return before if before is not None and before.id != id_ else None

    def require(self, id_: str, doing: str) -> None:
        """Raises LeaseError, naming the holder, unless the client holds the lease or can have it."""
        if not self.acquire(id_):
            holder = self.holder
            assert holder is not None
            msg = f"cannot {doing}: {holder.name} holds the target"
            hint = "Continue or detach there, or take it over (`monitor take` in gdb)."
            raise LeaseError(msg, holder=holder.name, hint=hint)
