# SPDX-License-Identifier: Apache-2.0
"""How far a kernel build is and how long it will still take, honestly.

`make` prints a line per step. How many there will be and how much work they are is known from an earlier build: one of
this machine if the cache holds one, else the one measured for the package. How the time is spread over the steps (some
are compilations, some only lists of files, the last ones link it all) is known from that measured one. The time left
is at first what the earlier build took, and becomes what this one's own pace says as evidence comes in.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    """One report. ``fraction`` of the whole job is from 0 to 1, None where it has no measure; ``seconds_left`` is None
    while unknown.
    """

    stage: Stage
    fraction: float | None
    seconds_left: float | None = None
    detail: str = ""


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class BuildSize:
    """What one compilation took: ``options`` set to y or m, the ``steps`` make reported, ``cpu_seconds`` in all."""

    options: int
    steps: int
    cpu_seconds: float

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """The size in a JSON record, or None when there is none in it or it makes no sense."""
        match record:
            case {
                "options": int(options),
                "steps": int(steps),
                "cpu_seconds": float(cpu_seconds) | int(cpu_seconds),
            } if min(options, steps) > 0 and 0 < cpu_seconds < math.inf:
                return cls(options, steps, float(cpu_seconds))
        return None

    def as_record(self) -> dict[str, object]:
        return asdict(self)

    def scaled(self, options: int) -> BuildSize:
        """The size expected of a build with another number of options set."""
        ratio = options / self.options
        return BuildSize(options, max(1, round(self.steps * ratio)), self.cpu_seconds * ratio)


@dataclass(frozen=True, slots=True)
class MeasuredBuild:
    """The build measured for the package: its size, and at equally spaced fractions of its steps the fraction of its
    CPU time that was used, the last one 1. CPU time, because it does not depend on what else the machine was doing.
    """

    size: BuildSize
    curve: tuple[float, ...]

    def time_fraction(self, step_fraction: float) -> float:
        """The fraction of the time that has gone by after ``step_fraction`` (0 to 1) of the steps."""
        position = min(max(step_fraction, 0.0), 1.0) * len(self.curve)
        index = min(int(position), len(self.curve) - 1)
        before = self.curve[index - 1] if index else 0.0
        return before + (self.curve[index] - before) * min(1.0, position - index)


@cache
def measured_build() -> MeasuredBuild:
    """The default fragment on 6.1, as measured for ``data/profile.json``."""
    file = resources.files("nullmodem.kbuild") / "data" / "profile.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    size = BuildSize.from_record(record)
    assert size is not None
    return MeasuredBuild(size, tuple(record["curve"]))


def expected_size(options: int, records: Iterable[object]) -> BuildSize:
    """The size to expect of a build with ``options`` set: scaled from the recorded one most like it, else from ours."""
    known = [size for record in records if (size := BuildSize.from_record(record)) is not None]
    closest = min(known or [measured_build().size], key=lambda size: abs(math.log(size.options / max(1, options))))
    return closest.scaled(max(1, options))


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
