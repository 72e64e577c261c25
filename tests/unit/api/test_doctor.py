# SPDX-License-Identifier: Apache-2.0
"""Looking at a line through a pseudo terminal, with everybody who may be at its other end."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import threading
import tty
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.doctor import Examination, Sign, Verdict, examine
from nullmodem.errors import NullmodemError
from nullmodem.testing.fakemachine import Cpu, Machine
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.waiting import wait_readable
from support.lines import null_modem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


QUIET = 0.2
"""Nobody here needs longer to answer."""


@contextlib.contextmanager
def answered_by(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """The name of a line whose other end says what ``answer`` makes of what it hears."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    wake, alarm = os.pipe()

    def serve() -> None:
        while wake not in (ready := wait_readable([master, wake])):
            if master in ready and (said := answer(os.read(master, 4096))):
                os.write(master, said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"pty:{os.ttyname(slave)}"
    finally:
        os.write(alarm, b"x")
        thread.join()
        for descriptor in (master, slave, wake, alarm):
            os.close(descriptor)


def what(found: Examination) -> dict[str, Verdict]:
    return {finding.what: finding.verdict for finding in found.findings}


def a_fake() -> FakeKgdb:
    machine = Machine()
    machine.cpus[0] = Cpu(7, {"rip": 0xFFFFFFFF81000000})
    return FakeKgdb(machine, monitor=lambda _command: b"", allow="3")


def test_a_stopped_kernel_is_found_and_left_as_it_was() -> None:
    fake = a_fake()
    with answered_by(fake.receive) as line:
        for _ in range(2):
            assert examine(line, quiet=QUIET).sign is Sign.KGDB
    assert fake.requests == [b"qC", b"qC"]
    assert not fake.running
    assert fake.machine.violations == []


def test_a_report_that_nobody_has_acknowledged_is_no_obstacle() -> None:
    fake = a_fake()
    fake.receive(b"$qC#b4")
    fake.receive(b"+$c#63")
    fake.stop()
    with answered_by(fake.receive) as line:
        assert examine(line, quiet=QUIET).sign is Sign.KGDB
        assert examine(line, quiet=QUIET).sign is Sign.KGDB


@pytest.mark.parametrize("left", [b"", b"ss"])
def test_kdb_is_known_by_its_prompt_and_told_to_do_nothing(left: bytes) -> None:
    """A return key would have it repeat its last command, or carry out what somebody left at its prompt."""
    fake = a_fake()
    fake.receive(b"$D#44")
    fake.receive(b"+")
    fake.stop(in_kdb=True)
    fake.receive(left)
    with answered_by(fake.receive) as line:
        for _ in range(2):
            assert examine(line, quiet=QUIET).sign is Sign.KDB
    assert fake.machine.violations == []
    assert fake.requests == [b"D"]


def test_a_running_kernel_s_own_line_is_silent_and_the_fix_says_what_that_means() -> None:
    fake = a_fake()
    fake.receive(b"$D#44")
    fake.receive(b"+")
    assert fake.running
    with answered_by(fake.receive) as line:
        found = examine(line, quiet=QUIET)
    assert found.sign is Sign.SILENCE
    assert found.verdict is Verdict.WARN
    assert "gdbstart" in found.findings[0].fix


@pytest.mark.parametrize(
    ("prompt", "sign"),
    [
        (b"\r\nboard login: ", Sign.LOGIN),
        (b"\xe0\xfc\x00\xf8\x80\xe6", Sign.GARBAGE),
        (b"[ 1.0] simple: $T05thread:01;#07 in a line\r\n", Sign.TEXT),
    ],
)
def test_who_answers_a_return_key_is_known_by_it(prompt: bytes, sign: Sign) -> None:
    with answered_by(lambda said: prompt if b"\r" in said else b"") as line:
        found = examine(line, quiet=QUIET)
    assert found.sign is sign
    assert all(finding.fix for finding in found.findings)


def test_a_shell_is_asked_for_what_matters(tmp_path: Path) -> None:
    environment = {"PS1": "target:~# ", "PATH": os.environ["PATH"], "ENV": ""}
    with null_modem(tmp_path) as (near, far), Path(far).open("r+b", buffering=0) as terminal:
        shell = subprocess.Popen(
            ["busybox", "sh", "-i"], stdin=terminal, stdout=terminal, stderr=terminal, env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            found = examine(f"pty:{near}", quiet=QUIET)
        finally:
            shell.kill()
            shell.wait()
    assert found.sign is Sign.SHELL
    assert what(found).keys() >= {"line", "kernel", "lockdown", "kgdboc", "sysrq"}


def test_a_line_that_closes_is_a_finding_and_one_that_is_not_there_an_error(tmp_path: Path) -> None:
    with pytest.raises(NullmodemError):
        examine(str(tmp_path / "ttyUSB0"))
    with pytest.raises(NullmodemError):
        examine("smoke:signals")


@pytest.mark.parametrize(("milliseconds", "verdict"), [(16, Verdict.WARN), (1, Verdict.OK)])
def test_an_adapter_s_latency_timer_is_looked_at(tmp_path: Path, milliseconds: int, verdict: Verdict) -> None:
    with answered_by(lambda _said: b"") as line:
        path = line.removeprefix("pty:")
        place = tmp_path / "bus" / "usb-serial" / "devices" / Path(path).name
        place.mkdir(parents=True)
        (place / "latency_timer").write_text(f"{milliseconds}\n")
        found = examine(f"serial:{path}", sys=tmp_path, quiet=QUIET)
    assert what(found)["adapter"] is verdict
    finding = next(finding for finding in found.findings if finding.what == "adapter")
    assert (f"echo 1 > {place}/latency_timer" in finding.fix) == (verdict is Verdict.WARN)
