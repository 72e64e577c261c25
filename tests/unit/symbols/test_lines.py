# SPDX-License-Identifier: Apache-2.0
"""Line tables of modules, in every DWARF version compilers write, held against what gdb says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import SymbolError
from nullmodem.symbols.line_program import LineProgramError, LineSections, Relocated, Row, decode
from nullmodem.symbols.lines import LineTable, Place, SourceLine
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import HERE, build_module, run

SOURCE = (HERE / "fakemodule.c").read_text(encoding="utf-8").splitlines()


def line_with(text: str) -> int:
    """Number of the first line of fakemodule.c that has this text."""
    return next(number for number, line in enumerate(SOURCE, 1) if text in line)


@pytest.fixture(scope="module", params=["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf64"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModuleFile:
    directory = tmp_path_factory.mktemp("dwarf")
    return ModuleFile.open(build_module(directory, extra=(request.param, "-gno-as-loc-support")))


def test_functions_are_found_on_their_lines(file: ModuleFile) -> None:
    table = LineTable.of_module(file)
    for name, text in (("hot", "int hot("), ("rare", "int rare(")):
        function = file.symbol(name)
        assert function is not None
        line = table.line_of(function)
        assert line is not None
        assert Path(line.file).name == "fakemodule.c"
        opening = line_with(text)
        assert opening <= line.line <= opening + 2, name


def test_lines_are_found_where_their_code_is(file: ModuleFile) -> None:
    table = LineTable.of_module(file)
    places = table.places("fakemodule.c", line_with("return start + rare"))
    init = file.init_function
    assert init is not None
    assert places
    assert all(place.section == init.section_index for place in places)
    assert all(init.offset <= place.offset < init.offset + init.size for place in places)
    assert table.places("support/fakemodule.c", line_with("return start + rare")) == places
    assert table.places("other.c", 1) == table.places("emodule.c", line_with("return start + rare")) == ()
    assert table.places("fakemodule.c", 1) == ()


def test_places_without_code_have_no_line(file: ModuleFile) -> None:
    table = LineTable.of_module(file)
    init = file.init_function
    assert init is not None
    assert table.line_at(Place(init.section_index, init.offset + init.size + 64)) is None
    assert table.line_at(Place(9999, 0)) is None
    assert [Path(name).name for name in table.files] == ["fakemodule.c"]


@pytest.mark.gdb
def test_gdb_sees_the_same_lines(file: ModuleFile) -> None:
    gdb = shutil.which("gdb")
    assert gdb is not None, "apt install gdb"
    table = LineTable.of_module(file)
    asked = [
        (f, at) for f in file.functions if f.size and f.name != "cleanup_module" for at in (0, f.size // 2, f.size - 1)
    ]
    commands = [word for function, at in asked for word in ("-ex", f"info line *((char *) {function.name} + {at})")]
    start = [gdb, "-nx", "-batch", "-iex", "set debuginfod enabled off", *commands, str(file.path)]
    said = subprocess.run(start, check=True, capture_output=True, text=True, timeout=60).stdout
    answers = re.findall(r'^Line (\d+) of "(.*?)"', said, re.MULTILINE)
    assert len(answers) == len(asked)
    for (function, at), (line, name) in zip(asked, answers, strict=True):
        found = table.line_at(Place(function.section_index, function.offset + at))
        assert found is not None
        assert (found.line, Path(found.file).name) == (int(line), Path(name).name), (function.name, at)


def test_a_module_without_debug_info_says_what_to_do(module_path: Path, tmp_path: Path) -> None:
    run("objcopy", "--strip-debug", module_path, "bare.ko", cwd=tmp_path)
    with pytest.raises(SymbolError, match="has no debug info") as caught:
        LineTable.of_module(ModuleFile.open(tmp_path / "bare.ko"))
    assert "CONFIG_DEBUG_INFO" in caught.value.hint


def test_a_broken_line_table_is_a_clear_error(module_path: Path, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_bytes(b"\x10\0\0\0\x77\x77" + bytes(14))
    run("objcopy", "--update-section", ".debug_line=nonsense", module_path, "bad.ko", cwd=tmp_path)
    with pytest.raises(SymbolError, match="line tables of DWARF version 30583 are unknown"):
        LineTable.of_module(ModuleFile.open(tmp_path / "bad.ko"))


@given(line=st.binary(max_size=200), names=st.binary(max_size=20))
def test_any_bytes_are_rows_or_one_kind_of_error(line: bytes, names: bytes) -> None:
    header = len(line).to_bytes(4, "little") + b"\5\0\x08\0"
    for raw in (line, header + line):
        try:
            rows = list(decode(LineSections(raw, names, names, {8: Relocated(1, 2)})))
        except LineProgramError:
            continue
        assert all(isinstance(row, Row) for row in rows)


def test_of_several_rows_for_one_place_the_last_statement_counts() -> None:
    rows = [
        Row(1, 0, "a.c", 1, statement=True, end=False),
        Row(1, 0, "a.c", 2, statement=True, end=False),
        Row(1, 0, "a.c", 3, statement=False, end=False),
        Row(1, 8, "a.c", 4, statement=False, end=False),
        Row(1, 16, "", 0, statement=False, end=True),
        Row(1, 16, "b.c", 9, statement=True, end=False),
        Row(1, 20, "", 0, statement=False, end=True),
    ]
    table = LineTable(rows)
    assert table.line_at(Place(1, 0)) == table.line_at(Place(1, 7)) == SourceLine("a.c", 2)
    assert str(table.line_at(Place(1, 9))) == "a.c:4"
    assert table.line_at(Place(1, 16)) == SourceLine("b.c", 9)
    assert table.line_at(Place(1, 20)) is None
    assert table.places("a.c", 4) == ()


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows of one section in order, some for the same place, with holes where a sequence ends."""
    rows, offset = [], 0
    for _ in range(draw(st.integers(1, 12))):
        end = draw(st.booleans()) and draw(st.booleans())
        rows.append(Row(1, offset, "a.c", draw(st.integers(1, 3)), statement=draw(st.booleans()), end=end))
        offset += draw(st.integers(0, 3))
    return [*rows, Row(1, offset + 1, "", 0, statement=False, end=True)]


@given(rows=tables(), offset=st.integers(0, 40))
def test_the_code_around_a_place_is_all_of_its_line_and_ends_where_another_begins(rows: list[Row], offset: int) -> None:
    table = LineTable([row._replace(statement=True) for row in rows])
    line = table.line_at(Place(1, offset))
    run = table.run_around(Place(1, offset))
    if line is None:
        assert run == ()
        return
    assert run[0] <= offset < run[-1]
    assert list(run) == sorted({*run})
    assert all(table.line_at(Place(1, inside)) == line for inside in range(run[0], run[-1]))
    assert table.line_at(Place(1, run[-1])) != line
    assert table.line_at(Place(1, run[0] - 1)) != line
    assert {*run[:-1]} == {row.offset for row in rows if run[0] <= row.offset < run[-1]}


def test_from_the_middle_of_a_line_the_code_ends_where_a_statement_begins() -> None:
    flags = [False, True, False, False, True, True, False]
    rows = [Row(1, 4 * i, "a.c", 7, statement=flag, end=False) for i, flag in enumerate(flags)]
    table = LineTable([*rows, Row(1, 28, "", 0, statement=False, end=True)])
    assert table.run_around(Place(1, 0)) == (0, 4)
    assert table.run_around(Place(1, 9)) == table.run_around(Place(1, 13)) == (8, 12, 16)
    assert table.run_around(Place(1, 24)) == (24, 28)
    assert table.run_around(Place(1, 4)) == table.run_around(Place(1, 22)) == (0, 4, 8, 12, 16, 20, 24, 28)


def test_there_is_no_code_around_a_place_without_a_line() -> None:
    table = LineTable([Row(1, 0, "a.c", 1, statement=True, end=False), Row(1, 4, "", 0, statement=False, end=True)])
    assert table.run_around(Place(1, 2)) == (0, 4)
    assert table.run_around(Place(1, 4)) == table.run_around(Place(2, 0)) == ()


def scheduled(*rows: tuple[int, bool]) -> LineTable:
    """A function of lines 10 to 20 in one file, four bytes a row, as an optimiser mixes them: (line, statement)."""
    first = [Row(1, 0, "a.c", 10, statement=True, end=False), Row(1, 0, "a.c", 11, statement=True, end=False)]
    middle = [Row(1, 4 + 4 * n, "a.c", line, statement=flag, end=False) for n, (line, flag) in enumerate(rows)]
    last = 4 + 4 * len(rows)
    end = [Row(1, last, "a.c", 20, statement=True, end=False), Row(1, last + 4, "", 0, statement=False, end=True)]
    return LineTable([*first, *middle, *end])


def on_from(rows: tuple[tuple[int, bool], ...], length: int = 4) -> int:
    """Where a step over line 11, whose first run ends at 4, goes on to."""
    function = range(4 * len(rows) + 8)
    return scheduled(*rows).run_on(Place(1, 0), 4, function, lambda _offset: length)


def test_single_instructions_of_other_lines_that_begin_no_statement_are_passed_over() -> None:
    assert on_from(((12, False), (11, False), (13, False), (12, True))) == 16
    assert on_from(((12, False),)) == 8
    assert on_from(((12, True), (11, False))) == 4
    assert on_from(((12, False), (12, True))) == 8


def test_behind_the_first_of_several_instructions_of_another_line_a_debugger_is_asked() -> None:
    assert on_from(((12, False), (11, False)), length=2) == 6
    assert on_from(((12, False), (11, False)), length=0) == 4


def test_lines_of_an_inlined_function_are_not_passed_over() -> None:
    assert on_from(((5, False), (11, False))) == 4
    assert on_from(((21, False), (11, False))) == 4


def test_from_an_inlined_function_no_line_of_its_caller_is_passed_over() -> None:
    """A debugger leaves a frame there."""
    table = scheduled((5, True), (12, False), (12, True))
    assert table.run_on(Place(1, 4), 8, range(20), lambda _offset: 4) == 8


def test_a_run_goes_on_to_the_functions_end_at_most() -> None:
    table = scheduled((12, False), (11, False), (12, False))
    assert table.run_on(Place(1, 0), 4, range(10), lambda _offset: 4) == 4  # its last line is not beyond line 11
    assert table.run_on(Place(1, 0), 4, range(14), lambda _offset: 8) == 12
    assert table.run_on(Place(2, 0), 4, range(10), lambda _offset: 4) == 4
