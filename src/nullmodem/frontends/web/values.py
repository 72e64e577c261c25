# SPDX-License-Identifier: Apache-2.0
"""Variables as lines that unfold: what a structure, a pointer or an array holds is read when it is asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import UsageError
from nullmodem.frontends.python.frame import OPTIMIZED_OUT, shown
from nullmodem.frontends.web.protocol import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_CHILDREN: Final = 100
"""Of one array; a longer one unfolds into pieces of it."""
MOST_REFS: Final = 20_000
LONGEST_VALUE: Final = 2_000
LONGEST_STRING: Final = 200
"""Characters that are read of a string, as gdb does: what a pointer leads to need not end."""
_PIECE: Final = 64
"""Bytes of a string that are read at once, aligned: the next page may not be there."""
_COMPOUND: Final = (drgn.TypeKind.STRUCT, drgn.TypeKind.UNION, drgn.TypeKind.CLASS)
_READABLE: Final = (
    *_COMPOUND, drgn.TypeKind.POINTER, drgn.TypeKind.ARRAY, drgn.TypeKind.INT, drgn.TypeKind.BOOL,
    drgn.TypeKind.FLOAT, drgn.TypeKind.ENUM,
)  # fmt: skip
_PRINTED: Final = range(0x20, 0x7F)
_ESCAPES: Final = {
    0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"
}  # fmt: skip

Named = tuple[str, drgn.Object]


class Variables:
    """The variables shown at one stop, and how each that has children unfolds."""

    def __init__(self) -> None:
        self._unfold: dict[int, Callable[[], Iterable[Named | Variable]]] = {}

    def of(self, named: Iterable[Named | Variable]) -> tuple[Variable, ...]:
        """Each with its value. Raises what reading the target raises."""
        return tuple(each if isinstance(each, Variable) else self._variable(*each) for each in named)

    def children(self, ref: int) -> tuple[Variable, ...]:
        """What is in a variable. Raises UsageError for one of another stop."""
        if ref not in self._unfold:
            raise UsageError("this variable is of a stop that is over", hint="Look at the present one.")
        return self.of(self._unfold[ref]())

    def _variable(self, name: str, value: drgn.Object) -> Variable:
        kind = _plain(value.type_)
        if value.absent_:
            return Variable(name, value.type_.type_name(), OPTIMIZED_OUT)
        return Variable(name, value.type_.type_name(), _text(value, kind), self._ref(value, kind))

    def _ref(self, value: drgn.Object, kind: drgn.Type) -> int | None:
        if kind.kind in _COMPOUND and kind.is_complete():
            return self._keep(lambda: _members(value, kind))
        if kind.kind == drgn.TypeKind.ARRAY and kind.length and not _is_char(kind.type):
            length = kind.length
            return self._keep(lambda: self._elements(value, range(length)))
        if kind.kind == drgn.TypeKind.POINTER:
            target = _plain(kind.type)
            complete = target.kind not in _COMPOUND or target.is_complete()
            if target.kind in _READABLE and complete and not _is_char(target) and _is_set(value):
                return self._keep(lambda: _pointed(value, target))
        return None

    def _elements(self, value: drgn.Object, indices: range) -> Iterator[Named | Variable]:
        if len(indices) <= MOST_CHILDREN:
            yield from ((f"[{index}]", value[index]) for index in indices)
            return
        size = MOST_CHILDREN
        while -(-len(indices) // size) > MOST_CHILDREN:
            size *= MOST_CHILDREN
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            unfold = partial(self._elements, value, part)
            yield Variable(f"[{part[0]}..{part[-1]}]", "", "", self._keep(unfold))

    def _keep(self, unfold: Callable[[], Iterable[Named | Variable]]) -> int | None:
        if len(self._unfold) >= MOST_REFS:
            return None
        ref = len(self._unfold) + 1
        self._unfold[ref] = unfold
        return ref


def _plain(kind: drgn.Type) -> drgn.Type:
    while kind.kind == drgn.TypeKind.TYPEDEF:
        kind = kind.type
    return kind


def _is_char(kind: drgn.Type) -> bool:
    plain = _plain(kind)
    return plain.kind == drgn.TypeKind.INT and plain.size == 1 and "char" in plain.name


def _is_set(pointer: drgn.Object) -> bool:
    try:
        return bool(pointer)
    except (drgn.FaultError, drgn.ObjectAbsentError):
        return False


def _text(value: drgn.Object, kind: drgn.Type) -> str:
    if kind.kind in _COMPOUND:
        return "{…}"
    if kind.kind == drgn.TypeKind.ARRAY and not _is_char(kind.type):
        return f"[{kind.length or 0}]"
    if kind.kind == drgn.TypeKind.ARRAY:
        return _characters(value, kind)
    text = shown(value, string=False)
    if kind.kind == drgn.TypeKind.POINTER:
        if _is_char(kind.type):
            text += _string(value)
        elif _plain(kind.type).kind == drgn.TypeKind.FUNCTION:
            text += _symbol(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _characters(value: drgn.Object, kind: drgn.Type) -> str:
    size = min(kind.length or 0, LONGEST_STRING + 1)
    try:
        address = value.address_
        return _quoted(value.to_bytes_() if address is None else _read_string(value.prog_, address, size))
    except (drgn.FaultError, drgn.ObjectAbsentError, ValueError) as error:
        return f"<{error}>"


def _string(pointer: drgn.Object) -> str:
    """What a pointer to characters leads to, as drgn writes it; empty where nothing can be read."""
    try:
        found = _read_string(pointer.prog_, pointer.value_(), LONGEST_STRING + 1)
    except (drgn.FaultError, drgn.ObjectAbsentError, ValueError):
        return ""
    return f" = {_quoted(found)}"


def _read_string(program: drgn.Program, address: int, most: int) -> bytes:
    found = b""
    while len(found) < most:
        at = address + len(found)
        try:
            piece = program.read(at, min(_PIECE - at % _PIECE, most - len(found)))
        except drgn.FaultError:
            if not found:
                raise
            break
        text, end, _ = piece.partition(b"\0")
        found += text
        if end:
            break
    return found


def _quoted(data: bytes) -> str:
    text, _, _ = data[:LONGEST_STRING].partition(b"\0")
    letters = "".join(_ESCAPES.get(byte) or (chr(byte) if byte in _PRINTED else f"\\x{byte:02x}") for byte in text)
    return f'"{letters}"' + ("…" if len(text) == LONGEST_STRING and len(data) > LONGEST_STRING else "")


def _symbol(pointer: drgn.Object) -> str:
    """The function a pointer leads to, as gdb writes it; empty where that is none."""
    try:
        address = pointer.value_()
        symbol = pointer.prog_.symbol(address)
    except (LookupError, drgn.FaultError, drgn.ObjectAbsentError):
        return ""
    offset = address - symbol.address
    return f" <{symbol.name}+{offset}>" if offset else f" <{symbol.name}>"


def _members(value: drgn.Object, kind: drgn.Type) -> Iterator[Named]:
    """Those of structures without a name are the outer one's, as in C."""
    for member in kind.members:
        if member.name is not None:
            yield member.name, value.member_(member.name)
        elif (inner := _plain(member.type)).kind in _COMPOUND:
            yield from ((name, value.member_(name)) for name in _names(inner))


def _names(kind: drgn.Type) -> Iterator[str]:
    for member in kind.members:
        if member.name is not None:
            yield member.name
        elif (inner := _plain(member.type)).kind in _COMPOUND:
            yield from _names(inner)


def _pointed(pointer: drgn.Object, target: drgn.Type) -> Iterator[Named]:
    if target.kind in _COMPOUND:
        return _members(pointer[0], target)
    return iter([("*", pointer[0])])
