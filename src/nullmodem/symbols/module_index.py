# SPDX-License-Identifier: Apache-2.0
"""Which .ko files there are in a directory tree, by module name, and which build each one is; kept between runs.

A distribution's tree of modules has 5 000 files, a kernel's build tree as many directories. Of a tree known from before
only the directories are looked at: one whose time of change is the same holds the same names. What a file says of its
build is read when somebody asks, and holds for as long as its size and time of change do.

Nobody may rely on what is kept: it can be deleted, cut short or written by somebody else at any time. What cannot be
read counts as not there, and what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.module_file import read_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES: Final = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
MAX_FILES: Final = 1_000_000  # a directory tree larger than that is not a build tree; stop rather than hang
WORTH_KEEPING: Final = 32  # directories: a smaller tree is walked as soon as its record is read
_FORMAT: Final = 1
# A file system's clock ticks every few ms, FAT's every 2 s: a directory may change after it was read, within one tick.
_UNSETTLED_NS: Final = 2_000_000_000


@dataclass(slots=True)
class _Tree:
    """What is known of one tree. Keys are paths.

    ``directories``: time of change in ns, names of subdirectories, names of modules' files; both sorted.
    ``files``: size, time of change in ns, module name, build-id in hex or "", srcversion or "".
    """

    directories: dict[str, tuple[int, list[str], list[str]]] = field(default_factory=dict)
    files: dict[str, tuple[int, int, str, str, str]] = field(default_factory=dict)
    changed: bool = False


class ModuleIndex:
    """The index of any number of trees, kept in ``directory``; nothing is kept when that is None."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._trees: dict[Path, _Tree] = {}

    def by_name(self, root: Path, *, fresh: bool = False) -> dict[str, list[Path]]:
        """The modules' files under ``root``, by the name the kernel gives such a module. Links are not followed.

        ``fresh``: look at everything again, whatever is known. A directory that cannot be read counts as empty.
        """
        tree = _Tree() if fresh else self._tree(root)
        found: dict[str, list[Path]] = {}
        walked: dict[str, tuple[int, list[str], list[str]]] = {}
        now = self._clock()
        for directory, status, subdirectories, names in _walk(root, tree):
            walked[directory] = (status if now is not None and status < now - _UNSETTLED_NS else -1,
                                 subdirectories, names)  # fmt: skip
            for name in names:
                found.setdefault(module_name(name), []).append(Path(directory, name))
        self._trees[root] = new = _Tree(walked, tree.files)
        new.changed = tree.changed or walked != tree.directories
        return found

    def identity(self, root: Path, path: Path, *, fresh: bool = False) -> tuple[str, Identity]:
        """What the module in the file calls itself, and which build it is; ``root`` is the tree it was found in.

        Raises SymbolError when it cannot be told.
        """
        tree = self._tree(root)
        key = str(path)
        try:
            status = path.stat()
        except OSError as error:
            msg = f"cannot open {path}: {error.strerror}"
            raise SymbolError(msg) from error
        known = tree.files.get(key)
        if fresh or known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            name, identity = read_identity(path)
            build_id = identity.build_id.hex() if identity.build_id else ""
            known = (status.st_size, status.st_mtime_ns, name, build_id, identity.srcversion or "")
            tree.files[key] = known
            tree.changed = True
        _size, _time, name, build_id, srcversion = known
        return name, Identity(bytes.fromhex(build_id) or None, srcversion or None)

    def keep(self) -> None:
        """Write what was learned, for the next run."""
        if self._directory is None:
            return
        for root, tree in self._trees.items():
            if tree.changed and len(tree.directories) + len(tree.files) >= WORTH_KEEPING:
                with suppress(OSError):
                    self._write(root, tree)
            tree.changed = False

    # -- the record on disk --------------------------------------------------------------------------------------

    def _tree(self, root: Path) -> _Tree:
        if root not in self._trees:
            self._trees[root] = self._read(root)
        return self._trees[root]

    def _record(self, root: Path) -> Path:
        assert self._directory is not None
        return self._directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"

    def _read(self, root: Path) -> _Tree:
        if self._directory is None:
            return _Tree()
        try:
            return _parse(json.loads(self._record(root).read_bytes()), str(root))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return _Tree()

    def _write(self, root: Path, tree: _Tree) -> None:
        assert self._directory is not None
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {"format": _FORMAT, "root": str(root), "directories": tree.directories, "files": tree.files}
        handle, name = tempfile.mkstemp(dir=self._directory, prefix=".new-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(document, file, separators=(",", ":"))
            Path(name).replace(self._record(root))
        finally:
            Path(name).unlink(missing_ok=True)

    def _clock(self) -> int | None:
        """The time by which files are dated; None when nothing is kept anyway."""
        if self._directory is None:
            return None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._directory) as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return None


def module_name(file: str) -> str:
    """The kernel's name for the module that a file of this name holds."""
    for suffix in SUFFIXES:
        file = file.removesuffix(suffix)
    return file.replace("-", "_")


def _walk(root: Path, known: _Tree) -> Iterator[tuple[str, int, list[str], list[str]]]:
    """Each directory with its time of change, subdirectories and modules' files; parents first, in order of names."""
    pending = [str(root)]
    seen = 0
    while pending and seen <= MAX_FILES:
        directory = pending.pop()
        try:
            changed = os.stat(directory).st_mtime_ns  # noqa: PTH116  # thousands of them: a Path each costs more
            before = known.directories.get(directory)
            if before is not None and before[0] == changed:
                _time, subdirectories, names = before
                seen += len(names)
            else:
                subdirectories, names, count = _read_directory(directory)
                seen += count
        except OSError:
            continue
        yield directory, changed, subdirectories, names
        pending += [f"{directory}/{name}" for name in reversed(subdirectories)]


def _read_directory(directory: str) -> tuple[list[str], list[str], int]:
    subdirectories, names, count = [], [], 0
    with os.scandir(directory) as entries:
        for entry in entries:
            count += 1
            if entry.is_dir(follow_symlinks=False):
                subdirectories.append(entry.name)
            elif entry.name.endswith(SUFFIXES):
                names.append(entry.name)
    return sorted(subdirectories), sorted(names), count


def _parse(document: Any, root: str) -> _Tree:
    """Raises ValueError, TypeError or KeyError for what no index has written."""
    if document["format"] != _FORMAT or document["root"] != root:
        raise ValueError
    directories = {
        str(path): (int(changed), [_plain(name) for name in subdirectories], [_plain(name) for name in names])
        for path, (changed, subdirectories, names) in document["directories"].items()
    }
    files = {
        str(path): (int(size), int(changed), str(name), bytes.fromhex(build_id).hex(), str(srcversion))
        for path, (size, changed, name, build_id, srcversion) in document["files"].items()
    }
    return _Tree(directories, files)


def _plain(name: object) -> str:
    """A name that leads nowhere but into its own directory."""
    if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
        raise ValueError
    return name
