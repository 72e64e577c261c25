# SPDX-License-Identifier: Apache-2.0
"""The modules of the target, each with the file it was verified against, kept true through load, init and unload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import IdentityError, KernelDataError, MemoryFault, SymbolError
from nullmodem.kernel.constants import STRINGS
from nullmodem.kernel.hooks import ModuleState
from nullmodem.kernel.load_map import LoadMaps
from nullmodem.session.model import Module, ModuleProblem
from nullmodem.symbols.finder import Mismatch, ModuleFinder

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.kernel.memory import Memory
    from nullmodem.kernel.modules import LoadedModule, ModuleReader
    from nullmodem.symbols.module_file import ModuleFile
    from nullmodem.symbols.store import ModuleStore


MOST_STRINGS = 64
"""Sections kept at most."""


class Freed(Protocol):
    """Told of memory that the kernel is about to free."""

    def drop_range(self, start: int, end: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a breakpoint may stand at an address, and why not."""

    allowed: bool
    reason: str = ""


class ModuleTable:
    """Modules by the address of their ``struct module``. ``generation`` rises with each change a client must see."""

    def __init__(self, reader: ModuleReader, finder: ModuleFinder, store: ModuleStore, breakpoints: Freed) -> None:
        self._reader = reader
        self._finder = finder
        self._store = store
        self._breakpoints = breakpoints
        self._maps = LoadMaps(reader)
        self._modules: dict[int, Module] = {}
        self._places_added = False
        self._strings: dict[tuple[tuple[int, ...], str], bytes] = {}
        self.generation = 0

    @property
    def all(self) -> tuple[Module, ...]:
        """In the order they were loaded."""
        return tuple(self._modules.values())

    def named(self, name: str) -> Module | None:
        wanted = name.replace("-", "_")
        return next((module for module in self.all if module.name == wanted), None)

    def containing(self, address: int) -> Module | None:
        """The module whose memory, that of its init included while it is there, holds ``address``."""
        return next((module for module in self.all if module.loaded.region_of(address)), None)

    def constant(self, address: int, length: int) -> bytes | None:
        """Strings of a module's code, from its file; None for all else."""
        module = self.containing(address)
        if module is None or module.file is None:
            return None
        for loaded in module.sections:
            section, offset = loaded.section, address - loaded.address
            if loaded.present and section.name.startswith(STRINGS) and 0 <= offset <= section.size - length:
                return self._strings_of(module.file, section.name)[offset : offset + length] or None
        return None

    def _strings_of(self, file: ModuleFile, name: str) -> bytes:
        """A section's content; empty when the file has been rebuilt since it was verified."""
        key = (file.stamp, name)
        if key not in self._strings:
            if len(self._strings) >= MOST_STRINGS:
                self._strings.clear()
            try:
                self._strings[key] = file.section_bytes(name)
            except SymbolError:
                self._strings[key] = b""
        return self._strings[key]

    # -- what the kernel tells ---------------------------------------------------------------------------------

    def read_all(self, memory: Memory) -> None:
        """Take the list from the kernel as it stands. Raises KernelDataError, MemoryFault."""
        self._modules.clear()
        for loaded in self._reader.walk(memory, sections=False):
            self._modules[loaded.address] = self._with_file(memory, loaded)
        self.generation += 1

    def catch_up(self, memory: Memory) -> None:
        """The kernel has run unwatched: part with what is gone or has finished its init, and meet what is new.

        Raises KernelDataError, MemoryFault.
        """
        present = {loaded.address: loaded for loaded in self._reader.walk(memory, sections=False)}
        for address, module in list(self._modules.items()):
            if address not in present or not _may_be_same(module.loaded, present[address]):
                self.going(address)
            elif present[address].state is ModuleState.LIVE:
                self.init_done(address)
        for address, loaded in present.items():
            if address not in self._modules:
                self._meet(memory, loaded)
        self.generation += 1

    def appeared(self, memory: Memory, address: int) -> Module:
        """A module has been linked and its init is about to run. Raises KernelDataError, MemoryFault."""
        module = self._meet(memory, self._reader.read(memory, address, sections=False))
        self.generation += 1
        return module

    def _meet(self, memory: Memory, loaded: LoadedModule) -> Module:
        for other in list(self._modules.values()):
            self._make_room(memory, other, loaded)
        module = self._modules[loaded.address] = self._with_file(memory, loaded)
        return module

    @property
    def is_loading(self) -> bool:
        """Whether a module has appeared and not become live."""
        return any(module.loaded.state is ModuleState.COMING for module in self._modules.values())

    def event(self, state: ModuleState | None, address: int) -> None:
        """What ``module_event`` was told. Of COMING nothing is made: the sections are not known before `appeared`."""
        if state is ModuleState.LIVE:
            self.init_done(address)
        elif state is ModuleState.GOING:
            self.going(address)

    def init_done(self, address: int) -> None:
        """The kernel is about to free the init sections: nothing of ours may stay in them."""
        module = self._modules.get(address)
        if module is None:
            return
        init = module.loaded.init
        for region in init:
            self._breakpoints.drop_range(region.start, region.end)
        kept = tuple(region for region in module.loaded.regions if not region.kind.is_init)
        loaded = replace(module.loaded, regions=kept, state=ModuleState.LIVE)
        self._modules[address] = replace(module, loaded=loaded, freed=(*module.freed, *init))

    def going(self, address: int) -> Module | None:
        """The module is about to be freed, after its exit or after its init failed."""
        module = self._modules.pop(address, None)
        if module is None:
            return None
        for region in module.loaded.regions:
            self._breakpoints.drop_range(region.range.start, region.range.end)
        if module.instance is not None:
            self._store.release(module.instance)
        self.generation += 1
        return module

    def search(self, *places: Path) -> None:
        """Look for files here too, from the next `refresh_files` on."""
        self._finder.add(*places)
        self._places_added = True

    def refresh_files(self, memory: Memory) -> None:
        """Look again for the files of modules that have none, if there are new places: one may be there now."""
        if not self._places_added:
            return
        self._places_added = False
        for address, module in self._modules.items():
            if module.file is None:
                found = self._with_file(memory, module.loaded)
                if found.file is not None:
                    self._modules[address] = replace(found, freed=module.freed)
                    self.generation += 1

    # -- what may be stopped at --------------------------------------------------------------------------------

    def breakpoint_verdict(self, address: int) -> Verdict | None:
        """Whether a breakpoint may stand at ``address``; None where no module is."""
        verdicts = [v for v in (_verdict_in(module, address) for module in self._modules.values()) if v is not None]
        # One module's freed init memory may be another's text by now.
        return max(verdicts, key=lambda verdict: verdict.allowed, default=None)

    def _make_room(self, memory: Memory, module: Module, incoming: LoadedModule) -> None:
        """The kernel gave freed init memory to another module: show gdb this one again, without its init sections.

        gdb keeps the sections it was told of, and would take the newcomer's code for this module's.
        """
        if module.file is None:
            return
        taken = [region.range for region in incoming.regions]
        if any(old.overlaps(new) for old in module.freed for new in taken):
            if module.instance is not None:
                self._store.release(module.instance)
            self._modules[module.loaded.address] = replace(
                module,
                sections=self._maps.locate(memory, module.loaded, module.file),
                instance=self._store.instance(module.file),
                freed=(),
            )

    def _with_file(self, memory: Memory, loaded: LoadedModule) -> Module:
        found = self._finder.find(loaded.name, loaded.build_id, loaded.srcversion)
        if found is None:
            return Module(loaded, problem=ModuleProblem.NO_FILE, explanation=self._searched(loaded.name))
        if isinstance(found, Mismatch):
            return Module(loaded, problem=ModuleProblem.MISMATCH, explanation=found.describe())
        try:
            sections = self._maps.locate(memory, loaded, found)
            return Module(loaded, found, self._store.instance(found), sections)
        except IdentityError as error:
            return Module(loaded, problem=ModuleProblem.MISMATCH, explanation=str(error))
        except (KernelDataError, MemoryFault) as error:
            return Module(loaded, problem=ModuleProblem.MISPLACED, explanation=str(error))
        except SymbolError as error:
            return Module(loaded, problem=ModuleProblem.BROKEN, explanation=str(error))

    def _searched(self, name: str) -> str:
        where = ", ".join(str(directory) for directory in self._finder.directories) or "no directory was given"
        return f"no {name}.ko was found; looked in: {where}"


def _may_be_same(known: LoadedModule, found: LoadedModule) -> bool:
    """Whether what is found where a module was known is that one, with its init memory or without it.

    One that has neither a build-id nor a srcversion may be another build in its place: it is not taken for the same.
    """
    if not (known.build_id or known.srcversion):
        return False
    return found.init in (known.init, ()) and _lasting(known) == _lasting(found)


def _lasting(loaded: LoadedModule) -> tuple[object, ...]:
    """What stays as it is from a module's init to its end."""
    regions = tuple(region for region in loaded.regions if not region.kind.is_init)
    return loaded.name, loaded.build_id, loaded.srcversion, loaded.percpu, regions


def _verdict_in(module: Module, address: int) -> Verdict | None:
    region = module.loaded.region_of(address)
    if region is None:
        if any(address in freed for freed in module.freed):
            return Verdict(allowed=False, reason=f"the init code of module {module.name} has been freed")
        return None
    if region.kind.is_text:
        return Verdict(allowed=True)
    return Verdict(allowed=False, reason=f"that is data of module {module.name}")
