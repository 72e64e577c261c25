# SPDX-License-Identifier: Apache-2.0
"""A module's memory: which part holds code, which is freed after init. Two shapes, by what struct module has.

``mem[]``, one entry a kind, since 6.4; ``core_layout`` and ``init_layout`` before, where each part begins at the end of
the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError
from nullmodem.symbols.ranges import AddressRange

if TYPE_CHECKING:
    from nullmodem.kernel.fields import Record
    from nullmodem.symbols.types import TypeInfo

_MODULE: Final = "struct module"
_MAX_SIZE: Final = 1 << 30
KERNEL_SPACE: Final = 1 << 63  # kernels of 64-bit processors live in the upper half


class RegionKind(Enum):
    """What a part of a module's memory holds. The ``INIT_`` ones are freed when its init has returned."""

    TEXT = "text"
    RODATA = "rodata"
    RO_AFTER_INIT = "ro_after_init"
    DATA = "data"
    INIT_TEXT = "init_text"
    INIT_RODATA = "init_rodata"
    INIT_DATA = "init_data"

    @property
    def is_init(self) -> bool:
        """Whether it is freed when the module's init has returned."""
        return self.value.startswith("init_")

    @property
    def is_text(self) -> bool:
        """Whether it holds code."""
        return self in {RegionKind.TEXT, RegionKind.INIT_TEXT}


@dataclass(frozen=True, slots=True)
class ModuleRegion:
    """One part of a module's memory; its range is not empty."""

    kind: RegionKind
    range: AddressRange


@dataclass(frozen=True, slots=True)
class _Part:
    """The members of struct module that tell one region: it goes from ``base + start`` to ``base + end``."""

    kind: RegionKind
    base: str
    start: str | None
    end: str


class RegionReader:
    """Knows the members of this kernel's struct module that tell a module's regions."""

    def __init__(self, types: TypeInfo) -> None:
        self._parts = _from_mem(types) or _from_layouts(types)
        if not self._parts:
            msg = "the kernel's struct module has neither mem[] nor core_layout"
            raise KernelDataError(msg)

    @property
    def members(self) -> tuple[str, ...]:
        """The members of struct module that :meth:`regions` needs."""
        names = [name for part in self._parts for name in (part.base, part.start, part.end) if name is not None]
        return tuple(dict.fromkeys(names))

    def regions(self, name: str, record: Record) -> tuple[ModuleRegion, ...]:
        """The regions of module ``name``, by address. Raises KernelDataError when they make no sense."""
        found = []
        for part in self._parts:
            base = record.integer(part.base)
            start = record.integer(part.start) if part.start is not None else 0
            end = record.integer(part.end)
            if end <= start:
                continue
            if base < KERNEL_SPACE or end > _MAX_SIZE or base + end > 1 << 64:
                msg = f"module {name} claims {end:#x} bytes of {part.kind.value} at {base:#x}, which cannot be"
                raise KernelDataError(msg)
            found.append(ModuleRegion(part.kind, AddressRange(base + start, base + end)))
        found.sort(key=lambda region: region.range)
        for before, after in pairwise(found):
            if before.range.overlaps(after.range):
                msg = f"module {name}'s {before.kind.value} at {before.range} overlaps its {after.kind.value}"
                raise KernelDataError(msg)
        return tuple(found)


def _from_mem(types: TypeInfo) -> tuple[_Part, ...]:
    if not types.has(_MODULE, "mem"):
        return ()
    try:
        numbers = types.enumerators("enum mod_mem_type")
    except LookupError as error:
        msg = f"the kernel's struct module has mem[] but there is no enum for it: {error}"
        raise KernelDataError(msg) from error
    parts = []
    for kind in RegionKind:
        index = numbers.get(f"MOD_{kind.name}")
        if index is not None and index >= 0:
            parts.append(_Part(kind, f"mem[{index}].base", None, f"mem[{index}].size"))
    return tuple(parts)


def _from_layouts(types: TypeInfo) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    kinds = (RegionKind.TEXT, RegionKind.RODATA, RegionKind.RO_AFTER_INIT, RegionKind.DATA)
    init_kinds = (RegionKind.INIT_TEXT, RegionKind.INIT_RODATA, RegionKind.INIT_RODATA, RegionKind.INIT_DATA)
    for layout, names in (("core_layout", kinds), ("init_layout", init_kinds), ("data_layout", kinds)):
        if not types.has(_MODULE, layout):
            continue
        start = None
        for kind, member in zip(names, ("text_size", "ro_size", "ro_after_init_size", "size"), strict=True):
            parts.append(_Part(kind, f"{layout}.base", start, f"{layout}.{member}"))
            start = f"{layout}.{member}"
    return tuple(parts)
