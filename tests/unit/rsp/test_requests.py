# SPDX-License-Identifier: Apache-2.0
"""Every request, written and read by one table; what is malformed is refused; nothing else ever happens."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp import requests as r
from nullmodem.rsp.framing import Decoder, Packet, encode_packet
from nullmodem.rsp.requests import BreakpointKind, Request, Unknown, parse_request

TOP = (1 << 64) - 1

# Each request and its payload, each the other's only form.
BOTH_WAYS: list[tuple[Request, bytes]] = [
    (r.HaltReason(), b"?"),
    (r.ExtendedMode(), b"!"),
    (r.Detach(), b"D"),
    (r.Detach(1), b"D;1"),
    (r.Kill(), b"k"),
    (r.Kill(0x2A), b"vKill;2a"),
    (r.Restart(), b"R0"),
    (r.SwitchToKdb(), b"3"),
    (r.StartNoAck(), b"QStartNoAckMode"),
    (r.MustReplyEmpty(), b"vMustReplyEmpty"),
    (r.VRun((b"/bin/x", b"")), b"vRun;2f62696e2f78;"),
    (r.VAttach(0x2A), b"vAttach;2a"),
    (r.ReadRegisters(), b"g"),
    (r.WriteRegisters(b"\x01\xef"), b"G01ef"),
    (r.ReadRegister(16), b"p10"),
    (r.WriteRegister(16, b"\0\xff"), b"P10=00ff"),
    (r.ReadMemory(0xFFFFFFFF81000000, 511), b"mffffffff81000000,1ff"),
    (r.ReadMemory(0, 0), b"m0,0"),
    (r.ReadMemory(TOP, 1), b"mffffffffffffffff,1"),
    (r.ReadBinary(0x10, 4), b"x10,4"),
    (r.WriteMemory(0x10, b"\xcc"), b"M10,1:cc"),
    (r.WriteMemory(0x10, b""), b"M10,0:"),
    (r.WriteBinary(0x10, b"$#}*:,"), b"X10,6:$#}*:,"),
    (r.WriteBinary(0x10, b""), b"X10,0:"),
    (r.SearchMemory(0x10, 0x20, b"a;b"), b"qSearch:memory:10;20;a;b"),
    (r.Crc(0x10, 0x40), b"qCRC:10,40"),
    (r.SelectThread("g", 1), b"Hg1"),
    (r.SelectThread("g", r.ANY_THREAD), b"Hg0"),
    (r.SelectThread("c", r.ALL_THREADS), b"Hc-1"),
    (r.SelectThread("g", -2), b"Hgfffffffe"),
    (r.ThreadAlive(0x7FFFFFFF), b"T7fffffff"),
    (r.ThreadAlive(-(1 << 31)), b"T80000000"),
    (r.CurrentThread(), b"qC"),
    (r.ThreadInfoFirst(), b"qfThreadInfo"),
    (r.ThreadInfoNext(), b"qsThreadInfo"),
    (r.ThreadExtraInfo(-3), b"qThreadExtraInfo,fffffffd"),
    (r.InsertBreakpoint(BreakpointKind.SOFTWARE, 0x10, 1), b"Z0,10,1"),
    (r.InsertBreakpoint(BreakpointKind.HARDWARE, 0x10, 1), b"Z1,10,1"),
    (r.InsertBreakpoint(BreakpointKind.WRITE, 0x10, 8), b"Z2,10,8"),
    (r.InsertBreakpoint(BreakpointKind.READ, 0x10, 8), b"Z3,10,8"),
    (r.RemoveBreakpoint(BreakpointKind.ACCESS, 0x10, 8), b"z4,10,8"),
    (r.InsertBreakpoint(BreakpointKind.SOFTWARE, 0x10, 1, (b"\x22", b"")), b"Z0,10,1;X1,22X0,"),
    (
        r.InsertBreakpoint(BreakpointKind.SOFTWARE, 0x10, 1, (b"\x22",), (b"\x27\x01",), persist=True),
        b"Z0,10,1;X1,22;cmds:1,X2,2701",
    ),
    (r.InsertBreakpoint(BreakpointKind.SOFTWARE, 0x10, 1, (), (b"\x27",)), b"Z0,10,1;cmds:0,X1,27"),
    (r.Continue(), b"c"),
    (r.Continue(0x10), b"c10"),
    (r.ContinueWithSignal(9), b"C09"),
    (r.ContinueWithSignal(255, 0x10), b"Cff;10"),
    (r.Step(), b"s"),
    (r.Step(0), b"s0"),
    (r.StepWithSignal(5), b"S05"),
    (r.StepWithSignal(5, 0x10), b"S05;10"),
    (r.VContQuery(), b"vCont?"),
    (r.VCont((r.VContAction("c"),)), b"vCont;c"),
    (
        r.VCont(
            (
                r.VContAction("r", start=0x10, end=0x20, thread=1),
                r.VContAction("S", signal=5, thread=-2),
                r.VContAction("C", signal=9, thread=0),
                r.VContAction("s"),
                r.VContAction("t"),
            )
        ),
        b"vCont;r10,20:1;S05:fffffffe;C09:0;s;t",
    ),
    (r.VCont((r.VContAction("r", start=0x10, end=0x10),)), b"vCont;r10,10"),
    (r.Supported(), b"qSupported"),
    (r.Supported(("swbreak+", "xmlRegisters=i386")), b"qSupported:swbreak+;xmlRegisters=i386"),
    (r.Xfer("libraries", "", 0, 0x1000), b"qXfer:libraries:read::0,1000"),
    (r.Xfer("features", "target.xml", 0x10, 1), b"qXfer:features:read:target.xml:10,1"),
    (r.Offsets(), b"qOffsets"),
    (r.Attached(), b"qAttached"),
    (r.Attached(1), b"qAttached:1"),
    (r.Monitor("lsmod"), b"qRcmd,6c736d6f64"),
    (r.Monitor("ä"), b"qRcmd,c3a4"),
    (r.Monitor(""), b"qRcmd,"),
]

# Payloads that are read as a request that we would write otherwise.
ONE_WAY: list[tuple[bytes, Request]] = [
    (b"R00", r.Restart()),
    (b"Hgp1.2a", r.SelectThread("g", 0x2A)),
    (b"Hgp1.-1", r.SelectThread("g", r.ALL_THREADS)),
    (b"Hgp1", r.SelectThread("g", r.ALL_THREADS)),
    (b"Hcp-1", r.SelectThread("c", r.ALL_THREADS)),
    (b"Hcp0.0", r.SelectThread("c", r.ANY_THREAD)),
    (b"Hgffffffff", r.SelectThread("g", r.ALL_THREADS)),
    (b"T0000000000000001", r.ThreadAlive(1)),
    (b"vCont;c:p1.-1", r.VCont((r.VContAction("c"),))),
    (b"M10,2:CCcC", r.WriteMemory(0x10, b"\xcc\xcc")),
    (b"qSupported:", r.Supported()),
    (b"qSupported:;a;;b;", r.Supported(("a", "b"))),
    (
        b"Z0,10,1;X1,22;X1,23;cmds:0,X1,27;X1,28",  # with a semicolon each, as the manual has it
        r.InsertBreakpoint(BreakpointKind.SOFTWARE, 0x10, 1, (b"\x22", b"\x23"), (b"\x27", b"\x28")),
    ),
]

UNKNOWN = [
    b"",
    b"vFile:open:2f",
    b"vCtrlC",
    b"vContX",
    b"QNonStop:1",
    b"qSymbol::",
    b"qTStatus",
    b"qCfoo",
    b"qfThreadInfo2",
    b"QThreadSuffixSupported",
    b"jThreadsInfo",
    b"Hx1",
    b"Z5,0,1",
    b"z",
    b"Z",
    b"??",
    b"gg",
    b"kk",
    b"33",
    b"Dx",
    b"!1",
    b"\xff\0",
    b"i",
]

MALFORMED = [
    b"m",
    b"m0",
    b"m0,",
    b"m,1",
    b"m0,-1",
    b"m-1,1",
    b"m0x10,1",
    b"m0,1,2",
    b"m0,10000000000000000",
    b"mffffffffffffffff,2",
    b"m" + b"0" * 5000 + b",1",
    b"m0,1\n",
    b"x0",
    b"x0,g",
    b"M0,1",
    b"M0,ffff:00",
    b"M0,1:",
    b"M0,1:0",
    b"M0,1:zz",
    b"M0,-1:00",
    b"X0,1",
    b"X0,2:a",
    b"X0,1:ab",
    b"X0,ffff:",
    b"G0",
    b"Gzz",
    b"Gxxxxxxxx",
    b"p",
    b"p-1",
    b"pg",
    b"P10",
    b"P=00",
    b"P10=0",
    b"P10=zz",
    b"Hg",
    b"Hg-2",
    b"Hg-9",
    b"Hgp",
    b"Hgp1.",
    b"Hgp.1",
    b"Hg1.2",
    b"Hg100000000",
    b"Hcp1.2.3",
    b"T",
    b"T" + b"0" * 17,
    b"qThreadExtraInfo,",
    b"Z0,10",
    b"Z0,,1",
    b"Z0,10,1;",
    b"Z0,10,1;Y",
    b"Z0,10,1;X2,22",
    b"Z0,10,1;X1,2",
    b"Z0,10,1;X1,2233",
    b"Z0,10,1;X1,22;cmds:2,X1,27",
    b"Z0,10,1;cmds:0,X1,27;foo",
    b"Z0,ffffffffffffffff,2",
    b"z0,10",
    b"z0,10,1;X1,22",
    b"cz",
    b"c-1",
    b"sz",
    b"C",
    b"C9",
    b"C09;",
    b"C09;z",
    b"C0910",
    b"Sxx",
    b"S-1",
    b"vCont;",
    b"vCont;c;",
    b"vCont;x",
    b"vCont;c:",
    b"vCont;c:zz",
    b"vCont;C",
    b"vCont;C9",
    b"vCont;c09",
    b"vCont;r10",
    b"vCont;r10,",
    b"vCont;r20,10",
    b"vCont;r-1,10",
    b"vCont;c:1:2",
    b"R",
    b"Rx",
    b"D;",
    b"D;-1",
    b"vKill;",
    b"vAttach;x",
    b"vRun;2",
    b"vRun;zz",
    b"qAttached:",
    b"qAttached:-1",
    b"qRcmd,0",
    b"qRcmd,zz",
    b"qRcmd,ff",
    b"qXfer:libraries:read::0",
    b"qXfer:libraries:read:0,10",
    b"qXfer:libraries:write::0:aa",
    b"qXfer:libraries:read::-1,10",
    b"qXfer:libraries:read::0,10:",
    b"qXfer::read::0,10",
    b"qXfer:" + b"a" * 65 + b":read::0,10",
    b"qXfer:features:read:\n:0,10",
    b"qSupported:\xff",
    b"qSupported:a\n",
    b"qCRC:10",
    b"qSearch:memory:10;20",
    b"qSearch:memory:10;zz;a",
    b"qSearch:memory:ffffffffffffffff;2;a",
]


def sent(payload: bytes) -> bytes:
    """``payload`` as it arrives at the other end of a line."""
    (frame,) = Decoder().feed(encode_packet(payload))
    assert isinstance(frame, Packet)
    return frame.payload


@pytest.mark.parametrize(("request_", "payload"), BOTH_WAYS)
def test_a_request_and_its_payload_are_each_others_only_form(request_: Request, payload: bytes) -> None:
    assert request_.encode() == payload
    assert parse_request(sent(payload)) == request_


@pytest.mark.parametrize(("payload", "request_"), ONE_WAY)
def test_other_ways_to_write_a_request_are_read(payload: bytes, request_: Request) -> None:
    assert parse_request(payload) == request_


def test_every_request_is_in_the_table() -> None:
    named = {kind for name in r.__all__ if isinstance(kind := getattr(r, name), type) and hasattr(kind, "encode")}
    assert named - {type(request) for request, _ in BOTH_WAYS} == {Unknown, r.VContAction}


@pytest.mark.parametrize("payload", UNKNOWN)
def test_what_is_not_known_is_no_error(payload: bytes) -> None:
    assert parse_request(payload) == Unknown(payload)


@pytest.mark.parametrize("payload", MALFORMED)
def test_a_known_request_with_a_malformed_rest_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_request(payload)


@pytest.mark.parametrize("payload", [b"vCont?;evil", b"k;rm"])
def test_what_is_not_understood_is_never_sent_on(payload: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="is not understood"):
        parse_request(payload).encode()


@pytest.mark.parametrize(
    "request_",
    [
        r.ReadMemory(-1, 1),
        r.ReadMemory(0, -1),
        r.ReadMemory(TOP, 2),
        r.ReadBinary(1 << 64, 0),
        r.WriteMemory(TOP, b"ab"),
        r.WriteBinary(-1, b""),
        r.SearchMemory(-1, 1, b""),
        r.SearchMemory(TOP, 2, b""),
        r.Crc(0, 1 << 64),
        r.ReadRegister(-1),
        r.WriteRegister(-1, b""),
        r.SelectThread("g", 1 << 31),
        r.SelectThread("c", -(1 << 31) - 1),
        r.InsertBreakpoint(BreakpointKind.SOFTWARE, -1, 1),
        r.RemoveBreakpoint(BreakpointKind.SOFTWARE, TOP, 2),
        r.Continue(-1),
        r.ContinueWithSignal(256),
        r.ContinueWithSignal(-1),
        r.StepWithSignal(0x1234),
        r.VCont((r.VContAction("r", start=-1, end=1),)),
        r.VCont((r.VContAction("C", signal=999),)),
        r.VCont((r.VContAction("r", start=2, end=1),)),
        r.VCont((r.VContAction("r", start=2),)),
        r.VCont((r.VContAction("C"),)),
        r.VCont((r.VContAction("c", signal=1),)),
        r.VCont((r.VContAction("c", start=1, end=2),)),
        r.VCont(()),
        r.Detach(-1),
        r.Attached(1 << 64),
        r.Xfer("libraries", "", -1, 1),
        r.Xfer("lib:raries", "", 0, 1),
        r.Xfer("features", "a\nb", 0, 1),
        r.Xfer("features", "ä", 0, 1),
        r.Supported(("a;b",)),
        r.Supported(("",)),
        r.Supported(("ä",)),
        r.Monitor("\ud800"),
        r.VRun(()),
    ],
)
def test_a_request_that_could_not_be_read_back_is_never_sent(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        request_.encode()


LETTERS = st.sampled_from(
    b"m x M X G p P Hg T Z0, z1, c C s S R D; vCont; vKill; vRun; vAttach; qXfer: qRcmd, qSupported: qCRC: "
    b"qSearch:memory: qAttached: qThreadExtraInfo,".split()
)
REST = st.lists(
    st.sampled_from(
        [b"0", b"1", b"f", b"ffffffffffffffff", b",", b";", b":", b"=", b"-1", b"X", b"cmds:0,", b"r", b"z"]
    ),
    max_size=10,
).map(b"".join)


@given(st.one_of(st.binary(max_size=60), st.tuples(LETTERS, st.one_of(REST, st.binary(max_size=20))).map(b"".join)))
def test_any_payload_is_a_request_or_a_protocol_error(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        request = parse_request(payload)
        if not isinstance(request, Unknown):
            assert parse_request(sent(request.encode())) == request


@pytest.mark.parametrize("payload", [b"m\x1b[31m\n" + b"x" * 5000, b"Hg\0\xff", b"vCont;" + b"\r" * 900])
def test_the_message_about_nonsense_is_printable_and_short(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(payload)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
