# SPDX-License-Identifier: Apache-2.0
"""Frames and bytes: one table both ways, every split of the stream, and the traps other codecs fell into."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.rsp.framing import (
    Ack,
    Corrupt,
    Damage,
    Decoder,
    Frame,
    Interrupt,
    Junk,
    Nack,
    Notification,
    Packet,
    encode_packet,
)

# A frame and its bytes, each the other's only form: read whole, byte by byte, with junk around, and written.
BOTH_WAYS: list[tuple[bytes, bytes]] = [
    (b"", b"$#00"),
    (b"OK", b"$OK#9a"),
    (b"?", b"$?#3f"),
    (b"m0,4", b"$m0,4#fd"),
    (b"g", b"$g#67"),
    (b"T05thread:01;", b"$T05thread:01;#07"),
    (b"X0,4:#$}*", b"$X0,4:}\x03}\x04}]}\n#84"),
    (b"X0,3:\x03+-", b"$X0,3:\x03+-#7c"),
    (b"X0,1:\0", b"$X0,1:\0#1f"),
    (b"b\xff\xfe", b"$b\xff\xfe#5f"),
    (b"{", b"${#7b"),
    (b"}", b"$}]#da"),
    (b"qRcmd,6869", b"$qRcmd,6869#00"),
    (b"vCont;r1,2:1;c", b"$vCont;r1,2:1;c#4f"),
]

# Bytes and the frames they are, where the bytes are not how we would write the frame, or there is no frame to write.
ONE_WAY: list[tuple[bytes, list[Frame]]] = [
    (b"+", [Ack()]),
    (b"-", [Nack()]),
    (b"\x03", [Interrupt()]),
    (b"+-+\x03", [Ack(), Nack(), Ack(), Interrupt()]),
    (b"console text\r\n", [Junk(b"console text\r\n")]),
    (b"%Stop:T05#99", [Notification(b"Stop:T05")]),
    (b"$OK#9A", [Packet(b"OK")]),  # upper-case checksum
    (b"$0* #7a", [Packet(b"0000")]),  # the shortest run
    (b"$0*~#d8", [Packet(b"0" * 98)]),  # the longest run
    (b"$a*!b*!#59", [Packet(b"aaaaabbbbb")]),
    (b'$0*"*"#c8', [Packet(b"0" * 11)]),  # a run of what a run left
    (b"$z**#ce", [Packet(b"z" * 14)]),  # a star is a count too
    (b"$z*}a#82", [Packet(b"z" * 97 + b"a")]),  # and so is the escape
    (b"$}\x04* #cb", [Packet(b"$\x04\x04\x04")]),  # runs are expanded before escapes are undone
    (b"$* #4a", [Corrupt(b"$* #4a", Damage.ENCODING)]),  # nothing to repeat
    (b"$0*#5a", [Corrupt(b"$0*#5a", Damage.ENCODING)]),  # a count of '#' ends the packet
    (b"$0*\x1f#79", [Corrupt(b"$0*\x1f#79", Damage.ENCODING)]),  # a count below ' '
    (b"$0*\x7f#d9", [Corrupt(b"$0*\x7f#d9", Damage.ENCODING)]),  # a count above '~'
    (b"$a}#de", [Corrupt(b"$a}#de", Damage.ENCODING)]),  # an escape of nothing
    (b"$OK#00", [Corrupt(b"$OK#00", Damage.CHECKSUM)]),
    (b"$OK#9x", [Corrupt(b"$OK#9x", Damage.CHECKSUM)]),
    (b"$OK#x9a", [Corrupt(b"$OK#x", Damage.CHECKSUM), Junk(b"9a")]),
    (b"#$OK#9a", [Junk(b"#"), Packet(b"OK")]),  # the end of a packet is looked for behind its beginning
    (b"x#00$OK#9a#00", [Junk(b"x#00"), Packet(b"OK"), Junk(b"#00")]),
    (b"it costs $5 $OK#9a", [Junk(b"it costs "), Corrupt(b"$5 ", Damage.INTERRUPTED), Packet(b"OK")]),
    (b"$$OK#9a", [Corrupt(b"$", Damage.INTERRUPTED), Packet(b"OK")]),
    (b"$OK#$OK#9a", [Corrupt(b"$OK#", Damage.INTERRUPTED), Packet(b"OK")]),
    (b"$OK#9$OK#9a", [Corrupt(b"$OK#9", Damage.INTERRUPTED), Packet(b"OK")]),
    (b"%x$OK#9a", [Corrupt(b"%x", Damage.INTERRUPTED), Packet(b"OK")]),
    (b"$a%b#e8", [Packet(b"a%b")]),
]

# Mostly protocol characters, so that every state meets every byte.
PROTOCOL_TEXT = st.lists(st.sampled_from([bytes((byte,)) for byte in b"$#%+-\x03}*09af \n\xff"]), max_size=40).map(
    b"".join
)
OPTIONS = st.fixed_dictionaries(
    {"max_payload": st.sampled_from([1, 4, 64]), "notifications": st.booleans(), "text_only": st.booleans()}
)


def merged(frames: list[Frame]) -> list[Frame]:
    """``frames`` with adjacent junk joined: the only thing in which the split of a stream may show."""
    out: list[Frame] = []
    for frame in frames:
        if out and isinstance(frame, Junk) and isinstance(out[-1], Junk):
            out[-1] = Junk(out[-1].data + frame.data)
        else:
            out.append(frame)
    return out


def read(data: bytes, cuts: list[int] | None = None, **options: object) -> list[Frame]:
    """Feed ``data`` cut at ``cuts``, and give up what is unfinished at the end."""
    decoder = Decoder(**options)  # type: ignore[arg-type]
    frames: list[Frame] = []
    places = [0, *sorted(cuts or []), len(data)]
    for start, end in itertools.pairwise(places):
        frames += decoder.feed(data[start:end])
    rest = decoder.abandon()
    return merged(frames + ([rest] if rest else []))


def read_everyhow(data: bytes, **options: object) -> list[Frame]:
    whole = read(data, **options)
    assert read(data, list(range(1, len(data))), **options) == whole
    return whole


@pytest.mark.parametrize(("payload", "encoded"), BOTH_WAYS)
def test_a_payload_and_its_packet_are_each_others_only_form(payload: bytes, encoded: bytes) -> None:
    assert encode_packet(payload) == encoded
    assert read_everyhow(encoded) == [Packet(payload)]


@pytest.mark.parametrize(("payload", "encoded"), BOTH_WAYS)
def test_a_packet_is_found_between_junk(payload: bytes, encoded: bytes) -> None:
    assert read_everyhow(b"junk # 9a\n" + encoded + b"more") == [Junk(b"junk # 9a\n"), Packet(payload), Junk(b"more")]
    assert read_everyhow(b"+" + encoded + b"-") == [Ack(), Packet(payload), Nack()]
    assert read_everyhow(encoded + encoded) == [Packet(payload)] * 2
    assert read_everyhow(b"$lost" + encoded) == [Corrupt(b"$lost", Damage.INTERRUPTED), Packet(payload)]


@pytest.mark.parametrize(("encoded", "frames"), ONE_WAY)
def test_bytes_are_read_as_these_frames(encoded: bytes, frames: list[Frame]) -> None:
    assert read_everyhow(encoded) == frames


@pytest.mark.parametrize(("encoded", "frames"), [*ONE_WAY, *((data, [Packet(body)]) for body, data in BOTH_WAYS)])
def test_no_frame_changes_when_the_stream_is_cut_in_two(encoded: bytes, frames: list[Frame]) -> None:
    for cut in range(len(encoded) + 1):
        assert read(encoded, [cut]) == frames


@given(st.data(), st.one_of(PROTOCOL_TEXT, st.binary(max_size=60)), OPTIONS)
def test_the_split_of_a_stream_never_changes_the_frames(
    data: st.DataObject, stream: bytes, options: dict[str, object]
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    assert read(stream, cuts, **options) == read_everyhow(stream, **options)


@given(st.binary(max_size=300))
def test_every_payload_survives_the_line(payload: bytes) -> None:
    assert read_everyhow(encode_packet(payload)) == [Packet(payload)]


@given(st.binary(max_size=300))
def test_an_encoded_packet_holds_one_dollar_and_one_hash(payload: bytes) -> None:
    encoded = encode_packet(payload)
    assert (encoded.count(b"$"), encoded.count(b"#")) == (1, 1)
    assert encoded.index(b"$") == 0
    assert encoded.index(b"#") == len(encoded) - 3
    assert b"*" not in encoded


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_packets_in_a_row_arrive_in_order(payloads: list[bytes]) -> None:
    stream = b"+".join(map(encode_packet, payloads))
    assert [frame.payload for frame in read(stream) if isinstance(frame, Packet)] == payloads


@given(st.binary(max_size=80))
def test_no_byte_of_the_stream_is_lost(stream: bytes) -> None:
    """Frames that are no packet keep their bytes; a packet's own are those it encodes from."""
    marks = {Ack(): b"+", Nack(): b"-", Interrupt(): b"\x03"}
    position = 0
    for frame in read(stream):
        if isinstance(frame, Packet | Notification):
            position = stream.index(b"#", position) + 3
            continue
        raw = frame.data if isinstance(frame, Junk) else frame.raw if isinstance(frame, Corrupt) else marks[frame]
        assert stream[position : position + len(raw)] == raw
        position += len(raw)
    assert position == len(stream)


@pytest.mark.parametrize("count", [character for character in range(0x20, 0x7F) if character not in b"#$"])
def test_every_run_length_a_sender_may_use_is_expanded(count: int) -> None:
    body = b"z*%c" % count
    assert read(b"$%b#%02x" % (body, sum(body) & 0xFF)) == [Packet(b"z" * (1 + count - 29))]


def test_a_run_count_that_is_a_dollar_begins_another_packet() -> None:
    assert read(b"$z*$OK#9a") == [Corrupt(b"$z*", Damage.INTERRUPTED), Packet(b"OK")]


def test_an_interrupt_inside_a_packet_is_data() -> None:
    assert read_everyhow(b"\x03$X0,1:\x03#22\x03") == [Interrupt(), Packet(b"X0,1:\x03"), Interrupt()]


def test_percent_is_text_where_no_notification_is_sent() -> None:
    assert read_everyhow(b"50% of $OK#9a", notifications=False) == [Junk(b"50% of "), Packet(b"OK")]


def test_a_dollar_in_console_text_ends_with_its_line_where_packets_are_text() -> None:
    frames = read_everyhow(b"it costs $5\nok\n$OK#9a", text_only=True)
    assert frames == [Junk(b"it costs "), Corrupt(b"$5", Damage.NOT_TEXT), Junk(b"\nok\n"), Packet(b"OK")]


@pytest.mark.parametrize("length", [4, 5, 7, 8])
def test_a_payload_over_the_bound_is_corrupt_even_if_its_body_is_not(length: int) -> None:
    body = b"a" * length
    encoded = b"$%b#%02x" % (body, sum(body) & 0xFF)
    assert read_everyhow(encoded, max_payload=4) == [Packet(body) if length == 4 else Corrupt(encoded, Damage.ENCODING)]


def test_an_overlong_packet_is_reported_at_the_bound_and_skipped_to_its_end() -> None:
    stream = b"$" + b"a" * 8 + b"\x03+-a#\x00\x03$OK#9a"
    whole = read_everyhow(stream, max_payload=4)
    assert whole == [Corrupt(b"$aaaaaaaa", Damage.OVERLONG), Junk(b"\0"), Interrupt(), Packet(b"OK")]
    assert read_everyhow(b"$" + b"a" * 9 + b"#9a+", max_payload=4) == [Corrupt(b"$aaaaaaaa", Damage.OVERLONG), Ack()]
    assert read_everyhow(b"$" + b"a" * 9 + b"$OK#9a", max_payload=4)[1:] == [Packet(b"OK")]
    assert read_everyhow(b"$" + b"a" * 9 + b"\n+", max_payload=4, text_only=True)[1:] == [Junk(b"\n"), Ack()]


def test_an_endless_packet_and_an_expansion_bomb_take_bounded_memory() -> None:
    decoder = Decoder(max_payload=4096)
    bomb = b"$" + b"a" + b"*~" * 3000 + b"#00"
    tracemalloc.start()
    for chunk in [b"$" + b"a" * 65536, *[b"a" * 65536] * 50, b"#00", bomb, bomb]:
        decoder.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_partial_says_whether_a_packet_has_begun() -> None:
    decoder = Decoder(max_payload=4)
    assert not decoder.partial
    for piece in (b"$", b"OK", b"#", b"9", b"$" + b"a" * 20, b"#", b"0"):
        decoder.feed(piece)
        assert decoder.partial
    decoder.feed(b"0")
    assert not decoder.partial


def test_an_abandoned_packet_gives_its_bytes_back_and_the_next_is_read() -> None:
    decoder = Decoder()
    assert decoder.abandon() is None
    decoder.feed(b"$half")
    assert decoder.abandon() == Corrupt(b"$half", Damage.ABANDONED)
    assert decoder.feed(b"$OK#9a") == [Packet(b"OK")]


def test_an_abandoned_overlong_packet_has_nothing_left_to_give() -> None:
    decoder = Decoder(max_payload=1)
    decoder.feed(b"$aaaa")
    assert decoder.partial
    assert decoder.abandon() is None
    assert not decoder.partial


def test_a_large_packet_is_read_in_time_linear_in_its_length() -> None:
    payload = b"}" * (1 << 19)
    assert read(encode_packet(payload)) == [Packet(payload)]
