# SPDX-License-Identifier: Apache-2.0
"""Planning the reads of a struct."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.fields import WIRE_READ, Field, StructReader, plan, read_up_to
from nullmodem.testing.memory import FakeMemory

if TYPE_CHECKING:
    from support.fakekernel import FakeKernel

FIELDS = st.lists(st.builds(Field, st.integers(0, 3000), st.integers(1, 700)), min_size=1, max_size=12)


@given(fields=FIELDS)
def test_every_field_is_in_one_window_of_the_wires_size(fields: list[Field]) -> None:
    windows = plan(fields)
    for field in fields:
        assert any(start <= field.offset and field.end <= end for start, end in windows)
    longest = max(field.size for field in fields)
    assert all(end - start <= max(WIRE_READ, longest) for start, end in windows)


@given(fields=st.lists(st.builds(Field, st.integers(0, 3000), st.integers(1, 64)), min_size=1, max_size=12))
def test_there_are_as_few_windows_as_can_be(fields: list[Field]) -> None:
    fewest, covered = 0, -1
    for field in sorted(fields, key=lambda field: (field.offset, field.end)):
        if field.end > covered:
            fewest, covered = fewest + 1, field.offset + WIRE_READ
    assert len(plan(fields)) == fewest


def test_of_equally_few_windows_the_shortest_are_taken() -> None:
    assert plan([Field(0, 8), Field(400, 8), Field(600, 8)]) == ((0, 8), (400, 608))
    assert plan([]) == ()


def test_a_missing_member_is_named(layouts: FakeKernel) -> None:
    with pytest.raises(KernelDataError, match="struct module has no colour"):
        StructReader(layouts.types, "struct module", ["name", "colour"])


def test_optional_members_are_read_where_they_are(layouts: FakeKernel) -> None:
    reader = StructReader(layouts.types, "struct module", ["state"], optional=["percpu", "colour"])
    assert "percpu" in reader
    assert "colour" not in reader
    size = layouts.types.size("struct module")
    record = reader.read(FakeMemory({0x1000: bytes(range(256)) * (size // 256 + 1)}), 0x1000)
    assert record.integer("state") == 0x03020100
    assert record.raw("state") == bytes(range(4))
    assert record.get("percpu") == record.integer("percpu") != 0
    assert record.get("colour") == 0
    assert "colour" not in record


def test_a_read_near_the_end_of_memory_makes_do_with_what_it_needs() -> None:
    memory = FakeMemory({0x1000: b"abcdef"})
    assert read_up_to(memory, 0x1000, 6, 2) == b"abcdef"
    assert read_up_to(memory, 0x1002, 6, 2) == b"cd"
    with pytest.raises(MemoryFault):
        read_up_to(memory, 0x1005, 6, 2)


def test_one_more_window_is_taken_when_it_saves_more_than_a_read_costs() -> None:
    fields = [Field(0, 8), Field(100, 8), Field(300, 8)]
    assert plan(fields, read_cost=93) == ((0, 108), (300, 308))
    assert plan(fields, read_cost=193) == ((0, 308),)
    assert plan(fields, read_cost=10) == ((0, 8), (100, 108), (300, 308))
