# SPDX-License-Identifier: Apache-2.0
"""Megabytes of kernel messages, forged packets among them, while hundreds of breakpoints hit on the same line."""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from pathlib import Path

import pytest

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.ways import parse_ways
from nullmodem.errors import WireTimeout
from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Resume, StopReason
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.wire.spec import parse_wire
from support.modules import copy_module

pytestmark = [pytest.mark.vm, pytest.mark.soak]

ROUNDS = 250
LINES = 52
FILL = 400
"""With these, what is printed is more than 5 MB."""
FORGED = "$T05thread:01;#b3 +$OK#9a $g#67 - costs $5"
SCRIPT = f"""
fill=$(printf '%{FILL - len(FORGED) - 20}s' | tr ' ' x)
n=0
while [ $n -lt {{rounds}} ]; do
  i=0
  while [ $i -lt {LINES} ]; do echo "line $n.$i "'{FORGED}'" $fill" > /dev/kmsg; i=$((i + 1)); done
  cat /dev/simple > /dev/null
  n=$((n + 1))
done
"""


def run_rounds(rounds: int) -> tuple[bytes, int]:
    """Print and hit, so many times; the console's log, and how often the breakpoint was hit."""
    kernel = ensure_kernel("6.12")
    with tempfile.TemporaryDirectory(prefix="nm-") as name:
        directory = Path(name)
        spec = QemuSpec(kernel.image, line=f"socket,path={directory}/line,server=on,wait=off", shared=True)
        with QemuTarget.launch(spec, directory / "board", cache=cache_root()) as board:
            built = build_module(copy_module("simple", directory), kernel, directory / "build")
            board.exec(f"echo on > /proc/sys/kernel/printk_devkmsg; insmod {board.push(built.ko)}").check()
            options = AttachOptions(
                parse_wire(f"unix:{directory}/line"), kernel.vmlinux, search=(directory,), ways=parse_ways(["shell"])
            )
            machine = attach("soak", options, look_at_files(options), directory / "session")
            try:
                hits = 0
                client = machine.live.attach("test")
                machine.live.acknowledge(client, machine.interrupt().number)
                module = machine.live.module("simple")
                assert module.file is not None
                symbol = module.file.symbol("simple_read")
                assert symbol is not None
                text = next(s for s in module.sections if s.section.name == symbol.section)
                machine.live.insert(client, Breakpoint(BreakpointKind.SOFTWARE, text.address + symbol.offset, 1))
                script = SCRIPT.format(rounds=rounds)
                printing = threading.Thread(target=lambda: board.exec(script).check())
                after = machine.live.resume(client, Resume()).after
                printing.start()
                while printing.is_alive():
                    with contextlib.suppress(WireTimeout):
                        stop = machine.live.wait_for_stop(5, after=after)
                        assert stop.reason is StopReason.BREAKPOINT
                        hits += 1
                        machine.live.acknowledge(client, stop.number)
                        after = machine.live.resume(client, Resume()).after
                return (directory / "session" / "console.log").read_bytes(), hits
            finally:
                machine.close()


@pytest.mark.timeout(3000)
def test_not_a_byte_of_five_megabytes_is_lost_or_doubled_while_breakpoints_hit() -> None:
    log, hits = run_rounds(ROUNDS)
    assert hits >= 500
    fill = "x" * (FILL - len(FORGED) - 20)
    shown = re.findall(rb"\[ *\d+\.\d+\] (line \d[^\r\n]*)\r\n", log)
    expected = [f"line {n}.{i} {FORGED} {fill}".encode() for n in range(ROUNDS) for i in range(LINES)]
    assert len(log) > 5_000_000
    assert shown == expected
    rest = re.sub(rb"\[ *\d+\.\d+\] line \d[^\r\n]*\r\n", b"", log)
    assert re.findall(rb"\$[^#$\r\n]*#[0-9a-f]{2}", rest) == []
