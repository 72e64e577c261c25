# SPDX-License-Identifier: Apache-2.0
"""A step's range grows to the whole source line, and never so far that a call could be missed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.hooks import ModuleState
from nullmodem.kernel.load_map import LoadedSection
from nullmodem.kernel.modules import LoadedModule
from nullmodem.session.model import Module, Resume, ResumeKind
from nullmodem.session.source_lines import MOST_TABLES, SourceLines
from nullmodem.stub.x86_64 import X86_64
from nullmodem.symbols.elf import ElfFile
from nullmodem.symbols.lines import LineTable, Place
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import HERE, build_module, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = 0xFFFF_FFFF_C012_3000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ModuleFile:
    directory = tmp_path_factory.mktemp("stepped")
    source = HERE / "steppedmodule.c"
    return ModuleFile.open(
        build_module(directory, "stepped", source=source, extra=("-O2", "-fno-optimize-sibling-calls"))
    )


@pytest.fixture
def module(file: ModuleFile) -> Module:
    return load(file)


def load(file: ModuleFile) -> Module:
    """The module as if its sections were loaded one after the other."""
    state = LoadedModule("stepped", BASE, ModuleState.LIVE, None, None, (), 0, 0, 0)
    sections = tuple(LoadedSection(s, BASE + 0x1000 * s.index, s.size > 0) for s in file.allocated)
    return Module(state, file, file.path, sections)


def bounds(module: Module, name: str) -> tuple[int, int]:
    """Where a function begins and ends in memory."""
    assert module.file is not None
    symbol = module.file.symbol(name)
    assert symbol is not None
    section = next(s for s in module.sections if s.section.index == symbol.section_index)
    return section.address + symbol.offset, section.address + symbol.offset + symbol.size


def length_in(module: Module) -> Callable[[int], int]:
    """Lengths of the module's instructions: in the file they are those in memory, whatever they refer to."""

    def length(address: int) -> int:
        section = next(s for s in module.sections if s.present and address in s.range)
        assert module.file is not None
        with ElfFile.open(module.file.path) as elf:
            found = elf.section(section.section.name)
            assert found is not None
            code = elf.data(found)[address - section.address :]
        return X86_64.instructions.instruction_length(code, address)

    return length


def step(module: Module, pc: int) -> tuple[int, int]:
    """The range that a step through the byte at ``pc`` becomes."""
    request = Resume(ResumeKind.RANGE, pc, pc + 1)
    found = SourceLines().whole_line(module, request, pc, length_in(module))
    assert replace(found, start=request.start, end=request.end) == request
    return found.start, found.end


def test_a_step_through_a_piece_of_a_line_becomes_one_through_the_line(module: Module, file: ModuleFile) -> None:
    begin, end = bounds(module, "straight")
    symbol = file.symbol("straight")
    assert symbol is not None
    rows = LineTable.of_module(file).run_around(Place(symbol.section_index, symbol.offset))
    start, stop = step(module, begin)
    assert start == begin
    assert begin + 16 < stop <= end
    assert stop >= begin + rows[-1] - rows[0]


def test_the_range_never_grows_to_hold_a_functions_beginning(module: Module) -> None:
    begin, end = bounds(module, "recursive")
    for pc in range(begin + 1, end):
        start, stop = step(module, pc)
        assert begin < start <= pc < stop <= end


def test_code_of_another_function_on_the_line_is_left_out(module: Module) -> None:
    for name in ("first", "second"):
        begin, end = bounds(module, name)
        for pc in range(begin, end):
            start, stop = step(module, pc)
            assert begin <= start <= pc < stop <= end


def test_what_is_no_step_through_the_present_line_stays_as_it_is(module: Module) -> None:
    begin, _end = bounds(module, "straight")
    lines = SourceLines()
    for request in (Resume(), Resume(ResumeKind.STEP), Resume(ResumeKind.RANGE, begin + 64, begin + 65)):
        assert lines.whole_line(module, request, begin, length_in(module)) is request


def test_without_a_file_or_lines_or_a_function_nothing_grows(module: Module, file: ModuleFile, tmp_path: Path) -> None:
    begin, _end = bounds(module, "straight")
    as_it_is = (begin + 1, begin + 2)
    assert step(replace(module, file=None, instance=None, sections=()), begin + 1) == as_it_is
    run("objcopy", "--strip-debug", file.path, "bare.ko", cwd=tmp_path)
    assert step(replace(module, instance=tmp_path / "bare.ko"), begin + 1) == as_it_is
    assert step(module, BASE - 8) == (BASE - 8, BASE - 7)
    data = next(s for s in module.sections if s.section.name == ".bss")
    assert step(module, data.address) == (data.address, data.address + 1)


def test_the_same_build_loaded_again_is_not_read_again(file: ModuleFile, tmp_path: Path) -> None:
    lines = SourceLines()
    section = file.section(".text")
    assert section is not None
    address = BASE + 0x1000 * section.index
    found = lines.line_at(load(file), address)
    assert found is not None
    assert lines.line_at(replace(load(file), instance=tmp_path / "another" / "stepped.ko"), address) == found


def test_tables_of_builds_that_come_and_go_do_not_pile_up(file: ModuleFile) -> None:
    lines = SourceLines()
    for number in range(MOST_TABLES + 5):
        lines.line_at(replace(load(file), file=replace(file, stamp=(number,))), BASE)
    assert len(lines._tables) == MOST_TABLES
