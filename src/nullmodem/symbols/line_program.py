# SPDX-License-Identifier: Apache-2.0
"""Decode DWARF line number programs, versions 2 to 5 (DWARF 5 section 6.2), of an object that is not yet linked.

In a .ko the addresses and the offsets of names are left to relocations. Only those of ``.debug_line`` are needed, and
they are asked for one by one: relocating all of a module's debug info first, as pyelftools must, takes 45 s for xfs.ko.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_FILES: Final = 65_536

_FORM_DATA2, _FORM_DATA4, _FORM_DATA8, _FORM_STRING, _FORM_BLOCK = 0x05, 0x06, 0x07, 0x08, 0x09
_FORM_DATA1, _FORM_STRP, _FORM_UDATA, _FORM_DATA16, _FORM_LINE_STRP = 0x0B, 0x0E, 0x0F, 0x1E, 0x1F
_FIXED: Final = {_FORM_DATA1: 1, _FORM_DATA2: 2, _FORM_DATA4: 4, _FORM_DATA8: 8, _FORM_DATA16: 16}
_LNCT_PATH, _LNCT_DIRECTORY = 1, 2
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _NEGATE_STMT = 1, 2, 3, 4, 6
_CONST_ADD_PC, _FIXED_ADVANCE_PC = 8, 9
_END_SEQUENCE, _SET_ADDRESS, _SET_DISCRIMINATOR = 1, 2, 4


class LineProgramError(ValueError):
    """The bytes are no line number program."""


class Relocated(NamedTuple):
    """What a relocation puts somewhere: ``value`` bytes into section ``section``."""

    section: int
    value: int


class Row(NamedTuple):
    """One row of a line table. From ``offset`` of ``section`` on, code is of ``line`` of ``file``.

    With ``end`` the code of a sequence ends before ``offset``, and the other fields mean nothing. ``repeats``: it only
    tells blocks of the line before apart (DW_LNE_set_discriminator), and gdb has no row for it (dwarf2/read.c
    dwarf_record_line_p).
    """

    section: int
    offset: int
    file: str
    line: int
    statement: bool
    end: bool
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class LineSections:
    """The bytes of ``.debug_line``, ``.debug_line_str`` and ``.debug_str``, and the relocations of the first by offset.

    Without a relocation an address is taken as an offset in section 0, the undefined one: a linked file's address.
    """

    line: bytes
    line_str: bytes
    str: bytes
    relocations: Mapping[int, Relocated]


def decode(sections: LineSections) -> Iterator[Row]:
    """Every row of every program, in order. Raises LineProgramError at the first byte that makes no sense."""
    position = 0
    while position < len(sections.line):
        unit = _Reader(sections, position, len(sections.line))
        unit.begin()
        position = unit.end
        yield from _Program(unit).rows()


def files_of(sections: LineSections) -> tuple[str, ...]:
    """The files that the first program's rows may name, without decoding any row. Raises LineProgramError."""
    unit = _Reader(sections, 0, len(sections.line))
    unit.begin()
    return tuple(dict.fromkeys(_Program(unit).files))


class _Reader:
    """A cursor in ``.debug_line`` that does not leave its unit."""

    def __init__(self, sections: LineSections, position: int, end: int) -> None:
        self.sections = sections
        self.position = position
        self.end = end
        self.offset_size = 4

    def begin(self) -> None:
        """Read the unit's length, and stay inside it from now on."""
        length = self.fixed(4)
        if length == 0xFFFFFFFF:
            self.offset_size = 8
            length = self.fixed(8)
        if length > self.end - self.position:
            msg = f"a unit of {length} bytes at {self.position:#x} leaves the section"
            raise LineProgramError(msg)
        self.end = self.position + length

    def take(self, size: int) -> bytes:
        if size > self.end - self.position:
            msg = f"a unit ends inside a value at {self.position:#x}"
            raise LineProgramError(msg)
        raw = self.sections.line[self.position : self.position + size]
        self.position += size
        return raw

    def fixed(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def uleb(self) -> int:
        value = shift = 0
        while True:
            byte = self.fixed(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                msg = f"a number at {self.position:#x} has more than 64 bits"
                raise LineProgramError(msg)

    def sleb(self) -> int:
        start = self.position
        value = self.uleb()
        bits = 7 * (self.position - start)
        return value - (1 << bits) if value >> bits - 1 & 1 else value

    def string(self) -> str:
        end = self.sections.line.find(b"\0", self.position, self.end)
        if end < 0:
            msg = f"a name at {self.position:#x} does not end"
            raise LineProgramError(msg)
        raw = self.sections.line[self.position : end]
        self.position = end + 1
        return raw.decode("utf-8", "backslashreplace")

    def relocated(self, size: int) -> Relocated:
        """An address or offset of ``size`` bytes, by its relocation if it has one."""
        found = self.sections.relocations.get(self.position)
        value = self.fixed(size)
        return found if found is not None else Relocated(0, value)

    def form(self, form: int) -> str | int:
        """A value in one of the forms that file and directory entries may have."""
        if form == _FORM_STRING:
            return self.string()
        if form in (_FORM_LINE_STRP, _FORM_STRP):
            table = self.sections.line_str if form == _FORM_LINE_STRP else self.sections.str
            start = self.relocated(self.offset_size).value
            end = table.find(b"\0", start) if 0 <= start < len(table) else -1
            if end < 0:
                msg = f"the name at {start:#x} lies outside its table"
                raise LineProgramError(msg)
            return table[start:end].decode("utf-8", "backslashreplace")
        if form == _FORM_UDATA:
            return self.uleb()
        if form == _FORM_BLOCK:
            self.take(self.uleb())
            return 0
        if form in _FIXED:
            return self.fixed(_FIXED[form])
        msg = f"a file entry has the unknown form {form:#x}"
        raise LineProgramError(msg)


@dataclass(slots=True)
class _State:
    """The registers of the machine that a program runs on (DWARF 5 section 6.2.2), as far as anybody wants them."""

    statement: bool
    section: int = 0
    offset: int = 0
    file: int = 1
    line: int = 1
    discriminator: bool = False
    line_has_one: bool = False
    last: tuple[int, int] = (0, 0)

    def advance_line(self, by: int) -> None:
        self.line += by
        if by:
            self.line_has_one = self.discriminator

    def repeats(self) -> bool:
        """Whether the row that is made now is of the same line as the last, one that is told apart in blocks."""
        same = (self.file, self.line) == self.last and self.line_has_one
        self.last, self.discriminator = (self.file, self.line), False
        return same


class _Program:
    """The header of one program, and the machine that runs it."""

    def __init__(self, unit: _Reader) -> None:
        self.unit = unit
        self.version = unit.fixed(2)
        if not 2 <= self.version <= 5:
            msg = f"line tables of DWARF version {self.version} are unknown"
            raise LineProgramError(msg)
        self.address_size = unit.fixed(1) if self.version >= 5 else 8
        if self.version >= 5:
            unit.fixed(1)  # size of segment selectors, which nobody has
        length = unit.fixed(unit.offset_size)
        start = unit.position + length
        self.instruction = unit.fixed(1)
        if self.version >= 4:
            unit.fixed(1)  # operations per instruction: 1 but for VLIW machines
        self.default_statement = unit.fixed(1) != 0
        self.line_base = unit.fixed(1, signed=True)
        self.line_range = unit.fixed(1)
        self.opcode_base = unit.fixed(1)
        if self.line_range == 0 or self.opcode_base == 0:
            msg = f"the line table's header at {unit.position:#x} is broken"
            raise LineProgramError(msg)
        self.operands = [unit.fixed(1) for _ in range(self.opcode_base - 1)]
        self.files = self._files_5() if self.version >= 5 else self._files_4()
        if not unit.position <= start <= unit.end:
            msg = f"the line table's header at {unit.position:#x} claims {length} bytes"
            raise LineProgramError(msg)
        unit.position = start

    def rows(self) -> Iterator[Row]:
        """Run the program."""
        state = _State(self.default_statement)
        while self.unit.position < self.unit.end:
            opcode = self.unit.fixed(1)
            if opcode >= self.opcode_base:
                advance, by = divmod(opcode - self.opcode_base, self.line_range)
                state.offset += advance * self.instruction
                state.advance_line(self.line_base + by)
            elif opcode == 0:
                if not self._extended(state):
                    continue
                yield Row(state.section, state.offset, "", 0, statement=False, end=True)
                state = _State(self.default_statement)
                continue
            elif opcode != _COPY:
                self._standard(opcode, state)
                continue
            file = self._file(state.file)
            yield Row(state.section, state.offset, file, state.line, state.statement, False, state.repeats())  # noqa: FBT003

    def _standard(self, opcode: int, state: _State) -> None:
        """An instruction with a number of its own, all of which only change the state."""
        unit = self.unit
        if opcode == _ADVANCE_PC:
            state.offset += unit.uleb() * self.instruction
        elif opcode == _ADVANCE_LINE:
            state.advance_line(unit.sleb())
        elif opcode == _SET_FILE:
            state.file = unit.uleb()
        elif opcode == _NEGATE_STMT:
            state.statement = not state.statement
        elif opcode == _CONST_ADD_PC:
            state.offset += (255 - self.opcode_base) // self.line_range * self.instruction
        elif opcode == _FIXED_ADVANCE_PC:
            state.offset += unit.fixed(2)
        else:
            for _ in range(self.operands[opcode - 1]):
                unit.uleb()

    def _extended(self, state: _State) -> bool:
        """An instruction that tells its length, so that unknown ones can be passed over. Whether a sequence ends."""
        unit = self.unit
        length = unit.uleb()
        end = unit.position + length
        if end > unit.end:
            msg = f"an instruction at {unit.position:#x} leaves its unit"
            raise LineProgramError(msg)
        opcode = unit.fixed(1) if length else 0
        if opcode == _SET_ADDRESS:
            state.section, state.offset = unit.relocated(min(length - 1, 8))
        elif opcode == _SET_DISCRIMINATOR:
            state.discriminator = unit.uleb() != 0
            state.line_has_one = state.line_has_one or state.discriminator
        unit.position = end
        return opcode == _END_SEQUENCE

    def _file(self, index: int) -> str:
        if 0 <= index < len(self.files):
            return self.files[index]
        msg = f"a row names file {index} of {len(self.files)}"
        raise LineProgramError(msg)

    def _files_5(self) -> list[str]:
        directories = [path for path, _ in self._entries()]
        base = directories[0] if directories else ""
        return [
            posixpath.normpath(posixpath.join(base, directories[index] if index < len(directories) else "", path))
            for path, index in self._entries()
        ]

    def _entries(self) -> Iterator[tuple[str, int]]:
        unit = self.unit
        formats = [(unit.uleb(), unit.uleb()) for _ in range(unit.fixed(1))]
        count = unit.uleb()
        if count > _MAX_FILES:
            msg = f"a line table claims {count} files"
            raise LineProgramError(msg)
        for _ in range(count):
            path, directory = "", 0
            for content, form in formats:
                value = unit.form(form)
                if content == _LNCT_PATH and isinstance(value, str):
                    path = value
                elif content == _LNCT_DIRECTORY and isinstance(value, int):
                    directory = value
            yield path, directory

    def _files_4(self) -> list[str]:
        unit = self.unit
        directories = [""]
        while name := unit.string():
            directories.append(name)
        files = [""]
        while name := unit.string():
            directory = unit.uleb()
            unit.uleb()  # time of change
            unit.uleb()  # length
            base = directories[directory] if directory < len(directories) else ""
            files.append(posixpath.normpath(posixpath.join(base, name)))
        return files
