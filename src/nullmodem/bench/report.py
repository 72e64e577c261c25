# SPDX-License-Identifier: Apache-2.0
"""What was measured: a table for the terminal, JSON for programs, Markdown for documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nullmodem.bench.scenarios import ScenarioSet
    from nullmodem.bench.sides import Measured
    from nullmodem.wire.meter import WireCost

BAUDS = (115200, 921600, 4_000_000)
LATENCIES = (0.0, 0.001, 0.016)
"""Seconds that a round trip takes besides: none, a network's, an FTDI adapter's as it comes."""
COLUMNS = (
    ("plain", "trips"), ("nullmodem", "trips"), ("", "ratio"),
    ("plain", "bytes"), ("nullmodem", "bytes"), ("", "ratio"),
    ("plain", "seconds"), ("nullmodem", "seconds"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """What an operation took on one side. ``seconds``: of wall time, over the line it was measured on."""

    cost: WireCost
    seconds: float

    @property
    def bytes(self) -> int:
        return total(self.cost)

    def as_json(self) -> dict[str, Any]:
        cost = self.cost
        modelled = {
            str(baud): {f"{latency * 1000:.0f} ms": round(cost.seconds(baud, latency), 6) for latency in LATENCIES}
            for baud in BAUDS
        }
        return {
            "bytes_out": cost.bytes_out,
            "bytes_in": cost.bytes_in,
            "round_trips": cost.round_trips,
            "measured_seconds": round(self.seconds, 4),
            "modelled_seconds": modelled,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operation on both sides; None where a side cannot do it. ``lone``: why the sides are not compared."""

    name: str
    title: str
    lone: str
    plain: Taken | None
    nullmodem: Taken | None

    @property
    def comparable(self) -> bool:
        return self.plain is not None and self.nullmodem is not None and not self.lone

    @property
    def byte_ratio(self) -> float | None:
        """nullmodem's bytes by plain gdb's; None where nothing can be compared."""
        if not self.comparable or not self.plain or not self.nullmodem or not self.plain.bytes:
            return None
        return self.nullmodem.bytes / self.plain.bytes

    @property
    def trip_ratio(self) -> float | None:
        """The same of round trips."""
        if not self.comparable or not self.plain or not self.nullmodem or not self.plain.cost.round_trips:
            return None
        return self.nullmodem.cost.round_trips / self.plain.cost.round_trips

    def cells(self, *, measured: bool) -> tuple[str, ...]:
        """As `COLUMNS` has them. ``measured``: seconds are those measured, not those a line of 115200 baud needs."""
        sides = (self.plain, self.nullmodem)
        trips = [str(side.cost.round_trips) if side else "" for side in sides]
        octets = [str(side.bytes) if side else "" for side in sides]
        seconds = [f"{side.seconds if measured else side.cost.seconds(BAUDS[0]):.3f}" if side else "" for side in sides]
        return (*trips, _ratio(self.trip_ratio), *octets, _ratio(self.byte_ratio), *seconds)

    def modelled(self) -> tuple[str, ...]:
        """Seconds for each speed and latency, both sides."""
        sides = (self.plain, self.nullmodem)
        return tuple(
            " / ".join(f"{side.cost.seconds(baud, latency):.3f}" if side else "-" for side in sides)
            for baud in BAUDS
            for latency in LATENCIES
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "lone": self.lone,
            "plain": self.plain.as_json() if self.plain else None,
            "nullmodem": self.nullmodem.as_json() if self.nullmodem else None,
            "byte_ratio": _rounded(self.byte_ratio),
            "trip_ratio": _rounded(self.trip_ratio),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one gdb. ``kernel``, ``gdb``, ``python`` and ``nullmodem`` are versions.

    ``baud``: the speed of the line that seconds were measured over; 0: it had no limit.
    """

    kernel: str
    gdb: str
    python: str
    nullmodem: str
    baud: int
    operations: tuple[Comparison, ...]

    @property
    def title(self) -> str:
        return f"gdb {self.gdb}, Linux {self.kernel}, nullmodem {self.nullmodem}"

    def operation(self, name: str) -> Comparison:
        """Raises KeyError when it was not measured."""
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise KeyError(name)

    def as_json(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "gdb": self.gdb,
            "python": self.python,
            "nullmodem": self.nullmodem,
            "measured_over_baud": self.baud,
            "operations": [operation.as_json() for operation in self.operations],
        }

    def as_table(self) -> Table:
        table = Table(title=self.title, title_justify="left")
        table.add_column("operation", overflow="fold")
        for side, unit in COLUMNS:
            table.add_column(f"{side}\n{unit}", justify="right", no_wrap=True)
        for operation in self.operations:
            table.add_row(operation.name, *operation.cells(measured=bool(self.baud)))
        return table

    def as_markdown(self) -> str:
        header = ("operation", *(f"{side} {unit}".strip() for side, unit in COLUMNS))
        lines = [f"### {self.title}", "", _row(header), "|---|" + "---:|" * len(COLUMNS)]
        lines += [_row((each.title, *each.cells(measured=bool(self.baud)))) for each in self.operations]
        models = [f"{baud // 1000}k, {latency * 1000:.0f} ms" for baud in BAUDS for latency in LATENCIES]
        lines += ["", "Seconds that lines of other speeds need, plain gdb / nullmodem:", ""]
        lines += [_row(("operation", *models)), "|---|" + "---:|" * len(models)]
        lines += [_row((each.name, *each.modelled())) for each in self.operations]
        return "\n".join([*lines, ""])


def compare(
    scenarios: ScenarioSet, plain: Mapping[str, Measured], nullmodem: Mapping[str, Measured]
) -> tuple[Comparison, ...]:
    """The operations that were measured on either side, in the order of the scenario file."""
    return tuple(
        Comparison(each.name, each.title, each.lone, _taken(plain.get(each.name)), _taken(nullmodem.get(each.name)))
        for each in scenarios.operations
        if each.name in plain or each.name in nullmodem
    )


def total(cost: WireCost) -> int:
    """Bytes both ways."""
    return cost.bytes_out + cost.bytes_in


def _taken(measured: Measured | None) -> Taken | None:
    return Taken(measured.cost, measured.seconds) if measured is not None else None


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
