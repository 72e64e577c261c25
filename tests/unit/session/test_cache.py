# SPDX-License-Identifier: Apache-2.0
"""The stop cache: the same as memory, and never asked for twice."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nullmodem.errors import MemoryFault, UsageError
from nullmodem.session.cache import ADDRESS_LIMIT, LINE, PAGE, StopCache

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = 0xFFFF_8880_0000_0000
PAGES = 4
TOP = ADDRESS_LIMIT - PAGE


class Memory:
    """Pages, some of them unmapped; keeps every fetch."""

    def __init__(self, mapped: list[bool], base: int = BASE) -> None:
        self.base = base
        self.mapped = mapped
        self.content = bytearray((7 * n + (n >> 8)) & 0xFF for n in range(len(mapped) * PAGE))
        self.fetches: list[tuple[int, int]] = []

    def readable(self, address: int, length: int) -> bool:
        first, last = (address - self.base) // PAGE, (address + length - 1 - self.base) // PAGE
        return first >= 0 and last < len(self.mapped) and all(self.mapped[first : last + 1])

    def plain(self, address: int, length: int) -> bytes:
        return bytes(self.content[address - self.base : address - self.base + length])

    def fetch(self, address: int, length: int) -> bytes:
        self.fetches.append((address, length))
        if not self.readable(address, length):
            raise MemoryFault(address, length)
        return self.plain(address, length)


def cache_of(memory: Memory, *, limit: int = 511, ahead: int = LINE) -> StopCache:
    return StopCache(memory.fetch, limit=limit, ahead=ahead)


LIMITS = st.sampled_from([64, 100, 199, 511, 1023])
PLACES = st.integers(0, PAGES * PAGE - 1)
READS = st.tuples(st.just("read"), PLACES, st.integers(1, 2 * PAGE))
WRITES = st.tuples(st.just("write"), PLACES, st.binary(min_size=1, max_size=700))


@settings(max_examples=60)
@given(
    st.lists(st.booleans(), min_size=PAGES, max_size=PAGES),
    LIMITS,
    st.integers(0, 2048),
    st.lists(st.one_of(READS, READS, WRITES), max_size=12),
)
def test_it_reads_as_plain_memory_does_and_nothing_twice(
    mapped: list[bool], limit: int, ahead: int, operations: list[tuple[str, int, int | bytes]]
) -> None:
    memory = Memory(mapped)
    cache = cache_of(memory, limit=limit, ahead=ahead)
    for _kind, offset, what in operations:
        address = BASE + offset
        if isinstance(what, bytes):
            if memory.readable(address, len(what)):
                memory.content[offset : offset + len(what)] = what
                cache.overwrite(address, what)
            continue
        fetches = len(memory.fetches)
        if memory.readable(address, what):
            assert cache.read(address, what) == memory.plain(address, what)
        else:
            with pytest.raises(MemoryFault) as caught:
                cache.read(address, what)
            assert (caught.value.address, caught.value.length) == (address, what)
        repeated = len(memory.fetches)
        assert repeated - fetches <= -(-what // limit) + 2 * PAGES + 4
        with contextlib.suppress(MemoryFault):
            assert cache.read(address, what) == memory.plain(address, what)
        assert len(memory.fetches) == repeated, "the same was read a second time"
    assert all(0 < length <= limit for _address, length in memory.fetches)


def test_a_hit_costs_nothing_and_is_counted() -> None:
    memory = Memory([True])
    cache = cache_of(memory)
    assert cache.read(BASE + 1, 6) == memory.plain(BASE + 1, 6)
    assert cache.read(BASE + 3, 4) == memory.plain(BASE + 3, 4)
    assert memory.fetches == [(BASE, LINE)]
    statistics = cache.statistics
    assert (statistics.hits, statistics.misses) == (1, 1)
    assert (statistics.bytes_served, statistics.bytes_fetched) == (10, LINE)


def test_neighbours_are_merged_up_to_the_limit() -> None:
    memory = Memory([True])
    cache_of(memory, limit=511).read(BASE, 7 * LINE)
    assert memory.fetches == [(BASE, 7 * LINE)]


def test_a_read_across_two_lines_is_one_fetch() -> None:
    memory = Memory([True])
    cache_of(memory).read(BASE + LINE - 4, 8)
    assert memory.fetches == [(BASE, 2 * LINE)]


def test_only_what_is_missing_is_fetched_unless_that_takes_more_packets() -> None:
    memory = Memory([True])
    cache = cache_of(memory)
    cache.read(BASE, 1)
    cache.read(BASE, 3 * LINE)
    cache.read(BASE + 4 * LINE, 1)
    cache.read(BASE + 3 * LINE, 3 * LINE)
    exact = (BASE + 3 * LINE, 3 * LINE)
    assert memory.fetches == [(BASE, LINE), (BASE + LINE, 2 * LINE), (BASE + 4 * LINE, LINE), exact]


def test_who_goes_on_where_the_last_read_ended_is_given_more_each_time() -> None:
    """As `x/400xb` does, a byte at a time."""
    memory = Memory([True])
    cache = cache_of(memory, limit=511)
    for offset in range(64 * LINE):
        assert cache.read(BASE + offset, 1) == memory.plain(BASE + offset, 1)
    assert [length // LINE for _address, length in memory.fetches] == [1, 1, 4, 16, 63]
    cache.clear()
    cache.read(BASE, 1)
    cache.read(BASE + 2 * LINE, 1)
    assert memory.fetches[-2:] == [(BASE, LINE), (BASE + 2 * LINE, LINE)]


def test_more_is_read_ahead_for_who_looks_around_until_the_target_runs() -> None:
    memory = Memory([True, True])
    cache = cache_of(memory)
    cache.read_ahead(4 * LINE)
    cache.read(BASE, 1)
    with contextlib.suppress(MemoryFault), cache.reading_around(8 * LINE, 0):
        cache.read(BASE + 16 * LINE, 1)
        raise MemoryFault(BASE, 1)  # whoever looked around has found nothing
    cache.read(BASE + 64 * LINE, 1)
    cache.clear()
    cache.read(BASE, 1)
    assert [length // LINE for _address, length in memory.fetches] == [4, 8, 4, 1]


def test_a_long_read_asks_for_just_what_is_wanted_where_lines_would_cost_a_packet_more() -> None:
    memory = Memory([True])
    cache = cache_of(memory, limit=511)
    assert cache.read(BASE + 1, 511) == memory.plain(BASE + 1, 511)
    assert memory.fetches == [(BASE + 1, 511)]
    cache.read(BASE + LINE, 6 * LINE)  # the lines within are kept
    assert cache.read(BASE + 1, 511) == memory.plain(BASE + 1, 511)
    assert len(memory.fetches) == 1
    cache.overwrite(BASE + 3, b"new")
    memory.content[3:6] = b"new"
    assert cache.read(BASE + 1, 511) == memory.plain(BASE + 1, 511)


def test_who_reads_frames_from_their_ends_is_given_what_lies_before_too() -> None:
    memory = Memory([True, True])
    cache = cache_of(memory)
    with cache.reading_around(8 * LINE, 4 * LINE):
        for offset in (5, 4, 3, 2, 1, 12, 0):
            assert cache.read(BASE + offset * LINE, LINE) == memory.plain(BASE + offset * LINE, LINE)
    assert memory.fetches == [(BASE + LINE, 8 * LINE), (BASE + 9 * LINE, 8 * LINE), (BASE, LINE)]
    with cache.reading_around(2 * LINE, 4 * LINE):
        cache.read(BASE + PAGE, LINE)  # a page may be there without the one before
    cache.read(BASE + PAGE + 64 * LINE, LINE)
    assert memory.fetches[-2:] == [(BASE + PAGE, 2 * LINE), (BASE + PAGE + 64 * LINE, LINE)]


def test_reading_ahead_ends_at_the_page() -> None:
    memory = Memory([True, False])
    cache = cache_of(memory, ahead=256)
    cache.read(BASE, 8)
    cache.read(BASE + PAGE - 8, 8)
    assert memory.fetches == [(BASE, 256), (BASE + PAGE - LINE, LINE)]


@pytest.mark.parametrize("read", [lambda c: c.read(BASE + PAGE, 8), lambda c: c.read(BASE + PAGE - 8, 16)])
def test_what_is_not_there_is_asked_for_once(read: Callable[[StopCache], bytes]) -> None:
    memory = Memory([True, False])
    cache = cache_of(memory)
    for _ in range(9):
        with pytest.raises(MemoryFault):
            read(cache)
    assert sum(address >= BASE + PAGE for address, _length in memory.fetches) == 1


def test_the_readable_part_of_a_failed_read_is_kept() -> None:
    memory = Memory([True, False])
    cache = cache_of(memory)
    with pytest.raises(MemoryFault):
        cache.read(BASE + PAGE - LINE, 2 * LINE)
    before = len(memory.fetches)
    assert cache.read(BASE + PAGE - LINE, LINE) == memory.plain(BASE + PAGE - LINE, LINE)
    assert len(memory.fetches) == before


def test_a_long_read_that_fails_is_not_tried_again_and_names_all_of_it() -> None:
    memory = Memory([True, False])
    cache = cache_of(memory, limit=511)
    address = BASE + PAGE - 600
    for _ in range(3):
        with pytest.raises(MemoryFault) as caught:
            cache.read(address, 1022)
        assert (caught.value.address, caught.value.length) == (address, 1022)
    assert len([fetch for fetch in memory.fetches if not memory.readable(*fetch)]) <= 3


def test_a_cleared_cache_reads_and_fails_anew() -> None:
    memory = Memory([True, False])
    cache = cache_of(memory)
    cache.read(BASE, 8)
    with pytest.raises(MemoryFault):
        cache.read(BASE + PAGE, 8)
    cache.clear()
    memory.mapped[1] = True
    memory.content[0] = 0xEE
    assert cache.read(BASE, 1) == b"\xee"
    assert cache.read(BASE + PAGE, 8) == memory.plain(BASE + PAGE, 8)


def test_the_very_top_of_the_address_space_can_be_read() -> None:
    memory = Memory([True], base=TOP)
    cache = cache_of(memory, ahead=512)
    assert cache.read(ADDRESS_LIMIT - 8, 8) == memory.plain(ADDRESS_LIMIT - 8, 8)
    assert cache.read(ADDRESS_LIMIT - 700, 700) == memory.plain(ADDRESS_LIMIT - 700, 700)


@pytest.mark.parametrize(("address", "length"), [(ADDRESS_LIMIT - 8, 9), (ADDRESS_LIMIT, 1), (-1, 4), (1 << 70, 8)])
def test_what_is_no_address_is_a_fault_and_never_asked_for(address: int, length: int) -> None:
    memory = Memory([True])
    with pytest.raises(MemoryFault):
        cache_of(memory).read(address, length)
    assert memory.fetches == []


def test_more_than_anybody_waits_for_is_refused_at_once() -> None:
    memory = Memory([True])
    with pytest.raises(UsageError, match="too many"):
        cache_of(memory).read(0, 1 << 64)
    assert memory.fetches == []


def test_nothing_is_read_for_no_bytes() -> None:
    memory = Memory([False])
    assert cache_of(memory).read(BASE, 0) == b""
    assert memory.fetches == []
