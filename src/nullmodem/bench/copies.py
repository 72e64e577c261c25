# SPDX-License-Identifier: Apache-2.0
"""Many modules out of one: copies of a .ko under names of the same length, in no time.

To build 150 modules takes minutes, and what makes them different for a kernel and its debuggers is their names and
build-ids. Both are bytes that can be written over.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = 3


def copy_name(original: str, number: int) -> str:
    """The name of a copy of a module whose name ends in 000: ``crowd_000`` and 7 give ``crowd_007``."""
    return f"{original[:-_DIGITS]}{number:0{_DIGITS}}"


def copy_module(ko: Path, directory: Path, copies: int) -> list[Path]:
    """Write ``copies`` of them into ``directory``, number 0 first; returns their files.

    Raises UsageError for a module whose name does not end in 000, SymbolError for a file that is none.
    """
    file = ModuleFile.open(ko)
    if not file.name.endswith("0" * _DIGITS) or not 0 <= copies < 10**_DIGITS:
        raise UsageError(f"{file.name} cannot be copied {copies} times: its name has to end in 000, for up to 999")
    content = ko.read_bytes()
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(copies):
        name = copy_name(file.name, number)
        copy = content.replace(file.name.encode(), name.encode())
        if file.build_id is not None:
            own = hashlib.sha512(name.encode() + file.build_id).digest()[: len(file.build_id)]
            copy = copy.replace(file.build_id, own)
        path = directory / f"{name}.ko"
        path.write_bytes(copy)
        made.append(path)
    return made
