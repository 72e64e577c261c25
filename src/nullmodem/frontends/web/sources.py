# SPDX-License-Identifier: Apache-2.0
"""The source files of a target, and no other file: those that debug information names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.records import Address
from nullmodem.api.source_files import SourceFiles
from nullmodem.errors import MemoryFault, UsageError
from nullmodem.frontends.web.protocol import FileView, Instruction, NoSource, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.frontends.python.debugger import Debugger

LARGEST_FILE: Final = 4 << 20
MOST_CODE: Final = 4096
"""Bytes of a function that are disassembled."""


class Sources:
    """What a page may see of the files of one session."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._live = debugger.live
        self._shown: dict[str, int] = {}
        self._modules = SourceFiles(debugger.live, lambda: debugger.machine.known_files)

    def files(self) -> tuple[FileView, ...]:
        """Those of the modules that are loaded, or can be."""
        return tuple(FileView(file, name) for name, files in self._modules.by_module().items() for file in files)

    def note(self, file: str, pc: int) -> None:
        """A frame was shown that stands in this file, so it may be shown, too."""
        if file:
            self._shown[file] = pc

    def source(self, file: str, pc: int | None) -> Source | NoSource:
        """The text of a file. Where there is none: where it was looked for, and the code at ``pc``.

        Raises UsageError for a file that no debug information names.
        """
        in_module = any(file in files for files in self._modules.by_module().values())
        if not in_module and file not in self._shown and not self._debugger.code.is_of_kernel(file):
            hint = "A file of a module that is not loaded, or was not built with debug information, is not known."
            raise UsageError(f"no debug information names {file[:200]!r}", hint=hint)
        looked = self._places(file)
        for path in looked:
            text = _read(path)
            if text is not None:
                return Source(file, text, self._lines_of(file, in_module=in_module))
        return NoSource(tuple(map(str, looked)), self.disassembly(pc) if pc is not None else ())

    def disassembly(self, pc: int) -> tuple[Instruction, ...]:
        """The function that holds ``pc``, or what lies from there on. Raises StateError while the target runs."""
        function = self._live.look_into(lambda session: session.world.function_at(pc))
        start, end = (function.start, function.stop) if pc in function else (pc, pc + 64)
        if end - start > MOST_CODE:
            start = pc if pc - start > MOST_CODE // 2 else start
            end = min(end, start + MOST_CODE)
        return tuple(self._instructions(start, end))

    def _instructions(self, start: int, end: int) -> Iterator[Instruction]:
        try:
            code = self._live.read_memory(start, end - start)
        except MemoryFault:
            return
        decode, at = self._live.arch.instructions, 0
        while at < len(code):
            rest = code[at : at + 16]
            length = decode.instruction_length(rest, start + at)
            text = decode.text(rest, start + at)
            if not length:
                length, text = 1, f".byte {code[at]:#04x}"
            span = self._debugger.code.span_at(start + at)
            yield Instruction(Address(start + at), text, span.line if span is not None else 0)
            at += length

    def _lines_of(self, file: str, *, in_module: bool) -> tuple[int, ...]:
        if in_module:
            return self._modules.lines_of(file)
        code, pc = self._debugger.code, self._shown.get(file)
        return code.lines_in_kernel(file) if pc is None else code.lines_near(pc, file)

    def _places(self, file: str) -> list[Path]:
        path = Path(file)
        if path.is_absolute():
            return [path]
        roots = {Path(self._live.look_into(lambda session: session.files.vmlinux.path)).parent}
        roots |= {known.parent for known in self._debugger.machine.known_files}
        return [root / path for root in sorted(roots)]


def _read(path: Path) -> str | None:
    """A file's text; None where there is none to be had. What is no regular file could be waited on for ever."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            return None
        return path.read_bytes().decode(errors="replace")
    except (OSError, ValueError):
        return None
