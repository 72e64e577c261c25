# SPDX-License-Identifier: Apache-2.0
"""`nullmodem doctor` on a real kernel's lines: its console, and kgdb's own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cli import Cli

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QemuTarget, Relay, Path]]:
    """A kernel with kdb that no session knows; its kgdb line, and its console's socket."""
    directory = tmp_path_factory.mktemp("doctor")
    with contextlib.ExitStack() as stack:
        kernel = ensure_kernel("6.1-kdb")
        target = stack.enter_context(
            QemuTarget.launch(QemuSpec(kernel=kernel.image), directory / "work", cache=cache_root())
        )
        relay = Relay(target.kgdb, directory / "line")
        stack.callback(relay.close)
        target.serve_console(directory / "console")
        yield target, relay, directory / "console"


def test_a_console_s_shell_tells_how_its_kernel_is_set(cli: Cli, machine: tuple[QemuTarget, Relay, Path]) -> None:
    target, _relay, console = machine
    target.exec("echo 16 > /proc/sys/kernel/sysrq").check()
    found = cli.facts("doctor", f"unix:{console}")
    findings = {finding["what"]: finding for finding in found["findings"]}
    assert (found["found"], found["verdict"]) == ("a shell", "warn")
    assert findings["kgdboc"]["says"] == "ttyS1,115200"
    assert "with kdb" in findings["kernel"]["says"]
    assert findings["sysrq"]["says"].startswith("16: BREAK and g do nothing")
    assert findings["sysrq"]["fix"] == "On the target: sysctl kernel.sysrq=1"
    assert "BREAK" not in findings
    target.exec("echo 1 > /proc/sys/kernel/sysrq").check()
    target.exec("echo > /sys/module/kgdboc/parameters/kgdboc").check()
    text = cli.good("doctor", f"unix:{console}")
    assert "kgdb has no line" in text
    assert "gdbstart -n -t /dev/ttyS0" in text
    target.exec("echo ttyS1,115200 > /sys/module/kgdboc/parameters/kgdboc").check()


def test_kgdb_s_own_line_is_silent_then_kdb_then_kgdb(cli: Cli, machine: tuple[QemuTarget, Relay, Path]) -> None:
    target, relay, _console = machine
    line = f"unix:{relay.address}"
    assert cli.facts("doctor", line)["found"] == "silence"
    target.break_in()
    assert cli.facts("doctor", line)["found"] == "kdb"
    with relay.connect() as client:
        client.sendall(b"$?#3f")
        said = b""
        while not said.endswith(b"$S05#b8"):
            said += client.recv(100)
        client.sendall(b"+")
    for _ in range(2):
        assert cli.facts("doctor", line)["found"] == "kgdb"
    with relay.connect() as client:
        client.sendall(b"$D#44")
        said = b""
        while not said.endswith(b"$OK#9a"):
            said += client.recv(100)
        client.sendall(b"+")
    assert target.exec("echo well", timeout=30).text == "well\n"
