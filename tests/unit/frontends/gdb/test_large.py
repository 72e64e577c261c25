# SPDX-License-Identifier: Apache-2.0
"""64 processors and a thousand tasks: a stop costs what it costs on a small machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nullmodem.session.model import State
from nullmodem.testing.fakemachine import Task
from support.fakekernel import FakeKernel
from support.rig import Arrival, rig_on

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Gdb, Rig

CPUS, TASKS = 64, 1000


def requests_of(rig: Rig) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """What reached the stub when gdb attached, when a breakpoint was hit, and when gdb listed the threads there."""
    gdb, before = rig.gdb(), len(rig.fake.requests)
    gdb.attach()
    listed(gdb)
    attach = rig.fake.requests[before:]
    place = rig.kernel.symbol("do_init_module") + 4
    gdb.ask(b"Z0,%x,1" % place)
    hits = []
    for _ in range(2):  # the first time the breakpoint is set
        gdb.send(b"vCont;c")
        rig.until(State.RUNNING)
        before = len(rig.fake.requests)
        rig.happen(Arrival(place))
        gdb.stop()
        hits.append(rig.fake.requests[before:])
    before = len(rig.fake.requests)
    listed(gdb)
    return attach, hits[-1], rig.fake.requests[before:]


def listed(gdb: Gdb) -> int:
    """How many threads gdb gets to see."""
    document, offset = b"", 0
    while True:
        piece = gdb.ask(b"qXfer:threads:read::%x,f00" % offset)
        document += piece[1:]
        offset += len(piece) - 1
        if piece.startswith(b"l"):
            return len(re.findall(b"<thread ", document))


def test_a_stop_costs_the_same_on_64_processors_with_1000_tasks(kernel_file: Path, tmp_path: Path) -> None:
    kernel = FakeKernel(kernel_file)
    found = []
    for name, cpus, tasks in (("small", 2, 3), ("large", CPUS, TASKS)):
        directory = tmp_path / name
        directory.mkdir()
        with rig_on(kernel, directory, cpus=cpus) as rig:
            rig.machine.tasks |= {pid: Task(f"task{pid}") for pid in range(1000, 1000 + tasks)}
            found.append(requests_of(rig))
            assert listed(rig.gdbs[0]) == cpus + 1  # this kernel does not say which processor the task is on
    for what, small, large in zip(("attach", "hit", "list"), *found, strict=True):
        assert len(large) == len(small), (what, small, large)
