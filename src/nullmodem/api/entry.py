# SPDX-License-Identifier: Apache-2.0
"""Where a module begins: the function that its loading calls, as a debugger can be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class InitFunction:
    """By its name in the source. ``file`` is empty when another can see it, or a debugger could not make use of it."""

    name: str
    file: str


def init_function(ko: Path) -> InitFunction | None:
    """None for a module that has none. Raises SymbolError when the file has gone, or is no module's."""
    file = ModuleFile.open(ko)
    symbol = file.init_function
    if symbol is None:
        return None
    # Without debug information gdb knows the function, but not the file it is in.
    return InitFunction(symbol.name, (symbol.source_file or "") if file.has_debug_info else "")
