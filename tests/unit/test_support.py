# SPDX-License-Identifier: Apache-2.0
"""What the tests judge by."""

from __future__ import annotations

from support.inside import unexplained

JUMP, NOP = b"\xe9\x10\x02\x00\x00", b"\x0f\x1f\x44\x00\x00"


def test_a_static_key_that_the_kernel_turns_is_its_own_doing_and_anything_else_is_not() -> None:
    assert unexplained(b"\x55" + NOP + b"\xc3", b"\x55" + JUMP + b"\xc3") == {}
    assert unexplained(b"\x55" + JUMP + b"\xc3", b"\x55" + NOP + b"\xc3") == {}
    assert unexplained(b"\x55\x66\x90\xc3", b"\x55\xeb\x05\xc3") == {}
    assert unexplained(b"\x55" + NOP + b"\xc3", b"\xcc" + NOP + b"\xc3") == {0: 0xCC}
    assert unexplained(b"\x55" + NOP + b"\xc3", b"\x55\xcc" + NOP[1:] + b"\xc3") == {1: 0xCC}
