# SPDX-License-Identifier: Apache-2.0
"""What has been read of the target while it stands still, so that nothing is read twice.

The cache is valid for one stop: whoever resumes the target clears it. Writes go through and update it. Reads that
failed are remembered too: gdb asks for the same unmapped address up to nine times in one backtrace.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS_LIMIT = 1 << 64
PAGE = 4096
LINE = 8
"""Bytes in a line. A divisor of every page size, so a line is readable as a whole or not at all; small, because each
byte that is read for nothing costs two characters on the wire."""
LONGEST = 1 << 24
"""Bytes one read may ask for: two hours at 115200 baud, and a bound for whoever mistakes an address for a length."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """How often the wire was spared, since the session began."""

    hits: int = 0
    misses: int = 0
    bytes_served: int = 0
    bytes_fetched: int = 0


class StopCache:
    """Memory of one stop, in lines.

    Args:
        fetch: reads ``(address, length)`` from the target in one packet; raises MemoryFault.
        limit: most bytes one fetch may ask for, at least a line.
        ahead: see `read_ahead`.

    A reader that goes on where the last read ended is given more each time.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, limit: int, ahead: int = LINE) -> None:
        self._fetch = fetch
        self._limit = limit
        self._run = limit // LINE
        self._usual = self._least = max(1, ahead // LINE)
        self._ahead = self._least
        self._behind = 0
        self._end = 0
        self._streak = 0
        self._lines: dict[int, bytes] = {}
        self._faults: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._hits = self._misses = self._served = self._fetched = 0

    @property
    def statistics(self) -> CacheStatistics:
        return CacheStatistics(self._hits, self._misses, self._served, self._fetched)

    def read_ahead(self, length: int) -> None:
        """Have a miss read so many bytes at least, from the start of its line on and never across a page, until the
        cache is cleared. Worth more on a fast wire with slow turn-around; on a slow one what is read for nothing costs
        two characters a byte."""
        self._least = max(1, length // LINE)

    @contextlib.contextmanager
    def reading_around(self, ahead: int, behind: int) -> Iterator[None]:
        """Have each miss read so many bytes meanwhile, and so many before those asked for in the same page: most of
        what lies near will be wanted."""
        before, self._least, self._behind = self._least, max(self._least, ahead // LINE), behind // LINE
        try:
            yield
        finally:
            self._least, self._behind = before, 0

    def clear(self) -> None:
        """Forget everything: the target runs."""
        self._end = self._streak = 0
        self._least = self._usual
        self._lines.clear()
        self._faults.clear()
        self._pieces.clear()

    def read(self, address: int, length: int) -> bytes:
        """Exactly ``length`` bytes.

        Raises:
            MemoryFault: one of them cannot be read; it names the whole range.
            UsageError: more than LONGEST.
        """
        if length <= 0:
            return b""
        if length > LONGEST:
            msg = f"{length} bytes at {address:#x} are too many to read at once ({LONGEST} at most)"
            raise UsageError(msg)
        if address < 0 or address + length > ADDRESS_LIMIT:
            raise MemoryFault(address, length)
        self._served += length
        bases = range(address // LINE * LINE, address + length, LINE)
        known = self._known(bases, address, length)
        if known is not None:
            self._hits += 1
            return known
        self._misses += 1
        if length > LINE and -(-length // self._limit) < sum(1 for _run in self._runs(bases)):
            exact = self._read_exactly(bases, address, length)
            if exact is not None:
                return exact
        self._look_ahead(bases, length)
        self._fill(self._from_behind(bases))
        found = self._known(bases, address, length)
        if found is None:
            raise MemoryFault(address, length)
        return found

    def spared(self, length: int) -> None:
        """So many bytes were known without a read."""
        self._hits += 1
        self._served += length

    def _look_ahead(self, bases: range, length: int) -> None:
        """How much to read: who takes one small piece behind the other will want the next ones."""
        follows = bases.start <= self._end <= bases.stop and self._end not in self._lines
        self._streak = self._streak + 1 if follows else 0
        more = max(self._least, -(-length // LINE)) * 4 ** (self._streak - 1) if self._streak > 1 else self._least
        self._ahead = min(more, self._run)

    def _from_behind(self, bases: range) -> range:
        """Also what is not known of the lines just before."""
        start, first = bases.start, max(bases.start // PAGE * PAGE, bases.start - self._behind * LINE)
        while start > first and start - LINE not in self._lines:
            start -= LINE
        return range(start, bases.stop, LINE)

    def _known(self, bases: range, address: int, length: int) -> bytes | None:
        if all(base in self._lines for base in bases):
            start = address - bases[0]
            return b"".join(self._lines[base] for base in bases)[start : start + length]
        piece = self._pieces.get(address, b"")
        return piece[:length] if len(piece) >= length else None

    def overwrite(self, address: int, data: bytes) -> None:
        """The target now holds ``data`` at ``address``; what was read before shows it."""
        end = address + len(data)
        for at in [at for at, piece in self._pieces.items() if at < end and address < at + len(piece)]:
            del self._pieces[at]
        for base in range(address // LINE * LINE, end, LINE):
            line = self._lines.get(base)
            if line is None:
                continue
            start, stop = max(address, base), min(end, base + LINE)
            patched = line[: start - base] + data[start - address : stop - address] + line[stop - base :]
            self._lines[base] = patched

    def _read_exactly(self, bases: range, address: int, length: int) -> bytes | None:
        """Read what whole lines would need one more packet for; None where a part of it is not readable."""
        if not self._faults.isdisjoint(bases):
            return None
        data = b""
        try:
            while len(data) < length:
                data += self._fetch(address + len(data), min(self._limit, length - len(data)))
            self._pieces[address] = data
        except MemoryFault:
            pass
        lead = -address % LINE
        whole = max(0, len(data) - lead) // LINE * LINE
        self._store(address + lead, data[lead : lead + whole])
        self._fetched += len(data) - whole
        return data if len(data) == length else None

    def _fill(self, bases: range) -> None:
        """Read the missing lines, neighbours merged; stops at the first page that cannot be read."""
        for first, count in self._runs(bases):
            if not self._fill_run(first, count):
                return

    def _fill_run(self, first: int, count: int) -> bool:
        if first in self._faults:
            return False
        try:
            self._store(first, self._fetch(first, count * LINE))
        except MemoryFault:
            boundary = first // PAGE * PAGE + PAGE
            here = min(count, (boundary - first) // LINE)
            if here < count:  # only one of the two pages may be missing: ask for each by itself
                return self._fill_run(first, here) and self._fill_run(boundary, count - here)
            self._faults.update(range(first, first + count * LINE, LINE))
            return False
        return True

    def _store(self, first: int, data: bytes) -> None:
        self._fetched += len(data)
        self._end = first + len(data)
        for offset in range(0, len(data), LINE):
            self._lines[first + offset] = data[offset : offset + LINE]

    def _runs(self, bases: range) -> Iterator[tuple[int, int]]:
        """Runs of missing lines as (base, count), each at most one packet long."""
        base = bases.start
        while base < bases.stop:
            if base in self._lines:
                base += LINE
                continue
            count = 1
            while count < self._run and self._wanted(base, base + count * LINE, bases):
                count += 1
            yield base, count
            base += count * LINE

    def _wanted(self, first: int, base: int, bases: range) -> bool:
        if base in self._lines or base in self._faults or base >= ADDRESS_LIMIT:
            return False
        asked = base < bases.stop
        read_ahead = base < first + self._ahead * LINE and base % PAGE != 0
        return asked or read_ahead
