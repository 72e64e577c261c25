# SPDX-License-Identifier: Apache-2.0
"""A BREAK that travels: by telnet to a real kernel's UART, straight and through a real terminal server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError
from nullmodem.session.model import StopReason
from support.lines import Ser2net, free_port
from vm.test_attach import boot_board

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm]


@pytest.mark.slow
def test_a_break_by_telnet_stops_it_again_and_again(tmp_path: Path) -> None:
    """Straight, and handed on by a real ser2net. QEMU's port is set by nobody, so RFC 2217 itself ends at ser2net."""
    port = free_port()
    device = f"socket,host=127.0.0.1,port={port},server=on,wait=off,telnet=on,nodelay=on"
    with contextlib.ExitStack() as stack:
        board = boot_board(stack, "6.1", device, shared=True, at=f"telnet:127.0.0.1:{port}")
        with board.attached(ways=("break",)) as machine:
            for _ in range(3):
                assert machine.interrupt().reason is StopReason.INTERRUPT
                machine.continue_target()
        server = Ser2net(tmp_path)
        between = server.add(f"telnet(rfc2217),tcp,127.0.0.1,{port}")
        with server.run(), board.attached(f"telnet:127.0.0.1:{between}", ways=("break",)) as machine:
            assert machine.interrupt().reason is StopReason.INTERRUPT
            machine.continue_target()
        board.sh("echo 16 > /proc/sys/kernel/sysrq")  # some keys, and not this one
        with pytest.raises(TargetError) as failed, board.attached(ways=("break",)):
            pass
        assert "kernel.sysrq does not allow it" in failed.value.message
        assert board.sh("echo alive") == "alive\n"
