# SPDX-License-Identifier: Apache-2.0
"""The beginning of a web view, for whoever may not have what it needs: nothing is imported before it is wanted."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError

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


def open_web(machine: Machine) -> WebServer:
    """Serve a machine's page; the caller closes it. Raises what `require_web` and `WebServer` do."""
    require_web()
    from nullmodem.frontends.web.server import WebServer  # noqa: PLC0415  # drgn and an HTTP server

    return WebServer(machine)
