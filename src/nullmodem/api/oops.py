# SPDX-License-Identifier: Apache-2.0
"""Kernel reports (oopses, warnings, panics) with their source lines: of a session's target, or of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.kbuild import cache_root
from nullmodem.kernel.oops import CodeAddress, Trouble, TroubleKind, TroubleLine, find_troubles, kernel_lines
from nullmodem.kernel.oops_lines import DecodedLine, OopsDecoder, SourcePlace
from nullmodem.symbols.finder import Mismatch, ModuleFinder
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Module
    from nullmodem.session.session import Session

__all__ = [
    "CodeAddress",
    "DecodedLine",
    "OopsDecoder",
    "SourcePlace",
    "Trouble",
    "TroubleKind",
    "TroubleLine",
    "decoder_for_files",
    "decoder_of_session",
    "find_troubles",
    "kernel_lines",
    "show_decoded",
    "shown_path",
]

_UNVERIFIED: Final = "the report has no build-id of it, so which build was loaded is not known"


def decoder_of_session(live: LiveSession, before: Sequence[Module] = ()) -> OopsDecoder:
    """A decoder for what a session's target prints: with the files that were verified when its modules were loaded.

    A module that has been unloaded is found among those that were loaded ``before``, or by the build-id in the report.
    Raises SymbolError.
    """
    vmlinux = live.look_into(lambda session: session.files.vmlinux.path)

    def find(name: str, build: bytes) -> ModuleFile | str:
        return live.look_into(lambda session: _in_session(session, name, build, before))

    return OopsDecoder(Vmlinux.open(vmlinux), find)


def _in_session(session: Session, name: str, build: bytes, before: Sequence[Module]) -> ModuleFile | str:
    module = session.world.modules.named(name)
    if module is not None and module.instance is not None:
        # The private copy: the file itself may have been rebuilt since.
        file = ModuleFile.open(module.instance)
        if not build or file.build_id == build:
            return file
    elif module is not None and module.explanation:
        return module.explanation
    else:
        gone = next((module.file for module in before if module.name == name), None)
        if gone is not None and (not build or gone.build_id == build):
            return gone
    return _found(session.files.finder, name, build)


def decoder_for_files(vmlinux: Path, modules: Iterable[Path], *, unverified: bool = False) -> OopsDecoder:
    """A decoder for a report from anywhere.

    Args:
        vmlinux: the kernel's, with debug information.
        modules: .ko files or directories of them.
        unverified: take a module's file that fits, if there is only one, for a report without build-ids.

    Raises:
        SymbolError: the vmlinux is none.
    """
    kernel = Vmlinux.open(vmlinux)
    finder = ModuleFinder(modules, machine=kernel.machine)

    def find(name: str, build: bytes) -> ModuleFile | str:
        if build or not unverified:
            return _found(finder, name, build)
        files = [file for _path, file in finder.named(name)]
        builds = {file.identity for file in files}
        if len(builds) > 1:
            return f"there are {len(builds)} builds of {name}.ko, and the report does not say which one was loaded"
        return files[0] if files else _missing(finder, name)

    return OopsDecoder(kernel, find)


def _found(finder: ModuleFinder, name: str, build: bytes) -> ModuleFile | str:
    if not build:
        known = next(iter(finder.named(name)), None)
        return f"{known[0]} is not used: {_UNVERIFIED}" if known is not None else _missing(finder, name)
    found = finder.find(name, build, None)
    if found is None:
        return _missing(finder, name)
    return found.describe() if isinstance(found, Mismatch) else found


def _missing(finder: ModuleFinder, name: str) -> str:
    where = ", ".join(str(directory) for directory in finder.directories)
    return f"no {name}.ko was found in {where}" if where else f"there is no file of {name}: no directory was given"


def show_decoded(trouble: Trouble, decoder: OopsDecoder) -> str:
    """A report as a person reads it: under each line with code where that is in the source."""
    try:
        decoded: Sequence[DecodedLine] = decoder.decode(trouble)
    except SymbolError as error:
        return "\n".join([*(line.text for line in trouble.lines), f"(no source lines: {error.message})"])
    shown = []
    said: set[str] = set()
    for line in decoded:
        shown.append(line.text)
        for number, place in enumerate(line.places):
            inlined = "  (inlined)" if number < len(line.places) - 1 else ""
            shown.append(f"        {place.function} at {shown_path(place.file)}:{place.line}{inlined}")
        if line.problem and line.problem not in said:
            said.add(line.problem)
            shown.append(f"        ({line.problem})")
    return "\n".join(shown)


def shown_path(file: str) -> str:
    """A source file's path as short as it can be opened: relative to the working directory or a kernel's source."""
    path = Path(file)
    for base in (Path.cwd(), *(cache_root() / "sources").glob("*")):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return file
