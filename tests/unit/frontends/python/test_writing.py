# SPDX-License-Identifier: Apache-2.0
"""What a program may write into a variable."""

from __future__ import annotations

import drgn
import pytest

from nullmodem.frontends.python.debugger import as_bytes

PROGRAM = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))
INT = drgn.Object(PROGRAM, PROGRAM.int_type("int", 4, is_signed=True), 0)
BYTE = drgn.Object(PROGRAM, PROGRAM.int_type("unsigned char", 1, is_signed=False), 0)


def test_a_value_that_fits_is_the_bytes_of_its_type() -> None:
    assert as_bytes(INT, -2) == b"\xfe\xff\xff\xff"
    assert as_bytes(BYTE, 255) == b"\xff"
    assert as_bytes(BYTE, drgn.Object(PROGRAM, INT.type_, 7)) == b"\x07"


@pytest.mark.parametrize(("object_", "value"), [(INT, 1 << 40), (INT, 1 << 31), (BYTE, 256), (BYTE, -1)])
def test_a_value_that_would_be_cut_off_is_refused(object_: drgn.Object, value: int) -> None:
    with pytest.raises(ValueError, match="it does not fit"):
        as_bytes(object_, value)
