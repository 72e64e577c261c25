# SPDX-License-Identifier: Apache-2.0
"""Where in the target a function or a source line is: in the kernel, and in modules, loaded or to come.

A place is written as in gdb: ``function``, ``file.c:42``, an address; ``module:function`` is what `nullmodem` prints.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UnknownPlace, UsageError
from nullmodem.symbols.lines import LineTable
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import SymbolKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nullmodem.api.code import Code
    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Module
    from nullmodem.session.session import Session
    from nullmodem.session.world import World
    from nullmodem.symbols.module_file import ModuleSymbol

KERNEL: Final = "vmlinux"
"""The name to ask for places in the kernel itself by, where modules have theirs."""
_LINE: Final = re.compile(r"(?P<file>[^:]+):(?P<line>[0-9]+)")
_FUNCTION: Final = re.compile(r"(?:(?P<module>[A-Za-z0-9_-]+):)?(?P<function>[A-Za-z_.$][A-Za-z0-9_.$]*)")
_NEAREST: Final = 3
_FORMS: Final = 'Write "function", "file.c:42" or an address.'
_CLONE: Final = re.compile(r"(?:\.(?:constprop|isra|part|lto_priv|llvm)(?:\.[0-9]+)?)+$")
"""What gcc and clang put behind a function's name when they make another of it for some of its callers."""


@dataclass(frozen=True, slots=True)
class Place:
    """What to look for: a function, a line of a file, or an address; in ``module`` only, if that is not empty."""

    text: str
    module: str = ""
    function: str = ""
    file: str = ""
    line: int = 0
    address: int | None = None

    def __str__(self) -> str:
        return self.text


def parse_place(where: str | int, module: str = "") -> Place:
    """Raises UsageError for what is no place."""
    wanted = module.replace("-", "_")
    if isinstance(where, int):
        if not 0 <= where < 1 << 64:
            raise UsageError(f"{where:#x} is no address of 64 bits")
        return Place(f"{where:#x}", wanted, address=where)
    if not isinstance(where, str):
        raise UsageError(f"{where!r} is no place", hint=_FORMS)
    text = where.strip()
    if re.fullmatch(r"\*?0x[0-9a-fA-F]{1,16}", text):
        return Place(text, wanted, address=int(text.lstrip("*"), 16))
    if line := _LINE.fullmatch(text):
        return Place(text, wanted, file=line["file"], line=int(line["line"]))
    if text.endswith((".c", ".h", ".S")):
        raise UsageError(f"{text!r} is a file", hint=f"Name a line of it: {text}:42.")
    if function := _FUNCTION.fullmatch(text):
        named = (function["module"] or "").replace("-", "_")
        if named and wanted and named != wanted:
            raise UsageError(f"{text!r} is in module {named}, and {wanted} was asked for")
        return Place(text, named or wanted, function=function["function"])
    raise UsageError(f"{where!r} is no place", hint=_FORMS)


def _functions(file: ModuleFile) -> list[ModuleSymbol]:
    return [symbol for symbol in file.symbols.values() if symbol.kind is SymbolKind.FUNCTION]


def _is_called(symbol: str, name: str) -> bool:
    """Whether a symbol is of the function that the source calls ``name``, a clone of it included."""
    return symbol.startswith(name) and (symbol == name or _CLONE.sub("", symbol) == name)


def in_kernel(world: World, place: Place) -> tuple[int, ...]:
    """Addresses of the place in the kernel itself; empty where it has none."""
    if place.module not in ("", KERNEL):
        return ()
    if place.function:
        found = (s for s in world.kernel.vmlinux.functions if _is_called(s.name, place.function))
        return tuple(sorted({symbol.address + world.kernel.slide for symbol in found}))
    return ()


def in_module(world: World, module: Module, place: Place) -> tuple[int, ...]:
    """Addresses of the place in a loaded module, those in memory now; empty where it has none."""
    if module.file is None or place.module not in ("", module.name):
        return ()
    if place.function:
        found = [(s.section_index, s.offset) for s in _functions(module.file) if _is_called(s.name, place.function)]
    else:
        table = world.lines.table_of(module)
        found = [(p.section, p.offset) for p in table.places(place.file, place.line)] if table and place.file else []
    bases = {s.section.index: s.address for s in module.sections if module.in_memory(s)}
    return tuple(sorted(bases[section] + offset for section, offset in found if section in bases))


def in_file(file: ModuleFile, place: Place) -> bool:
    """Whether a module's file, which need not be loaded, has the place."""
    if place.module not in ("", file.name):
        return False
    if place.function:
        return any(_is_called(symbol.name, place.function) for symbol in _functions(file))
    return bool(place.file and LineTable.of_module(file).places(place.file, place.line))


def _is_inlined(file: ModuleFile, place: Place) -> bool:
    """Whether a module's function is in none but other functions' code."""
    if place.module not in ("", file.name) or not file.has_debug_info:
        return False
    return TypeInfo.open(file.path).has_function(place.function)


def _has_function(live: LiveSession, place: Place, known: dict[str, ModuleFile], kernel: Code) -> bool:
    """Whether the kernel has a function, or code of a module that it was inlined in. UnknownPlace when nothing is left
    of it there."""
    if live.look_into(lambda session: in_kernel(session.world, place)):
        return True
    inlined = [name for name, file in known.items() if _is_inlined(file, place)]
    loaded = [module for module in live.modules() if module.name in inlined]
    if len(loaded) < len(inlined) or any(place.function in kernel.inlined_in(module) for module in loaded):
        return True
    if inlined:
        raise UnknownPlace(
            f"nothing is left of {place.function!r} in the code it was inlined in",
            hint="Break at a line of the function that calls it.",
        )
    return False


def unknown_function(place: Place, world: World, files: Iterable[ModuleFile]) -> UnknownPlace:
    """The error for a function that nobody has, with those that have almost its name."""
    names = {_CLONE.sub("", s.name) for file in files if place.module in ("", file.name) for s in _functions(file)}
    if place.module in ("", KERNEL):
        names |= {symbol.name for symbol in world.kernel.vmlinux.functions}
    near = tuple(difflib.get_close_matches(place.function, names, _NEAREST, 0.7))
    where = f" in {place.module}" if place.module else ""
    return UnknownPlace(f"there is no function {place.function!r}{where}", nearest=near, hint=_meant(near))


def _no_code(place: Place, lines: set[int], sources: set[str]) -> UnknownPlace:
    where = f" in {place.module}" if place.module else ""
    if not lines:
        near = tuple(difflib.get_close_matches(place.file.rpartition("/")[2], sources, _NEAREST))
        return UnknownPlace(f"no code comes from a file {place.file!r}{where}", nearest=near, hint=_meant(near))
    before, after = [line for line in lines if line < place.line], [line for line in lines if line > place.line]
    around = (*([max(before)] if before else []), *([min(after)] if after else []))
    near = tuple(f"{place.file}:{line}" for line in around)
    hint = f"The nearest lines that have some: {', '.join(near)}."
    return UnknownPlace(f"line {place.line} of {place.file} has no code{where}", nearest=near, hint=hint)


def _meant(near: tuple[str, ...]) -> str:
    return f"Is {' or '.join(near)} meant?" if near else ""


def require_known(live: LiveSession, place: Place, files: Iterable[Path], kernel: Code) -> Place:
    """The place, once it is certain that the kernel, a loaded module or one of the modules' ``files`` has it.

    An address may be anywhere. A line is looked for in the kernel's own source only if no module has it: the place
    that is returned is then one of the kernel.

    Raises UnknownPlace; UsageError for a module that is neither loaded nor among the files.
    """
    if place.address is not None:
        return place
    known = {module.name: module.file for module in live.modules() if module.file is not None}
    for path in files:
        file = ModuleFile.open(path)
        known.setdefault(file.name, file)
    if place.module not in ("", KERNEL, *known):
        names = ", ".join(sorted(known)) or "none"
        hint = f"Known modules: {names}. `build` or `load` makes one known; `pending=True` waits for it all the same."
        raise UsageError(f"no module {place.module!r} is loaded, and none of that name is known", hint=hint)
    if any(in_file(file, place) for file in known.values()):
        return place
    if place.function:
        if _has_function(live, place, known, kernel):
            return place
        raise live.look_into(lambda session: unknown_function(place, session.world, known.values()))
    tables = [LineTable.of_module(file) for file in known.values() if place.module in ("", file.name)]
    lines = {line for table in tables for line in table.lines_of(place.file)}
    if not lines and place.module in ("", KERNEL):
        lines = set(kernel.lines_in_kernel(place.file))
        if place.line in lines:
            return replace(place, module=KERNEL)
    raise _no_code(place, lines, {file.rpartition("/")[2] for table in tables for file in table.files})


def addresses(live: LiveSession, place: Place, kernel: Code) -> tuple[int, ...]:
    """Where the place is in memory now: in the kernel and in every loaded module; empty where it is not yet."""
    if place.address is not None:
        return (place.address,)
    if place.file and place.module == KERNEL:
        return kernel.addresses_in_kernel(place.file, place.line)

    def find(session: Session) -> tuple[int, ...]:
        world = session.world
        inside = (address for module in world.modules.all for address in in_module(world, module, place))
        return tuple(sorted({*in_kernel(world, place), *inside}))

    found = live.look_into(find)
    if place.file:
        return kernel.one_for_each_call(found)
    inlined = (
        at
        for module in live.modules()
        if place.module in ("", module.name)
        for at in kernel.inlined_in(module).get(place.function, ())
    )
    return tuple(sorted({*found, *inlined}))
