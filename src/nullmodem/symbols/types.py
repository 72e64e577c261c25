# SPDX-License-Identifier: Apache-2.0
"""The kernel's own type information, asked through drgn: what has this struct, where, how large.

The rule of the house: ask the kernel what it has, never which version it is. Distributions backport changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import drgn

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import ElfFile

if TYPE_CHECKING:
    from os import PathLike


class TypeInfo:
    """Layout of the kernel's types. Every answer is remembered; the first one makes drgn index the DWARF (0.2 s)."""

    def __init__(self, program: drgn.Program) -> None:
        self._program = program
        self._offsets: dict[tuple[str, str], int] = {}
        self._sizes: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | PathLike[str]) -> TypeInfo:
        """The types of one vmlinux. SymbolError when drgn cannot read it or it has no debug info."""
        ElfFile.open(Path(path)).close()  # drgn passes over what it cannot open without a word
        program = drgn.Program()
        try:
            # An extra module needs no running kernel, and no slide.
            module = program.extra_module("vmlinux", 0, create=True)
            module.try_file(path, force=True)
            if not module.wants_debug_file():
                return cls(program)
        except (OSError, ValueError, LookupError, drgn.MissingDebugInfoError) as error:
            msg = f"cannot read types from {path}: {error}"
            raise SymbolError(msg) from error
        msg = f"{path} has no debug info"
        raise SymbolError(msg, hint="build the kernel with CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y")

    def offset(self, struct: str, member: str) -> int:
        """Bytes from the start of ``struct`` ("struct module") to ``member``, a path such as "core_layout.base".

        Raises LookupError when there is no such type or member.
        """
        key = (struct, member)
        if key not in self._offsets:
            try:
                self._offsets[key] = int(drgn.offsetof(self._type(struct), member))
            except (TypeError, SyntaxError) as error:  # a member of what has none
                raise LookupError(str(error)) from error
        return self._offsets[key]

    def member_size(self, struct: str, member: str) -> int:
        """Size in bytes of a member, named as in :meth:`offset`. Raises LookupError."""
        kind = self._type(struct)
        try:
            for part in member.split("."):
                name, _, subscripts = part.partition("[")
                kind = _plain(_plain(kind).member(name).type)
                for _ in range(subscripts.count("]")):
                    kind = _plain(kind.type)
            return int(drgn.sizeof(kind))
        except (TypeError, AttributeError) as error:
            raise LookupError(str(error)) from error

    def has(self, struct: str, member: str) -> bool:
        """Whether the kernel has such a type with such a member."""
        try:
            self.offset(struct, member)
        except LookupError:
            return False
        return True

    def size(self, struct: str) -> int:
        """``sizeof(struct)`` in bytes. Raises LookupError when the kernel has no such type, or only its name."""
        if struct not in self._sizes:
            try:
                self._sizes[struct] = int(drgn.sizeof(self._type(struct)))
            except TypeError as error:
                msg = f"{struct} is incomplete"
                raise LookupError(msg) from error
        return self._sizes[struct]

    def enumerators(self, name: str) -> dict[str, int]:
        """Names and values of ``name`` ("enum module_state"). Raises LookupError."""
        try:
            enumerators = self._type(name).enumerators
        except AttributeError as error:
            raise LookupError(str(error)) from error
        if enumerators is None:
            msg = f"{name} is incomplete"
            raise LookupError(msg)
        return {enumerator.name: enumerator.value for enumerator in enumerators}

    def function_address(self, name: str, file: str) -> int | None:
        """Link-time address of the function ``name`` defined in the source file ``file``, or None."""
        try:
            address = self._program.function(name, file).address_
        except LookupError:
            return None
        return None if address is None else int(address)

    def has_function(self, name: str) -> bool:
        """Whether there is a function of that name, in code of its own or inlined wherever it is called."""
        try:
            return self._program.function(name) is not None
        except LookupError:
            return False

    def _type(self, name: str) -> drgn.Type:
        try:
            return self._program.type(name)
        except SyntaxError as error:
            msg = f"{name!r} names no type"
            raise LookupError(msg) from error


def _plain(kind: drgn.Type) -> drgn.Type:
    while kind.kind == drgn.TypeKind.TYPEDEF:
        kind = kind.type
    return kind
