# SPDX-License-Identifier: Apache-2.0
"""Lines of a linked kernel, decoded a unit at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.symbols.kernel_lines import KernelLines
from nullmodem.symbols.lines import Place
from nullmodem.symbols.vmlinux import Vmlinux
from support.fakekernel import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "debug_core.c"
FUNCTION = "int do_init_module(struct module *module) {"


@pytest.fixture
def vmlinux(kernel_path: Path) -> Iterator[Vmlinux]:
    opened = Vmlinux.open(kernel_path)
    yield opened
    opened.close()


def line_of(text: str) -> int:
    lines = (HERE / "fakekernel.c").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_an_address_has_the_line_of_its_code(vmlinux: Vmlinux) -> None:
    symbol = vmlinux.symbol("do_init_module")
    assert symbol is not None
    table = KernelLines(vmlinux).table_at(symbol.address)
    assert table is not None
    span = table.span_at(Place(0, symbol.address))
    assert span is not None
    assert span.source.file.endswith(FILE)
    assert span.source.line == line_of(FUNCTION)
    assert span.start == symbol.address < span.end
    assert span.statement


def test_a_line_has_the_addresses_of_its_code(vmlinux: Vmlinux) -> None:
    symbol = vmlinux.symbol("do_init_module")
    assert symbol is not None
    line = line_of(FUNCTION)
    tables = KernelLines(vmlinux).tables_of(FILE)
    assert Place(0, symbol.address) in {place for table in tables for place in table.places(FILE, line)}
    assert line in {number for table in tables for number in table.lines_of(FILE)}


def test_where_there_is_no_code_there_is_no_line(vmlinux: Vmlinux) -> None:
    lines = KernelLines(vmlinux)
    assert lines.table_at(0x1000) is None
    assert lines.tables_of("nosuch.c") == ()
