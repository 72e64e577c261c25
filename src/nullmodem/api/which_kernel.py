# SPDX-License-Identifier: Apache-2.0
"""Which of several vmlinux files is the running kernel's: they are found here, and the target says which it is.

A kernel's memory cannot be searched for its build-id with no file at all: where it lies, and where the kernel lies, is
what a vmlinux says. So each file is held to the target (kernel/slide.py), which is stopped for a moment and let go.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.attach import connect, meet
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import IdentityError, KernelDataError, SymbolError, UsageError
from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nullmodem.api.attach import AttachOptions

USUAL: Final = (
    (Path("/usr/lib/debug"), ("boot/vmlinux-*", "lib/modules/*/vmlinux", "usr/lib/modules/*/vmlinux")),
    (Path("/lib/modules"), ("*/build/vmlinux",)),
)
"""Where distributions and `make modules_install` leave them."""

_HERE: Final = ("vmlinux", "vmlinux-*", "vmlinux.debug")
MOST: Final = 16
"""Files that are held to a target: each costs it a stop of about a second."""


def possible_kernels(
    directories: Iterable[Path], usual: Sequence[tuple[Path, Sequence[str]]] = USUAL
) -> tuple[Path, ...]:
    """Files with a kernel's symbols, each build once: those in ``directories`` first, then those in usual places."""
    found: dict[bytes, Path] = {}
    for path in _files(directories, usual):
        try:
            with contextlib.closing(Vmlinux.open(path)) as vmlinux:
                found.setdefault(vmlinux.build_id or str(path).encode(), path)
        except SymbolError:
            continue  # a compressed one, or one without symbols: nothing to debug with
    return tuple(found.values())


def _files(directories: Iterable[Path], usual: Sequence[tuple[Path, Sequence[str]]]) -> Iterator[Path]:
    for root, patterns in (*((directory, _HERE) for directory in directories), *usual):
        for pattern in patterns:
            yield from sorted(path for path in root.glob(pattern) if path.is_file())


def running_one(
    candidates: Sequence[Path], options: AttachOptions, progress: Callable[[str], None] | None = None
) -> Path:
    """The one of ``candidates`` that runs on the target of ``options``, whose own vmlinux does not count.

    Raises UsageError when none does, or there are too many to try; otherwise what `attach` raises. The target runs.
    """
    listed = "\n".join(f"  {path}" for path in candidates)
    if len(candidates) > MOST:
        msg = f"{len(candidates)} files may be the target's vmlinux, too many to try:\n{listed}"
        raise UsageError(msg, hint="Name the right one with --vmlinux FILE.")
    refused = ""
    for path in candidates:
        if progress is not None:
            progress(f"asking the target whether it runs {path}")
        try:
            _hold_to_target(replace(options, vmlinux=path, record=None, wire_log=None, away=0.0, debuginfod=False))
        except (IdentityError, KernelDataError) as error:
            refused = error.message
        else:
            return path
    msg = f"none of the files found is the target's vmlinux:\n{listed}\nOf the last one: {refused}"
    raise UsageError(msg, hint="Name the right one with --vmlinux FILE.")


def _hold_to_target(options: AttachOptions) -> None:
    """Attach and leave again. Raises IdentityError, KernelDataError: another kernel runs there; it runs on."""
    with WorkDirectory("which") as work:
        made = connect(options, (), work.path)
        with made.resources:
            meet(made, options).close(release=True)
