# SPDX-License-Identifier: Apache-2.0
"""The exchange on a command port: what marks mean, for any split of the bytes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.targets.agent_protocol import (
    COMMAND_LIMIT,
    AgentEvent,
    Finished,
    Output,
    PortDecoder,
    Ready,
    encode_request,
    new_tag,
)

SECRET = b"5" * 32
TAG = b"0123456789abcdef" * 2
BEGIN = TAG + b"+\n"


def merged(events: list[AgentEvent]) -> list[AgentEvent]:
    """Neighbouring outputs as one: where output is cut is nobody's business."""
    result: list[AgentEvent] = []
    for event in events:
        if isinstance(event, Output) and result and isinstance(result[-1], Output):
            result[-1] = Output(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def decode(*chunks: bytes, tag: bytes | None = TAG) -> list[AgentEvent]:
    decoder = PortDecoder(SECRET)
    if tag is not None:
        decoder.expect(tag)
    return merged([event for chunk in chunks for event in decoder.feed(chunk)])


def test_an_agent_that_starts_is_seen_without_any_command() -> None:
    assert decode(b"boot noise\n" + SECRET + b"!\n", tag=None) == [Ready()]


def test_a_command_without_output_only_ends() -> None:
    assert decode(BEGIN + TAG + b"-0\n") == [Finished(0)]


def test_output_without_a_line_end_keeps_its_last_byte() -> None:
    assert decode(BEGIN + b"no newline" + TAG + b"-3\n") == [Output(b"no newline"), Finished(3)]


def test_what_an_earlier_command_left_running_is_not_output() -> None:
    assert decode(b"late words" + BEGIN + b"mine" + TAG + b"-0\n" + b"later words") == [Output(b"mine"), Finished(0)]


def test_the_tag_alone_is_output() -> None:
    said = TAG + b" and " + TAG + b"-x\n" + TAG + b"-1234\n"
    assert decode(BEGIN + said + TAG + b"-0\n") == [Output(said), Finished(0)]


def test_output_is_passed_on_before_the_command_ends() -> None:
    assert decode(BEGIN + b"progress: 10%") == [Output(b"progress: 10%")]


def test_an_agent_that_was_replaced_says_so_in_the_middle_of_output() -> None:
    assert decode(BEGIN + b"half" + SECRET + b"!\n" + b"rest") == [Output(b"half"), Ready()]


def test_nothing_is_output_before_a_command_was_given() -> None:
    assert decode(BEGIN + b"text" + TAG + b"-0\n", tag=None) == []


@given(
    st.lists(
        st.sampled_from(
            [BEGIN, TAG, SECRET, b"!\n", b"+\n", b"-0\n", b"-255\n", b"-", b"\n", b"out", b"\0\xff", TAG[:9]]
        )
    ).map(b"".join),
    st.data(),
)
def test_any_split_of_the_bytes_means_the_same(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    # A tail that may be an incomplete mark is held; a byte that cannot belong to one lets it go.
    assert decode(*pieces, b"~" * 40) == decode(stream, b"~" * 40)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_output_arrives_byte_for_byte(output: bytes, code: int) -> None:
    expected: list[AgentEvent] = [Output(output)] if output else []
    assert decode(BEGIN + output + TAG + b"-%d\n" % code) == [*expected, Finished(code)]


def test_tags_differ() -> None:
    assert len({new_tag() for _ in range(100)}) == 100
    assert re.fullmatch(rb"[0-9a-f]{32}", new_tag())


@pytest.mark.parametrize("command", ["", "  \n", "a\0b", "x" * (COMMAND_LIMIT + 1)])
def test_what_no_shell_can_take_is_refused(command: str) -> None:
    with pytest.raises(UsageError):
        encode_request(TAG, command)


@pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox")
@pytest.mark.parametrize(
    "command",
    [
        r"printf 'a\nb\\' \0101 %s",
        "two\nlines\tand a tab",
        "ü€ 𝄞",
        "".join(map(chr, range(1, 256))),
        bytes(range(0x80, 0x100)).decode(errors="surrogateescape") + "1",
        "\\" * 7 + "0",
    ],
)
def test_the_targets_shell_reads_what_was_meant(command: str) -> None:
    request = encode_request(TAG, command)
    assert request.count(b"\n") == 1
    script = 'IFS= read -r request; printf "%s" "$(printf %b "${request#* }")"'
    heard = subprocess.run(["busybox", "sh", "-c", script], input=request, capture_output=True, check=True).stdout
    assert heard == command.encode(errors="surrogateescape").rstrip(b"\n")
