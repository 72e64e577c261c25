# SPDX-License-Identifier: Apache-2.0
"""The beginning of a web view, for whoever may not have what it needs: nothing is imported before it is wanted."""

from __future__ import annotations

import importlib.util
import os
import socket
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SessionError, UsageError
from nullmodem.frontends.web.gate import HOST

if TYPE_CHECKING:
    from nullmodem.api.machine import Machine
    from nullmodem.frontends.web.server import WebServer

_NEEDED: Final = ("starlette", "uvicorn", "websockets")


def require_web() -> None:
    """Raises UsageError, with how to install it, where the web view's libraries are missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        hint = "pip install 'nullmodem[web]' brings them."
        raise UsageError(f"the web view needs packages that are not installed: {', '.join(missing)}", hint=hint)


def listen(port: int) -> socket.socket:
    """A listening socket on this port of the loopback interface, 0 for a free one.

    Raises SessionError when it is in use, or not to be had.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        what = f"port {port} of {HOST}" if port else HOST
        hint = "Give another port; without one, a free one is taken." if port else ""
        # The error's own text repeats the address (socket.create_server).
        says = os.strerror(error.errno) if error.errno else str(error)
        raise SessionError(f"cannot listen on {what}: {says}", hint=hint) from error


def require_port(port: int) -> None:
    """Raises SessionError for a port that cannot be listened on, before there is a machine to serve the page of."""
    listen(port).close()


def open_web(machine: Machine, port: int = 0) -> WebServer:
    """Serve a machine's page; the caller closes it. Raises what `require_web` and `WebServer` do."""
    require_web()
    from nullmodem.frontends.web.server import WebServer  # noqa: PLC0415  # drgn and an HTTP server

    return WebServer(machine, port=port)
