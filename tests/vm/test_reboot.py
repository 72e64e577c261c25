# SPDX-License-Identifier: Apache-2.0
"""A machine that nullmodem did not start is reset under its session, without a word."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, Connection, connect
from nullmodem.api.lines import ConsoleAt
from nullmodem.api.live import LiveSession
from nullmodem.api.ways import parse_ways
from nullmodem.errors import TargetError, WireClosed
from nullmodem.kbuild import cache_root, ensure_kernel
from nullmodem.kernel.kept_breakpoints import KeptBreakpoints
from nullmodem.session.model import State, StopReason
from nullmodem.targets import Accel, QemuSpec, QemuTarget
from nullmodem.targets.break_in import BreakInWays, SysrqKey
from nullmodem.wire.spec import parse_wire
from support.lines import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.session.session import Session
    from nullmodem.targets.console import Console

pytestmark = pytest.mark.vm

SECONDS = 60.0
RESETS = ("-action", "reboot=reset")


def live_on(made: Connection, ways: BreakInWays) -> LiveSession:
    """A session that has met its target and lets it run."""
    live = LiveSession(made.session, ways)
    ways.stopped = live.stopped_within
    live.start(SECONDS)
    assert not live.look_into(remembers_hooks), "this boot's stub has had none yet"
    live.go()
    return live


def remembers_hooks(session: Session) -> bool:
    """Whether the kernel itself says that the stub has had the session's own breakpoints."""
    kernel = session.world.kernel
    return KeptBreakpoints(kernel.types, kernel.vmlinux, kernel.slide).include(session.target, session.world.hooks)


def interrupt_again_and_again(live: LiveSession) -> None:
    """As a user does whose Ctrl-C had no effect."""
    for _ in range(5):
        with contextlib.suppress(TargetError):
            live.interrupt()


def watch_it_reset(made: Connection, ways: BreakInWays, board: QemuTarget, console: Console) -> None:
    with made.resources:
        live = live_on(made, ways)
        board.exec("true", timeout=SECONDS).check()  # it runs, so it has taken what set it running
        position = console.position
        board.monitor("system_reset")
        # A shell that has opened the line again: a BREAK is heard from then on, if not always the first.
        console.wait(r"Linux version[\s\S]*built-in shell", SECONDS, since=position)
        with pytest.raises(WireClosed, match="the target has rebooted"):
            interrupt_again_and_again(live)
        assert live.state is State.LOST
        live.close(release=False)


def stop_it_once(made: Connection, ways: BreakInWays) -> None:
    with made.resources:
        live = live_on(made, ways)
        live.interrupt()
        assert live.wait_for_stop(SECONDS).reason is StopReason.INTERRUPT
        assert live.look_into(remembers_hooks)
        live.close(release=True)


def test_a_reset_is_noticed_and_the_new_boot_is_attached_to_like_any_other(tmp_path: Path) -> None:
    kernel = ensure_kernel("6.1")
    socket = tmp_path / "kgdb.sock"
    spec = QemuSpec(kernel.image, accel=Accel.TCG, line=f"socket,path={socket},server=on,wait=off", qemu_args=RESETS)
    options = AttachOptions(parse_wire(f"unix:{socket}"), kernel.vmlinux, ConsoleAt.NONE, ways=())
    with QemuTarget.launch(spec, tmp_path / "target", cache=cache_root()) as board:
        ways = BreakInWays([SysrqKey(board.break_in)], None)
        watch_it_reset(connect(options, (), tmp_path / "first"), ways, board, board.console)
        stop_it_once(connect(options, (), tmp_path / "second"), ways)


def test_a_reset_is_noticed_on_the_line_that_the_console_shares(tmp_path: Path) -> None:
    kernel = ensure_kernel("6.1")
    port = free_port()
    line = f"socket,host=127.0.0.1,port={port},server=on,wait=off,telnet=on,nodelay=on"
    spec = QemuSpec(kernel.image, accel=Accel.TCG, line=line, shared=True, qemu_args=RESETS)
    options = AttachOptions(parse_wire(f"telnet:127.0.0.1:{port}"), kernel.vmlinux, ways=parse_ways(["break"]))
    with QemuTarget.launch(spec, tmp_path / "target", cache=cache_root()) as board:
        made = connect(options, (), tmp_path / "first")
        assert made.console is not None
        watch_it_reset(made, made.ways, board, made.console)
        made = connect(options, (), tmp_path / "second")
        stop_it_once(made, made.ways)
