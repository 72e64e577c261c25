# SPDX-License-Identifier: Apache-2.0
"""What a kernel prints when something is wrong with it: oopses, warnings, panics, found in a log and taken apart. Pure.

Each begins with a line that the kernel's own source has, and goes on to the mark that ends it. Those that have no such
mark, as lockdep's have not, end with their stack trace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST: Final = 400
"""Lines of one trouble, at most: two dozen are usual, a lockdep report has a hundred."""


class TroubleKind(Enum):
    """What went wrong. After all but a warning, the kernel cannot be trusted any more."""

    OOPS = "oops"
    BUG = "bug"
    WARNING = "warning"
    LOCKING = "locking"
    LOCKUP = "lockup"
    SANITIZER = "sanitizer"
    PANIC = "panic"


# The order counts: the first that matches says what kind it is. Where each comes from, in the kernel's source:
_BEGINNINGS: Final[tuple[tuple[TroubleKind, str], ...]] = (
    (TroubleKind.PANIC, r"Kernel panic - not syncing"),  # kernel/panic.c
    (TroubleKind.SANITIZER, r"BUG: (?:KASAN|KFENCE|KCSAN|KMSAN):|UBSAN: "),  # mm/kasan/report.c, lib/ubsan.c
    (TroubleKind.LOCKUP, r"(?:watchdog: )?BUG: (?:soft|hard) lockup"),  # kernel/watchdog.c
    (TroubleKind.LOCKUP, r"(?:watchdog: )?Watchdog detected hard LOCKUP"),
    (TroubleKind.LOCKUP, r"INFO: task .{1,40} blocked for more than"),  # kernel/hung_task.c
    (TroubleKind.LOCKUP, r"(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall"),  # kernel/rcu/tree_stall.h
    (TroubleKind.LOCKING, r"WARNING: (?:possible |suspicious RCU|bad unlock|lock held|inconsistent|held lock|Nested)"),
    (TroubleKind.LOCKING, r"INFO: trying to register non-static key"),  # kernel/locking/lockdep.c
    (TroubleKind.LOCKING, r"BUG: Invalid wait context|\[ BUG: Invalid wait context"),
    (TroubleKind.OOPS, r"BUG: (?:kernel NULL pointer|unable to handle|stack guard page)"),  # arch/x86/mm/fault.c
    (TroubleKind.OOPS, r"Unable to handle kernel |Internal error: "),  # arch/arm64/mm/fault.c, kernel/traps.c
    (TroubleKind.OOPS, r"kernel BUG at |Oops: |Oops \[#|(?:general protection fault|divide error|invalid opcode)\b"),
    (TroubleKind.OOPS, r"(?:double fault|int3|stack segment|traps: PANIC):"),  # arch/x86/kernel/traps.c
    (TroubleKind.BUG, r"BUG: "),  # scheduling while atomic, sleeping function called, bad page state
    (TroubleKind.WARNING, r"WARNING: "),  # kernel/panic.c __warn
)
_BEGINS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _BEGINNINGS)
_CUT: Final = re.compile(r"-+\[ cut here \]-+")
_END: Final = re.compile(r"---\[ end ")
_TRACE: Final = re.compile(r"(?:Call Trace|Call trace|stack backtrace):")
# "[   12.345678] ", with CONFIG_PRINTK_CALLER "[   12.345678][  T148] "; a level before it in a raw log: "<4>".
_STAMP: Final = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ")
_CODE: Final = re.compile(
    r"(?P<guess>\? )?(?P<symbol>[A-Za-z_$.][\w$.]*)\+0x(?P<offset>[0-9a-f]{1,8})/0x(?P<size>[0-9a-f]{1,8})"
    r"(?: \[(?P<module>[A-Za-z0-9_]+)(?: (?P<build>[0-9a-f]{8,40}))?\])?"
)
_EXACT: Final = re.compile(r"(?:RIP: |pc : |WARNING: )")
_PART_OF_TRACE: Final = re.compile(r"\s*(?:</?(?:TASK|IRQ|NMI|SOFTIRQ|#DF)>|\+?0x|=+|-+|[A-Z0-9]{2,3}: )")
_KERNEL_BUILD: Final = re.compile(r"\bCPU: \d+ .*#\d+ +([0-9a-f]{40})\b")


@dataclass(frozen=True, slots=True)
class CodeAddress:
    """A place in code as the kernel prints it: ``symbol+0xoffset/0xsize [module build-id]``.

    ``module`` is empty for the kernel's own code, ``build_id`` for a kernel that prints none. ``exact``: the
    instruction itself, where others are return addresses. ``certain`` is false for what was only found on the stack.
    """

    symbol: str
    offset: int
    size: int
    module: str = ""
    build_id: bytes = b""
    exact: bool = False
    certain: bool = True

    def __str__(self) -> str:
        where = f" [{self.module}]" if self.module else ""
        return f"{self.symbol}+{self.offset:#x}/{self.size:#x}{where}"


@dataclass(frozen=True, slots=True)
class TroubleLine:
    """One line of a report without its time, and the place in code that it names."""

    text: str
    code: CodeAddress | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """One report. ``headline`` is the line that says most; ``kernel_build`` the build-id of the kernel, or empty."""

    kind: TroubleKind
    headline: str
    lines: tuple[TroubleLine, ...]
    kernel_build: bytes = b""

    @property
    def fatal(self) -> bool:
        """Whether the kernel is not to be used any more: locks stay held, tasks were killed in the middle."""
        return self.kind in (TroubleKind.OOPS, TroubleKind.PANIC, TroubleKind.LOCKUP, TroubleKind.SANITIZER)


def find_troubles(log: str) -> tuple[Trouble, ...]:
    """Every report in a kernel's log or a console's text, in order.

    Where any line has the kernel's time in front, only such lines are looked at: others are of programs.
    """
    plain = [_STAMP.sub("", line).rstrip() for line in kernel_lines(log)]
    return tuple(_trouble(part) for part in _parts(plain))


def kernel_lines(text: str) -> list[str]:
    """The lines that have the kernel's time in front; all, if none has."""
    lines = text.replace("\r", "").splitlines()
    return [line for line in lines if _STAMP.match(line)] or lines


def _parts(lines: Sequence[str]) -> Iterable[list[str]]:
    """The lines of each report."""
    part: list[str] = []
    traced = cut = False
    for line in lines:
        begins = _kind_of(line) is not None
        # An oops has several lines that could begin one; a new one begins behind the stack trace of the last.
        if part and ((begins and traced) or len(part) >= LONGEST):
            yield _trimmed(part)
            part, traced = [], False
        if not part and not begins:
            cut = cut or _CUT.search(line) is not None
            if not cut:
                continue
        if _CUT.search(line):
            if part:
                yield _trimmed(part)
            part, traced, cut = [], False, True
            continue
        part.append(line)
        cut = False
        traced = traced or _TRACE.search(line) is not None
        if _END.match(line):
            yield part
            part, traced = [], False
    if part:
        yield _trimmed(part)


def _trimmed(part: list[str]) -> list[str]:
    """A report without an end mark ends with its trace; one without a trace is its first line, or two."""
    last = 0
    for number, line in enumerate(part):
        if _kind_of(line) is not None or _CODE.search(line) or _TRACE.search(line) or _PART_OF_TRACE.match(line):
            last = number
    return part[: last + 1]


def _kind_of(line: str) -> TroubleKind | None:
    return next((kind for kind, pattern in _BEGINS if pattern.match(line)), None)


def _trouble(part: Sequence[str]) -> Trouble:
    kinds = [(kind, line) for line in part if (kind := _kind_of(line)) is not None]
    # What stands between "cut here" and "WARNING: CPU: 0 ..." is the warning's own text and says more.
    kind, headline = kinds[0] if kinds else (TroubleKind.WARNING, part[0])
    if kind is TroubleKind.WARNING and part[0] != headline:
        headline = f"{headline}: {part[0]}"
    build = next((found[1] for line in part if (found := _KERNEL_BUILD.search(line))), "")
    return Trouble(kind, headline, tuple(_line(line) for line in part), bytes.fromhex(build))


def _line(text: str) -> TroubleLine:
    found = _CODE.search(text)
    if found is None:
        return TroubleLine(text)
    build = found["build"] or ""
    code = CodeAddress(
        symbol=found["symbol"],
        offset=int(found["offset"], 16),
        size=int(found["size"], 16),
        module=found["module"] or "",
        build_id=bytes.fromhex(build) if len(build) % 2 == 0 else b"",
        exact=_EXACT.match(text) is not None,
        certain=not found["guess"],
    )
    return TroubleLine(text, code)
