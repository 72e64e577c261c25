# SPDX-License-Identifier: Apache-2.0
"""Pictures of what was measured, as SVG: bars for each operation, and curves. They fetch nothing from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from nullmodem.bench.report import BAUDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nullmodem.bench.report import Comparison, Report

WIDTH: Final = 900
_BARS: Final = 250
"""Where bars begin; what they are called stands before."""
_UNIT: Final = 330
"""How long plain gdb's are."""
_MOST: Final = 1.4
"""nullmodem's are not drawn longer than that."""
_BAR: Final = 9
_ROW: Final = 28
_HEAD: Final = 64
_PLAIN, _OURS, _INK, _FAINT, _PAPER = "#b4b8bf", "#2f7d5b", "#22262b", "#8a9099", "#ffffff"
_FONT: Final = 'font-family="ui-sans-serif, system-ui, sans-serif"'


def bars(report: Report) -> str:
    """Bytes of each operation that can be compared: plain gdb's are a bar of one length, nullmodem's a part of it.

    Behind each stand both sides' seconds at 115200 baud.
    """
    shown = [operation for operation in report.operations if operation.byte_ratio is not None]
    height = _HEAD + _ROW * len(shown) + 12
    return _document(height, [*_head(report), *_rows(shown)])


def _head(report: Report) -> Iterator[str]:
    yield _text(16, 24, "What each operation needs of the wire, plain gdb = 1", size=16, weight=600)
    yield _text(16, 44, report.title, size=11, colour=_FAINT)
    yield _box(_BARS + 190, 35, 12, _BAR, _PLAIN)
    yield _text(_BARS + 208, 44, "plain gdb", size=11)
    yield _box(_BARS + 290, 35, 12, _BAR, _OURS)
    yield _text(_BARS + 308, 44, "nullmodem, in bytes", size=11)
    yield _text(WIDTH - 16, 44, f"seconds at {BAUDS[0]} baud", size=11, anchor="end")


def _rows(shown: Sequence[Comparison]) -> Iterator[str]:
    for number, operation in enumerate(shown):
        y = _HEAD + _ROW * number
        ratio = operation.byte_ratio or 0.0
        ours = min(ratio, _MOST) * _UNIT
        yield _text(_BARS - 10, y + 14, operation.name, size=12, anchor="end")
        yield _box(_BARS, y + 1, _UNIT, _BAR, _PLAIN)
        yield _box(_BARS, y + 2 + _BAR, ours, _BAR, _OURS)
        yield _text(_BARS + ours + 6, y + 2 + 2 * _BAR, f"{ratio:.2f}", size=10, colour=_OURS)
        yield _text(WIDTH - 16, y + 14, _seconds(operation), size=11, anchor="end")


def _seconds(operation: Comparison) -> str:
    sides = (operation.plain, operation.nullmodem)
    return " → ".join(f"{side.cost.seconds(BAUDS[0]):.2f}" for side in sides if side is not None)


@dataclass(frozen=True, slots=True)
class Curve:
    """How something grows: a name, and (x, y) points in order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


def curves(title: str, across: str, up: str, drawn: Sequence[Curve]) -> str:
    """Several curves on one pair of linear axes that begin at zero. ``across`` and ``up`` say what they count."""
    left, top, right, bottom = 76, 56, WIDTH - 190, 330
    most_x = max((x for curve in drawn for x, _y in curve.points), default=1) or 1
    most_y = max((y for curve in drawn for _x, y in curve.points), default=1) or 1
    parts = [_text(16, 24, title, size=16, weight=600), _text(left, 46, up, size=11, colour=_FAINT)]
    parts.append(_text(right, bottom + 36, across, size=11, colour=_FAINT, anchor="end"))
    for quarter in range(5):
        y = bottom - (bottom - top) * quarter / 4
        x = left + (right - left) * quarter / 4
        parts.append(_line(left, y, right, y))
        parts.append(_text(left - 8, y + 4, _number(most_y * quarter / 4), size=10, colour=_FAINT, anchor="end"))
        parts.append(_text(x, bottom + 18, _number(most_x * quarter / 4), size=10, colour=_FAINT, anchor="middle"))
    colours = (_OURS, "#b0572b", "#3a62a8", "#7b4f9d")
    for curve, colour in zip(drawn, colours, strict=False):
        places = [(left + (right - left) * x / most_x, bottom - (bottom - top) * y / most_y) for x, y in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        x, y = places[-1]
        parts.append(_text(x + 10, y + 4, curve.name, size=11, colour=colour))
    return _document(bottom + 52, parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _document(height: float, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    paper = f'<rect width="100%" height="100%" fill="{_PAPER}"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>', paper, *parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{_PLAIN}" stroke-width=".5"/>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(
    x: float, y: float, text: str, *, size: int, colour: str = _INK, anchor: str = "start", weight: int = 400
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{escape(text)}</text>"
