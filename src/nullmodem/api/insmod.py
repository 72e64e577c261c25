# SPDX-License-Identifier: Apache-2.0
"""Loading and unloading a module with the target's insmod and rmmod, and what it means when they fail."""

from __future__ import annotations

import errno
import os
import re
import shlex
from typing import TYPE_CHECKING, Final

from nullmodem.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nullmodem.targets.target import ExecResult

# What busybox and kmod print: "insmod: can't insert '/dev/stdin': No such device", "insmod: ERROR: could not insert
# module /dev/stdin: No such device".
_REFUSED: Final = re.compile(r"insmod: .*/dev/stdin'?: (.+)")
_IN_USE: Final = re.compile(r"rmmod: .*(?:in use|temporarily unavailable)")
_TOLD: Final = re.compile(r"^nullmodem: (loading|unloading) (\w+)(.*)\n?", re.MULTILINE)

# What load_module in kernel/module/main.c itself returns for a file it does not take, before any init runs.
_THE_KERNELS_OWN: Final = frozenset(
    {"ENOEXEC", "ENOENT", "EEXIST", "EINVAL", "ENOMEM", "EPERM", "EBUSY", "EFAULT", "ESRCH", "EKEYREJECTED", "ENOKEY"}
)


def insmod(name: str, path: str, parameters: Sequence[str]) -> str:
    """A shell line that loads a file of the target.

    Through a pipe: when init fails, busybox takes it for a kernel that cannot load from a file, and has init run a
    second time by the older system call. A pipe leaves it only that one. It also spares kernels since 6.5 the list
    of files being loaded, on which an insmod that the kernel kills stays for good.
    """
    words = shlex.join(["insmod", "/dev/stdin", *parameters])
    return _or_else(f"cat {shlex.quote(path)} | {words}", f"echo nullmodem: loading {shlex.quote(name)}")


def rmmod(name: str, *, force: bool = False) -> str:
    """A shell line that unloads a module, and names the modules that use it when that fails."""
    word = shlex.quote(name)
    users = f"echo nullmodem: unloading {word} $(ls /sys/module/{word}/holders)"
    return _or_else(shlex.join(["rmmod", *(["-f"] if force else []), name]), users)


def _or_else(line: str, tell: str) -> str:
    return f"{{ {line} || {{ code=$?; {tell}; (exit $code); }}; }}"


def require_done(result: ExecResult) -> None:
    """Of lines made by the above. Raises CommandError, which says which module it was and why, when one failed."""
    told = _TOLD.search(result.text) if result.code else None
    if told is None:
        result.check()
        return
    output = _TOLD.sub("", result.text).strip()
    doing, name, users = told[1], told[2], told[3].split()
    if doing == "unloading" and _IN_USE.search(output):
        raise _in_use(name, users, result.code, output)
    if doing == "loading" and (refused := _REFUSED.search(output)):
        raise _refused(name, refused[1].strip(), result.code, output)
    msg = f"{doing} {name} failed on the target with exit status {result.code}"
    raise CommandError(f"{msg}: {output}" if output else msg, code=result.code, output=output)


def _in_use(name: str, users: Sequence[str], code: int, output: str) -> CommandError:
    if users:
        message = f"{name} is in use by {', '.join(users)}"
        return CommandError(message, code=code, output=output, hint="Unload these first.")
    hint = "No module uses it: a program on the target has a file of it open, or it holds itself."
    return CommandError(f"{name} is in use", code=code, output=output, hint=hint)


def _refused(name: str, reason: str, code: int, output: str) -> CommandError:
    # busybox's exit status is the error's number; kmod's is always 1, and its words are those of strerror.
    numbers = [number for number in errno.errorcode if os.strerror(number) == reason]
    number = numbers[0] if numbers else code
    symbol = errno.errorcode.get(number, "")
    who = "the kernel, or its init," if symbol in _THE_KERNELS_OWN else "its init"
    hint = "`nullmodem exec 'dmesg | tail'` shows the kernel's messages, in a session that `run --no-gdb` began."
    message = f"{name} was not loaded: {who} returned -{number} ({symbol}, {reason})"
    return CommandError(message, code=code, output=output, hint=hint)
