# SPDX-License-Identifier: Apache-2.0
"""QEMU's control line. The qemu.qmp library speaks it; it is asyncio, so its loop runs in one private thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from qemu.qmp import ExecuteError, QMPClient, QMPError

from nullmodem.errors import TargetError, TargetLost, WireTimeout

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

_T = TypeVar("_T")

# QEMU answers in its main loop, which nothing the guest does blocks for long.
_TIMEOUT = 10.0

# The library reports every end of the line as an error of its reader; we report it ourselves.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """A QMP connection over ``sock``, which it owns. Every method may be called from any thread.

    ``timeout`` is how long QEMU may take for one answer, in seconds.
    """

    def __init__(self, sock: socket.socket, *, timeout: float = _TIMEOUT) -> None:
        self._socket = sock
        self._timeout = timeout
        self._client = QMPClient()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nullmodem-qmp", daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """Read the greeting and agree on capabilities. Raises TargetLost or WireTimeout."""
        self._run(self._client.connect(self._socket), "greet us")

    def execute(self, command: str, **arguments: object) -> object:
        """Run one QMP command and return what it returned.

        Raises TargetError with QEMU's own words when it refuses, TargetLost or WireTimeout when it does not answer.
        """
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self._run(self._client.execute(command, words), f"do {command}")

    def close(self) -> None:
        """End the connection and the thread. May be called again."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TargetError, WireTimeout):
            self._run(self._client.disconnect(), "say goodbye")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._socket.close()

    def _run(self, work: Coroutine[Any, Any, _T], purpose: str) -> _T:
        # The deadline is the loop's: what is cancelled has then also finished, and the library is in a known state.
        bounded = asyncio.wait_for(work, self._timeout)
        try:
            future = asyncio.run_coroutine_threadsafe(bounded, self._loop)
        except RuntimeError:
            bounded.close()
            work.close()
            raise TargetLost(f"QEMU was asked to {purpose} after its end") from None
        try:
            return future.result()
        except TimeoutError:
            raise WireTimeout(f"QEMU did not {purpose} within {self._timeout:g} s") from None
        except ExecuteError as error:
            raise TargetError(f"QEMU refused to {purpose}: {error}") from error
        except (QMPError, OSError, EOFError) as error:
            raise TargetLost(f"QEMU did not {purpose}: {error or type(error).__name__}") from error
