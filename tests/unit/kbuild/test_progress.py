# SPDX-License-Identifier: Apache-2.0
"""How far a build is, and how long it will take."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.kbuild.progress import BuildSize, Forecast, MeasuredBuild, Progress, Stage, expected_size, measured_build


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def forecast(plan: dict[Stage, float]) -> tuple[Forecast, Clock, list[Progress]]:
    clock, reports = Clock(), []
    return Forecast(plan, reports.append, clock), clock, reports


def test_the_measured_build_makes_sense() -> None:
    measured = measured_build()
    assert measured.size.steps > 1000
    assert 100 < measured.size.cpu_seconds < 2000
    assert len(measured.curve) > 10
    assert measured.curve[-1] == 1.0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_time_never_runs_backwards_and_ends_at_one(fractions: list[float]) -> None:
    times = [measured_build().time_fraction(fraction) for fraction in sorted(fractions)]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert measured_build().time_fraction(0) == 0
    assert measured_build().time_fraction(1) == measured_build().time_fraction(1.5) == 1


def test_a_steady_build_is_a_straight_line() -> None:
    steady = MeasuredBuild(BuildSize(1, 1, 1.0), (0.25, 0.5, 0.75, 1.0))
    assert [steady.time_fraction(n / 10) for n in (1, 5, 9)] == pytest.approx([0.1, 0.5, 0.9])


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.1, 10**6))
def test_a_size_reads_back_as_it_was_recorded(options: int, steps: int, seconds: float) -> None:
    size = BuildSize(options, steps, seconds)
    assert BuildSize.from_record(size.as_record()) == size
    assert BuildSize.from_record({"name": "6.1"} | size.as_record()) == size


@pytest.mark.parametrize(
    "change",
    [{"options": 0}, {"steps": "many"}, {"steps": -1}, {"cpu_seconds": -1}, {"cpu_seconds": 0},
     {"cpu_seconds": float("nan")}, {"cpu_seconds": float("inf")}, {"cpu_seconds": None}],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_not_used(change: dict[str, object]) -> None:
    record = {"options": 650, "steps": 1, "cpu_seconds": 1}
    assert BuildSize.from_record(record) == BuildSize(650, 1, 1.0)
    assert BuildSize.from_record(record | change) is None
    assert expected_size(measured_build().size.options, [record | change]) == measured_build().size


def test_a_build_is_predicted_from_the_recorded_one_most_like_it() -> None:
    small, large = ({"options": n, "steps": 10 * n, "cpu_seconds": n} for n in (100, 5000))
    assert expected_size(4000, [small, large]) == BuildSize(4000, 40000, 4000.0)
    assert expected_size(50, [small, large]) == BuildSize(50, 500, 50.0)


def test_at_first_the_plan_says_how_long_it_takes() -> None:
    job, _, reports = forecast({Stage.UNPACKING: 30, Stage.COMPILING: 300})
    job.begin(Stage.UNPACKING)
    assert reports[-1].seconds_left == 330
    assert reports[-1].fraction == 0


def test_after_some_of_a_stage_its_own_pace_says_it() -> None:
    job, clock, reports = forecast({Stage.COMPILING: 100})
    job.begin(Stage.COMPILING)
    clock.now += 200
    job.advance(0.5)
    assert reports[-1].seconds_left == pytest.approx(200)
    assert reports[-1].fraction == pytest.approx(0.5)


def test_an_early_hiccup_does_not_become_a_prediction() -> None:
    job, clock, reports = forecast({Stage.COMPILING: 300})
    job.begin(Stage.COMPILING)
    clock.now += 10
    job.advance(0.001)
    assert 250 < reports[-1].seconds_left < 400


def test_a_stage_that_somebody_else_did_meanwhile_is_not_waited_for() -> None:
    job, _, reports = forecast({Stage.UNPACKING: 30, Stage.COMPILING: 300})
    job.begin(Stage.WAITING)
    job.begin(Stage.COMPILING)
    assert reports[-1].seconds_left == 300


def test_a_stage_may_be_replanned_when_more_is_known() -> None:
    job, _, reports = forecast({Stage.CONFIGURING: 10, Stage.COMPILING: 300})
    job.begin(Stage.CONFIGURING)
    job.begin(Stage.COMPILING, 500)
    assert reports[-1].seconds_left == 500


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(-1, 2)), max_size=30))
def test_a_report_is_never_done_nor_negative(events: list[tuple[float, float]]) -> None:
    job, clock, reports = forecast({Stage.COMPILING: 100, Stage.FINISHING: 3})
    job.begin(Stage.COMPILING)
    for seconds, fraction in events:
        clock.now += seconds
        job.advance(fraction)
    assert all(0 <= report.fraction < 1 and report.seconds_left >= 0 for report in reports)
