# SPDX-License-Identifier: Apache-2.0
"""Source-level debugging of Linux loadable kernel modules over kgdb.

::

    import nullmodem

    with nullmodem.boot(module="drivers/simple") as target:
        stop = target.break_at("simple_read").wait(after=lambda: target.start("head -c5 /dev/simple"))
        assert stop.frame["len"] == 5

`nullmodem.errors` has what can go wrong. What is named here is imported when it is used: `import nullmodem` itself
reads no debug information library, no terminal library, nothing but this file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from nullmodem.version import __version__

if TYPE_CHECKING:
    from nullmodem import errors
    from nullmodem.api.commands import RunningCommand
    from nullmodem.errors import NullmodemError
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.frontends.python.starting import attach, boot
    from nullmodem.frontends.python.stop import Stop
    from nullmodem.frontends.python.target import Target
    from nullmodem.session.model import StopReason

_HOMES: Final = {
    "Breakpoint": "nullmodem.frontends.python.breakpoint",
    "Frame": "nullmodem.frontends.python.frame",
    "NullmodemError": "nullmodem.errors",
    "RunningCommand": "nullmodem.api.commands",
    "Stop": "nullmodem.frontends.python.stop",
    "StopReason": "nullmodem.session.model",
    "Target": "nullmodem.frontends.python.target",
    "attach": "nullmodem.frontends.python.starting",
    "boot": "nullmodem.frontends.python.starting",
    "errors": "nullmodem.errors",
}

__all__ = [
    "Breakpoint",
    "Frame",
    "NullmodemError",
    "RunningCommand",
    "Stop",
    "StopReason",
    "Target",
    "__version__",
    "attach",
    "boot",
    "errors",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'nullmodem' has no attribute {name!r}"
        raise AttributeError(msg)
    module = importlib.import_module(home)
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
