# SPDX-License-Identifier: Apache-2.0
"""The terminal server between a real gdb and a real kernel is ended and started again, on the line that all share."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.ways import parse_ways
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.session.model import Said, State
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.gdb import Gdb
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import parse_wire
from support.gdb import quick_start, wheel
from support.lines import Ser2net
from support.modules import copy_module

if TYPE_CHECKING:
    from nullmodem.session.events import Subscription

pytestmark = [pytest.mark.vm, pytest.mark.gdb]
SECONDS = 60.0


def wait_for(events: Subscription, words: str) -> None:
    while True:
        event = events.get()
        if isinstance(event, Said) and words in event.text:
            return
        if event is None:
            assert wait_readable([events], SECONDS), f"nobody said {words!r}"


@pytest.mark.slow
def test_gdb_and_its_breakpoints_outlive_the_line() -> None:
    kernel = ensure_kernel("6.12")
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-")))
        spec = QemuSpec(kernel.image, line=f"socket,path={directory}/line,server=on,wait=off", shared=True)
        board = stack.enter_context(QemuTarget.launch(spec, directory / "board", cache=cache_root()))
        built = build_module(copy_module("simple", directory), kernel, directory / "build")
        board.exec(f"insmod {board.push(built.ko)}").check()
        server = Ser2net(directory)
        port = server.add(f"unix,{directory}/line", "tcp")
        cable = stack.enter_context(contextlib.ExitStack())
        cable.enter_context(server.run())
        options = AttachOptions(
            parse_wire(f"tcp:127.0.0.1:{port}"), kernel.vmlinux, search=(directory,), ways=parse_ways(["shell"])
        )
        machine = attach("board", options, look_at_files(options), directory / "session")
        stack.callback(machine.close)
        events = machine.live.subscribe()
        stack.callback(events.close)
        gdb_server = GdbServer(machine.live, listen_unix(directory / "gdb.sock"))
        stack.callback(gdb_server.close)
        gdb = stack.enter_context(Gdb(wheel(), *quick_start(wheel()), machine.live.vmlinux))
        gdb(f"target remote {gdb_server.address}")
        gdb("break simple_read")
        gdb.send("continue")
        machine.live.wait_until_running(SECONDS)
        board.exec("true", timeout=SECONDS).check()  # it runs, and ser2net has nothing of the debugger's any more

        cable.close()  # while it runs
        wait_for(events, "the line to the target is gone")
        cable.enter_context(server.run())
        wait_for(events, "was given its breakpoints anew")
        reading = machine.run("cat /dev/simple")
        assert "simple_read (" in gdb.wait(SECONDS)

        cable.close()  # while it stands
        wait_for(events, "the line to the target is gone")
        assert machine.live.state is State.DISCONNECTED
        cable.enter_context(server.run())
        wait_for(events, "stands where it stood")
        assert '"hello"' in gdb("print simple_text")
        assert "do_syscall_64" in gdb("bt")
        gdb.send("continue")
        assert "simple_read (" in gdb.wait(SECONDS), "where the file ends"
        gdb.send("continue")
        result = reading.wait(SECONDS, stops=False).result
        assert result is not None
        assert "hello" in result.text

        cable.close()  # and it stops while nobody hears it
        wait_for(events, "the line to the target is gone")
        board.exec("(sleep 0.1; cat /dev/simple > /dev/null) &").check()
        cable.enter_context(server.run())
        assert "simple_read (" in gdb.wait(SECONDS)
        gdb("delete")
        gdb.send("continue")
        machine.live.wait_until_running(SECONDS)
        assert board.exec("echo alive", timeout=SECONDS).check().text == "alive\n"
