# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a table for the terminal, as JSON for programs, and as Markdown for the documentation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sides import Measured

    from nullmodem.wire.meter import WireCost

BAUD = 115200
"""For the column of seconds: what a serial line of this rate needs for the bytes."""
COLUMNS = (
    ("plain", "trips"), ("nullmodem", "trips"), ("", "ratio"),
    ("plain", "bytes"), ("nullmodem", "bytes"), ("", "ratio"),
    ("plain", "seconds"), ("nullmodem", "seconds"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, on both sides; None where a side cannot do it, or has no need to."""

    name: str
    title: str
    plain: WireCost | None
    nullmodem: WireCost | None

    @property
    def cells(self) -> tuple[str, ...]:
        """As `COLUMNS` has them."""
        sides = (self.plain, self.nullmodem)
        trips = [side.round_trips if side else None for side in sides]
        octets = [total(side) if side else None for side in sides]
        seconds = [f"{side.seconds(BAUD):.3f}" if side else "" for side in sides]
        return (*_compared(*trips), *_compared(*octets), *seconds)


@dataclass(frozen=True, slots=True)
class Times:
    """Medians of several starts, in seconds, and the most memory a session needed, in MB.

    ``own_start`` is wall time, ``own_processor`` the processor's, which other work on the machine does not change.
    """

    starts: int
    to_init: float
    own_start: float
    own_processor: float
    boot: float
    memory: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one gdb. ``kernel``, ``gdb``, ``python`` and ``nullmodem`` are versions."""

    kernel: str
    gdb: str
    python: str
    nullmodem: str
    operations: tuple[Operation, ...]
    times: Times | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_table(self) -> Table:
        table = Table(title=self._title, title_justify="left")
        table.add_column("operation", overflow="fold")
        for side, unit in COLUMNS:
            table.add_column(f"{side}\n{unit}", justify="right", no_wrap=True)
        for operation in self.operations:
            table.add_row(operation.name, *operation.cells)
        return table

    def as_markdown(self) -> str:
        header = ("operation", *(f"{side} {unit}".strip() for side, unit in COLUMNS))
        lines = [f"### {self._title}", "", _row(header), "|---|" + "---:|" * len(COLUMNS)]
        lines += [_row((operation.title, *operation.cells)) for operation in self.operations]
        lines += ["", *self.sentences(), ""]
        return "\n".join(lines)

    def sentences(self) -> Iterator[str]:
        """The times in words."""
        if self.times is not None:
            times = self.times
            yield (
                f"From `nullmodem run` to gdb's prompt in the module's init: {times.to_init:.1f} s "
                f"(median of {times.starts}), of which the machine's boot is {times.boot:.1f} s "
                f"and nullmodem's own start {times.own_start:.1f} s ({times.own_processor:.1f} s of the processor). "
                f"The session's process needed {times.memory:.0f} MB at most."
            )

    @property
    def _title(self) -> str:
        return f"gdb {self.gdb}, Linux {self.kernel}, nullmodem {self.nullmodem}"


def compare(titles: dict[str, str], plain: dict[str, Measured], nullmodem: dict[str, Measured]) -> list[Operation]:
    """The operations that were measured on either side, in the order of ``titles``."""
    return [
        Operation(name, title, _cost(plain.get(name)), _cost(nullmodem.get(name)))
        for name, title in titles.items()
        if name in plain or name in nullmodem
    ]


def total(cost: WireCost) -> int:
    """Bytes both ways."""
    return cost.bytes_out + cost.bytes_in


def _cost(measured: Measured | None) -> WireCost | None:
    return measured.cost if measured is not None else None


def _compared(plain: int | None, ours: int | None) -> tuple[str, str, str]:
    ratio = f"{ours / plain:.2f}" if plain and ours is not None else ""
    return "" if plain is None else str(plain), "" if ours is None else str(ours), ratio


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
