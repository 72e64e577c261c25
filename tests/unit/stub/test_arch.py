# SPDX-License-Identifier: Apache-2.0
"""The table of processors: x86-64's registers as kgdb presents them, and the limits of its buffer."""

from __future__ import annotations

import pytest

from nullmodem.errors import RemoteProtocolError, UsageError
from nullmodem.rsp.requests import ReadMemory, WriteMemory
from nullmodem.stub.arch import by_elf_machine
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing import fakemachine

RAW = bytes(range(156))


def test_the_register_file_is_the_stubs() -> None:
    assert X86_64.g_length == fakemachine.REGISTER_BYTES == 156
    names = fakemachine.REGISTERS
    assert tuple(r.name for r in X86_64.registers) == names[: len(X86_64.registers)]
    for register in X86_64.registers:
        assert register.offset == sum(map(fakemachine.register_size, names[: register.number]))
        assert register.size == fakemachine.register_size(register.name)
        assert X86_64.numbered(register.number) == register
        assert X86_64.register(register.name) == register


@pytest.mark.parametrize("number", [-1, 22, 23, 57, 1 << 40])
def test_there_is_no_register_beyond_the_last(number: int) -> None:
    assert X86_64.numbered(number) is None


def test_a_register_of_another_processor_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        X86_64.register("x0")


def test_values_are_little_endian_and_by_name() -> None:
    registers = X86_64.parse(RAW)
    assert registers["rax"] == int.from_bytes(RAW[:8], "little")
    assert registers.pc == registers["rip"] == int.from_bytes(RAW[128:136], "little")
    assert registers.sp == registers["rsp"] == int.from_bytes(RAW[56:64], "little")
    assert registers["es"] == int.from_bytes(RAW[152:156], "little")
    assert registers.as_dict()["r15"] == registers["r15"]
    assert len(registers.as_dict()) == 22


def test_replacing_changes_these_and_no_others() -> None:
    before = X86_64.parse(RAW)
    after = before.replace({"rip": 5, "eflags": 1 << 40, "rax": -1})
    assert (after.pc, after["eflags"], after["rax"]) == (5, 0, (1 << 64) - 1)
    assert {r.name for r in after.changed_from(before)} == {"rip", "eflags", "rax"}
    assert before.changed_from(before) == ()
    assert before.raw == RAW


@pytest.mark.parametrize("length", [0, 155, 157, 164, 312])
def test_registers_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="156"):
        X86_64.parse(bytes(length))


def test_the_longest_read_and_its_answer_fit_the_stubs_buffer() -> None:
    assert X86_64.max_read == 511
    assert 2 * X86_64.max_read + 1 <= X86_64.bufmax
    assert len(ReadMemory((1 << 64) - 511, 511).encode()) < X86_64.bufmax


def test_the_longest_write_fits_the_stubs_buffer() -> None:
    address = (1 << 64) - X86_64.max_write
    assert len(WriteMemory(address, bytes(X86_64.max_write)).encode()) <= X86_64.bufmax - 1
    assert len(WriteMemory(address - 1, bytes(X86_64.max_write + 1)).encode()) >= X86_64.bufmax - 2


def test_what_the_stub_cannot_set_is_not_writable() -> None:
    assert not X86_64.writable & {"rsp", "cs", "ss", "ds", "es", "fs", "gs"}
    assert {"rip", "rax", "r15", "rbp", "eflags"} <= X86_64.writable


def test_a_processor_is_found_by_the_machine_number_of_an_elf_file() -> None:
    assert by_elf_machine(62) is X86_64
    with pytest.raises(UsageError, match="ELF machine 183") as caught:
        by_elf_machine(183)
    assert "x86-64" in caught.value.hint
