# SPDX-License-Identifier: Apache-2.0
"""What comes off a line tells who is there. Most of these bytes were taken from real machines."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.rsp.framing import encode_packet
from nullmodem.wire.recording import Direction, read_recording
from nullmodem.wire.signs import Sign, read_signs
from support.modules import REPOSITORY

FILES = sorted((REPOSITORY / "tests" / "recordings").glob("*.rec"))
BOOT = b"[    0.000000] Linux version 6.1.192\r\n[    0.100000] Command line: console=ttyS0\r\n"
RATES = (0x1C, 0xE0, 0xFC, 0x00, 0xF8, 0x80, 0xE6, 0x98, 0x9E, 0xFE)
"""What 8N1 text becomes at a rate that is several times too low or too high."""


@pytest.mark.parametrize(
    ("heard", "sign"),
    [
        (b"", Sign.SILENCE),
        (b"+$QC2b#28", Sign.KGDB),
        (b"$T05thread:fffffffe;#d5", Sign.KGDB),
        (BOOT + b"$T05thread:01;#07$T05thread:01;#07", Sign.KGDB),
        (
            b"\r\nEntering kdb (current=0xffff946b003db840, pid 43) on processor 0 due to Keyboard Entry\r\n[0]kdb> ",
            Sign.KDB,
        ),
        (b"\r\n[0]kdb> \r\n[0]kdb> ", Sign.KDB),
        (b"lots\r\nof lines\r\nmore> ", Sign.KDB),
        (b"\r\nEntering kdb (current=0xc2a3, pid 1) due to Keyboard Entry\r\nkdb> ", Sign.KDB),
        (b"\r\nkdb> md 0x", Sign.KDB),
        (b"\r\nDebian GNU/Linux 12 board ttyS0\r\n\r\nboard login: ", Sign.LOGIN),
        (b"\r\nPassword: ", Sign.LOGIN),
        (b"\r\nUsername:", Sign.LOGIN),
        (b"\r\n\r\ntarget:~# ", Sign.SHELL),
        (b"\r\n\x1b[?2004h\x1b]0;root@board: ~\x07\x1b[01;32mroot@board\x1b[00m:\x1b[01;34m~\x1b[00m# ", Sign.SHELL),
        (b"\r\n$ ", Sign.SHELL),
        ("\r\nbörd % ".encode(), Sign.SHELL),
        (BOOT, Sign.TEXT),
        (BOOT + b"[    1.0] $T05#b9 in a line\r\n", Sign.TEXT),
        (b"[    1.0] a packet $OK#9a in a line\r\n", Sign.TEXT),
        (bytes(RATES) * 3, Sign.GARBAGE),
        (b"\xff\xfe\x00\xff\x80\xf8\xe0\x00", Sign.GARBAGE),
        (b"\x00", Sign.TEXT),
    ],
)
def test_who_is_there(heard: bytes, sign: Sign) -> None:
    assert read_signs(heard) is sign


@given(st.binary())
def test_any_bytes_are_judged(heard: bytes) -> None:
    assert read_signs(heard) in Sign


@given(st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_text_of_any_language_is_no_garbage(text: str) -> None:
    assert read_signs(text.encode()) is not Sign.GARBAGE


@given(st.integers(0, 1 << 32), st.integers(20, 500))
def test_noise_is_never_taken_for_somebody(seed: int, length: int) -> None:
    noise = bytes(random.Random(seed).choices(RATES, k=length))
    assert read_signs(noise) is Sign.GARBAGE


@given(st.binary(max_size=40).filter(lambda data: b"$" not in data and b"+" not in data))
def test_a_stop_is_seen_behind_anything(before: bytes) -> None:
    assert read_signs(before + encode_packet(b"T05thread:01;")) is Sign.KGDB


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "tests" / "recordings").glob("*.rec")), ids=lambda path: path.stem
)
def test_a_real_kernel_is_known_by_its_first_words(path: object) -> None:
    entries = read_recording(path).entries  # type: ignore[arg-type]
    said = b"".join(entry.data for entry in entries if entry.direction is Direction.FROM_TARGET)
    assert read_signs(said[: said.index(b"#") + 3]) is Sign.KGDB
