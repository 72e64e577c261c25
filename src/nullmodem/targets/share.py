# SPDX-License-Identifier: Apache-2.0
"""The directory that host and target share, from the host's side.

The target's root can write anything there, symbolic links included; so nothing here follows a link out of it.
"""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOUNT_POINT = "/host"


@dataclass(frozen=True, slots=True)
class Share:
    """``directory`` on the host is MOUNT_POINT on the target."""

    directory: Path

    def relative(self, path: str) -> str | None:
        """The part of an absolute target path below the mount point, normalised; None for what is not below it."""
        normal = posixpath.normpath(path)
        return normal[len(MOUNT_POINT) + 1 :] if normal.startswith(MOUNT_POINT + "/") else None

    def put(self, file: Path, relative: str) -> str:
        """Copy ``file`` to ``relative`` and return its path on the target. Replaces a file there in one step.

        Raises UsageError when there is no such file, or no such directory in the share; TargetError when it cannot be
        written.
        """
        check_file(file)
        destination = self.directory / relative
        parent = destination.parent.resolve()
        if not parent.is_relative_to(self.directory.resolve()) or not parent.is_dir():
            raise UsageError(f"{MOUNT_POINT}/{relative}: {destination.parent} is no directory of the share")
        if destination.is_dir():
            raise UsageError(f"{MOUNT_POINT}/{relative} is a directory")
        if not (destination.exists() and destination.samefile(file)):
            partial = parent / f".nullmodem-{secrets.token_hex(8)}"
            try:
                shutil.copy2(file, partial)
                partial.replace(destination)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise TargetError(f"cannot copy {file} to {destination}: {error.strerror}") from error
        return f"{MOUNT_POINT}/{relative}"

    @contextlib.contextmanager
    def lend(self, file: Path) -> Iterator[str]:
        """A copy of ``file``, under its own name, for as long as the context lasts: its path on the target."""
        check_file(file)
        name = f".nullmodem-{secrets.token_hex(8)}"
        directory = self.directory / name
        try:
            directory.mkdir()
            yield self.put(file, f"{name}/{file.name}")
        except OSError as error:
            raise TargetError(f"cannot write to {self.directory}: {error.strerror}") from error
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def check_file(file: Path) -> None:
    """Raise UsageError for what cannot be pushed."""
    if not file.exists():
        raise UsageError(f"{file} does not exist")
    if not file.is_file():
        raise UsageError(f"{file} is not a regular file; only files can be pushed", hint="make a tar archive of it")
