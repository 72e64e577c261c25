# SPDX-License-Identifier: Apache-2.0
"""Records to JSON and back: everything that is right survives, nothing else gets in."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.api.records import Address, from_json, parse_object, to_json
from nullmodem.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Inner:
    at: Address | None
    text: str = "x"


@dataclass(frozen=True, slots=True)
class Outer:
    number: int
    ratio: float
    flag: bool
    data: bytes
    where: Address
    names: tuple[str, ...]
    inner: Inner
    others: tuple[Inner, ...] = ()
    maybe: str | None = None


addresses = st.integers(0, (1 << 64) - 1).map(Address)
inners = st.builds(Inner, at=st.none() | addresses, text=st.text())
outers = st.builds(
    Outer,
    number=st.integers(-(1 << 63), (1 << 64) - 1),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    data=st.binary(),
    where=addresses,
    names=st.lists(st.text()).map(tuple),
    inner=inners,
    others=st.lists(inners).map(tuple),
    maybe=st.none() | st.text(),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
GOOD = to_json(Outer(1, 0.5, flag=True, data=b"\x00\xff", where=Address(0xFFFF), names=("a",), inner=Inner(None)))


@given(outers)
def test_a_record_survives_json(record: Outer) -> None:
    assert from_json(Outer, parse_object(json.dumps(to_json(record)))) == record


@given(json_values)
def test_anything_else_is_refused_with_one_error(value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        from_json(Outer, value)


@given(st.sampled_from(sorted(GOOD)), json_values)  # type: ignore[call-overload]
def test_a_record_with_one_field_replaced_is_right_or_refused(name: str, value: object) -> None:
    assert isinstance(GOOD, dict)
    try:
        record = from_json(Outer, {**GOOD, name: value})
    except RemoteProtocolError:
        return
    assert from_json(Outer, to_json(record)) == record


@given(st.binary() | st.text())
def test_any_text_is_an_object_or_refused(text: str | bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(parse_object(text), dict)


def test_an_address_keeps_all_its_bits_in_readers_that_know_only_doubles() -> None:
    assert to_json(Inner(Address(0xFFFFFFFFC0002001))) == {"at": "0xffffffffc0002001", "text": "x"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"number": True}, "Outer.number should be int, not true"),
        ({"number": 1.0}, "Outer.number should be int, not the number 1.0"),
        ({"number": 1 << 64}, "Outer.number should be an integer of 64 bits"),
        ({"ratio": "1"}, "Outer.ratio should be a number, not the string '1'"),
        ({"ratio": 10**400}, "Outer.ratio should be a finite number"),
        ({"flag": 1}, "Outer.flag should be bool"),
        ({"data": "*"}, "Outer.data should be base64"),
        ({"data": 3}, "Outer.data should be base64"),
        ({"where": 5}, "Outer.where should be an address"),
        ({"where": "0x1ffffffffffffffff"}, "Outer.where should be an address"),
        ({"names": "abc"}, "Outer.names should be a list"),
        ({"names": ["a", 1]}, r"Outer.names\[1\] should be str"),
        ({"inner": None}, "Outer.inner should be an object, not null"),
        ({"inner": {}}, "Outer.inner lacks its field 'at'"),
        ({"others": [{"at": None, "text": []}]}, r"Outer.others\[0\].text should be str, not a list"),
        ({"more": 1}, "Outer has no field 'more'"),
    ],
)
def test_the_field_that_is_wrong_is_named(change: dict[str, object], complaint: str) -> None:
    assert isinstance(GOOD, dict)
    with pytest.raises(RemoteProtocolError, match=complaint):
        from_json(Outer, {**GOOD, **change})


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"a": NaN}', '{"a": -Infinity}', "[" * 100_000, "9" * 10_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_object(text)
