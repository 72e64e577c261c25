# SPDX-License-Identifier: Apache-2.0
"""Showing a build's progress."""

from __future__ import annotations

import io
import signal
from contextlib import ExitStack

import pytest
from rich.console import Console

from nullmodem.frontends.cli.building import building, time_left
from nullmodem.kbuild import Progress, Stage


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, _environ={})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-3.0, "a few seconds left"),
        (3.0, "a few seconds left"),
        (42.0, "about 40 s left"),
        (59.9, "about 60 s left"),
        (95.0, "about 1.5 min left"),
        (240.0, "about 4 min left"),
        (1500.0, "about 25 min left"),
    ],
)
def test_time_left_is_as_exact_as_an_estimate_deserves(seconds: float | None, words: str) -> None:
    assert time_left(seconds) == words


def test_without_a_terminal_there_is_a_line_for_each_stage_and_each_tenth() -> None:
    out = console(terminal=False)
    with building(out) as progress:
        progress(Progress(Stage.CONFIGURING, 0.0, 300))
        for percent in range(5, 100):
            progress(Progress(Stage.COMPILING, percent / 100, 300 - 3 * percent, f"[a]/file{percent}.o"))
    lines = out.file.getvalue().splitlines()
    assert lines[0] == "configuring the kernel: about 5 min left"
    assert lines[1] == "compiling the kernel: 5%, about 5 min left"
    assert lines[-1] == "compiling the kernel: 90%, about 30 s left"
    assert len(lines) == 11
    assert "\x1b" not in out.file.getvalue()


def test_on_a_terminal_there_is_a_bar_with_the_time_left_and_it_is_gone_at_the_end() -> None:
    out = console(terminal=True)
    with building(out) as progress:
        progress(Progress(Stage.COMPILING, 0.4, 130, "kernel/[module]/main.o"))
    shown = out.file.getvalue()
    assert "compiling the kernel" in shown
    assert "40%" in shown
    assert "about 2 min left" in shown
    assert "main.o" in shown


def test_control_c_is_one_line_and_exit_code_130() -> None:
    out = console(terminal=False)
    with pytest.raises(SystemExit) as caught, building(out):
        raise KeyboardInterrupt
    assert caught.value.code == 130
    assert out.file.getvalue() == "nullmodem: interrupted; nothing half-built was kept\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_signal_unwinds_the_build_and_is_handled_as_before_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    unwound: list[signal.Signals] = []
    build = ExitStack()
    build.callback(unwound.append, number)
    with pytest.raises(SystemExit) as caught, building(console(terminal=False)), build:
        signal.raise_signal(number)
    assert caught.value.code == 128 + number
    assert unwound == [number]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("terminal", [False, True])
def test_what_has_no_measure_claims_none(*, terminal: bool) -> None:
    out = console(terminal=terminal)
    with building(out) as progress:
        progress(Progress(Stage.MODULE, None, detail="simple.o"))
    shown = out.file.getvalue()
    assert "building the module" in shown
    assert "%" not in shown
