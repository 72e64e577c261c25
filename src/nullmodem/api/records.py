# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses as JSON and back, by their annotations alone. What comes from outside is hostile until it is one.

Understood are str, int, float, bool, bytes (base64), `Address` (a hexadecimal string: a JSON number loses the low
bits of a kernel address in most readers), tuples of one kind, ``X | None``, and dataclasses of these.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import json
import math
import re
import types
import typing
from typing import Final, NewType, TypeVar

from nullmodem.errors import RemoteProtocolError

T = TypeVar("T")

Address = NewType("Address", int)
"""A number that JSON shows as ``"0xffffffffc0002000"``."""

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{1,16}", re.ASCII)
_INTEGERS: Final = range(-(1 << 63), 1 << 64)
_UNIONS: Final = (types.UnionType, typing.Union)


def to_json(value: object) -> object:
    """A dataclass, or a tuple of them, as what json.dumps takes."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return _encode(type(value), value)


def from_json(kind: type[T], value: object) -> T:
    """The dataclass ``kind`` from what json.loads gave. Raises RemoteProtocolError naming the field that is wrong."""
    return typing.cast("T", _decode(kind, value, kind.__name__))


def parse_object(text: str | bytes) -> dict[str, object]:
    """A JSON object. Raises RemoteProtocolError for anything else."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        msg = f"not JSON: {error}"
        raise RemoteProtocolError(msg) from None
    if not isinstance(value, dict):
        msg = f"a JSON object was expected, not {_kind_of(value)}"
        raise RemoteProtocolError(msg)
    return value


def _refuse(constant: str) -> float:
    msg = f"{constant} is not a number"
    raise ValueError(msg)


@functools.cache
def _fields(kind: type) -> dict[str, tuple[object, bool]]:
    """The fields of a dataclass: annotation, and whether it must be given."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _encode(hint: object, value: object) -> object:
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return {name: _encode(inner, getattr(value, name)) for name, (inner, _required) in _fields(hint).items()}
    if hint is Address:
        return f"{value:#x}"
    if hint is bytes:
        assert isinstance(value, bytes)
        return base64.b64encode(value).decode("ascii")
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        assert isinstance(value, tuple)
        return [_encode(arguments[0], item) for item in value]
    if typing.get_origin(hint) in _UNIONS:
        return None if value is None else _encode(_without_none(arguments), value)
    return value


def _decode(hint: object, value: object, where: str) -> object:  # noqa: PLR0911  # one line for each kind of value
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return _decode_dataclass(hint, value, where)
    if hint is Address:
        return _decode_address(value, where)
    if hint is bytes:
        return _decode_bytes(value, where)
    if hint is float:
        return _decode_float(value, where)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple(_decode(arguments[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if typing.get_origin(hint) in _UNIONS:
        return None if value is None else _decode(_without_none(arguments), value, where)
    assert isinstance(hint, type)
    if type(value) is not hint:  # bool is an int to isinstance
        raise _wrong(where, hint.__name__, value)
    if isinstance(value, int) and value not in _INTEGERS:
        raise _wrong(where, "an integer of 64 bits", value)
    return value


def _decode_dataclass(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    fields = _fields(kind)
    if strange := sorted(set(value) - set(fields)):
        msg = f"{where} has no field {strange[0][:40]!r}"
        raise RemoteProtocolError(msg)
    if missing := [name for name, (_hint, required) in fields.items() if required and name not in value]:
        msg = f"{where} lacks its field {missing[0]!r}"
        raise RemoteProtocolError(msg)
    return kind(**{name: _decode(fields[name][0], item, f"{where}.{name}") for name, item in value.items()})


def _decode_address(value: object, where: str) -> int:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise _wrong(where, "an address like 0xffffffffc0002000", value)
    return int(value, 16)


def _decode_bytes(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)  # type: ignore[arg-type]  # anything else is a TypeError
    except (TypeError, ValueError, binascii.Error):
        raise _wrong(where, "base64", value) from None


def _decode_float(value: object, where: str) -> float:
    if type(value) not in (int, float):
        raise _wrong(where, "a number", value)
    try:
        number = float(value)  # type: ignore[arg-type]  # it is one of the two
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(where, "a finite number", value)
    return number


def _without_none(arguments: tuple[object, ...]) -> object:
    kinds = [argument for argument in arguments if argument is not types.NoneType]
    assert len(kinds) == 1
    return kinds[0]


def _wrong(where: str, wanted: str, value: object) -> RemoteProtocolError:
    return RemoteProtocolError(f"{where} should be {wanted}, not {_kind_of(value)}")


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the string {value[:40]!r}"
        case _:
            return f"the number {str(value)[:40]}"
