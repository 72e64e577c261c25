# SPDX-License-Identifier: Apache-2.0
"""`gdbstart` on the target, with the words of the article: whoever debugs takes it from there."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.gdbstart import program
from nullmodem.kbuild import Kernel, cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.relay import Relay
from support.gdb import EVERY_KERNEL_ONE_GDB, Gdb, quick_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.targets.target import ExecResult
    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

WORDS = "gdbstart -s 115200 -t /dev/ttyS1"

# A root of its own, in which a test puts what it wants the program to find.
JAIL = """
rm -rf /tmp/jail; mkdir -p /tmp/jail/bin /tmp/jail/dev; cd /tmp/jail
mount --bind /bin bin; mount --bind /dev dev
{make}
chroot /tmp/jail /bin/sh -c {command!r}; code=$?
umount bin dev; exit $code
"""
READY = (
    "mkdir -p sys/module/kgdboc/parameters sys/class/tty/ttyS1 sys/kernel/security proc/sys/kernel;"
    "echo ttyS1,115200 >sys/module/kgdboc/parameters/kgdboc; echo 1 >proc/sys/kernel/sysrq; : >proc/sysrq-trigger;"
)


@dataclass
class Plain:
    """A booted kernel that no session knows, with `gdbstart` on it, and the gdb to debug it with."""

    kernel: Kernel
    target: QemuTarget
    relay: Relay
    gdb_path: str

    def sh(self, command: str) -> ExecResult:
        return self.target.exec(command, timeout=30)

    def jailed(self, make: str, command: str = WORDS) -> ExecResult:
        return self.sh(JAIL.format(make=make, command=command))


FIRST, OTHER = EVERY_KERNEL_ONE_GDB


@pytest.fixture(scope="module", params=[FIRST, pytest.param(*OTHER.values, id=OTHER.id, marks=pytest.mark.soak)])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    name, gdb = request.param
    directory = tmp_path_factory.mktemp("plain")
    kernel = ensure_kernel(name)
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(
            QemuTarget.launch(QemuSpec(kernel=kernel.image, kaslr=False), directory / "work", cache=cache_root())
        )
        relay = Relay(target.kgdb, directory / "line")
        stack.callback(relay.close)
        (directory / "gdbstart").write_text(program(), encoding="utf-8")
        target.push(directory / "gdbstart", "/bin/gdbstart")
        target.exec("chmod 755 /bin/gdbstart").check()
        yield Plain(kernel, target, relay, gdb())


def test_a_plain_gdb_takes_it_from_there(plain: Plain, cli: Cli, tmp_path: Path) -> None:
    plain.sh("echo > /sys/module/kgdboc/parameters/kgdboc; echo 16 > /proc/sys/kernel/sysrq").check()
    file = str(tmp_path / "gdbinit")
    cli.good("gdbinit", plain.relay.address, "-o", file, "--vmlinux", str(plain.kernel.vmlinux))

    ended: list[ExecResult] = []
    thread = threading.Thread(target=lambda: ended.append(plain.sh(WORDS)))
    since = len(plain.target.console_text())
    thread.start()
    plain.target.wait_console("sysrq: DEBUG", 30, since=since)
    with Gdb(plain.gdb_path, *quick_start(plain.gdb_path), "-x", file) as gdb:
        assert "kgdb_breakpoint" in gdb("rmt")
        assert "write_sysrq_trigger" in gdb("bt")
        assert ended == []
        gdb("detach")
    thread.join(30)
    (result,) = ended
    assert result.code == 0, result.text
    assert "waits on /dev/ttyS1 at 115200 baud" in result.text
    assert result.text.endswith("gdbstart: the machine runs\n")
    assert plain.sh("cat /sys/module/kgdboc/parameters/kgdboc /proc/sys/kernel/sysrq").text == "ttyS1,115200\n1\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("-x", 2, "usage: gdbstart"),
        ("ttyS1", 2, "what is 'ttyS1'?"),
        ("-s fast", 2, "'fast' is no speed"),
        ("-t /dev/ttyS99", 2, "there is no /dev/ttyS99"),
        ("-t /dev/null", 2, "/dev/null is no serial line"),
        ("-t ../dev/ttyS1", 2, "is no serial line"),
        ("-t /dev/ttyS1 -s 115201", 1, "cannot be set to 115201 baud"),
        ("-t /dev/ttyS3", 1, "/dev/ttyS3 cannot be set to 115200 baud"),
    ],
)
def test_a_wrong_command_is_told_what_is_wrong_and_changes_nothing(
    plain: Plain, arguments: str, code: int, words: str
) -> None:
    before = plain.sh("cat /sys/module/kgdboc/parameters/kgdboc").text
    result = plain.sh(f"gdbstart {arguments}")
    assert words in result.text
    assert result.code == code
    assert plain.sh("cat /sys/module/kgdboc/parameters/kgdboc").text == before


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        ("", 1, "/sys is not mounted"),
        ("mkdir -p sys/module", 1, "no kgdboc"),
        (f"{READY} rm proc/sysrq-trigger", 1, "CONFIG_MAGIC_SYSRQ"),
        (f"{READY} echo 'none [integrity] confidentiality' >sys/kernel/security/lockdown", 1, "locked down"),
    ],
)
def test_what_is_missing_on_the_machine_is_named(plain: Plain, make: str, code: int, words: str) -> None:
    result = plain.jailed(make)
    assert words in result.text
    assert result.code == code


def test_only_root_may(plain: Plain) -> None:
    result = plain.sh(f"echo user:x:1000:1000::/:/bin/sh >>/etc/passwd; su user -c '/bin/{WORDS}'")
    assert "only root can" in result.text
    assert result.code == 1


def test_the_line_kgdb_has_is_taken_and_an_active_watchdog_is_warned_of(plain: Plain) -> None:
    watchdog = "mkdir -p sys/class/watchdog/watchdog0; echo active >sys/class/watchdog/watchdog0/state;"
    kms = "echo kms,kbd,ttyS1,9600 >sys/module/kgdboc/parameters/kgdboc"
    result = plain.jailed(READY + watchdog + kms, "gdbstart -n; cat /sys/module/kgdboc/parameters/kgdboc")
    assert "watchdog0 is active and may reset the machine" in result.text
    assert "kgdb is on /dev/ttyS1 at 115200 baud" in result.text
    assert result.text.endswith("ttyS1,115200\n")


def test_a_session_takes_it_from_there(cli: Cli, tmp_path: Path) -> None:
    cli.serve("--session", "board")
    assert cli.good("gdbstart", "--install") == "/bin/gdbstart\n"
    assert cli.good("gdbstart", "--install", "/tmp") == "/tmp/gdbstart\n"
    assert "gdbstart cannot be installed" in cli.bad("gdbstart", "--install", "/proc/1/x", code=1)
    assert cli.good("gdbstart", "--print") == cli.good("exec", "cat /bin/gdbstart")

    moved = cli("exec", "gdbstart -t /dev/ttyS0")
    assert moved.returncode == 1
    assert "kgdb is on ttyS1 and cannot be moved to ttyS0 while a debugger is connected" in moved.stdout

    command = cli.start("exec", WORDS)
    assert command.stdout is not None
    assert "waits on /dev/ttyS1" in command.stdout.readline()
    assert command.stderr is not None
    assert "the target has stopped at kgdb_breakpoint" in command.stderr.readline()
    file = str(tmp_path / "gdbinit")
    cli.good("gdbinit", "-o", file)
    with Gdb(EVERY_KERNEL_ONE_GDB[0].values[0][1](), "-x", file) as gdb:
        gdb("rmt")
        assert "write_sysrq_trigger" in gdb("bt")
        gdb("detach")
    out, _complaint = command.communicate(timeout=30)
    assert out == "gdbstart: the machine runs\n"
    assert command.returncode == 0
