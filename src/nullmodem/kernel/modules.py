# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of its modules: ``struct module`` and the list of them.

A few reads bring everything of a struct module that is needed; its ``sect_attrs``, the addresses of its sections, are
long, and are read in part where that is enough. Which members there are is asked of the kernel's types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.fields import Record, StructReader
from nullmodem.kernel.hooks import ModuleState, module_states
from nullmodem.kernel.module_attributes import AttributeReader
from nullmodem.kernel.regions import KERNEL_SPACE, ModuleRegion, RegionReader
from nullmodem.kernel.slide import printable
from nullmodem.symbols.module_file import MODULE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.ranges import AddressRange
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

MAX_MODULES: Final = 4096
_MODULE: Final = "struct module"
_SRCVERSION_BYTES: Final = 32  # modpost writes 23 hex digits and a NUL


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """One module in the kernel. ``address`` is that of its struct module.

    ``build_id`` and ``srcversion`` are None where the kernel does not keep them (``srcversion`` is only read when there
    is no build-id). ``regions`` are not empty; those of init are gone once the module is live. ``percpu`` is where its
    per-cpu data is as the kernel writes per-cpu addresses, 0 without any. ``init_function`` is 0 for a module without
    one. ``sect_attrs`` is where the kernel keeps the addresses of its sections, 0 before it has made them (at COMING);
    ``section_addresses`` are those, in the order of the .ko's section headers, empty when they were not read.
    """

    name: str
    address: int
    state: ModuleState
    build_id: bytes | None
    srcversion: str | None
    regions: tuple[ModuleRegion, ...]
    percpu: int
    init_function: int
    sect_attrs: int
    section_addresses: tuple[int, ...] = ()

    @property
    def init(self) -> tuple[AddressRange, ...]:
        """The memory that is freed when the module's init has returned."""
        return tuple(region.range for region in self.regions if region.kind.is_init)

    @property
    def text(self) -> tuple[AddressRange, ...]:
        """The memory that holds code, that of init included."""
        return tuple(region.range for region in self.regions if region.kind.is_text)

    def region_of(self, address: int) -> ModuleRegion | None:
        """The part of the module's memory that holds ``address``, or None."""
        return next((region for region in self.regions if address in region.range), None)


class ModuleReader:
    """Reads modules from the memory of a kernel that runs ``slide`` bytes above its link-time address."""

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        head = vmlinux.symbol("modules")
        if head is None:
            msg = f"{vmlinux.path} has no list of modules"
            raise KernelDataError(msg, hint="build the kernel with CONFIG_MODULES=y")
        self._head = head.address + slide
        self._states = module_states(types)
        self._regions = RegionReader(types)
        self._attributes = AttributeReader(types)
        self._struct = StructReader(
            types,
            _MODULE,
            ("state", "list.next", "name", "init", *self._regions.members),
            optional=("sect_attrs", "percpu", *_identity_members(types)),
        )
        self._list_offset = types.offset(_MODULE, "list")

    def read(self, memory: Memory, address: int, *, sections: bool = True) -> LoadedModule:
        """The module whose struct module stands at ``address``; ``sections``: with the addresses of its sections.

        Raises MemoryFault, and KernelDataError when what stands there is no module.
        """
        module = self._parse(memory, self._struct.read(memory, address))
        return self.with_sections(memory, module) if sections else module

    def with_sections(self, memory: Memory, module: LoadedModule) -> LoadedModule:
        """The module with its section addresses, unless the kernel has none yet. Raises like :meth:`read`."""
        if module.section_addresses or not module.sect_attrs:
            return module
        return replace(module, section_addresses=self._attributes.section_addresses(memory, module.sect_attrs))

    def some_addresses(
        self, memory: Memory, module: LoadedModule, wanted: Iterable[int]
    ) -> tuple[int, dict[int, int]] | None:
        """How many section addresses ``module`` has, and those at the positions ``wanted`` at least, by position.

        None when it has none yet, or the kernel keeps them in a way that is not read in part. Raises MemoryFault.
        """
        return self._attributes.some_addresses(memory, module.sect_attrs, wanted) if module.sect_attrs else None

    def walk(self, memory: Memory, *, sections: bool = True) -> list[LoadedModule]:
        """Every module on the kernel's list, those being loaded or unloaded too; the youngest first.

        Raises MemoryFault, and KernelDataError when the list is corrupt, has a cycle, or more than MAX_MODULES entries.
        """
        modules: list[LoadedModule] = []
        seen = {self._head}
        node = int.from_bytes(memory.read(self._head, 8), "little")
        while node != self._head:
            after = f"after {modules[-1].name}" if modules else "at its head"
            if node in seen or len(modules) >= MAX_MODULES or node < KERNEL_SPACE:
                msg = f"the kernel's list of modules is corrupt {after}: the next entry is {node:#x}"
                raise KernelDataError(msg)
            seen.add(node)
            try:
                record = self._struct.read(memory, node - self._list_offset)
                module = self._parse(memory, record)
                modules.append(self.with_sections(memory, module) if sections else module)
            except MemoryFault as error:
                msg = f"the kernel's list of modules is corrupt {after}: {error.message}"
                raise KernelDataError(msg) from error
            node = record.integer("list.next")
        return modules

    def _parse(self, memory: Memory, record: Record) -> LoadedModule:
        name = _name(record)
        state = self._states.get(record.integer("state"))
        if state is None:
            msg = f"module {name} at {record.address:#x} has the unknown state {record.integer('state')}"
            raise KernelDataError(msg)
        build_id = self._build_id(memory, record)
        return LoadedModule(
            name=name,
            address=record.address,
            state=state,
            build_id=build_id,
            srcversion=None if build_id is not None else _srcversion(memory, record),
            regions=self._regions.regions(name, record),
            percpu=record.get("percpu"),
            init_function=record.integer("init"),
            sect_attrs=record.get("sect_attrs"),
        )

    def _build_id(self, memory: Memory, record: Record) -> bytes | None:
        if "build_id" in record:
            found = record.raw("build_id")
            return found if any(found) else None
        notes = record.get("notes_attrs")
        return self._attributes.build_id(memory, notes) if notes else None


def _identity_members(types: TypeInfo) -> tuple[str, ...]:
    """The build-id is in struct module with CONFIG_STACKTRACE_BUILD_ID only, which few distributions set."""
    return ("build_id",) if types.has(_MODULE, "build_id") else ("srcversion", "notes_attrs")


def _name(record: Record) -> str:
    raw, nul, _rest = record.raw("name").partition(b"\0")
    name = raw.decode("ascii", "replace")
    if not nul or not MODULE_NAME.fullmatch(name):
        msg = f"what should be a module at {record.address:#x} is called {printable(raw)!r}, which is no module name"
        raise KernelDataError(msg)
    return name


def _srcversion(memory: Memory, record: Record) -> str | None:
    pointer = record.get("srcversion")
    if pointer < KERNEL_SPACE:
        return None
    raw, nul, _rest = memory.read(pointer, _SRCVERSION_BYTES).partition(b"\0")
    return raw.decode("ascii", "replace") if nul and raw.isalnum() else None
