# SPDX-License-Identifier: Apache-2.0
"""Makes these recordings anew, each from a real kernel and a real gdb: `.venv/bin/python tests/recordings/make.py`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from nullmodem.api.boot import BootOptions, boot  # noqa: E402
from nullmodem.frontends.gdb.server import GdbServer, listen_unix  # noqa: E402
from nullmodem.kbuild import ensure_kernel  # noqa: E402
from support.gdb import Gdb, debian, quick_start  # noqa: E402  # tests is no package
from support.modules import copy_module  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.api.machine import Machine

LOOK = ("bt", "info locals", "info registers", "info threads")


@contextlib.contextmanager
def recorded(name: str, kernel: str, module: str) -> Iterator[tuple[Machine, Gdb]]:
    """A machine that is recorded to NAME.rec, a module built for it, and a gdb that is attached."""
    path = HERE / f"{name}.rec"
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="nm-") as directory, contextlib.ExitStack() as stack:
        machine = boot("record", BootOptions(kernel=ensure_kernel(kernel), record=path), Path(directory, "work"))
        stack.callback(machine.close)
        machine.build(copy_module(module, Path(directory)))
        server = GdbServer(machine.live, listen_unix(Path(directory, "gdb.sock")))
        stack.callback(server.close)
        gdb = stack.enter_context(Gdb(debian(), *quick_start(debian()), machine.live.vmlinux))
        gdb(f"target remote {server.address}")
        yield machine, gdb


def look(gdb: Gdb) -> None:
    """Wait for a stop, and look at it."""
    gdb.wait()
    gdb.all(LOOK)


def main() -> None:
    """A breakpoint in a loaded module, a module's whole life from its first line on, and a fault."""
    with recorded("linux-6.1-breakpoint", "6.1", "simple") as (machine, gdb):
        gdb("break simple_read")
        gdb.send("continue")
        machine.live.wait_until_running(60)
        machine.load("simple").wait()
        machine.run("cat /dev/simple")
        look(gdb)
        gdb.all(("next", "next", "finish", "detach"))

    with recorded("linux-6.12-life", "6.12", "simple") as (machine, gdb):
        gdb.all(("break simple_init", "break simple_exit"))
        gdb.send("continue")
        machine.live.wait_until_running(60)
        loading = machine.load("simple")
        look(gdb)
        gdb.send("continue")
        loading.wait(60, stops=False)
        machine.unload("simple")
        look(gdb)
        gdb("detach")

    with recorded("linux-6.12-fault", "6.12", "oopsinit") as (machine, gdb):
        gdb.send("continue")
        machine.live.wait_until_running(60)
        machine.load("oopsinit")
        look(gdb)
        gdb.all(("x/16gx $sp", "detach"))


if __name__ == "__main__":
    main()
