# SPDX-License-Identifier: Apache-2.0
"""Building a module against a kernel: a directory with a Kbuild file, one C file, or a .ko that somebody built."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import BuildError, IdentityError, UsageError
from nullmodem.kbuild.cache import explained
from nullmodem.kbuild.make import run_make
from nullmodem.kbuild.progress import Progress, ProgressCallback, Stage, silent
from nullmodem.symbols.module_file import MODULE_NAME, ModuleFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nullmodem.kbuild.kernel import Kernel

# make splits its lists at white space and cannot quote it; the others mean something to make or to kbuild's shell.
_UNUSABLE: Final = re.compile(r"""[\s:;#$%"'`\\*?\[\](){}<>|&!]""")

_SCRATCH: Final = ".tmp_[0-9]*"

# Files at the top of a kernel's source tree and of its build tree. kbuild would take either for a module's directory,
# and compile the kernel again, into the tree that other modules are built against.
_KERNEL_TREE: Final = ("scripts/Makefile.build", "include/config/kernel.release")

# What a kernel's own configuration takes from its modules' debug information, and the flags that give it back.
_DEBUG_FLAGS: Final = {
    "DEBUG_INFO_REDUCED": ("-fvar-tracking", "-femit-struct-debug-detailed=any"),
    "DEBUG_INFO_SPLIT": ("-gno-split-dwarf",),
}


@dataclass(frozen=True, slots=True)
class BuiltModule:
    """A module ready to be loaded: ``ko``, the ``name`` the kernel will know it by, the ``directory`` with its source.

    ``modules`` are all that were built with it; ``load_order`` are the files to load one after the other, dependencies
    first, ``ko`` last; ``source`` is the path that was asked for.
    """

    ko: Path
    name: str
    directory: Path
    modules: tuple[Path, ...]
    load_order: tuple[Path, ...]
    source: Path


def build_module(
    path: Path,
    kernel: Kernel,
    workdir: Path,
    progress: ProgressCallback = silent,
    *,
    module: str | None = None,
    extra_cflags: Sequence[str] = (),
) -> BuiltModule:
    """Build what is at ``path`` for ``kernel``, with debug information, and say which .ko it made.

    A directory is built in place, as `make -C KERNEL M=DIR` always does. A single C file is built in ``workdir``,
    nothing is written beside it, and its debug information names the file where the user has it. A .ko is taken as it
    is, after checking that it was built for this kernel's release. ``module`` names the one to take when several are
    built.

    Raises UsageError for a path that is none of these or an ambiguous choice, BuildError with the compiler's messages,
    IdentityError for a .ko of another kernel, SymbolError for a broken .ko.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        directory = path.resolve()
        _require_kbuild_file(directory)
        return _chosen(_build(directory, kernel, progress, extra_cflags), module, kernel, directory, path)
    if not path.is_file():
        what = f"{path} is neither a file nor a directory" if path.exists() else f"there is no {path}"
        raise UsageError(what, hint="name a module's source directory, a .c file or a .ko file")
    if path.suffix == ".c":
        directory = _directory_for(path, workdir)
        try:
            made = _build(directory, kernel, progress, extra_cflags)
        except BuildError as error:
            # The compiler was shown a link; its messages shall name the file that can be corrected.
            output = error.output.replace(str(directory / path.name), str(path))
            message = error.message.replace(f"the module in {directory} ", f"{path} ", 1)
            raise BuildError(message, output=output, hint=error.hint) from None
        return _chosen(made, None, kernel, path.parent, path)
    file = ModuleFile.open(path)
    _check_release(file, kernel)
    return _result(file, [file], kernel, path.parent, path)


def _require_kbuild_file(directory: Path) -> None:
    if any((directory / name).is_file() for name in _KERNEL_TREE):
        raise UsageError(
            f"{directory} is a kernel tree, not a module's directory",
            hint="name a directory in it that builds modules, a .c file or a .ko file; the kernel to use is --kernel's",
        )
    if any((directory / name).is_file() for name in ("Kbuild", "Makefile")):
        return
    sources = sorted(file.name for file in directory.glob("*.c"))
    hint = f"to build one C file, name it: {directory / sources[0]}" if sources else ""
    raise UsageError(f"{directory} has no Kbuild and no Makefile, so there is nothing to build", hint=hint)


def _directory_for(file: Path, workdir: Path) -> Path:
    """A directory in ``workdir`` in which kbuild makes a module of one C file that stays where it is.

    kbuild compiles a link to the file. The prefix maps put the user's own path into DWARF and __FILE__, so that gdb
    opens that file; -I lets its #include "..." be found although the compiler looks beside the link.
    """
    stem = file.stem
    if not MODULE_NAME.fullmatch(stem):
        raise UsageError(f"{file.name} cannot be a module: the kernel takes names of letters, digits, '_' and '-'")
    _require_usable(file)
    directory = workdir.absolute() / stem
    with explained(f"cannot prepare {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
        link = directory / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        (directory / "Kbuild").write_text(
            f"obj-m := {stem}.o\n"
            f"ccflags-y += -I{file.parent}\n"
            f"CFLAGS_{stem}.o += -fdebug-prefix-map={link}={file} -fmacro-prefix-map={link}={file}\n",
            encoding="utf-8",
        )
    return directory


def _require_usable(path: Path) -> None:
    if bad := _UNUSABLE.search(str(path)):
        raise UsageError(
            f"the kernel's build system cannot work in {path}: the path contains {bad[0]!r}",
            hint="move the module to a path without blanks and special characters, or link to it from one",
        )


def _build(
    directory: Path, kernel: Kernel, progress: ProgressCallback, extra_cflags: Sequence[str]
) -> tuple[ModuleFile, ...]:
    """Run kbuild in ``directory``; the modules it made."""
    _require_usable(directory)
    config = kernel.settings()
    progress(Progress(Stage.MODULE, None, detail=str(directory)))
    with _exclusive(directory), _no_scratch_left(directory):
        try:
            run_make(
                ["-C", str(kernel.build_tree), f"M={directory}", f"-j{len(os.sched_getaffinity(0))}", "modules"],
                directory=directory,
                variables={"KCFLAGS": " ".join([*_debug_flags(config), _kernel_mark(kernel), *extra_cflags])},
                on_step=lambda what: progress(Progress(Stage.MODULE, None, detail=what)),
            )
        except BuildError as error:
            message = f"the module in {directory} did not build for the kernel {kernel.name}: {error.message}"
            raise BuildError(message, output=error.output, hint=error.hint) from None
        made = tuple(ModuleFile.open(path) for path in _listed(directory))
    if not made:
        raise BuildError(
            f"{directory} built without an error, but made no module",
            hint="its Kbuild or Makefile needs a line like `obj-m := NAME.o`",
        )
    for file in made:
        _check_release(file, kernel)
        if not file.has_debug_info:
            raise BuildError(
                f"{file.path} was built without debug information",
                hint="its Kbuild or Makefile must not pass -g0 or -s, nor strip the .ko",
            )
    return made


def _debug_flags(config: Mapping[str, str]) -> list[str]:
    flags = [] if config.get("DEBUG_INFO") == "y" else ["-g"]
    for option, restoring in _DEBUG_FLAGS.items():
        if config.get(option) == "y":
            flags += restoring
    return flags


def _kernel_mark(kernel: Kernel) -> str:
    """A macro that differs for every kernel. kbuild compiles again when a command line changed, but two kernels from
    one source have the same command lines, and objects of the one would end up in a module for the other.
    """
    return f"-DNULLMODEM_KERNEL=0x{kernel.key}"


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Two builds in one directory would take each other's half-written objects. Locks the directory, leaves no file."""
    with explained(f"cannot open {directory}"):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _no_scratch_left(directory: Path) -> Iterator[None]:
    """A build that is ended leaves the directory its compiler tests work in: TMPOUT in scripts/Makefile.compiler, which
    a shell removes on EXIT, and not when a signal ends it.
    """
    before = set(directory.glob(_SCRATCH))
    try:
        yield
    except BaseException:
        for path in set(directory.glob(_SCRATCH)) - before:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _listed(directory: Path) -> list[Path]:
    """The .ko files kbuild says it made: modules.order names them, or since 6.4 the .o files they are linked from."""
    try:
        lines = (directory / "modules.order").read_text(encoding="utf-8").split()
    except OSError:
        return []
    paths = ((directory / line).with_suffix(".ko") for line in lines)
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _chosen(
    made: tuple[ModuleFile, ...], module: str | None, kernel: Kernel, directory: Path, source: Path
) -> BuiltModule:
    """Of several modules the one asked for, else the one called like the directory, else the one no other needs."""
    if module is not None:
        candidates = [file for file in made if file.name == module.removesuffix(".ko").replace("-", "_")]
    else:
        needed = {name.replace("-", "_") for file in made for name in file.depends}
        candidates = [file for file in made if file.name == directory.name.replace("-", "_")]
        candidates = candidates or [file for file in made if file.name not in needed]
    if len(candidates) != 1:
        names = ", ".join(sorted(file.name for file in made))
        what = f"has no module {module!r}" if module is not None else "builds several modules and none was named"
        raise UsageError(f"{source} {what}; it builds: {names}", hint="choose one with --module NAME")
    return _result(candidates[0], made, kernel, directory, source)


def _result(file: ModuleFile, made: Sequence[ModuleFile], kernel: Kernel, directory: Path, source: Path) -> BuiltModule:
    paths = tuple(other.path for other in made)
    return BuiltModule(file.path, file.name, directory, paths, kernel.load_order(file.path, paths), source)


def _check_release(file: ModuleFile, kernel: Kernel) -> None:
    """The kernel refuses a module whose version magic begins with another release; say so before it is tried."""
    release = (file.vermagic or "").partition(" ")[0]
    if release != kernel.release:
        raise IdentityError(
            f"{file.path} was built for Linux {release or 'of unknown release'}, the kernel {kernel.name} is "
            f"{kernel.release}",
            hint=f"build it against this kernel: make -C {kernel.build_tree} M=$PWD, or name its source directory",
        )
