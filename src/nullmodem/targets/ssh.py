# SPDX-License-Identifier: Apache-2.0
"""A machine that is reached by ssh: one command at a time, with the user's own ssh, its keys and its configuration."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from nullmodem.errors import CommandError, CommandTimeout, TargetError, UsageError

CONNECT_SECONDS = 10
"""What ssh is given to reach the host; the command itself has the time its caller allows."""

_REFUSED = 255  # ssh's own exit status when it is ssh that failed (ssh(1), EXIT STATUS)


def ssh_command() -> list[str]:
    """The ssh to use: ``NULLMODEM_SSH`` with its options, as GIT_SSH_COMMAND is for git, or plain ``ssh``.

    Raises UsageError when there is no such program.
    """
    words = shlex.split(os.environ.get("NULLMODEM_SSH", "")) or ["ssh"]
    if shutil.which(words[0]) is None:
        raise UsageError(f"{words[0]} is missing", hint="apt-get install openssh-client")
    return words


def run(host: str, command: str, *, stdin: bytes = b"", timeout: float = 60.0) -> bytes:
    """What ``command`` prints in a shell on ``host``, which is as ssh takes it: ``user@name``, or one of its aliases.

    Raises:
        UsageError: ``host`` cannot be one, or there is no ssh.
        TargetError: ssh does not get there; the message has its reason.
        CommandError: the command failed, or has not ended after ``timeout`` seconds.
    """
    if not host or host.startswith("-") or any(character.isspace() for character in host):
        raise UsageError(f"{host!r} is no host for ssh", hint="Write it as USER@NAME, or as a Host of ~/.ssh/config.")
    words = [*ssh_command(), "-T", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "--", host, command]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        msg = f"`{command[:60]}` on {host} has not ended after {timeout:.0f} s"
        raise CommandTimeout(msg, code=124, output="") from None
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == _REFUSED:
        last = said.splitlines()[-1] if said else "it gives no reason"
        raise TargetError(f"ssh does not reach {host}: {last}", hint=f"Does `{shlex.join(words[:-2])} {host}` work?")
    if done.returncode != 0:
        raise CommandError(f"a command on {host} failed: {said or done.returncode}", code=done.returncode, output=said)
    return done.stdout
