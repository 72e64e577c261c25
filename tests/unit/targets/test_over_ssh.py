# SPDX-License-Identifier: Apache-2.0
"""A break-in over ssh, with the real ssh and a real sshd on the loopback interface."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.targets.break_in import OverSsh
from support.lines import answers, free_port, program, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Sshd:
    """A server that does nothing but note what it was told to run, and then hold the connection as a frozen machine."""

    def __init__(self, directory: Path, *, knows_us: bool) -> None:
        self.told = directory / "told"
        self.port = free_port()
        for name in ("host", "user"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
            subprocess.run(keygen, check=True)
        (directory / "authorized").write_text((directory / "user.pub").read_text() if knows_us else "")
        script = directory / "frozen"
        script.write_text(
            f'#!/bin/sh\necho "$SSH_ORIGINAL_COMMAND" > {self.told}.new\n'
            f"mv {self.told}.new {self.told}\nexec sleep 60\n"
        )
        script.chmod(0o755)
        self.configuration = directory / "sshd_config"
        self.configuration.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {directory}/host\n"
            f"AuthorizedKeysFile {directory}/authorized\nForceCommand {script}\n"
            "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\n"
        )
        # Keys and known hosts of the tests' own, whatever the user who runs them has.
        options = directory / "ssh_config"
        options.write_text(
            f"IdentityFile {directory}/user\nIdentitiesOnly yes\n"
            "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
        )
        tool = directory / "bin" / "ssh"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {program("ssh")} -F {options} "$@"\n')
        tool.chmod(0o755)
        self.path = f"{tool.parent}:{os.environ['PATH']}"
        self.destination = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        os.makedirs("/run/sshd", exist_ok=True)  # noqa: PTH103  # where sshd wants to be when it separates privileges
        with running(program("sshd"), "-D", "-e", "-f", str(self.configuration)):
            until(lambda: answers(self.port), "sshd listens")
            yield


@pytest.mark.skipif(os.getuid() != 0, reason="sshd separates privileges only as root")
def test_the_key_is_pressed_over_ssh_and_the_frozen_connection_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Sshd(tmp_path, knows_us=True)
    monkeypatch.setenv("PATH", server.path)
    typed = threading.Event()
    patience = threading.Event()

    def stopped(seconds: float) -> bool:
        return server.told.exists() or patience.wait(min(seconds, 0.05)) or server.told.exists()

    with server.run():
        assert OverSsh(server.destination, typed.set).attempt(stopped) == ""
    assert typed.is_set()
    assert "echo g > /proc/sysrq-trigger" in server.told.read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="sshd separates privileges only as root")
def test_a_key_that_is_refused_is_said_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Sshd(tmp_path, knows_us=False)
    monkeypatch.setenv("PATH", server.path)
    with server.run():
        reason = OverSsh(server.destination, lambda: None).attempt(threading.Event().wait)
    assert reason.startswith("ssh: ")
    assert "Permission denied" in reason
