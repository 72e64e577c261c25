# SPDX-License-Identifier: Apache-2.0
"""Which sign decides a boot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import BootError, BootTimeout
from nullmodem.targets.boot import BootWatch, Down, Up, boot_again, boot_timeout

PANIC = b"[    0.5] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
FAILED = b"nullmodem: boot failed: no command ports\r\n"


def test_the_agents_decide() -> None:
    watch = BootWatch()
    watch.console(b"Run /init as init process\r\n")
    watch.up()
    watch.down("it ended later")
    assert watch.wait(1) == Up()


def test_silence_is_down() -> None:
    assert BootWatch().wait(0.01) == Down("it did not answer within 0.01 s", late=True)


def test_a_machine_that_says_nothing_at_all_is_given_up_sooner() -> None:
    assert BootWatch().wait(60, silence=0.01) == Down("its console printed nothing for 0.01 s")
    watch = BootWatch()
    watch.console(b"L")
    assert watch.wait(0.02, silence=0.01) == Down("it did not answer within 0.02 s", late=True)


@pytest.mark.parametrize(("cpus", "host", "seconds"), [(1, 2, 60), (2, 2, 60), (4, 2, 120), (64, 16, 240)])
def test_processors_that_take_turns_are_given_longer(cpus: int, host: int, seconds: float) -> None:
    assert boot_timeout(cpus, host) == seconds


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (PANIC, "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"),
        (FAILED, "no command ports"),
    ],
)
@given(data=st.data())
def test_what_ends_a_boot_is_seen_however_it_is_split(line: bytes, reason: str, data: st.DataObject) -> None:
    text = b"noise\r\n" + line + b"more"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    watch = BootWatch()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        watch.console(text[start:end])
    assert watch.wait(1) == Down(reason)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    watch = BootWatch()
    for _ in range(100):
        watch.console(b"x" * 65536)
    assert len(watch._line) <= 4096


class Machine:
    """What boots as it is told, and notes how long it was given."""

    def __init__(self, *failures: BootError) -> None:
        self.failures = list(failures)
        self.given: list[float] = []

    def __call__(self, timeout: float) -> str:
        self.given.append(timeout)
        if self.failures:
            raise self.failures.pop(0)
        return "up"


LATE = BootTimeout("the target did not boot: it did not answer\nlast words")


def test_a_machine_that_stood_still_is_booted_once_more() -> None:
    machine, told = Machine(LATE), list[str]()
    assert boot_again(machine, 60, told.append) == "up"
    assert machine.given == [30, 60]
    assert told == ["the target did not boot: it did not answer; booting once more"]


def test_one_that_comes_up_is_booted_once() -> None:
    machine = Machine()
    assert boot_again(machine, 60, pytest.fail) == "up"
    assert machine.given == [30]


@pytest.mark.parametrize("failures", [(BootError("it panicked"),), (LATE, LATE)])
def test_one_that_has_failed_or_stands_still_again_is_an_error(failures: tuple[BootError, ...]) -> None:
    machine = Machine(*failures)
    with pytest.raises(BootError) as caught:
        boot_again(machine, 60, lambda _line: None)
    assert caught.value is failures[-1]
    assert len(machine.given) == len(failures)
