# SPDX-License-Identifier: Apache-2.0
"""The file format of recordings, and writing one."""

from __future__ import annotations

import json
import resource
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem import __version__
from nullmodem.errors import UsageError, WireClosed
from nullmodem.wire.recorder import RecordedStream, Recorder
from nullmodem.wire.recording import LINE_LIMIT, Direction, Entry, Header, parse_recording, read_recording
from nullmodem.wire.streams import ByteStream, SocketStream

if TYPE_CHECKING:
    from pathlib import Path

HEAD = Header("2026-01-02T03:04:05Z", "x86-64").encode()
ENTRIES = st.lists(
    st.builds(Entry, st.floats(0, 1e6).map(lambda t: round(t, 6)), st.sampled_from(Direction), st.binary())
)


class Clock:
    """Says a quarter of a second more each time it is asked."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@given(ENTRIES, st.dictionaries(st.sampled_from(["kernel", "wire", "note"]), st.text(max_size=20)))
def test_what_is_written_is_read_again(entries: list[Entry], about: dict[str, str]) -> None:
    header = Header("2026-01-02T03:04:05Z", "x86-64", about)
    lines = [header.encode(), *(entry.encode() for entry in entries)]
    assert all(line.isascii() and line.count("\n") == 1 for line in lines)
    recording = parse_recording(lines, "x")
    assert recording.header == header
    assert list(recording.entries) == entries
    assert not recording.cut


def test_a_last_line_without_its_end_is_left_out() -> None:
    recording = parse_recording([HEAD, Entry(0, Direction.EVENT, b"break").encode(), '[1.0, "<", "$T0'], "x")
    assert recording.cut
    assert [entry.data for entry in recording.entries] == [b"break"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "it is empty"),
        (["{}\n"], "line 1: it does not begin with a recording's header"),
        (["[]\n"], "line 1: it does not begin"),
        (["[" * 100_000 + "\n"], "line 1: it is not JSON"),
        (
            [HEAD.replace('"version": 1', '"version": 2')],
            "line 1: it is of version 2, and this nullmodem reads version 1",
        ),
        ([HEAD, "x\n"], "line 2: it is not JSON"),
        ([HEAD, "[1, 2, 3]\n"], "line 2: it is no entry"),
        ([HEAD, '[1, "?", ""]\n'], "line 2: it is no entry"),
        ([HEAD, '[1, "<", "\\u0100"]\n'], "line 2: it holds a character that is no byte"),
        *(
            ([HEAD, f'[{seconds}, "<", ""]\n'], "line 2: its time is none")
            for seconds in ("9" * 400, "-" + "9" * 400, "NaN", "1e999", "Infinity", "-1", "-0.5")
        ),
        ([HEAD, "x" * LINE_LIMIT], f"line 2: it has more than {LINE_LIMIT} characters"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_line(lines: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recording(lines, "bug.rec")
    assert caught.value.message.startswith("bug.rec is not a recording")
    assert words in caught.value.message


@given(st.lists(st.text(max_size=40)))
def test_any_text_is_a_recording_or_one_clear_error(lines: list[str]) -> None:
    try:
        parse_recording([HEAD, *lines], "x")
    except UsageError as error:
        assert "is not a recording" in error.message  # noqa: PT017  # either is good


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the recording"):
        read_recording(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0\n")
    with pytest.raises(UsageError, match="line 1"):
        read_recording(tmp_path / "binary")


def test_every_byte_is_in_the_file_at_once_with_its_time(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        recorder = Recorder(tmp_path / "rec", "x86-64", {"wire": "pair"}, clock=Clock())
        stream = RecordedStream(SocketStream(ours), recorder)
        assert isinstance(stream, ByteStream)
        assert stream.fileno() == ours.fileno()
        stream.write(b"$?#3f")
        theirs.sendall(b"+$S05#b8\xff")
        assert stream.read() == b"+$S05#b8\xff"
        with pytest.raises(UsageError):
            stream.send_break()
        theirs.close()
        assert stream.read() == b""
        with pytest.raises(WireClosed):
            stream.write(b"+")
        recording = read_recording(tmp_path / "rec")  # before it is closed: as after a kill
        assert recording.header.about == {"wire": "pair", "by": f"nullmodem {__version__}"}
        assert recording.entries == (
            Entry(0.25, Direction.TO_TARGET, b"$?#3f"),
            Entry(0.5, Direction.FROM_TARGET, b"+$S05#b8\xff"),
            Entry(0.75, Direction.EVENT, b"break"),
            Entry(1.0, Direction.TO_TARGET, b"+"),
        )
        stream.close()
        stream.close()
        assert (tmp_path / "rec").stat().st_mode & 0o777 == 0o600


def test_a_recording_is_never_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "rec").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        Recorder(tmp_path / "rec", "x86-64")
    with pytest.raises(UsageError, match="cannot record to"):
        Recorder(tmp_path / "none" / "rec", "x86-64")
    assert (tmp_path / "rec").read_text() == "mine"


def test_a_file_that_can_grow_no_more_ends_the_recording_and_not_the_line(tmp_path: Path) -> None:
    told: list[str] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = RecordedStream(
            SocketStream(ours), Recorder(tmp_path / "rec", "x86-64", on_trouble=told.append, clock=Clock())
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
        try:
            for _ in range(20):
                stream.write(b"0123456789")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert theirs.recv(1000) == b"0123456789" * 20
        stream.close()
    (text,) = told
    assert "ends here: File too large" in text
    recording = read_recording(tmp_path / "rec")
    assert 0 < len(recording.entries) < 20
    assert json.loads((tmp_path / "rec").read_text().splitlines()[0])["format"] == "nullmodem-recording"
