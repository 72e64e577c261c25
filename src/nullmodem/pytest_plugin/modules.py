# SPDX-License-Identifier: Apache-2.0
"""Modules that tests name, built once for each kernel and kept apart from what is built in their directories later."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError
from nullmodem.kbuild import build_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.kbuild import BuiltModule, Kernel


class ModuleBuilds:
    """What one test run has built. ``workdir`` is where the built files are kept."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._made: dict[tuple[Path, Path, str | None], BuiltModule | NullmodemError] = {}

    def build(self, path: Path, kernel: Kernel, module: str | None = None) -> BuiltModule:
        """Build a module for a kernel, unless that was done before: a failure is not tried again either.

        Raises BuildError with the compiler's messages, UsageError, IdentityError.
        """
        key = (path, kernel.build_tree, module)
        if key not in self._made:
            try:
                self._made[key] = self._build(path, kernel, module)
            except NullmodemError as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, NullmodemError):
            raise made.with_traceback(None)
        return made

    def _build(self, path: Path, kernel: Kernel, module: str | None) -> BuiltModule:
        place = self._workdir / f"{len(self._made)}-{kernel.name}"
        place.mkdir(parents=True)
        # A directory is built in place, by other workers for other kernels too, until what was made is copied away.
        with _alone(path):
            return _copied(build_module(path, kernel, place, module=module), place / "ko")


def _copied(built: BuiltModule, place: Path) -> BuiltModule:
    """The same with the files that were built just now in a place of their own."""
    place.mkdir()
    copies = {}
    for number, file in enumerate(built.modules):
        directory = place / str(number)
        directory.mkdir()
        copies[file] = Path(shutil.copy2(file, directory))
    return replace(
        built,
        ko=copies.get(built.ko, built.ko),
        modules=tuple(copies.values()),
        load_order=tuple(copies.get(file, file) for file in built.load_order),
    )


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One test process at a time. The build itself locks the directory, so this locks a file in it."""
    candidates = [path / "Kbuild", path / "Makefile"] if path.is_dir() else [path]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:  # the build says what is wrong
        yield
        return
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
