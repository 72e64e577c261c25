# SPDX-License-Identifier: Apache-2.0
"""`gdbstart`, the program for the target that gives kgdb a serial line and stops the machine: getting it there."""

from __future__ import annotations

import shlex
from importlib import resources
from typing import TYPE_CHECKING

from nullmodem.errors import CommandError
from nullmodem.targets import ssh

if TYPE_CHECKING:
    from nullmodem.api.remote import RemoteMachine

# $1: where to, a file or a directory; empty: where root finds programs. The program itself comes on standard input.
_INSTALL = """
[ -n "$1" ] || for place in /usr/local/sbin /usr/sbin /sbin /bin; do
    if [ -d "$place" ] && [ -w "$place" ]; then set -- "$place"; break; fi
done
[ -n "$1" ] || { echo 'no directory for programs can be written here' >&2; exit 1; }
if [ -d "$1" ]; then set -- "${1%/}/gdbstart"; fi
cat >"$1" && chmod 755 "$1" && printf '%s' "$1"
"""


def program() -> str:
    """The program's text: POSIX shell."""
    return (resources.files("nullmodem.targets") / "guest" / "gdbstart").read_text(encoding="utf-8")


def install(machine: RemoteMachine, destination: str = "") -> str:
    """Put it on a running session's target, and return its path there.

    Raises CommandError with the target's reason when it cannot be written; StateError while the target is stopped.
    """
    said: list[bytes] = []
    script = f'printf %s "$2" | {{ {_INSTALL} }}'
    code = machine.execute(("sh", "-c", script, "sh", destination, program()), said.append)
    output = b"".join(said).decode(errors="replace").strip()
    if code != 0:
        raise CommandError(f"gdbstart cannot be installed on the target: {output}", code=code, output=output)
    return output


def install_over_ssh(host: str, destination: str = "") -> str:
    """Put it on a machine that ssh reaches, and return its path there. Raises what `targets.ssh.run` does."""
    command = shlex.join(("sh", "-c", _INSTALL, "sh", destination))
    return ssh.run(host, command, stdin=program().encode()).decode(errors="replace").strip()
