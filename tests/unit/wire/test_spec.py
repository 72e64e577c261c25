# SPDX-License-Identifier: Apache-2.0
"""What users write for a line, and what they are told when it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.wire.spec import (
    Flow,
    LineSettings,
    Parity,
    PtyWire,
    Rfc2217Wire,
    SerialWire,
    TcpWire,
    TelnetWire,
    UnixWire,
    baud_of,
    parse_wire,
)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("/dev/ttyS0", SerialWire("/dev/ttyS0")),
        ("serial:/dev/ttyUSB0", SerialWire("/dev/ttyUSB0", LineSettings(115200))),
        (
            "serial:/dev/ttyUSB0?baud=9600&parity=even&stop=2&flow=rtscts",
            SerialWire("/dev/ttyUSB0", LineSettings(9600, Parity.EVEN, 2, Flow.RTSCTS)),
        ),
        ("tcp:board.lab:2001", TcpWire("board.lab", 2001)),
        ("tcp:[::1]:2001", TcpWire("::1", 2001)),
        ("telnet:10.0.0.7:23", TelnetWire("10.0.0.7", 23)),
        ("rfc2217:lab:3001?baud=921600", Rfc2217Wire("lab", 3001, LineSettings(921600))),
        ("unix:/run/vm/serial.sock", UnixWire("/run/vm/serial.sock")),
        ("pty:/dev/pts/7", PtyWire("/dev/pts/7")),
    ],
)
def test_every_kind_of_line_can_be_written_and_reads_back(text: str, wire: object) -> None:
    assert parse_wire(text) == wire
    assert parse_wire(str(wire)) == wire


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("usb:3", "begins with none of serial, tcp, telnet, rfc2217, unix, pty"),
        ("ttyUSB0", "begins with none of"),
        ("", "begins with none of"),
        ("serial:ttyUSB0", "not an absolute path"),
        ("serial:/dev/ttyS0?baud=fast", "'fast' is no baud rate"),
        ("serial:/dev/ttyS0?baud=0", "'0' is no baud rate"),
        ("serial:/dev/ttyS0?baud=99999999", "is no baud rate"),
        ("serial:/dev/ttyS0?baud=9600&baud=1", "given twice"),
        ("serial:/dev/ttyS0?parity=mark", "parity 'mark' is none of none, even, odd"),
        ("serial:/dev/ttyS0?flow=dtr", "flow 'dtr' is none of none, rtscts, xonxoff"),
        ("serial:/dev/ttyS0?stop=3", "1 or 2"),
        ("serial:/dev/ttyS0?bauds=3", "unknown option bauds"),
        ("serial:/dev/ttyS0?baud", "NAME=VALUE"),
        ("tcp:host", "'host' is not HOST:PORT"),
        ("tcp:host:0", "not HOST:PORT"),
        ("tcp:host:65536", "not HOST:PORT"),
        ("tcp:::1:2001", "in brackets"),
        ("tcp:host:1?baud=9600", "unknown option baud"),
        ("unix:relative", "not an absolute path"),
        ("pty:/dev/pts/7\n", "control characters"),
    ],
)
def test_what_is_no_line_is_refused_with_what_is_allowed(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint.replace("(", r"\(")) as refused:
        parse_wire(text)
    assert text.strip() in str(refused.value) or repr(text) in str(refused.value)


@given(st.text(max_size=60))
def test_no_text_at_all_makes_anything_but_a_line_or_a_usage_error(text: str) -> None:
    try:
        wire = parse_wire(text)
    except UsageError:
        return
    assert parse_wire(str(wire)) == wire


def test_the_speed_is_known_where_we_set_it() -> None:
    assert baud_of(parse_wire("/dev/ttyS0?baud=9600")) == 9600
    assert baud_of(parse_wire("rfc2217:a:1")) == 115200
    assert baud_of(parse_wire("telnet:a:1")) is None
