# SPDX-License-Identifier: Apache-2.0
"""Commands over ssh, to a real sshd that serves one connection over a pipe: no port, no daemon."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from nullmodem.api.gdbstart import install_over_ssh, program
from nullmodem.errors import CommandError, CommandTimeout, TargetError, UsageError
from nullmodem.targets import ssh
from nullmodem.targets.carrying import Carrier
from nullmodem.targets.ssh_shell import SshShell

SSHD = "/usr/sbin/sshd"


@dataclass
class Keys:
    directory: Path

    def make(self, name: str) -> Path:
        path = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a host that ssh reaches; `stranger` is one that does not know our key."""
    assert shutil.which(SSHD), "sshd is missing: apt install openssh-server"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(
            exist_ok=True
        )  # where sshd(8) of root goes to, which Debian makes when its service starts
    keys = Keys(tmp_path)
    server, user, other = keys.make("server"), keys.make("user"), keys.make("other")
    (tmp_path / "sshd_config").write_text(
        f"HostKey {server}\nAuthorizedKeysFile {user}.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    common = (
        f"  ProxyCommand {SSHD} -i -f {tmp_path}/sshd_config 2>/dev/null\n  LogLevel ERROR\n"
        "  StrictHostKeyChecking no\n"
        f"  UserKnownHostsFile /dev/null\n  IdentitiesOnly yes\n  BatchMode yes\n  User {getpass.getuser()}\n"
    )
    (tmp_path / "ssh_config").write_text(
        f"Host board\n{common}  IdentityFile {user}\nHost stranger\n{common}  IdentityFile {other}\n"
        "Host nowhere\n  ProxyCommand false\n"
    )
    monkeypatch.setenv("NULLMODEM_SSH", f"ssh -F {tmp_path}/ssh_config")
    return "board"


def test_a_command_gets_its_input_and_gives_its_output(host: str) -> None:
    assert ssh.run(host, "cat; echo done", stdin=b"\0\xff text\n") == b"\0\xff text\ndone\n"


def test_what_fails_on_the_host_is_told_in_its_own_words(host: str) -> None:
    with pytest.raises(CommandError, match="a command on board failed: no such luck") as caught:
        ssh.run(host, "echo no such luck >&2; exit 3")
    assert caught.value.code == 3
    with pytest.raises(CommandTimeout, match="has not ended"):
        ssh.run(host, "tail -f /dev/null", timeout=0.5)


@pytest.mark.parametrize(("name", "reason"), [("stranger", "Permission denied"), ("nowhere", "(closed|Broken pipe)")])
def test_a_host_that_cannot_be_reached_is_an_error_with_ssh_s_reason(host: str, name: str, reason: str) -> None:
    with pytest.raises(TargetError, match=f"ssh does not reach {name}: .*{reason}"):
        ssh.run(name, "true")


@pytest.mark.parametrize("name", ["", "-oProxyCommand=touch x", "a b"])
def test_what_is_no_host_never_reaches_ssh(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is no host for ssh"):
        ssh.run(name, "true")
    monkeypatch.setenv("NULLMODEM_SSH", "/no/such/ssh")
    with pytest.raises(UsageError, match="/no/such/ssh is missing"):
        ssh.run("board", "true")


def test_gdbstart_is_installed_over_ssh_ready_to_be_run(host: str, tmp_path: Path) -> None:
    directory = tmp_path / "with blank"
    directory.mkdir()
    path = install_over_ssh(host, str(directory))
    assert path == str(directory / "gdbstart")
    assert (directory / "gdbstart").read_text() == program()
    assert subprocess.run([path, "-h"], capture_output=True, check=True).stdout.startswith(b"usage: gdbstart")
    assert install_over_ssh(host, str(directory / "other")) == str(directory / "other")
    with pytest.raises(CommandError, match="/none/gdbstart"):
        install_over_ssh(host, str(tmp_path / "none" / "gdbstart"))


def test_a_machine_reached_by_ssh_runs_commands_and_takes_files(host: str, tmp_path: Path) -> None:
    shell = SshShell(host)
    result = shell.exec(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.code, result.output) == (3, b"out\nerr\n")
    told: list[bytes] = []
    assert shell.exec("echo told", on_output=told.append).output == b""
    assert told == [b"told\n"]
    with pytest.raises(CommandTimeout, match="has not ended"):
        shell.exec("sleep 2", timeout=0.3)
    file = tmp_path / "a file"
    file.write_bytes(bytes(range(256)) * 4000)
    destination = tmp_path / "there"
    destination.mkdir()
    assert Carrier(shell).carry(file, str(destination), print) == f"{destination}/a file"
    assert (destination / "a file").read_bytes() == file.read_bytes()
    with pytest.raises(CommandError, match="/none/x"):
        Carrier(shell).carry(file, str(tmp_path / "none" / "x"), print)
    shell.close()
    with pytest.raises(TargetError, match="has ended"):
        shell.exec("true")


@pytest.mark.parametrize(("name", "reason"), [("stranger", "Permission denied"), ("nowhere", "(closed|Broken pipe)")])
@pytest.mark.usefixtures("host")
def test_a_machine_that_ssh_does_not_reach_is_named_with_ssh_s_reason(name: str, reason: str) -> None:
    with pytest.raises(TargetError, match=f"ssh does not reach {name}: .*{reason}"):
        SshShell(name).exec("true")
