# SPDX-License-Identifier: Apache-2.0
"""Numbers and data as hex text, strictly bounded in both directions.

The kernel's ``kgdb_hex2long`` takes a minus sign, any number of digits, and stops without complaint at the first byte
that is no digit; a negative length there kills the target. So here a number is 1 to 16 hex digits and nothing else.
"""

from __future__ import annotations

import re

from nullmodem.errors import LocalProtocolError, RemoteProtocolError

ADDRESS_SPACE = 1 << 64

_NUMBER = re.compile(rb"[0-9a-fA-F]{1,16}")
_DATA = re.compile(rb"(?:[0-9a-fA-F]{2})*")
_SHOWN = 60  # bytes of a peer's nonsense worth repeating in a message


def show(payload: bytes) -> str:
    """Return ``payload`` as printable ASCII for a message, its end cut when it is long."""
    return repr(payload)[1:] if len(payload) <= _SHOWN else f"{payload[:_SHOWN]!r}... ({len(payload)} bytes)"[1:]


def encode_number(value: int) -> bytes:
    """Return ``value`` in lower-case hex without leading zeros.

    Raises:
        LocalProtocolError: it is negative or needs more than 64 bits.
    """
    if not 0 <= value < ADDRESS_SPACE:
        raise LocalProtocolError(f"{value:#x} does not fit an unsigned 64-bit field of a packet")
    return b"%x" % value


def encode_byte(value: int) -> bytes:
    """Return ``value`` in two hex digits.

    Raises:
        LocalProtocolError: it is not between 0 and 255.
    """
    if not 0 <= value <= 0xFF:
        raise LocalProtocolError(f"{value:#x} does not fit a byte of a packet")
    return b"%02x" % value


def parse_number(text: bytes, what: str) -> int:
    """Read 1 to 16 hex digits; ``what`` names the number in the error.

    Raises:
        RemoteProtocolError: empty, signed, prefixed, longer than 16 digits, or not hex.
    """
    if _NUMBER.fullmatch(text) is None:
        raise RemoteProtocolError(f"{what} must be 1 to 16 hex digits, not {show(text)}")
    return int(text, 16)


def encode_range(address: int, length: int) -> bytes:
    """Return ``address,length`` in hex.

    Raises:
        LocalProtocolError: a part does not fit, or the range runs over the end of the address space.
    """
    if address + length > ADDRESS_SPACE:
        raise LocalProtocolError(f"{length:#x} bytes at {address:#x} run over the end of the address space")
    return encode_number(address) + b"," + encode_number(length)


def parse_range(text: bytes) -> tuple[int, int]:
    """Read ``address,length``.

    Raises:
        RemoteProtocolError: a part is malformed, or the range runs over the end of the address space.
    """
    first, comma, second = text.partition(b",")
    if not comma:
        raise RemoteProtocolError(f"expected address,length, not {show(text)}")
    address, length = parse_number(first, "an address"), parse_number(second, "a length")
    if address + length > ADDRESS_SPACE:
        raise RemoteProtocolError(f"{length:#x} bytes at {address:#x} run over the end of the address space")
    return address, length


def encode_hex(data: bytes) -> bytes:
    """Return two lower-case hex digits a byte: upper case could be taken for an ``E`` reply."""
    return data.hex().encode("ascii")


def parse_hex(payload: bytes, expected_len: int | None = None) -> bytes:
    """Read two hex digits a byte; ``expected_len`` is the number of bytes there must be, if known.

    Raises:
        RemoteProtocolError: not hex, an odd number of digits, or another length than expected.
    """
    if _DATA.fullmatch(payload) is None:
        raise RemoteProtocolError(f"expected hex data, not {show(payload)}")
    if expected_len is not None and len(payload) != 2 * expected_len:
        raise RemoteProtocolError(f"expected {expected_len} bytes of hex data, got {len(payload) // 2}")
    return bytes.fromhex(payload.decode("ascii"))
