# SPDX-License-Identifier: Apache-2.0
"""The client's half of a room in a session's process: a `Room` as far as a shell and a script need one."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Self

from nullmodem.errors import NoSessionError, SessionError
from nullmodem.frontends.python.room_protocol import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from nullmodem.api.sessions import RunningSession


class RoomClient:
    """A room in the process of ``session``. ``write`` takes everything that is printed there.

    Raises NoSessionError when the session does not answer; the methods SessionError when it ends meanwhile.
    """

    def __init__(self, session: RunningSession, write: Callable[[str], None]) -> None:
        self._session = session
        self._write = write
        self._connection = socket.socket(socket.AF_UNIX)
        try:
            self._connection.connect(str(session.python_socket))
        except OSError as error:
            self._connection.close()
            msg = f"the session {session.name!r} takes no Python: {error.strerror or error}"
            raise NoSessionError(msg, hint="`nullmodem list` shows whether it is still starting.") from error
        self._channel = Channel(self._connection)
        self._await()

    def banner(self) -> str:
        """See `Room.banner`."""
        return str(self._ask(banner=True).get("banner", ""))

    def feed(self, source: str) -> bool:
        """See `Room.feed`. Ctrl-C reaches the code that runs."""
        return bool(self._ask(feed=source).get("more"))

    def complete(self, text: str) -> list[str]:
        """See `Room.complete`."""
        found = self._ask(complete=text).get("completions", [])
        return [str(one) for one in found]

    def run_script(self, path: Path, source: str, arguments: Sequence[str]) -> int:
        """See `Room.run_script`."""
        return int(self._ask(script=str(path), source=source, arguments=list(arguments)).get("exit", 0))

    def close(self) -> None:
        """Leave: breakpoints are lifted, and the target runs on. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, **message: Any) -> dict[str, Any]:
        try:
            self._channel.send(**message)
        except OSError as error:
            raise self._gone() from error
        answer = self._await()
        if "script" not in message and "exit" in answer:
            raise SystemExit(answer["exit"])
        return answer

    def _await(self) -> dict[str, Any]:
        while True:
            try:
                message = self._channel.receive()
            except KeyboardInterrupt:
                with contextlib.suppress(OSError):
                    self._channel.send(interrupt=True)
                continue
            except OSError as error:
                raise self._gone() from error
            match message:
                case None:
                    raise self._gone()
                case {"output": str(text)}:
                    self._write(text)
                case answer:
                    return answer

    def _gone(self) -> SessionError:
        return SessionError(f"the session {self._session.name!r} has ended")
