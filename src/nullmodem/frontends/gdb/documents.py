# SPDX-License-Identifier: Apache-2.0
"""The documents gdb reads in pieces: target description, libraries, threads, the name of the kernel's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.documents import Library, ThreadEntry, library_list, target_description, thread_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Module, Thread


class Documents:
    """Documents of one gdb, kept while it reads them piece by piece. ``every_task``: sleeping tasks are listed too.

    ``client`` is who this gdb is to the session, or empty.
    """

    def __init__(self, live: LiveSession, client: Callable[[], str]) -> None:
        self._live = live
        self._client = client
        self._kept: dict[tuple[str, str], bytes] = {}
        self._own_lists = 0
        self.every_task = False

    def new_stop(self, *, attaching: bool = False) -> None:
        """Modules and threads may be others from here on. ``attaching``: gdb meets this stop by connecting."""
        self._kept.clear()
        self._own_lists = 2 if attaching else 1

    def get(self, kind: str, annex: str, *, first: bool) -> bytes | None:
        """The whole document, made anew when its first piece is asked for; None for one we do not have."""
        key = (kind, annex)
        if first or key not in self._kept:
            document = self._make(kind, annex)
            if document is None:
                return None
            self._kept[key] = document
        return self._kept[key]

    def _make(self, kind: str, annex: str) -> bytes | None:
        match kind:
            case "features" if annex == "target.xml":
                return target_description(self._live.arch.gdb_name)
            case "libraries":
                return library_list([library for m in self._live.modules() if (library := _library(m))])
            case "threads":
                return self._threads()
            case "exec-file":
                return self._live.vmlinux.encode()
            case _:
                return None

    def _threads(self) -> bytes:
        # gdb reads the list at every stop (when it connects, twice), and again when its user types `info threads`; only
        # then are names worth what they cost on the wire.
        names = self._own_lists == 0
        self._own_lists = max(0, self._own_lists - 1)
        threads = self._live.threads(self._client(), names=names, every_task=self.every_task)
        return thread_list([ThreadEntry(t.id, t.cpu, t.name, describe_thread(t)) for t in threads])

    def thread_description(self, thread: int) -> str:
        """What `info threads` shows beside a thread; empty for one that is not listed."""
        found = next(
            (t for t in self._live.threads(self._client(), every_task=self.every_task) if t.id == thread), None
        )
        return describe_thread(found) if found else ""


def describe_thread(thread: Thread) -> str:
    """``CPU 1, pid 200``, or what of it is known."""
    parts = [] if thread.cpu is None else [f"CPU {thread.cpu}"]
    if thread.pid == 0:
        parts.append("idle")
    elif thread.pid is not None and thread.pid != thread.id:
        parts.append(f"pid {thread.pid}")
    if not thread.stands:
        parts.append("did not stop")
    return ", ".join(parts)


def _library(module: Module) -> Library | None:
    """None for a module without a verified file: gdb could only show wrong lines."""
    if module.instance is None:
        return None
    return Library(str(module.instance), tuple(section.address for section in module.sections))
