# SPDX-License-Identifier: Apache-2.0
"""What a target says of itself in a shell: what helps, hinders or prevents stopping it for kgdb. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Verdict(enum.Enum):
    """Fine, a nuisance with a way round, or the end of it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` was looked at, what it ``says``, and the ``fix``, empty where there is nothing to put right."""

    what: str
    verdict: Verdict
    says: str
    fix: str = ""


_RELEASE: Final = "/proc/sys/kernel/osrelease"
_SYSRQ: Final = "/proc/sys/kernel/sysrq"
_KGDBOC: Final = "/sys/module/kgdboc/parameters/kgdboc"
_LOCKDOWN: Final = "/sys/kernel/security/lockdown"
_CONSOLE: Final = "/sys/class/tty/console/active"
_WATCHDOGS: Final = "/sys/class/watchdog/*/state"
_ABSENT: Final = "-"
_BEGIN, _END = "@nullmodem-begin", "@nullmodem-end"

# The marks are written apart, so that the echo of the line is not taken for its output.
PROBE: Final = (
    f"echo @null''modem-begin; for f in {_RELEASE} {_SYSRQ} {_KGDBOC} {_LOCKDOWN} {_CONSOLE} {_WATCHDOGS}; do "
    f'echo "$f=$(cat "$f" 2>/dev/null || echo {_ABSENT})"; done; echo "uid=$(id -u)"; '
    "{ zcat /proc/config.gz || cat /boot/config-$(uname -r); } 2>/dev/null | "
    "grep -E '^CONFIG_(KGDB|MAGIC_SYSRQ)[A-Z_]*=y'; echo @null''modem-end"
)
"""A line for any POSIX shell; its output is read by `read_probe`."""


def read_probe(output: str) -> dict[str, str] | None:
    """What the line printed, by what was asked; None while its end has not come."""
    lines = [line.strip() for line in output.replace("\r", "\n").split("\n")]
    if _BEGIN not in lines or _END not in lines:
        return None
    found = lines[lines.index(_BEGIN) + 1 : lines.index(_END)]
    return {key: value for key, equals, value in (line.partition("=") for line in found) if equals}


def judge(facts: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything that can be said of a target's answers."""
    return tuple(
        finding for part in (_kernel, _lockdown, _kgdboc, _sysrq, _watchdogs, _user) for finding in part(facts)
    )


def _kernel(facts: Mapping[str, str]) -> Iterator[Finding]:
    release = facts.get(_RELEASE, _ABSENT)
    if facts.get("CONFIG_KGDB_KDB") == "y":
        yield Finding("kernel", Verdict.OK, f"{release}, with kdb: a session takes stops from it by itself")
    else:
        yield Finding("kernel", Verdict.OK, release)


def _lockdown(facts: Mapping[str, str]) -> Iterator[Finding]:
    state = facts.get(_LOCKDOWN, _ABSENT)
    for level in ("integrity", "confidentiality"):
        if f"[{level}]" in state:
            fix = "Turn Secure Boot off, or boot without lockdown= on the kernel's command line."
            yield Finding("lockdown", Verdict.FAIL, f"{level}: a locked down kernel refuses kgdb", fix)
            return
    yield Finding("lockdown", Verdict.OK, "none" if state != _ABSENT else "none, or not told")


def _kgdboc(facts: Mapping[str, str]) -> Iterator[Finding]:
    value = facts.get(_KGDBOC, _ABSENT)
    console = facts.get(_CONSOLE, _ABSENT).split()
    line = console[-1] if console and console[-1] != _ABSENT else "ttyS0"
    if value == _ABSENT:
        fix = "Boot a kernel with CONFIG_KGDB and CONFIG_KGDB_SERIAL_CONSOLE: see `nullmodem kernel doctor`."
        yield Finding("kgdboc", Verdict.FAIL, "this kernel has no kgdb on serial lines", fix)
    elif not value:
        fix = f"On the target: gdbstart -n -t /dev/{line}, or boot with kgdboc={line},115200."
        yield Finding("kgdboc", Verdict.WARN, "kgdb has no line", fix)
    else:
        yield Finding("kgdboc", Verdict.OK, value)


def _sysrq(facts: Mapping[str, str]) -> Iterator[Finding]:
    value = facts.get(_SYSRQ, _ABSENT)
    if value == _ABSENT:
        yield Finding("sysrq", Verdict.FAIL, "there is none to stop it with", "Boot a kernel with CONFIG_MAGIC_SYSRQ.")
        return
    if value == "1":
        yield Finding("sysrq", Verdict.OK, "1: everything is allowed")
    else:
        # sysrq_dbg_op in kernel/debug/debug_core.c has no enable_mask.
        says = f"{value}: BREAK and g do nothing, for kgdb's key has no bit of its own in the mask"
        yield Finding("sysrq", Verdict.WARN, says, "On the target: sysctl kernel.sysrq=1")
    if "CONFIG_MAGIC_SYSRQ" in facts and "CONFIG_MAGIC_SYSRQ_SERIAL" not in facts:
        fix = "Boot a kernel with it, or have the target stopped by a shell: echo g > /proc/sysrq-trigger."
        yield Finding("BREAK", Verdict.WARN, "the kernel has no CONFIG_MAGIC_SYSRQ_SERIAL: a BREAK does nothing", fix)


def _watchdogs(facts: Mapping[str, str]) -> Iterator[Finding]:
    for key, state in facts.items():
        if key.startswith("/sys/class/watchdog/") and state == "active":
            name = key.split("/")[-2]
            fix = "End what feeds it (systemd: RuntimeWatchdogSec=0), or make its time longer than any stop."
            yield Finding("watchdog", Verdict.WARN, f"{name} is active and may reset a machine that is stopped", fix)


def _user(facts: Mapping[str, str]) -> Iterator[Finding]:
    if facts.get("uid", "0") != "0":
        yield Finding("user", Verdict.WARN, "the shell is not root's, so it cannot stop the machine", "Log in as root.")
