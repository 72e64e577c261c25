# SPDX-License-Identifier: Apache-2.0
"""How far a kernel build is and how long it will still take, honestly.

`make` prints a line per step. How many there will be, and how the time is spread over them (the last steps, the links,
take much of it), is known from an earlier build: one of this machine if the cache holds one, else the one measured for
the package (``data/profile.json``). The time left is at first what that build took, and becomes what this one's own
pace says as evidence comes in.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import resources
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CURVE_POINTS: Final = 40
_TRUSTED_FRACTION: Final = 0.15  # after this much of a stage its own pace alone predicts the rest
_NEVER_DONE: Final = 0.995  # a build that outgrows its prediction waits here instead of claiming to be done


class Stage(Enum):
    """What is being done, in words for a person."""

    WAITING = "waiting for another build"
    UNPACKING = "unpacking the kernel source"
    CONFIGURING = "configuring the kernel"
    COMPILING = "compiling the kernel"
    FINISHING = "finishing the kernel"
    MODULE = "building the module"


@dataclass(frozen=True, slots=True)
class Progress:
    """One report. ``fraction`` of the whole job is between 0 and 1; ``seconds_left`` is None while unknown."""

    stage: Stage
    fraction: float
    seconds_left: float | None = None
    detail: str = ""


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class BuildProfile:
    """What one compilation took: ``options`` set to y or m, make's ``steps``, ``cpu_seconds``, and ``curve``: the
    fraction of the time gone by at equally spaced fractions of the steps, the last one 1.
    """

    options: int
    steps: int
    cpu_seconds: float
    curve: tuple[float, ...]

    @classmethod
    def measured(cls, options: int, times: Sequence[float], wall: float, cpu_seconds: float) -> BuildProfile:
        """The profile of a build that took ``wall`` seconds and reported its steps at ``times`` since its start."""
        marks = [min(len(times) - 1, round(n * len(times) / _CURVE_POINTS)) for n in range(1, _CURVE_POINTS)]
        curve = [round(times[mark] / wall, 4) for mark in marks] if times else [1.0]
        return cls(options, len(times), round(cpu_seconds, 1), (*curve, 1.0))

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """The profile in a JSON record, or None when it is not one."""
        match record:
            case {
                "options": int(options),
                "steps": int(steps),
                "cpu_seconds": float(cpu_seconds) | int(cpu_seconds),
                "curve": [*curve],
            } if min(options, steps, cpu_seconds) > 0 and _is_curve(curve):
                return cls(options, steps, float(cpu_seconds), tuple(curve))
        return None

    def as_record(self) -> dict[str, object]:
        return asdict(self)

    def time_fraction(self, step_fraction: float) -> float:
        """The fraction of the time that has gone by after ``step_fraction`` (0 to 1) of the steps."""
        position = step_fraction * len(self.curve)
        index = min(int(position), len(self.curve) - 1)
        before = self.curve[index - 1] if index else 0.0
        return before + (self.curve[index] - before) * min(1.0, position - index)


def _is_curve(values: Sequence[object]) -> bool:
    numbers = [value for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    return len(numbers) == len(values) > 0 and numbers == sorted(numbers) and numbers[0] >= 0 and numbers[-1] == 1


def packaged_profile() -> BuildProfile:
    """The build measured for the package: the default fragment on 6.1."""
    file = resources.files("nullmodem.kbuild") / "data" / "profile.json"
    profile = BuildProfile.from_record(json.loads(file.read_text(encoding="utf-8")))
    assert profile is not None
    return profile


def closest_profile(options: int, records: Sequence[Mapping[str, object]]) -> BuildProfile:
    """The profile to predict a build with ``options`` from: the recorded one of the most similar size, else ours."""
    known = [profile for record in records if (profile := BuildProfile.from_record(record)) is not None]
    return min(known or [packaged_profile()], key=lambda profile: abs(math.log(profile.options / max(1, options))))


class Forecast:
    """The progress of a job of several stages. Not thread-safe; one clock, one caller.

    ``plan`` gives the seconds each stage is expected to take; ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self, plan: Mapping[Stage, float], report: ProgressCallback, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = dict(plan)
        self._report = report
        self._clock = clock
        self._stage: Stage | None = None
        self._started = clock()
        self._spent = 0.0

    def begin(self, stage: Stage, expected: float | None = None, detail: str = "") -> None:
        """Enter the next stage; ``expected`` replaces the seconds planned for it."""
        now = self._clock()
        if self._stage is not None:
            self._spent += now - self._started
        order = list(Stage)
        planned = self._plan.get(stage, 0.0) if expected is None else expected
        # What should have come before and did not (somebody else did it meanwhile) will not come any more.
        self._plan = {later: left for later, left in self._plan.items() if order.index(later) > order.index(stage)}
        self._plan[stage] = planned
        self._stage, self._started = stage, now
        self.advance(0.0, detail)

    def advance(self, fraction: float, detail: str = "") -> None:
        """The stage is done to ``fraction`` (of its time, not of its steps)."""
        assert self._stage is not None
        fraction = min(max(fraction, 0.0), 1.0)
        elapsed = self._clock() - self._started
        left = max(0.0, self._plan[self._stage] - elapsed)
        if fraction > 0:
            trust = min(1.0, fraction / _TRUSTED_FRACTION)
            left = trust * elapsed * (1 - fraction) / fraction + (1 - trust) * left
        left += sum(seconds for stage, seconds in self._plan.items() if stage is not self._stage)
        gone = self._spent + elapsed
        whole = gone / (gone + left) if gone + left > 0 else 0.0
        self._report(Progress(self._stage, min(whole, _NEVER_DONE), left, detail))


def silent(_: Progress) -> None:
    """For callers that do not want to know."""
