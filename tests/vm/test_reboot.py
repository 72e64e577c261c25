# SPDX-License-Identifier: Apache-2.0
"""A machine that nullmodem did not start is reset under its session, without a word."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, Connection, ConsoleAt, connect
from nullmodem.api.live import LiveSession
from nullmodem.errors import TargetError, WireClosed
from nullmodem.kbuild import ensure_kernel
from nullmodem.session.model import State, StopReason
from nullmodem.targets import Accel, QemuSpec, QemuTarget
from nullmodem.targets.break_in import BreakInWays, SysrqKey
from nullmodem.wire.spec import parse_wire

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.vm

SECONDS = 60.0


def live_on(made: Connection, board: QemuTarget) -> LiveSession:
    """A session that has met its target and lets it run, and breaks in by the board's console."""
    ways = BreakInWays([SysrqKey(board.break_in)], None)
    live = LiveSession(made.session, ways)
    ways.stopped = live.stopped_within
    live.start(SECONDS)
    live.go()
    return live


def interrupt_again_and_again(live: LiveSession) -> None:
    """As a user does whose Ctrl-C had no effect."""
    for _ in range(5):
        with contextlib.suppress(TargetError):
            live.interrupt()


def test_a_reset_is_noticed_and_the_new_boot_is_attached_to_like_any_other(tmp_path: Path) -> None:
    kernel = ensure_kernel("6.1")
    socket = tmp_path / "kgdb.sock"
    spec = QemuSpec(
        kernel.image,
        accel=Accel.TCG,
        line=f"socket,path={socket},server=on,wait=off",
        qemu_args=("-action", "reboot=reset"),
    )
    options = AttachOptions(parse_wire(f"unix:{socket}"), kernel.vmlinux, ConsoleAt.NONE, ways=())
    with QemuTarget.launch(spec, tmp_path / "target") as board:
        made = connect(options, (), tmp_path / "first")
        with made.resources:
            live = live_on(made, board)
            position = board.console.position
            board.monitor("system_reset")
            # A shell that has opened the line again: a BREAK is heard from then on, if not always the first.
            board.wait_console(r"Linux version[\s\S]*built-in shell", SECONDS, since=position)
            with pytest.raises(WireClosed, match="the target has rebooted"):
                interrupt_again_and_again(live)
            assert live.state is State.LOST
            live.close(release=False)
        made = connect(options, (), tmp_path / "second")
        with made.resources:
            live = live_on(made, board)
            live.interrupt()
            assert live.wait_for_stop(SECONDS).reason is StopReason.INTERRUPT
            live.close(release=True)
