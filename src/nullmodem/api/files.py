# SPDX-License-Identifier: Apache-2.0
"""The files a session needs, opened before it touches a target: what is wrong with them is said first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.kbuild import cache_root
from nullmodem.session.world import Files
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.for_gdb import vmlinux_for_gdb
from nullmodem.symbols.module_index import ModuleIndex
from nullmodem.symbols.plain import PlainFiles, no_debug_info
from nullmodem.symbols.store import ModuleStore
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.symbols.plain import FetchDebugInfo

_RELEASE: Final = re.compile(r"Linux version ([A-Za-z0-9._+~-]{1,64}) ")
_DEBUG_ROOT: Final = Path("/usr/lib/debug")


def read_files(vmlinux: Path, search: Iterable[Path], workdir: Path, *, fetch: FetchDebugInfo = no_debug_info) -> Files:
    """A kernel's file, everything that follows from it, and where modules' files are looked for. Raises SymbolError."""
    kernel = Vmlinux.open(vmlinux)
    for_gdb = vmlinux_for_gdb(kernel, cache_root() / "vmlinux")
    types = TypeInfo.open(vmlinux)
    plain = PlainFiles(workdir / "unpacked", fetch=fetch)
    index = ModuleIndex(cache_root() / "module-index")
    finder = ModuleFinder(search, machine=kernel.machine, index=index, plain=plain)
    return Files(kernel, for_gdb, types, finder, ModuleStore(workdir / "modules"))


def release_of(vmlinux: Vmlinux) -> str:
    """What `uname -r` says where this kernel runs; empty when its banner is an unusual one."""
    found = _RELEASE.match(vmlinux.banner.decode("utf-8", "replace"))
    return found[1] if found else ""


def usual_places(release: str) -> tuple[Path, ...]:
    """Where a distribution keeps the modules of a kernel, as far as they are there: with symbols first."""
    if not release:
        return ()
    modules = Path("/lib/modules") / release
    places = (_DEBUG_ROOT / "lib" / "modules" / release, modules / "build", modules)
    return tuple(place for place in places if place.is_dir())
