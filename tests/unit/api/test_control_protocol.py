# SPDX-License-Identifier: Apache-2.0
"""The control socket's lines: what is sent arrives, whatever way it is cut; what is wrong is one clear error."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem import errors
from nullmodem.api import control_protocol as protocol
from nullmodem.api import failures
from nullmodem.api.facts import (
    CacheFacts,
    ClientFacts,
    CommandFacts,
    LoadMapFacts,
    ModuleFacts,
    RegionFacts,
    SaidFacts,
    SectionFacts,
    StopFacts,
    TargetFacts,
    WireFacts,
)
from nullmodem.api.line_reader import LINE_LIMIT, LineReader
from nullmodem.api.records import Address
from nullmodem.errors import NullmodemError, RemoteProtocolError

addresses = st.integers(0, (1 << 64) - 1).map(Address)
texts = st.text()
counts = st.integers(0, (1 << 63) - 1)
names = st.lists(texts).map(tuple)
stops = st.builds(StopFacts, counts, texts, counts, counts, addresses, texts)
modules = st.builds(
    ModuleFacts,
    name=texts,
    state=texts,
    text=st.none() | addresses,
    size=counts,
    file=texts,
    problem=texts,
    explanation=texts,
)
targets = st.builds(
    TargetFacts,
    state=texts,
    stop=st.none() | stops,
    resumes=counts,
    clients=st.lists(st.builds(ClientFacts, texts, texts, st.booleans(), st.booleans(), counts)).map(tuple),
    modules=counts,
    processors=counts,
    slide=addresses,
    vmlinux=texts,
    wire=st.builds(
        WireFacts,
        counts,
        counts,
        counts,
        st.builds(CommandFacts, counts, counts, counts),
        st.none() | counts,
        st.none() | counts,
    ),
    cache=st.builds(CacheFacts, counts, counts, counts, counts),
    said=st.lists(st.builds(SaidFacts, counts, texts)).map(tuple),
)
requests = st.one_of(
    st.builds(protocol.GetStatus),
    st.builds(protocol.GetModules),
    st.builds(protocol.GetLoadMap, texts),
    st.builds(protocol.Build, texts),
    st.builds(protocol.Load, texts, names, st.booleans()),
    st.builds(protocol.Unload, texts, st.booleans()),
    st.builds(protocol.Reload, texts),
    st.builds(protocol.Interrupt),
    st.builds(protocol.Continue, st.booleans()),
    st.builds(protocol.Execute, names),
    st.builds(protocol.Push, texts, texts),
    st.builds(protocol.Watch),
    st.builds(protocol.End),
)
results = st.one_of(
    st.builds(
        protocol.SessionStatus,
        name=texts,
        pid=counts,
        started=st.floats(0, 1e12),
        kernel=texts,
        release=texts,
        module=texts,
        known=names,
        gdb=names,
        console=texts,
        target=targets,
    ),
    st.builds(protocol.ModuleList, st.lists(modules).map(tuple)),
    st.builds(
        LoadMapFacts,
        modules,
        st.lists(st.builds(SectionFacts, texts, counts, st.none() | addresses, counts)).map(tuple),
        st.lists(st.builds(RegionFacts, texts, addresses, counts)).map(tuple),
    ),
    st.builds(protocol.Built, texts, texts),
    st.builds(protocol.Done, texts, st.none() | stops, texts),
    stops,
    st.builds(protocol.Continued, st.booleans(), texts),
    st.builds(protocol.Exited, counts),
    st.builds(protocol.Pushed, texts),
    st.builds(protocol.Ending, counts),
)
others = st.one_of(
    st.builds(protocol.BuildProgress, texts, st.none() | st.floats(0, 1), st.none() | st.floats(0, 1e6), texts),
    st.builds(protocol.OutputPart, st.binary()),
    st.builds(protocol.Note, texts),
    st.builds(protocol.SessionEvent, texts, st.none() | stops, counts, texts),
    st.builds(failures.Failure, texts, texts, texts, code=st.none() | st.integers(0, 255), command=st.none() | names),
)


class Pieces:
    """A stream that hands out what it has in pieces of given sizes."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes

    def recv(self, size: int, /) -> bytes:
        count = min(self._sizes.pop(0) if self._sizes else size, size)
        piece, self._data = self._data[:count], self._data[count:]
        return piece


def test_every_request_has_a_name() -> None:
    assert set(protocol.REQUESTS.values()) == set(protocol.Request.__args__)


@given(requests)
def test_a_request_arrives_as_it_was_sent(request: protocol.Request) -> None:
    assert protocol.parse_request(protocol.encode_request(request)) == request


@given(results)
def test_a_result_arrives_as_it_was_sent(result: protocol.Result) -> None:
    assert protocol.parse_message(protocol.encode_message(result), type(result)) == result


@given(others)
def test_every_other_message_arrives_whatever_result_is_awaited(message: protocol.Message) -> None:
    assert protocol.parse_message(protocol.encode_message(message), protocol.Exited) == message


@given(st.binary())
def test_bytes_are_a_request_or_refused(line: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        protocol.parse_request(line)


@given(st.dictionaries(st.sampled_from(["request", "arguments", "x"]), st.text() | st.dictionaries(texts, texts)))
def test_objects_are_a_request_or_refused(value: dict[str, object]) -> None:
    try:
        request = protocol.parse_request(json.dumps(value).encode())
    except RemoteProtocolError:
        return
    assert json.loads(protocol.encode_request(request))["request"] == value["request"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"request": "reboot", "arguments": {}}', "there is no request 'reboot'"),
        (b'{"request": "status"}', "a request has a name and arguments"),
        (b'{"request": "status", "arguments": {}, "more": 1}', "a request has a name and arguments"),
        (b'{"request": "load", "arguments": {"name": 3}}', "Load.name should be str"),
        (b'{"request": "load", "arguments": {"name": "x", "force": true}}', "Load has no field 'force'"),
        (b'{"request": "unload", "arguments": {}}', "Unload lacks its field 'name'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(line: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        protocol.parse_request(line)


@pytest.mark.parametrize("line", [b"{}", b'{"result": {}, "note": {}}', b'{"hello": {}}', b'{"result": {"code": "x"}}'])
def test_a_message_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        protocol.parse_message(line, protocol.Exited)


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.lists(st.integers(1, 9)))
def test_lines_come_whole_however_the_stream_is_cut(lines: list[bytes], sizes: list[int]) -> None:
    reader = LineReader(Pieces(b"".join(line + b"\n" for line in lines) + b"rest", sizes))
    assert [reader.read() for _ in lines] == lines
    assert reader.read() is None


@given(st.integers(1, 200), st.lists(st.integers(1, 9)))
def test_no_line_is_longer_than_the_limit_allows(length: int, sizes: list[int]) -> None:
    reader = LineReader(Pieces(b"x" * length, [min(size, 9) for size in sizes] + [9] * 40), limit=64)
    if length >= 64:
        with pytest.raises(RemoteProtocolError, match="a line of more than 64 bytes"):
            reader.read()
    else:
        assert reader.read() is None


EVERY_ERROR = [
    errors.UsageError("m", hint="h"),
    errors.WireTimeout("m"),
    errors.StubError("m", errno=14),
    errors.MemoryFault(0xFFFF, 8),
    errors.StateError("m", state="stopped", hint="h"),
    errors.LeaseError("m", holder="gdb"),
    errors.BreakpointRefused("m", address=5),
    errors.NoSessionError("m"),
    errors.BootError("m", command=("qemu", "-x"), output="panic"),
    errors.CommandError("m", code=3, output="text"),
    errors.CommandTimeout("m", code=124, output=""),
    errors.BuildError("m", output="a.c:1: error", hint="h"),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_an_error_is_raised_at_the_other_end_as_it_was(error: NullmodemError) -> None:
    line = protocol.encode_message(failures.failure_of(error))
    failure = protocol.parse_message(line, protocol.Exited)
    assert isinstance(failure, failures.Failure)
    again = failures.error_of(failure)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_failed_build_says_what_the_compiler_said() -> None:
    error = errors.BuildError("it did not build", output="a.c:1: error: no such thing\n", hint="mend it")
    assert str(error) == "a.c:1: error: no such thing\nit did not build\nmend it"
    assert str(errors.BuildError("it did not build")) == "it did not build"


def test_every_class_of_error_can_be_raised_at_the_other_end() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, NullmodemError):
            assert type(failures.error_of(failures.Failure(kind.__name__, "m", "h"))) is kind


@pytest.mark.parametrize("kind", ["Exception", "annotations", "SystemExit", "__name__", ""])
def test_nothing_but_an_error_of_ours_is_raised(kind: str) -> None:
    with pytest.raises(RemoteProtocolError, match="unknown kind"):
        failures.error_of(failures.Failure(kind, "m", "h"))


def test_of_a_long_output_the_end_is_sent() -> None:
    failure = failures.failure_of(errors.BuildError("m", output="x" * 100_000 + "the reason"))
    assert failure.output is not None
    assert failure.output.endswith("the reason")
    assert len(protocol.encode_message(failure)) < LINE_LIMIT
