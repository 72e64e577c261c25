# SPDX-License-Identifier: Apache-2.0
"""The load map of a module: the sections of its .ko joined with the addresses the kernel gave them.

The kernel keeps addresses without names (reading the names would cost a round trip each), in the order of the .ko's
section headers, and leaves some sections out by rules of its own. The rules that differ between kernels are tried in
turn, and the one whose result makes sense in every respect that can be checked is taken.

They are long to read. So the sections are first put where the kernel should have put them, and if the addresses that
tell are the kernel's own (layout.py), the others are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, count, pairwise
from typing import TYPE_CHECKING, Final

from nullmodem.errors import IdentityError, KernelDataError
from nullmodem.kernel.layout import predict, telling
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.module_file import PER_CPU, THIS_MODULE
from nullmodem.symbols.ranges import AddressRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nullmodem.kernel.memory import Memory
    from nullmodem.kernel.modules import LoadedModule, ModuleReader
    from nullmodem.kernel.regions import RegionKind
from nullmodem.symbols.module_file import ModuleFile, ModuleSection

ABSENT: Final = AddressRange(1 << 55, 1 << 56)
"""Where sections that are not in memory are said to be: addresses no 64-bit processor maps.

gdb wants an address for each section of the file, a different one each; given 0 it drops the module's symbols."""


@dataclass(frozen=True, slots=True)
class LoadedSection:
    """One SHF_ALLOC section and its address. One that is not ``present`` has an address in ABSENT."""

    section: ModuleSection
    address: int
    present: bool

    @property
    def range(self) -> AddressRange:
        """Where it is."""
        return AddressRange.sized(self.address, self.section.size)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where one build of a module had its sections: (kind of region, offset into it) by section index."""

    sizes: dict[RegionKind, int]
    places: dict[int, tuple[RegionKind, int]]


class LoadMaps:
    """Load maps, with a memory for builds that were loaded before.

    The kernel lays a module out by its section headers alone (layout_sections), so the same file, loaded again into
    the same kernel, has the same offsets in new regions: the addresses of its sections need not be read again. Keep one
    for each boot of each kernel.
    """

    def __init__(self, reader: ModuleReader) -> None:
        self._reader = reader
        self._layouts: dict[tuple[Identity, tuple[ModuleSection, ...]], _Layout] = {}

    def locate(self, memory: Memory, module: LoadedModule, file: ModuleFile) -> tuple[LoadedSection, ...]:
        """The load map of ``module``, which may have been read without its sections.

        Raises IdentityError, KernelDataError and MemoryFault.
        """
        check_identity(module, file)
        key = (file.identity, file.sections)
        layout = self._layouts.get(key)
        known = None if layout is None else _recalled(module, file, layout)
        if known is not None:
            return _assemble(module, file, known)
        known = self._predicted(memory, module, file)
        if known is None:
            module = self._reader.with_sections(memory, module)
            known = _known_addresses(module, file)
        layout = _layout_of(module, known)
        if layout is not None:
            self._layouts[key] = layout
        return _assemble(module, file, known)

    def _predicted(self, memory: Memory, module: LoadedModule, file: ModuleFile) -> dict[int, int] | None:
        """The addresses where layout_sections should have put the sections, or None unless the kernel confirms them."""
        if module.section_addresses:
            return None
        sections = next(_selections(file))
        known = predict(module.regions, sections)
        there = [section for section in sections if section.index in known]
        if not _fits(module, there, [known[section.index] for section in there]):
            return None
        told = self._reader.some_addresses(memory, module, telling(sections, known))
        if told is None or told[0] != len(sections):
            return None
        confirmed = all(
            known.get(sections[position].index, address) == address
            for position, address in told[1].items()
            if position < len(sections)
        )
        return known if confirmed else None


def check_identity(module: LoadedModule, file: ModuleFile) -> None:
    """Prove that ``file`` is what was loaded as ``module``. Raises IdentityError when it is not, or nothing tells."""
    if module.name != file.name:
        msg = f"{file.path} is the module {file.name}, not {module.name}"
        raise IdentityError(msg)
    loaded = Identity(module.build_id, module.srcversion)
    verdict = loaded.matches(file.identity)
    if verdict is None:
        msg = f"nothing tells whether {file.path} is the {module.name} that is loaded: no build-id, no srcversion"
        raise IdentityError(
            msg, hint="build the kernel with CONFIG_MODULE_SRCVERSION_ALL=y or CONFIG_STACKTRACE_BUILD_ID=y"
        )
    if not verdict:
        msg = f"{file.path} is not the {module.name} that is loaded\n  loaded: {loaded}\n  file:   {file.identity}"
        raise IdentityError(
            msg, hint=f"unload {module.name} and load this file to debug it, or give the file that was loaded"
        )


def locate(module: LoadedModule, file: ModuleFile) -> tuple[LoadedSection, ...]:
    """Every SHF_ALLOC section of ``file``, in header order, with its address in ``module``.

    Not present are empty sections, those the kernel did not keep, and those it has freed. Raises KernelDataError when
    the kernel's addresses do not fit the file; check the identity first.
    """
    return _assemble(module, file, _known_addresses(module, file))


def _assemble(module: LoadedModule, file: ModuleFile, known: dict[int, int]) -> tuple[LoadedSection, ...]:
    absent = _absent_addresses(module)
    found = []
    for section in file.allocated:
        if section.name == PER_CPU:
            address, present = module.percpu, module.percpu != 0 and section.size > 0
        else:
            address = known.get(section.index, 0)
            present = section.size > 0 and _is_there(module, section, address)
        found.append(LoadedSection(section, address if present else next(absent), present))
    return tuple(found)


def _layout_of(module: LoadedModule, known: dict[int, int]) -> _Layout | None:
    """What to remember, or None when some section is in no region any more: init was freed before we looked."""
    sizes = {region.kind: region.range.size for region in module.regions}
    places = {}
    for index, address in known.items():
        region = module.region_of(address)
        if region is None or len(sizes) != len(module.regions):
            return None
        places[index] = (region.kind, address - region.range.start)
    return _Layout(sizes, places)


def _recalled(module: LoadedModule, file: ModuleFile, layout: _Layout) -> dict[int, int] | None:
    """The addresses of sections whose layout is known, or None unless they fit this load in every respect."""
    starts = {region.kind: region.range.start for region in module.regions}
    if {region.kind: region.range.size for region in module.regions} != layout.sizes:
        return None
    known = {index: starts[kind] + offset for index, (kind, offset) in layout.places.items()}
    sections = [section for section in file.sections if section.index in known]
    return known if _fits(module, sections, [known[section.index] for section in sections]) else None


def _known_addresses(module: LoadedModule, file: ModuleFile) -> dict[int, int]:
    """Address by section index, for the sections the kernel laid out."""
    addresses = module.section_addresses
    if not addresses:
        msg = f"the kernel has not told the addresses of {module.name}'s sections"
        raise KernelDataError(
            msg, hint="they are there from do_init_module on, in kernels with CONFIG_KALLSYMS=y and CONFIG_SYSFS=y"
        )
    for sections in _selections(file):
        if len(sections) == len(addresses) and _fits(module, sections, addresses):
            return {section.index: address for section, address in zip(sections, addresses, strict=True)}
    msg = (
        f"the kernel's {len(addresses)} section addresses of {module.name} do not fit "
        f"the {len(file.allocated)} sections of {file.path}"
    )
    raise KernelDataError(msg, hint="if the file was rebuilt or stripped since it was loaded, load it again")


def _selections(file: ModuleFile) -> Iterator[tuple[ModuleSection, ...]]:
    """The sections a kernel may have kept, likeliest first.

    All kernels drop .modinfo and empty ones and add the symbol table and its strings (layout_symtab). Per-cpu data is
    not in the list since 6.0; __versions is kept under MODULE_INIT_IGNORE_MODVERSIONS; .exit is dropped without
    CONFIG_MODULE_UNLOAD before 5.13 or so. Not one of them is a matter of a version number to us.
    """
    table = file.symbol_table_sections or ()
    kept = [s for s in file.sections if s.size and s.name != ".modinfo" and (s.allocated or s.index in table)]
    groups = [
        [section for section in kept if section.name == "__versions"],
        [section for section in kept if section.name == PER_CPU],
    ]
    exits = [section for section in kept if section.is_exit]
    toggles = [group for group in groups if group]
    for drop_exit in (False, True) if exits else (False,):
        for number in range(len(toggles) + 1):
            for included in combinations(toggles, number):
                dropped = [s.index for group in toggles if group not in included for s in group]
                dropped += [section.index for section in exits if drop_exit]
                yield tuple(section for section in kept if section.index not in dropped)


def _fits(module: LoadedModule, sections: Sequence[ModuleSection], addresses: Sequence[int]) -> bool:
    """Whether these sections can stand at these addresses, by everything known of both."""
    ranges = []
    for section, address in zip(sections, addresses, strict=True):
        if address % section.alignment or address + section.size > 1 << 64:
            return False
        if section.name == THIS_MODULE and address != module.address:
            return False
        region = module.region_of(address)
        if region is None:
            if not (section.is_init or section.is_exit or not section.allocated):
                return False  # only what init's end freed can be in no region
        elif section.executable != region.kind.is_text or not region.range.covers(
            AddressRange.sized(address, section.size)
        ):
            return False
        ranges.append(AddressRange.sized(address, section.size))
    return not any(before.overlaps(after) for before, after in pairwise(sorted(ranges)))


def _is_there(module: LoadedModule, section: ModuleSection, address: int) -> bool:
    region = module.region_of(address)
    return region is not None and region.range.covers(AddressRange.sized(address, section.size))


def _absent_addresses(module: LoadedModule) -> Iterator[int]:
    """Addresses in ABSENT, far apart, other ones for each module that is loaded at the same time."""
    return count(ABSENT.start | (module.address >> 6 & 0x3FFF_FFFF) << 25, 1 << 16)
