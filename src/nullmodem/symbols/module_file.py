# SPDX-License-Identifier: Apache-2.0
"""A module's .ko file: what it is called, which build it is, its sections and its functions.

A .ko is a relocatable object: its sections have no addresses until the kernel loads it. kernel/load_map.py joins the
sections here with the addresses the kernel gave them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import (
    ET_REL,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_SYMTAB,
    STB_LOCAL,
    STT_FILE,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
    ElfFile,
)
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.vmlinux import SymbolKind

if TYPE_CHECKING:
    from os import PathLike

# The kernel's MODULE_NAME_LEN is 64 minus a pointer; anything else would be refused by it, or is an attack on a path,
# a terminal or gdb's command line.
MODULE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,55}", re.ASCII)

THIS_MODULE: Final = ".gnu.linkonce.this_module"
PARAMETERS: Final = "__param"
PER_CPU: Final = ".data..percpu"

_KINDS: Final = {STT_FUNC: SymbolKind.FUNCTION, STT_OBJECT: SymbolKind.OBJECT, STT_NOTYPE: SymbolKind.LABEL}


@dataclass(frozen=True, slots=True)
class ModuleSection:
    """One section of a .ko. ``size`` and ``alignment`` in bytes; ``alignment`` is at least 1.

    ``allocated``: SHF_ALLOC is set, so gdb wants an address for it. ``is_init`` and ``is_exit`` go by the name, as
    the kernel's own module_init_section and module_exit_section do (kernel/module/main.c).
    """

    index: int
    name: str
    size: int
    alignment: int
    allocated: bool
    executable: bool
    writable: bool
    nobits: bool

    @property
    def is_init(self) -> bool:
        """Whether the kernel frees it when the module's init has returned."""
        return self.name.startswith(".init")

    @property
    def is_exit(self) -> bool:
        """Whether only unloading needs it; a kernel without CONFIG_MODULE_UNLOAD drops it."""
        return self.name.startswith(".exit")


@dataclass(frozen=True, slots=True)
class ModuleSymbol:
    """A function, object or label a .ko defines: ``offset`` bytes into the section named ``section``.

    ``source_file`` is the name the assembler was given (no directory), known for static functions and objects only.
    """

    name: str
    kind: SymbolKind
    section: str
    section_index: int
    offset: int
    size: int
    is_local: bool
    source_file: str | None


@dataclass(frozen=True, slots=True)
class ModuleParameter:
    """One ``module_param``: its name, its type as modinfo has it ("int", "charp", "array of int"), its description.

    Type and description are empty where modinfo has none.
    """

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """What one .ko says, parsed when it was opened.

    ``name``: the kernel's name for it, with underscores. ``build_id``: GNU build-id or None. ``srcversion``,
    ``vermagic``: as modinfo has them, None when absent. ``depends``: names of modules that must be loaded before.
    ``sections``: all but the null one, in header order. ``symbols``: what it defines, by name; of several static
    symbols with one name the first. ``symbol_table_sections``: header indices of the symbol table and its strings,
    which the kernel loads too. ``stamp``: tells the file from one that replaced it.
    """

    path: Path
    machine: int
    name: str
    build_id: bytes | None
    srcversion: str | None
    vermagic: str | None
    depends: tuple[str, ...]
    params: tuple[ModuleParameter, ...]
    sections: tuple[ModuleSection, ...]
    symbols: dict[str, ModuleSymbol] = field(repr=False)
    symbol_table_sections: tuple[int, int] | None
    stamp: tuple[int, ...] = field(repr=False)

    @classmethod
    def open(cls, path: str | PathLike[str], *, machine: int | None = None) -> ModuleFile:
        """Parse ``path``; ``machine`` is the ELF machine number the running kernel has.

        SymbolError when it is missing, broken, compressed, for another machine, or no kernel module.
        """
        with ElfFile.open(Path(path)) as elf:
            _check_kind(elf, machine)
            info = _modinfo(elf)
            sections = tuple(_section(elf, index) for index in range(1, len(elf.sections)))
            symbols = _symbols(elf)
            return cls(
                path=elf.path,
                machine=elf.machine,
                name=_name(elf, info),
                build_id=elf.build_id(),
                srcversion=_first(info, "srcversion"),
                vermagic=_first(info, "vermagic"),
                depends=tuple(name for name in (_first(info, "depends") or "").split(",") if name),
                params=_parameters(info, symbols),
                sections=sections,
                symbols=symbols,
                symbol_table_sections=_symbol_table(elf),
                stamp=elf.stamp,
            )

    @property
    def identity(self) -> Identity:
        """Which build it is."""
        return Identity(self.build_id, self.srcversion)

    @property
    def allocated(self) -> tuple[ModuleSection, ...]:
        """The SHF_ALLOC sections in header order, empty ones too: those for which gdb wants an address each."""
        return tuple(section for section in self.sections if section.allocated)

    @property
    def has_debug_info(self) -> bool:
        """Whether the file carries DWARF, without which there are no lines and no locals."""
        return self.section(".debug_info") is not None

    @property
    def init_function(self) -> ModuleSymbol | None:
        """What ``module_init()`` names, under its name in the source; None when there is no init."""
        return self._aliased("init_module")

    @property
    def exit_function(self) -> ModuleSymbol | None:
        """What ``module_exit()`` names, or None."""
        return self._aliased("cleanup_module")

    @property
    def functions(self) -> tuple[ModuleSymbol, ...]:
        """Every function, by name."""
        return tuple(symbol for symbol in self.symbols.values() if symbol.kind is SymbolKind.FUNCTION)

    def symbol(self, name: str) -> ModuleSymbol | None:
        """The function or object of that name the module defines, or None."""
        return self.symbols.get(name)

    def symbol_at(self, section: str, offset: int) -> ModuleSymbol | None:
        """The function or object that covers ``offset`` of a section, or None."""
        found = [s for s in self.symbols.values() if s.section == section and 0 <= offset - s.offset < s.size]
        return max(found, key=lambda symbol: (symbol.offset, symbol.is_local), default=None)

    def section(self, name: str) -> ModuleSection | None:
        """The first section of that name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def section_bytes(self, name: str) -> bytes:
        """The section's bytes as they stand in the file, before relocation; empty for .bss.

        SymbolError when there is no such section, or when the file was rebuilt since it was opened.
        """
        with ElfFile.open(self.path) as elf:
            self.check_unchanged(elf)
            section = elf.section(name)
            if section is None:
                msg = f"{self.path} has no section {name}"
                raise SymbolError(msg)
            return elf.data(section)

    def check_unchanged(self, elf: ElfFile) -> None:
        """Raise SymbolError unless ``elf``, opened from the same path, is the file that was parsed."""
        if elf.stamp != self.stamp:
            msg = f"{self.path} was replaced since it was read"
            raise SymbolError(msg, hint="load the new module to debug it, or put the old file back")

    def _aliased(self, hook: str) -> ModuleSymbol | None:
        """The function behind one of the kernel's fixed names: module_init(f) makes ``init_module`` an alias of f."""
        symbol = self.symbols.get(hook)
        if symbol is None:
            return None
        for other in self.symbols.values():
            same_place = (other.section_index, other.offset) == (symbol.section_index, symbol.offset)
            if same_place and other.kind is SymbolKind.FUNCTION and other.name != hook:
                return other
        return symbol


def read_identity(path: Path) -> tuple[str, Identity]:
    """The name and the build of the module in a file, without reading the rest of it.

    SymbolError when it is missing, broken, compressed, or no kernel module.
    """
    with ElfFile.open(path) as elf:
        _check_kind(elf, None)
        info = _modinfo(elf)
        return _name(elf, info), Identity(elf.build_id(), _first(info, "srcversion"))


def _check_kind(elf: ElfFile, machine: int | None) -> None:
    hint = "name the .ko that `make` left in the module's directory"
    if elf.type != ET_REL:
        msg = f"{elf.path} is a linked program or library, not a kernel module"
        raise SymbolError(msg, hint=hint)
    if elf.section(THIS_MODULE) is None:
        msg = f"{elf.path} is an object file but no kernel module: it has no {THIS_MODULE} section"
        raise SymbolError(msg, hint=hint)
    if machine is not None and elf.machine != machine:
        msg = f"{elf.path} is for {machine_name(elf.machine)}, the kernel for {machine_name(machine)}"
        raise SymbolError(msg, hint="build the module for the target: ARCH=… CROSS_COMPILE=…")


def machine_name(machine: int) -> str:
    """A word for an ELF machine number."""
    return _MACHINES.get(machine, f"ELF machine {machine}")


_MACHINES: Final = {3: "i386", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "s390", 40: "ARM", 62: "x86-64",
                    183: "AArch64", 243: "RISC-V", 258: "LoongArch"}  # fmt: skip


def _modinfo(elf: ElfFile) -> list[tuple[str, str]]:
    section = elf.section(".modinfo")
    if section is None:
        return []
    pairs = (entry.decode("utf-8", "backslashreplace").partition("=") for entry in elf.data(section).split(b"\0"))
    return [(key, value) for key, equals, value in pairs if equals]


def _first(info: list[tuple[str, str]], wanted: str) -> str | None:
    return next((value for key, value in info if key == wanted), None)


def _name(elf: ElfFile, info: list[tuple[str, str]]) -> str:
    name = _first(info, "name")
    if name is None:  # before 4.13 modpost wrote none; the file's name is then what KBUILD_MODNAME was made of
        name = elf.path.name.removesuffix(".ko")
    if not MODULE_NAME.fullmatch(name):
        raise elf.broken(f"it calls itself {name[:80]!r}, which is no module name")
    return name.replace("-", "_")


def _parameters(info: list[tuple[str, str]], symbols: dict[str, ModuleSymbol]) -> tuple[ModuleParameter, ...]:
    types = dict(value.partition(":")[::2] for key, value in info if key == "parmtype")
    texts = dict(value.partition(":")[::2] for key, value in info if key == "parm")
    # module_param_cb() tells modinfo nothing: what the kernel goes through is the section.
    entries = (symbol.name for symbol in symbols.values() if symbol.section == PARAMETERS)
    others = dict.fromkeys(name.removeprefix("__param_") for name in entries if name.startswith("__param_"))
    return tuple(
        ModuleParameter(name, types.get(name, ""), texts.get(name, "")) for name in {**types, **texts, **others}
    )


def _section(elf: ElfFile, index: int) -> ModuleSection:
    raw = elf.sections[index]
    alignment = raw.alignment or 1
    if alignment & alignment - 1:
        raise elf.broken(f"section {raw.name} has alignment {alignment}")
    return ModuleSection(
        index=index,
        name=raw.name,
        size=raw.size,
        alignment=alignment,
        allocated=bool(raw.flags & SHF_ALLOC),
        executable=bool(raw.flags & SHF_EXECINSTR),
        writable=bool(raw.flags & SHF_WRITE),
        nobits=raw.type == SHT_NOBITS,
    )


def _symbols(elf: ElfFile) -> dict[str, ModuleSymbol]:
    symbols: dict[str, ModuleSymbol] = {}
    source_file = None
    for raw in elf.symbols():
        name = raw.name.decode("utf-8", "backslashreplace")
        if raw.type == STT_FILE:
            source_file = name or None
            continue
        kind = _KINDS.get(raw.type)
        if kind is None or not name or raw.section == SHN_UNDEF or raw.section >= SHN_LORESERVE:
            continue
        if raw.section >= len(elf.sections):
            raise elf.broken(f"symbol {name} is in section {raw.section}, and there is none")
        local = raw.binding == STB_LOCAL
        symbol = ModuleSymbol(
            name=name,
            kind=kind,
            section=elf.sections[raw.section].name,
            section_index=raw.section,
            offset=raw.value,
            size=raw.size,
            is_local=local,
            source_file=source_file if local else None,
        )
        symbols.setdefault(name, symbol)
    return symbols


def _symbol_table(elf: ElfFile) -> tuple[int, int] | None:
    table = next((section for section in elf.sections if section.type == SHT_SYMTAB), None)
    return None if table is None else (table.index, table.link)
