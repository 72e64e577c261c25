# SPDX-License-Identifier: Apache-2.0
"""A kernel of a few hundred bytes, compiled with its types, and modules "loaded" into its memory the way Linux does it.

It has what nullmodem asks of a kernel and nothing that runs, so that everything read from a stopped kernel can be
tested in milliseconds, and with memory that no real kernel would show.
"""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.symbols.elf import PT_LOAD
from nullmodem.symbols.module_file import PER_CPU, THIS_MODULE, ModuleFile
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from nullmodem.testing.memory import FakeMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nullmodem.symbols.module_file import ModuleSection

HERE = Path(__file__).parent
SLIDE = 0x1240_0000
MODULE_BASE = 0xFFFF_FFFF_C012_0000
ATTRIBUTES = 0xFFFF_8880_0300_0000
PAGE = 4096

FOR_ITSELF, ROUNDED_UP = 1, 4
"""How a processor has come into the debugger: DCPU_WANT_MASTER, DCPU_IS_SLAVE."""

_CFLAGS = [
    "-g", "-O2", "-mcmodel=kernel", "-fno-pic", "-ffreestanding", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-mno-red-zone",
]  # fmt: skip
_REGIONS = ("text", "rodata", "ro_after_init", "data")


def run(*command: str | Path, cwd: Path) -> None:
    """Run a compiler or linker; what it says is in the error when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def build_kernel(directory: Path, *defines: str) -> Path:
    """Compile the fake kernel into ``directory``; ``defines`` are those of fakekernel.c. Returns its vmlinux."""
    source = directory / "kernel" / "debug" / "debug_core.c"
    source.parent.mkdir(parents=True)
    source.write_bytes((HERE / "fakekernel.c").read_bytes())
    options = [f"-D{define}" for define in defines]
    run("gcc", *_CFLAGS, *options, "-c", "kernel/debug/debug_core.c", "-o", "first.o", cwd=directory)
    run("gcc", *_CFLAGS, "-c", HERE / "fakekernel2.c", "-o", "second.o", cwd=directory)
    link = ["ld", "-static", "-nostdlib", "--build-id=sha1", "--no-warn-rwx-segments", "-T", HERE / "fakekernel.ld"]
    run(*link, "first.o", "second.o", "-o", "vmlinux", cwd=directory)
    return directory / "vmlinux"


def build_module(
    directory: Path, name: str = "fake_mod", *, source: Path | None = None, extra: tuple[str, ...] = ()
) -> Path:
    """Compile fakemodule.c, or another source, into ``directory``; returns its .ko."""
    chosen = source if source is not None else HERE / "fakemodule.c"
    run("gcc", *_CFLAGS, *extra, f'-DNAME="{name}"', "-c", chosen, "-o", f"{name}.o", cwd=directory)
    run("ld", "-r", "--build-id=sha1", f"{name}.o", "-o", f"{name}.ko", cwd=directory)
    return directory / f"{name}.ko"


@dataclass
class Loaded:
    """Where a module was put: its struct module, and each section the kernel kept, by name."""

    address: int
    sections: dict[str, int]
    regions: dict[str, tuple[int, int]]
    attributes: int


class FakeKernel:
    """One build of the fake kernel, and its memory when it runs ``SLIDE`` bytes above its link-time address."""

    def __init__(self, vmlinux: Path) -> None:
        self.path = vmlinux
        self.vmlinux = Vmlinux.open(vmlinux)
        self._next = MODULE_BASE
        self._next_attributes = ATTRIBUTES

    @cached_property
    def types(self) -> TypeInfo:
        """Its types."""
        return TypeInfo.open(self.path)

    def memory(self, slide: int = SLIDE) -> FakeMemory:
        """Fresh memory, with no module in it. ``modules`` is empty."""
        regions = {}
        for segment in self.vmlinux.segments:
            if segment.type == PT_LOAD and segment.address:
                content = self.vmlinux.read_static(segment.address, segment.file_size)
                regions[segment.address + slide] = content.ljust(segment.memory_size, b"\0")
        memory = FakeMemory(regions)
        self.poke(memory, self.symbol("modules", slide), self.symbol("modules", slide))
        return memory

    def symbol(self, name: str, slide: int = SLIDE) -> int:
        """Run-time address of a symbol."""
        found = self.vmlinux.symbol(name)
        assert found is not None
        return found.address + slide

    def poke(self, memory: FakeMemory, address: int, value: int, size: int = 8) -> None:
        """Write a number."""
        memory.write(address, (value & (1 << size * 8) - 1).to_bytes(size, "little"))

    def enter_debugger(self, memory: FakeMemory, cpu: int, registers: int, state: int) -> None:
        """Let it say that a processor has come into the debugger so, with its registers there."""
        record = self.symbol("kgdb_info") + cpu * self.types.size("struct debuggerinfo_struct")
        values = {"debuggerinfo": registers, "exception_state": state}
        self.set(memory, "struct debuggerinfo_struct", record, values)

    def set(self, memory: FakeMemory, kind: str, address: int, values: Mapping[str, int | bytes]) -> None:
        """Write members of a struct."""
        for member, value in values.items():
            at = address + self.types.offset(kind, member)
            if isinstance(value, bytes):
                memory.write(at, value)
            else:
                self.poke(memory, at, value, self.types.member_size(kind, member))

    def load(
        self,
        memory: FakeMemory,
        file: ModuleFile,
        *,
        state: int = 1,
        dropped: tuple[str, ...] = (".modinfo", "__versions", PER_CPU),
        percpu: int = 0x21968,
    ) -> Loaded:
        """Put ``file`` where the kernel would, at the head of its list, as it is when do_init_module is called."""
        table = file.symbol_table_sections or ()
        kept = [s for s in file.sections if s.size and s.name not in dropped and (s.allocated or s.index in table)]
        core, core_sizes = _layout([s for s in kept if not s.is_init and s.allocated])
        init, init_sizes = _layout([s for s in kept if s.is_init or not s.allocated])
        places, regions = {}, {}
        for prefix, offsets, sizes in (("", core, core_sizes), ("init_", init, init_sizes)):
            starts = {}
            for region in _REGIONS:
                starts[region] = self._next
                regions[prefix + region] = (self._next, sizes[region])
                memory.add(self._next, bytes(sizes[region]))
                self._next += sizes[region]
            places.update({index: starts[region] + offset for index, (region, offset) in offsets.items()})
            self._next += PAGE
        named = {section.name: places[section.index] for section in kept}
        address = named[THIS_MODULE]
        attributes = self._attributes(memory, [places[section.index] for section in kept])
        entry = next((symbol for symbol in file.functions if symbol.name == "init_module"), None)
        first = entry is not None and named[entry.section] + entry.offset
        self.set(memory, "struct module", address, {
            "state": state,
            "name": file.name.encode() + b"\0",
            "init": int(first),
            "sect_attrs": attributes,
            "percpu": percpu,
            **self._identity(memory, file, named),
            **self._regions(regions),
        })  # fmt: skip
        self._link(memory, address)
        return Loaded(address, named, regions, attributes)

    def _link(self, memory: FakeMemory, address: int) -> None:
        head = self.symbol("modules")
        following = memory.read(head, 8)
        node = address + self.types.offset("struct module", "list")
        memory.write(node, following)
        self.poke(memory, head, node)
        memory.reads.clear()

    def _identity(self, memory: FakeMemory, file: ModuleFile, named: dict[str, int]) -> dict[str, int | bytes]:
        if self.types.has("struct module", "build_id"):
            return {"build_id": file.build_id or bytes(20)}
        result: dict[str, int | bytes] = {}
        if file.srcversion:
            result["srcversion"] = self._allocate(memory, file.srcversion.encode().ljust(32, b"\0"))
        note = ".note.gnu.build-id"
        if note in named:
            memory.write(named[note], file.section_bytes(note))
            private = self.types.offset("struct bin_attribute", "private")
            entry = bytearray(self.types.size("struct bin_attribute"))
            struct.pack_into("<Q", entry, private, named[note])
            struct.pack_into(
                "<Q", entry, self.types.offset("struct bin_attribute", "size"), len(file.section_bytes(note))
            )
            first = self.types.offset("struct module_notes_attrs", "attrs")
            head = bytearray(first)
            struct.pack_into("<I", head, self.types.offset("struct module_notes_attrs", "notes"), 1)
            result["notes_attrs"] = self._allocate(memory, bytes(head) + bytes(entry))
        return result

    def _regions(self, regions: dict[str, tuple[int, int]]) -> dict[str, int]:
        if self.types.has("struct module", "mem"):
            numbers = self.types.enumerators("enum mod_mem_type")
            found = {}
            for name, (base, size) in regions.items():
                number = numbers.get("MOD_" + name.upper())
                if number is not None:
                    found[f"mem[{number}].base"], found[f"mem[{number}].size"] = base if size else 0, size
            return found
        found = {}
        for layout, prefix in (("core_layout", ""), ("init_layout", "init_")):
            found[f"{layout}.base"] = regions[prefix + "text"][0]
            total = 0
            for region, member in zip(_REGIONS, ("text_size", "ro_size", "ro_after_init_size", "size"), strict=True):
                total += regions[prefix + region][1]
                found[f"{layout}.{member}"] = total
        return found

    def _attributes(self, memory: FakeMemory, addresses: list[int]) -> int:
        first = self.types.offset("struct module_sect_attrs", "attrs")
        counted = self.types.has("struct module_sect_attrs", "nsections")
        element, member = ("struct module_sect_attr", "address") if counted else ("struct bin_attribute", "private")
        stride, at = self.types.size(element), self.types.offset(element, member)
        raw = bytearray(first + stride * len(addresses))
        for number, address in enumerate(addresses):
            struct.pack_into("<Q", raw, first + stride * number + at, address)
        if counted:
            struct.pack_into("<I", raw, self.types.offset("struct module_sect_attrs", "nsections"), len(addresses))
        else:
            table = self._allocate(memory, b"".join(struct.pack("<Q", a) for a in (*addresses, 0)))
            struct.pack_into("<Q", raw, self.types.offset("struct module_sect_attrs", "grp.bin_attrs"), table)
        return self._allocate(memory, bytes(raw))

    def _allocate(self, memory: FakeMemory, content: bytes) -> int:
        address = self._next_attributes
        memory.add(address, content)
        self._next_attributes += len(content) + 4096 & -4096
        return address


def _layout(sections: list[ModuleSection]) -> tuple[dict[int, tuple[str, int]], dict[str, int]]:
    """Offsets into regions by section index, and the regions' sizes, as layout_sections() in kernel/module/main.c."""
    offsets: dict[int, tuple[str, int]] = {}
    sizes = dict.fromkeys(_REGIONS, 0)
    for section in sections:
        if section.executable:
            region = "text"
        elif section.name == ".data..ro_after_init":
            region = "ro_after_init"
        else:
            region = "data" if section.writable or not section.allocated else "rodata"
        start = -(-sizes[region] // section.alignment) * section.alignment
        offsets[section.index] = (region, start)
        sizes[region] = start + section.size
    return offsets, {region: -(-size // PAGE) * PAGE for region, size in sizes.items()}
