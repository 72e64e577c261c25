# SPDX-License-Identifier: Apache-2.0
"""What was measured, as table, JSON, Markdown and picture."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from nullmodem.bench.picture import Curve, bars, curves
from nullmodem.bench.report import Comparison, Report, compare
from nullmodem.bench.scenarios import Operation, ScenarioSet
from nullmodem.bench.sides import Measured
from nullmodem.wire.meter import WireCost

OPERATIONS = (Operation("next", "next over a <line>"), Operation("alone", "alone", "only one can"), Operation("x", "x"))
PLAIN = {"next": Measured(WireCost(1000, 3000, 30), (), 1.5), "alone": Measured(WireCost(), (), 0.0)}
OURS = {"next": Measured(WireCost(100, 500, 6), (), 0.25), "alone": Measured(WireCost(10, 10, 1), (), 0.1)}


def report(baud: int = 115200) -> Report:
    found = compare(ScenarioSet(Path("file"), {}, OPERATIONS, ()), PLAIN, OURS)
    return Report("6.1", "13.1", "3.11", "0.1", baud, found)


def test_operations_come_in_the_files_order_and_only_those_measured() -> None:
    assert [operation.name for operation in report().operations] == ["next", "alone"]


def test_ratios_are_ours_by_theirs_where_there_is_something_to_compare() -> None:
    following, alone = report().operations
    assert following.byte_ratio == pytest.approx(0.15)
    assert following.trip_ratio == pytest.approx(0.2)
    assert alone.byte_ratio is None
    assert Comparison("a", "a", "", None, following.nullmodem).trip_ratio is None


def test_json_has_every_speed_and_latency() -> None:
    found = json.loads(json.dumps(report().as_json()))["operations"][0]["plain"]
    assert found["bytes_in"] == 3000
    assert found["measured_seconds"] == 1.5
    assert found["modelled_seconds"]["115200"]["0 ms"] == pytest.approx(4000 * 10 / 115200, abs=1e-5)
    assert found["modelled_seconds"]["4000000"]["16 ms"] == pytest.approx(0.01 + 30 * 0.016, abs=1e-5)
    assert {len(each) for each in found["modelled_seconds"].values()} == {3}


def test_the_table_shows_seconds_measured_or_else_those_of_the_bytes() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report().as_table())
    assert "1.500" in console.export_text()
    console.print(report(0).as_table())
    assert "0.347" in console.export_text()


def test_markdown_has_a_row_for_each_operation_and_one_for_other_speeds() -> None:
    text = report().as_markdown()
    assert "| next over a <line> | 30 | 6 | 0.20 | 4000 | 600 | 0.15 | 1.500 | 0.250 |" in text
    assert "0.347 / 0.052" in text


def test_the_picture_has_bars_for_both_sides_of_what_can_be_compared() -> None:
    picture = ET.fromstring(bars(report()))
    texts = ["".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "next" in texts
    assert "0.15" in texts
    assert "alone" not in texts
    assert not [
        text for text in ET.tostring(picture, encoding="unicode").split('"') if "://" in text and "w3" not in text
    ]


def test_a_curve_goes_through_its_points() -> None:
    picture = ET.fromstring(curves("t", "tasks", "bytes", [Curve("a & b", ((0, 0), (50, 10), (100, 20)))]))
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2)
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.1)
    assert "a & b" in ["".join(element.itertext()) for element in picture.iter()]
