# SPDX-License-Identifier: Apache-2.0
"""What a debugger knows of code by its address: the row of the line table, and the calls that were inlined there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from nullmodem.symbols.kernel_lines import KernelLines
from nullmodem.symbols.lines import Place

if TYPE_CHECKING:
    from nullmodem.api.inspection import Inspection
    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Module
    from nullmodem.session.session import Session
    from nullmodem.symbols.lines import LineTable


@dataclass(frozen=True, slots=True)
class Span:
    """The code of one row of a line table: addresses [start, end), its source, whether a statement begins with it."""

    file: str
    line: int
    start: int
    end: int
    statement: bool


class Inlined(NamedTuple):
    """One inlined call: the function, and the line that calls it."""

    function: str
    file: str
    line: int
    column: int


def _function_at(address: int, session: Session) -> int:
    return session.world.function_at(address).start


class Code:
    """The code of the stopped target. Methods may be called from any thread, at a stop."""

    def __init__(self, live: LiveSession, inspection: Inspection) -> None:
        self._live = live
        self._inspection = inspection
        self._kernel = live.look_into(lambda session: session.world.kernel)
        self._lines = KernelLines(self._kernel.vmlinux)
        self._inlined: dict[tuple[int, object], dict[str, tuple[int, ...]]] = {}

    def span_at(self, address: int) -> Span | None:
        """The row that has the code at an address, or None. Raises SymbolError for broken debug info."""
        table, place, base = self._live.look_into(lambda session: self._find(session, address))
        if table is None and base == self._kernel.slide:
            table = self._lines.table_at(address - base)
        found = table.span_at(place) if table is not None else None
        if found is None:
            return None
        return Span(found.source.file, found.source.line, base + found.start, base + found.end, found.statement)

    def addresses_in_kernel(self, file: str, line: int) -> tuple[int, ...]:
        """Where a line of the kernel's own source has code; empty where it has none. The first question takes some
        seconds for a large kernel."""
        tables = self._lines.tables_of(file)
        return tuple(
            sorted({place.offset + self._kernel.slide for table in tables for place in table.places(file, line)})
        )

    def lines_in_kernel(self, file: str) -> tuple[int, ...]:
        """The lines of a file of the kernel's own source that have code."""
        return tuple(sorted({line for table in self._lines.tables_of(file) for line in table.lines_of(file)}))

    def is_of_kernel(self, file: str) -> bool:
        """Whether the kernel's own debug information names just this file."""
        return any(file in table.files for table in self._lines.tables_of(file))

    def lines_near(self, address: int, file: str) -> tuple[int, ...]:
        """The lines of a file that have code in the unit that the code at an address is of."""
        table, _place, base = self._live.look_into(lambda session: self._find(session, address))
        if table is None and base == self._kernel.slide:
            table = self._lines.table_at(address - base)
        return table.lines_of(file) if table is not None else ()

    def inlined_at(self, address: int) -> tuple[Inlined, ...]:
        """The inlined calls that the code at an address stands in, the outermost first."""
        try:
            chain = list(self._inspection.program().drgn.source_location(address))
        except LookupError:
            return ()
        calls = pairwise(chain)
        return tuple(Inlined(call.name(), at.filename, at.line, at.column) for call, at in calls)[::-1]

    def entered_at(self, address: int, stands_in: tuple[str, ...] = ()) -> int:
        """How many of the innermost inlined calls begin just at an address.

        A debugger that comes there shows the line that calls instead, and "step" goes into the function without having
        the target run (gdb's skip_inline_frames in inline-frame.c). ``stands_in`` are functions that somebody has asked
        to be stopped in, which are shown.
        """
        here, before = self.inlined_at(address), self.inlined_at(address - 1)
        count = 0
        for depth in range(len(here), 0, -1):
            if here[depth - 1].function in stands_in or before[:depth] == here[:depth]:
                break
            count += 1
        return count

    def inlined_in(self, module: Module) -> dict[str, tuple[int, ...]]:
        """Where the code of functions that were inlined in a module begins, by their names."""
        key = (module.loaded.address, module.instance)
        if key not in self._inlined:
            self._inlined = {key: self._find_inlined(module)}
        return self._inlined[key]

    def _find_inlined(self, module: Module) -> dict[str, tuple[int, ...]]:
        table = self._live.look_into(lambda session: session.world.lines.table_of(module))
        bases = {s.section.index: s.address for s in module.sections if module.in_memory(s)}
        found: dict[str, list[int]] = {}
        before: tuple[Inlined, ...] = ()
        seen: set[tuple[Inlined, ...]] = set()
        for place in table.rows_at if table is not None else ():
            if place.section not in bases:
                continue
            address = bases[place.section] + place.offset
            here = self.inlined_at(address)
            for depth in range(1, len(here) + 1):
                # Optimised code of one call is in many pieces: a stop is at the first.
                if before[:depth] != here[:depth] and here[:depth] not in seen:
                    seen.add(here[:depth])
                    found.setdefault(here[depth - 1].function, []).append(address)
            before = here
        return {function: tuple(addresses) for function, addresses in found.items()}

    def one_for_each_call(self, addresses: tuple[int, ...]) -> tuple[int, ...]:
        """Of the pieces that a line's code is in, the first of each function and of each inlined call in it."""
        first: dict[tuple[int, tuple[Inlined, ...]], int] = {}
        for address in sorted(addresses):
            function = self._live.look_into(partial(_function_at, address))
            first.setdefault((function, self.inlined_at(address) if len(addresses) > 1 else ()), address)
        return tuple(first.values())

    def _find(self, session: Session, address: int) -> tuple[LineTable | None, Place, int]:
        module = session.world.modules.containing(address)
        if module is None:
            slide = session.world.kernel.slide
            return None, Place(0, address - slide), slide
        section = next((s for s in module.sections if s.present and address in s.range), None)
        if section is None:
            return None, Place(0, 0), 0
        return (
            session.world.lines.table_of(module),
            Place(section.section.index, address - section.address),
            (section.address),
        )
