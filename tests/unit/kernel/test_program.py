# SPDX-License-Identifier: Apache-2.0
"""drgn over a fake kernel's memory. Unwinding needs a real kernel's ORC tables: tests/vm has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import drgn
import pytest

from nullmodem.errors import KernelDataError, SymbolError
from nullmodem.kernel.load_map import locate
from nullmodem.kernel.modules import ModuleReader
from nullmodem.kernel.processor import processor_of
from nullmodem.kernel.program import KernelProgram, MappedModule
from nullmodem.kernel.unwind import backtrace, interrupted_frame, is_break_in
from nullmodem.symbols.vmlinux import Vmlinux
from support.fakekernel import SLIDE, FakeKernel, build_kernel, run

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.symbols.module_file import ModuleFile
    from nullmodem.testing.memory import FakeMemory


class BrokenMemory:
    """Memory whose wire is cut."""

    def read(self, address: int, length: int) -> bytes:
        msg = f"{address:#x} {length}"
        raise ConnectionError(msg)


def mapped(kernel: FakeKernel, memory: FakeMemory, file: ModuleFile) -> MappedModule:
    module = ModuleReader(kernel.types, kernel.vmlinux, SLIDE).read(memory, kernel.load(memory, file).address)
    return MappedModule(module, file.path, locate(module, file))


def test_variables_are_read_where_the_kernel_runs(layouts: FakeKernel) -> None:
    program = KernelProgram(layouts.vmlinux, SLIDE, layouts.memory())
    task = program.drgn["init_task"]
    assert task.address_ == layouts.symbol("init_task")
    assert task.comm.string_() == b"swapper"


def test_functions_and_data_of_modules_are_known_where_they_are(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    program = KernelProgram(layouts.vmlinux, SLIDE, memory)
    module = mapped(layouts, memory, module_file)
    program.set_modules([module])
    there = {found.section.name: found.address for found in module.sections}
    init = program.drgn.function("example_init")
    assert init.address_ == there[".init.text"]
    (location,) = [
        where for where in program.drgn.source_location(there[".text.unlikely"]) if "fakemodule" in where.filename
    ]
    assert location.line > 0
    memory.write(there[".data"], (77).to_bytes(4, "little"))
    assert program.drgn["data"].value_() == 77


def test_a_module_that_is_gone_is_forgotten(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    program = KernelProgram(layouts.vmlinux, SLIDE, memory)
    first = mapped(layouts, memory, module_file)
    program.set_modules([first])
    before = program.drgn
    program.set_modules([first])
    assert program.drgn is before
    program.set_modules([])
    with pytest.raises(LookupError):
        program.drgn.function("example_init")
    again = mapped(layouts, memory, module_file)
    program.set_modules([again])
    there = {found.section.name: found.address for found in again.sections}
    assert program.drgn.function("example_init").address_ == there[".init.text"] != first.module.init_function


def test_a_module_without_its_init_memory_is_the_same_one(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    program = KernelProgram(layouts.vmlinux, SLIDE, memory)
    whole = mapped(layouts, memory, module_file)
    program.set_modules([whole])
    before, init = program.drgn, whole.module.init[0].start
    assert before.module(init).name == whole.module.name
    kept = tuple(region for region in whole.module.regions if not region.kind.is_init)
    program.set_modules([replace(whole, module=replace(whole.module, regions=kept))])
    assert program.drgn is before
    with pytest.raises(LookupError):
        before.module(init)
    program.set_modules([whole])
    assert program.drgn is not before


def test_a_modules_file_that_is_gone_is_a_clear_error(
    layouts: FakeKernel, module_file: ModuleFile, tmp_path: Path
) -> None:
    memory = layouts.memory()
    program = KernelProgram(layouts.vmlinux, SLIDE, memory)
    with pytest.raises(SymbolError, match="No such file"):
        program.set_modules([replace(mapped(layouts, memory, module_file), path=tmp_path / "none.ko")])


def test_memory_that_is_not_there_is_drgns_fault(layouts: FakeKernel) -> None:
    program = KernelProgram(layouts.vmlinux, SLIDE, layouts.memory())
    with pytest.raises(drgn.FaultError, match="cannot read 8 bytes at 0x"):
        program.drgn.read(0xFFFF_FFFF_0000_0000, 8)


def test_a_broken_wire_is_not_hidden(layouts: FakeKernel) -> None:
    program = KernelProgram(layouts.vmlinux, SLIDE, BrokenMemory())
    with pytest.raises(ConnectionError):
        program.drgn["init_task"].comm.string_()


def test_a_kernel_without_debug_info_is_refused(layouts: FakeKernel, tmp_path: Path) -> None:
    run("objcopy", "--strip-debug", layouts.path, "bare", cwd=tmp_path)
    with pytest.raises(SymbolError, match="has no debug info"):
        KernelProgram(Vmlinux.open(tmp_path / "bare"), SLIDE, layouts.memory())


@pytest.mark.parametrize("symbol", ["init_uts_ns", "init_top_pgt"])
def test_a_kernel_without_what_drgn_must_know_is_refused(tmp_path: Path, symbol: str) -> None:
    kernel = FakeKernel(build_kernel(tmp_path))
    run("objcopy", "--strip-symbol", symbol, kernel.path, cwd=tmp_path)
    with pytest.raises(SymbolError, match=f"has no symbol {symbol}"):
        KernelProgram(Vmlinux.open(kernel.path), SLIDE, kernel.memory())


def test_a_stop_elsewhere_than_in_kgdb_is_no_break_in(layouts: FakeKernel) -> None:
    program = KernelProgram(layouts.vmlinux, SLIDE, layouts.memory())
    elsewhere = {"rip": layouts.symbol("do_init_module"), "rsp": 0xFFFF_C900_0000_0000}
    assert not is_break_in(program, elsewhere)
    assert not is_break_in(program, {})
    assert interrupted_frame(program, elsewhere) is None
    assert is_break_in(program, {"rip": layouts.symbol("kgdb_breakpoint") + 1})


def test_a_stop_in_an_unknown_place_says_that_it_cannot_be_followed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    kernel = FakeKernel(build_kernel(source, "NO_EVENTS"))
    program = KernelProgram(kernel.vmlinux, SLIDE, kernel.memory())
    with pytest.raises(KernelDataError, match="make no struct pt_regs"):
        backtrace(program, {"rip": kernel.symbol("kgdb_breakpoint")})


def test_only_processors_that_are_known_are_supported() -> None:
    assert processor_of(62).pc == "rip"
    assert processor_of(62).is_user({"cs": 0x33})
    assert not processor_of(62).is_user({"cs": 0x10})
    with pytest.raises(KernelDataError, match="ELF machine 183 are not supported"):
        processor_of(183)
