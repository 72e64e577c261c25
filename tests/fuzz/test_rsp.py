# SPDX-License-Identifier: Apache-2.0
"""The invariant of ``harness.py``, over a corpus grown from seeds; the same inputs at every run."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from fuzz.harness import check
from nullmodem.rsp.client import ClientConnection
from nullmodem.rsp.framing import encode_packet
from nullmodem.rsp.server import ServerConnection

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 400  # inputs of each of the batches below
LONGEST = 400

SEEDS = [
    b"",
    b"+$S05#b8+$T05thread:fffffffe;#d5",
    b"+" + encode_packet(b"m" + b",".join(b"%02x" % pid for pid in range(1, 18))) + b"+$#00",
    encode_packet(b"qSupported:multiprocess+;swbreak+;xmlRegisters=i386") + b"+" + encode_packet(b"vMustReplyEmpty"),
    encode_packet(b"vCont;r401000,401010:p1.1;c") + b"\x03",
    encode_packet(b"Z0,ffffffffc0201000,1;X3,220127;cmds:1,X2,2701") + encode_packet(b"X10,6:$#}*:,"),
    encode_packet(b"qXfer:libraries:read::0,1000") + encode_packet(b"Hgp1.-1") + encode_packet(b"qRcmd,6869"),
    b"[    1.0] it costs $5, 100%\n$T05thread:01;10:00;library:;watch:ff;#00+\r\nlogin: -",
    b"+" + encode_packet(b"O4b4744420a") + encode_packet(b"OK") + b"$W00#b7",
    b"$0*~*~*~*~*~*~#d8$0* #7a%Stop:T05#99",
    b"$" + b"a" * 600 + b"#00$g#67",
    b"+$E22#a9-$" + b"00" * 156 + b"#80",
]
TOKENS = [
    b"$",
    b"#",
    b"}",
    b"*",
    b"+",
    b"-",
    b"%",
    b"\x03",
    b"\0",
    b"#00",
    b"*~",
    b"ff" * 8,
    b"-1",
    b"0x",
    b";",
    b":",
    b",",
]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """``data`` after one to six changes."""
    changes: list[Callable[[bytes, int, int], bytes]] = [
        lambda old, start, end: old[:start] + bytes((rng.randrange(256),)) + old[start + 1 :],
        lambda old, start, end: old[:start] + old[end:],
        lambda old, start, end: old[:end] + old[start:],
        lambda old, start, end: old[:start] + rng.choice(TOKENS) + old[start:],
        lambda old, start, end: old[:start] + rng.choice(SEEDS)[start % 7 :] + old[end:],
        lambda old, start, end: old[:start] + bytes(rng.choices(range(256), k=4)) + old[start:],
        lambda old, start, end: old[start:] + old[:start],
        lambda old, start, end: old[:start] + encode_packet(old[start:end]) + old[end:],
    ]
    for _ in range(rng.randint(1, 6)):
        start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        data = rng.choice(changes)(data, start, end)[:LONGEST]
    return data


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_the_invariant_holds_for_a_seed(seed: bytes) -> None:
    check(seed)


@pytest.mark.parametrize("batch", range(8))
def test_the_invariant_holds_for_what_grows_from_the_seeds(batch: int) -> None:
    rng = random.Random(batch)
    corpus = list(SEEDS)
    for _ in range(ROUNDS):
        data = mutated(rng.choice(corpus), rng)
        check(data)
        if rng.random() < 0.2:
            corpus.append(data)


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(100, 140))
def test_the_invariant_holds_for_many_more(batch: int) -> None:
    rng = random.Random(batch)
    for _ in range(5 * ROUNDS):
        check(mutated(mutated(rng.choice(SEEDS), rng), rng))


def test_memory_stays_bounded_however_long_the_input() -> None:
    """A megabyte of each seed's kind: nothing is kept but the events, which are let go."""
    client, server = ClientConnection(max_payload=1024), ServerConnection(max_payload=1024, tries=1 << 30)
    stream = b"".join(SEEDS)[:1000]
    client.request(b"g")
    tracemalloc.start()
    for _ in range(1000):
        client.receive(stream)
        server.receive(stream)
        client.data_to_send()
        server.data_to_send()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 18
