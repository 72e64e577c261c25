# SPDX-License-Identifier: Apache-2.0
"""Kernel sources: Debian's source packages, unpacked once into the cache, or a directory of the user's."""

from __future__ import annotations

import hashlib
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import cache

if TYPE_CHECKING:
    from collections.abc import Callable

DEBIAN_VERSIONS: Final = ("6.1", "6.12")
DEFAULT_VERSION: Final = "6.1"
UNPACKED_BYTES: Final = 1_900_000_000  # linux-source-6.12 unpacked: 1.7 GB

_PACKAGES: Final = Path("/usr/src")
_CHUNK: Final = 1 << 20
_IDENTITY_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel source tree. ``directory`` is where it is, or will be once unpacked; ``identity`` changes when any of
    its files does; ``archive`` is what it is unpacked from, None for a directory of the user's.
    """

    label: str
    directory: Path
    identity: str
    archive: Path | None = None

    @property
    def ready(self) -> bool:
        return self.archive is None or self.directory.is_dir()


def debian_source(version: str, packages: Path = _PACKAGES) -> Source:
    """The source in Debian's package linux-source-VERSION. UsageError for a version there is none of, BuildError naming
    the package when it is not installed.
    """
    if version not in DEBIAN_VERSIONS:
        raise UsageError(
            f"no Debian source package is known for Linux {version!r}; known are {', '.join(DEBIAN_VERSIONS)}",
            hint="use --source DIR for a source tree of your own",
        )
    label = f"linux-source-{version}"
    archive = packages / f"{label}.tar.xz"
    if not archive.is_file():
        raise BuildError(f"the kernel source {archive} is not there", hint=f"sudo apt install {label}")
    identity = _archive_identity(archive)
    return Source(label, cache.cache_root() / "sources" / f"{label}-{identity[:_IDENTITY_DIGITS]}", identity, archive)


def directory_source(directory: Path) -> Source:
    """A source tree of the user's, used where it is. UsageError when it is none, or cannot be built outside itself."""
    directory = directory.expanduser().resolve()
    missing = [name for name in ("Makefile", "Kconfig", "scripts/kconfig") if not (directory / name).exists()]
    if missing:
        raise UsageError(f"{directory} is not a kernel source tree: it has no {missing[0]}")
    if (directory / ".config").exists() or (directory / "include" / "config").is_dir():
        # The kernel's own rule: a tree somebody built in cannot be built with O= (Makefile, outputmakefile).
        raise UsageError(
            f"{directory} was configured or built in place, so nothing can be built from it elsewhere",
            hint=f"to debug the kernel built there, name the tree itself with --kernel; to build another from it, run "
            f"`make -C {directory} mrproper` first (this deletes its .config and its objects)",
        )
    return Source(directory.name, directory, _tree_identity(directory))


def unpack(source: Source, lock_fd: int, advance: Callable[[float], None]) -> None:
    """Unpack ``source`` into the cache; the caller holds its lock. ``advance`` gets the fraction done.

    BuildError when tar fails or the disk is full; whatever happens, ``source.directory`` is whole or absent.
    """
    assert source.archive is not None
    partial = source.directory.with_name(f"{source.directory.name}.partial")
    cache.remove(partial)
    with cache.explained(f"cannot unpack {source.archive}"):
        partial.mkdir()
        try:
            _run_tar(source.archive, partial, lock_fd, advance)
            partial.rename(source.directory)
        except BaseException:
            cache.remove(partial)
            raise


def _run_tar(archive: Path, into: Path, lock_fd: int, advance: Callable[[float], None]) -> None:
    """Feed the archive to tar through a pipe: what it has taken is how far it is."""
    # --no-same-owner: as root, tar would keep the packager's numeric owners.
    command = ["tar", "--extract", "--xz", "--strip-components=1", "--no-same-owner", "--directory", str(into)]
    size = max(1, archive.stat().st_size)
    try:
        tar = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(lock_fd,), process_group=0
        )
    except FileNotFoundError as error:
        raise BuildError("cannot run tar: it is not installed", hint="sudo apt install tar xz-utils") from error
    try:
        assert tar.stdin is not None
        with archive.open("rb") as file, suppress(BrokenPipeError):
            _feed(file, tar.stdin, size, advance)
        _, complaint = tar.communicate()
    except BaseException:
        tar.kill()
        tar.communicate()
        raise
    if tar.returncode != 0:
        output = complaint.decode(errors="replace")
        full = "No space left on device" in output
        raise BuildError(
            f"cannot unpack {archive}: "
            + ("the disk is full" if full else f"tar failed with exit code {tar.returncode}"),
            output=output[-4000:],
            hint=cache.WHEN_FULL
            if full
            else f"the archive may be damaged: sudo apt install --reinstall {archive.name.removesuffix('.tar.xz')}",
        )


def _feed(file: IO[bytes], pipe: IO[bytes], size: int, advance: Callable[[float], None]) -> None:
    done = 0
    while chunk := file.read(_CHUNK):
        pipe.write(chunk)
        done += len(chunk)
        advance(done / size)


def _archive_identity(archive: Path) -> str:
    """SHA-256 of the file: 0.7 s for Debian's, so it is remembered as long as size and time of the file stay."""
    status = archive.stat()
    stamp = {"path": str(archive), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    memory = cache.directory("sources") / f"{archive.name}.json"
    known = cache.read_record(memory)
    if known is not None and isinstance(known.get("sha256"), str) and stamp.items() <= known.items():
        return str(known["sha256"])
    with cache.explained(f"cannot read {archive}"), archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    cache.write_atomically(memory, {**stamp, "sha256": digest})
    return digest


def _tree_identity(directory: Path) -> str:
    """A hash over name, size and time of every file: content would take half a minute for a kernel's tree."""
    digest = hashlib.sha256(str(directory).encode())
    for path, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if name != ".git")
        for name in sorted(files):
            file = f"{path}/{name}"
            with suppress(OSError):
                status = os.lstat(file)
                digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
