# SPDX-License-Identifier: Apache-2.0
"""Which sign decides a boot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.targets.boot import BootWatch, Down, Up, boot_timeout

PANIC = b"[    0.5] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
FAILED = b"nullmodem: boot failed: no command ports\r\n"


def test_the_agents_decide() -> None:
    watch = BootWatch()
    watch.console(b"Run /init as init process\r\n")
    watch.up()
    watch.down("it ended later")
    assert watch.wait(1) == Up()


def test_silence_is_down() -> None:
    assert BootWatch().wait(0.01) == Down("it did not answer within 0.01 s")


def test_a_machine_that_says_nothing_at_all_is_given_up_sooner() -> None:
    assert BootWatch().wait(60, silence=0.01) == Down("its console printed nothing for 0.01 s")
    watch = BootWatch()
    watch.console(b"L")
    assert watch.wait(0.02, silence=0.01) == Down("it did not answer within 0.02 s")


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
