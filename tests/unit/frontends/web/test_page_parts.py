# SPDX-License-Identifier: Apache-2.0
"""The parts of a page server that need no session: what waits for a page, what is kept, how values unfold."""

from __future__ import annotations

import json
from itertools import count

import drgn
import pytest

from nullmodem.api.records import Address
from nullmodem.errors import UsageError
from nullmodem.frontends.web.conditions import require_plain
from nullmodem.frontends.web.outbox import MOST_PUSHES, Outbox
from nullmodem.frontends.web.protocol import (
    ConsoleText,
    Hello,
    KernelView,
    Modules,
    Place,
    SessionView,
    StopView,
    UseView,
    Variable,
    Wire,
    encode_error,
)
from nullmodem.frontends.web.timeline import MOST_ENTRIES, MOST_STOPS, MOST_TEXT, MOST_VARIABLES, Seen, Timeline
from nullmodem.frontends.web.values import LONGEST_STRING, Variables

PLACE = Place("f", "m", "f.c", 3, Address(0x1000))


def texts(outbox: Outbox) -> list[str]:
    found = []
    while (message := outbox.take()) is not None:
        found.append(message[1])
    return found


# -- what waits for a page ---------------------------------------------------------------------------------------------


def test_messages_keep_their_order_and_who_takes_them_is_woken() -> None:
    woken: list[int] = []
    outbox = Outbox(lambda: woken.append(1))
    outbox.push(ConsoleText("a"))
    outbox.answer("answer")
    outbox.push(ConsoleText("b"))
    assert len(woken) == 3
    assert [is_answer for is_answer, _ in iter(outbox.take, None)] == [False, True, False]
    assert not outbox.is_stale


def test_too_many_pushes_are_dropped_and_answers_are_not() -> None:
    outbox = Outbox(lambda: None)
    outbox.answer("first")
    for number in range(MOST_PUSHES + 5):
        outbox.push(ConsoleText(str(number)))
    outbox.answer("second")
    assert outbox.is_stale
    assert texts(outbox) == ["first", "second"]
    outbox.begin_anew()
    outbox.push(ConsoleText("anew"))
    assert not outbox.is_stale
    assert [json.loads(text)["text"] for text in texts(outbox)] == ["anew"]


def test_too_much_text_is_dropped_but_for_the_snapshot_itself() -> None:
    outbox = Outbox(lambda: None)
    outbox.push(Hello(SessionView("n", "t", "k", "a", "w"), (), "x" * (1 << 20)))
    assert not outbox.is_stale
    for _ in range(5):
        outbox.push(ConsoleText("x" * (1 << 16)))
    assert outbox.is_stale


def test_what_is_long_by_itself_is_sent_all_the_same_and_only_the_last_of_its_kind() -> None:
    outbox = Outbox(lambda: None)
    kernel = KernelView(Address(0), Address(1))
    for number in range(MOST_PUSHES + 1):
        outbox.push(Modules((), kernel, ("x" * (1 << 19), str(number))))
        outbox.push(Wire(UseView("", number, 0, 0, 0), UseView("", 0, 0, 0, 0), None))
    assert not outbox.is_stale
    modules, wire = map(json.loads, texts(outbox))
    assert (modules["type"], modules["known"][1]) == ("modules", str(MOST_PUSHES))
    assert (wire["type"], wire["last"]["bytes_out"]) == ("wire", MOST_PUSHES)
    outbox.push(ConsoleText("x" * (1 << 19)))
    assert not outbox.is_stale
    outbox.push(ConsoleText("x"))
    assert outbox.is_stale


def test_a_console_is_sent_as_it_is_and_what_is_no_letter_can_be_sent() -> None:
    outbox = Outbox(lambda: None)
    for _ in range(3):
        outbox.push(ConsoleText("\N{REPLACEMENT CHARACTER}" * (1 << 16)))
    assert not outbox.is_stale
    (first, *_) = texts(outbox)
    assert len(first) < (1 << 16) + 100
    assert json.loads(encode_error(1, "no file a\udcff", "").encode())["error"]["message"] == "no file a?"


# -- what is kept ------------------------------------------------------------------------------------------------------


def timeline() -> Timeline:
    return Timeline(map(float, count()).__next__)


def test_lines_of_the_console_are_merged_until_something_else_happens() -> None:
    line = timeline()
    (first,) = line.printed("one\r\ntw")
    (second,) = line.printed("o\n\nthree\n")
    assert (first.seq, second.seq) == (1, 1)
    assert line.entries == (second,)
    assert second.text == "one\ntwo\nthree"
    line.add("stop", "here", 4)
    (third,) = line.printed("four\n")
    assert (third.seq, third.text) == (3, "four")


def test_an_oops_stands_by_itself() -> None:
    line = timeline()
    oops = "[    3.123456] BUG: kernel NULL pointer dereference, address: 0000000000000000\n"
    kinds = [entry.kind for entry in line.printed(f"before\n{oops}after\n")]
    assert kinds == ["console", "oops", "console"]


def test_a_target_that_prints_for_ever_fills_nothing() -> None:
    line = timeline()
    for number in range(MOST_ENTRIES + 10):
        line.add("resume", str(number))
    assert len(line.entries) == MOST_ENTRIES
    assert line.entries[-1].seq == MOST_ENTRIES + 10
    for _ in range(100):
        line.printed(("x" * 390 + "\n") * 100)
        line.add("resume", "")
    assert sum(len(entry.text) for entry in line.entries) <= MOST_TEXT
    assert line.printed("y" * 100_000) == []
    (last,) = line.printed("\n")
    assert len(last.text) == 400


def seen_at(number: int) -> Seen:
    seen = Seen()
    seen.stopped(StopView(number, "breakpoint", 5, PLACE))
    return seen


def test_what_was_unfolded_at_a_stop_is_kept_with_it() -> None:
    seen = seen_at(7)
    seen.variables(7, 0, 1, [Variable("a", "struct a", "{…}", 3), Variable("b", "int", "5")])
    seen.children(7, 1, 3, [Variable("c", "int", "6")])
    seen.children(7, 2, 3, [Variable("another page's", "int", "9")])
    kept = seen.of(7)
    assert kept["locals"] == {
        "0": [
            {"name": "a", "type": "struct a", "value": "{…}", "ref": None,
             "children": [{"name": "c", "type": "int", "value": "6", "ref": None}]},
            {"name": "b", "type": "int", "value": "5", "ref": None},
        ]
    }  # fmt: skip
    assert (kept["number"], kept["place"]) == (
        7,
        {"function": "f", "module": "m", "file": "f.c", "line": 3, "pc": "0x1000"},
    )


def test_a_list_without_end_and_stops_without_end_are_not_kept_whole() -> None:
    seen = seen_at(1)
    seen.variables(1, 0, 1, [Variable("next", "list *", "0x1", 1)])
    for ref in range(1, 5000):
        seen.children(1, 1, ref, [Variable("next", "list *", "0x1", ref + 1)])
    json.dumps(seen.of(1))
    seen.variables(1, 1, 1, [Variable(str(number), "int", "0") for number in range(5000)])
    kept = seen.of(1)["locals"]
    assert isinstance(kept, dict)
    assert len(kept["1"]) < MOST_VARIABLES
    for number in range(2, MOST_STOPS + 2):
        seen.stopped(StopView(number, "step", 5, PLACE))
    with pytest.raises(UsageError, match="nothing is kept of stop 1"):
        seen.of(1)


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def program() -> drgn.Program:
    program = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))

    def read(address: int, length: int, _offset: int, _physical: bool) -> bytes:
        if address < 0x1000:
            raise drgn.FaultError("nothing there", address)
        return bytes((address + i) & 0x7F for i in range(length))

    program.add_memory_segment(0, 1 << 47, read)
    return program


def test_structures_unfold_and_what_has_no_name_is_the_outer_ones(program: drgn.Program) -> None:
    number = program.int_type("int", 4, is_signed=True)
    inner = program.union_type(None, 4, [drgn.TypeMember(number, "low"), drgn.TypeMember(number, "high")])
    outer = program.struct_type(
        "outer", 16, [drgn.TypeMember(number, "first"), drgn.TypeMember(inner, None, 32),
                      drgn.TypeMember(program.pointer_type(number), "at", 64)],
    )  # fmt: skip
    variables = Variables()
    (shown,) = variables.of([("it", drgn.Object(program, outer, address=0x2000))])
    assert (shown.type, shown.value) == ("struct outer", "{…}")
    assert shown.ref is not None
    children = variables.children(shown.ref)
    assert [(child.name, child.value) for child in children[:3]] == [
        ("first", str(0x03020100)), ("low", str(0x07060504)), ("high", str(0x07060504))
    ]  # fmt: skip
    with pytest.raises(UsageError, match="of a stop that is over"):
        Variables().children(shown.ref)


def test_a_long_array_unfolds_in_pieces(program: drgn.Program) -> None:
    number = program.int_type("int", 4, is_signed=True)
    variables = Variables()
    array = drgn.Object(program, program.array_type(number, 1_000_001), address=0x10000)
    (shown,) = variables.of([("a", array)])
    assert (shown.value, shown.ref is not None) == ("[1000001]", True)
    ref = shown.ref
    names = []
    while ref is not None:
        pieces = variables.children(ref)
        assert len(pieces) <= 101
        names.append(pieces[-1].name)
        ref = pieces[-1].ref
    assert names[-1] == "[1000000]"
    assert names[0].endswith("..1000000]")


def test_a_string_is_read_as_far_as_it_is_shown() -> None:
    reads: list[int] = []
    memory = b'\0ab"\\\n\x01\xff'.ljust(64, b"\0") + b"x" * (1 << 20)

    def read(_address: int, count: int, offset: int, _physical: bool) -> bytes:
        reads.append(count)
        return memory[offset : offset + count]

    program = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))
    program.add_memory_segment(0x1000, len(memory), read)
    letter = program.int_type("char", 1, is_signed=True)
    pointer = program.pointer_type(letter)
    text = r'"ab\"\\\n\x01\xff"'
    named = [
        ("short", drgn.Object(program, pointer, 0x1001)),
        ("array", drgn.Object(program, program.array_type(letter, 20), address=0x1001)),
        ("nowhere", drgn.Object(program, pointer, 0x10)),
        ("value", drgn.Object(program, program.array_type(letter, 4), b"ab\0\0")),
    ]
    assert [each.value for each in Variables().of(named)] == [f"0x1001 = {text}", text, "0x10", '"ab"']
    reads.clear()
    endless = [
        ("endless", drgn.Object(program, pointer, 0x1041)),
        ("huge", drgn.Object(program, program.array_type(letter, 1 << 19), address=0x1041)),
    ]
    pointed, huge = Variables().of(endless)
    assert huge.value == '"' + "x" * LONGEST_STRING + '"…'
    assert pointed.value == f"0x1041 = {huge.value}"
    assert sum(reads) <= 2 * (LONGEST_STRING + 1)
    assert len(reads) <= 8


def test_what_is_looked_at_again_stays_as_it_was_kept() -> None:
    seen = Seen()
    seen.stopped(StopView(1, "breakpoint", 1, PLACE))
    many = [Variable(f"v{number}", "int", str(number), number + 1) for number in range(MOST_VARIABLES)]
    seen.variables(1, 0, 1, many)
    seen.variables(1, 0, 2, many[:-1])
    seen.children(1, 2, 1, [Variable("in", "int", "1")])
    assert len(seen.of(1)["locals"]["0"]) == MOST_VARIABLES - 1  # type: ignore[index]
    seen.variables(1, 0, 1, [*many[:-1], Variable("new", "int", "1")])
    assert [each["name"] for each in seen.of(1)["locals"]["0"]] == [each.name for each in many[:-1]]  # type: ignore[index]


def test_what_cannot_be_read_and_what_is_nowhere_say_so(program: drgn.Program) -> None:
    number = program.int_type("int", 4, is_signed=True)
    pointer = program.pointer_type(program.struct_type("hidden"))
    unreadable, absent, opaque = Variables().of(
        [
            ("a", drgn.Object(program, number, address=0x10)),
            ("b", drgn.Object(program, number)),
            ("c", drgn.Object(program, pointer, 0x5000)),
        ]
    )
    assert "nothing there" in unreadable.value
    assert absent.value == "<optimized out>"
    assert (opaque.value, opaque.ref) == ("0x5000", None)


@pytest.mark.parametrize(
    "text", ["len > 4", "len == 5 and not file.f_flags & 1", "a[1].b != -3 or x < y <= 7", "(a + b) * 2 >= c"]
)
def test_conditions_that_compare_are_taken(text: str) -> None:
    require_plain(text)
