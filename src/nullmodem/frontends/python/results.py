# SPDX-License-Identifier: Apache-2.0
"""What a function returns, as far as one register holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import drgn

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession

_IN_REGISTER: Final = (drgn.TypeKind.INT, drgn.TypeKind.BOOL, drgn.TypeKind.ENUM, drgn.TypeKind.POINTER)


def return_type(program: drgn.Program, function: str, file: str | None) -> drgn.Type | None:
    """The type of what a function returns; None when that is nothing, or in more than one register, or not known."""
    try:
        found = program.function(function, file)
    except LookupError:
        return None
    plain = kind = found.type_.type
    while plain.kind == drgn.TypeKind.TYPEDEF:
        plain = plain.type
    return kind if plain.kind in _IN_REGISTER else None


def returned(live: LiveSession, kind: drgn.Type) -> drgn.Object:
    """The value of the register that results are in, just after the function has returned."""
    value = live.register(live.arch.result)
    size = drgn.sizeof(kind)
    data = value.to_bytes(8, "little")[:size]
    return drgn.Object.from_bytes_(kind.prog, kind, data)
