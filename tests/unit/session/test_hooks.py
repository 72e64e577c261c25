# SPDX-License-Identifier: Apache-2.0
"""Where a hook stands, and how it is passed: on code that compilers really made of the two functions, and worse."""

from __future__ import annotations

import pytest

from nullmodem.errors import MemoryFault
from nullmodem.session.hooks import MAX_TWINS, Hook, HookPoint, place
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.memory import FakeMemory
from support.minicpu import ENDBR, NOP5, PUSH, RET

AT = 0xFFFF_FFFF_8110_0000
TWIN = 0xFFFF_FFFF_8120_0000
XOR_EAX = b"\x31\xc0"
MOV_RBP_RDI = b"\x48\x89\xfd"
SUB_RSP = b"\x48\x83\xec\x28"
MOV_EDI_1 = b"\xbf\x01\x00\x00\x00"
CALL = b"\xe8\x00\x01\x00\x00"
EVENT, INIT = HookPoint.EVENT, HookPoint.INIT


def memory(code: bytes, *twins: bytes) -> FakeMemory:
    pages = {AT: code.ljust(4096, b"\xcc")}
    pages |= {TWIN + 0x1000 * n: twin.ljust(4096, b"\xcc") for n, twin in enumerate(twins)}
    return FakeMemory(pages)


def hook(point: HookPoint, *code: bytes, twins: tuple[bytes, ...] = ()) -> Hook:
    places = [TWIN + 0x1000 * n for n in range(len(twins))]
    return place(X86_64, memory(b"".join(code), *twins), point, AT, places)


def passing(found: Hook, **values: int) -> dict[str, int] | None:
    registers = X86_64.parse(bytes(X86_64.g_length)).replace({"rip": found.address, **values})
    return found.passing(X86_64, registers)


def test_it_stands_on_the_first_instruction_whose_work_registers_can_do() -> None:
    found = hook(INIT, PUSH, MOV_RBP_RDI, SUB_RSP)
    assert (found.address, found.twin) == (AT + 1, None)
    assert passing(found, rdi=0x1234) == {"rbp": 0x1234, "rip": AT + 4}


def test_an_entry_that_does_nothing_is_the_best_place() -> None:
    found = hook(INIT, ENDBR, PUSH, MOV_RBP_RDI)
    assert found.address == AT
    assert passing(found) == {"rip": AT + 4}


def test_it_does_not_stand_where_the_kernel_patches_a_traced_functions_entry() -> None:
    """Two who write an int3 there would each restore what they found."""
    found = hook(INIT, NOP5, PUSH, MOV_RBP_RDI)
    assert found.address == AT + 6
    found = hook(EVENT, NOP5, XOR_EAX, RET, twins=(NOP5 + XOR_EAX + RET,))
    assert (found.address, found.twin) == (AT + 5, TWIN + 5)


def test_it_does_not_go_past_a_branch_that_may_be_patched_in() -> None:
    found = hook(INIT, PUSH, NOP5, MOV_RBP_RDI)
    assert found.address == AT


def test_it_does_not_go_past_an_instruction_that_changes_an_argument() -> None:
    assert hook(INIT, PUSH, MOV_EDI_1, MOV_RBP_RDI).address == AT


def test_it_does_not_go_past_a_call() -> None:
    found = hook(INIT, PUSH, CALL, MOV_RBP_RDI)
    assert found.address == AT
    assert passing(found) is None, "it must be stepped"


def test_a_notifier_needs_three_arguments_and_the_other_one() -> None:
    clears_rsi = b"\x31\xf6"
    assert hook(INIT, PUSH, clears_rsi, MOV_RBP_RDI).address == AT + 3
    assert hook(EVENT, PUSH, clears_rsi, MOV_RBP_RDI).address == AT


def test_a_function_that_only_returns_is_passed_by_going_to_its_twin() -> None:
    found = hook(EVENT, XOR_EAX, RET, twins=(XOR_EAX + b"\x90", XOR_EAX + RET))
    assert (found.address, found.twin) == (AT, TWIN + 0x1000)
    assert passing(found) == {"rip": TWIN + 0x1000}


def test_without_a_twin_it_must_be_stepped() -> None:
    found = hook(EVENT, XOR_EAX, RET)
    assert (found.address, found.twin) == (AT, None)
    assert passing(found) is None


def test_a_twin_that_cannot_be_read_or_was_patched_is_none() -> None:
    found = place(X86_64, memory(XOR_EAX + RET, XOR_EAX + CALL), EVENT, AT, [0x1000, TWIN])
    assert found.twin is None


def test_not_every_function_alike_is_read() -> None:
    reading = memory(XOR_EAX + RET)
    place(X86_64, reading, EVENT, AT, (TWIN + 16 * n for n in range(1000)))
    assert len(reading.reads) <= 1 + MAX_TWINS


def test_a_function_that_cannot_be_read_is_a_fault() -> None:
    with pytest.raises(MemoryFault):
        place(X86_64, memory(b""), INIT, 0x1000, ())


@pytest.mark.parametrize("code", [b"\xcc" * 64, b"\x06" * 64, b"\x90" * 64, b"\x55" * 64, b"\xff" * 64])
def test_any_bytes_get_a_hook_in_the_function(code: bytes) -> None:
    assert AT <= hook(INIT, code).address < AT + 64
