# SPDX-License-Identifier: Apache-2.0
"""Finding where the kernel runs, and refusing one that is not the vmlinux."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.errors import IdentityError, KernelDataError
from nullmodem.kernel.slide import GRANULE, WINDOW, check_slide, find_slide, printable
from nullmodem.testing.memory import FakeMemory
from support.fakekernel import MODULE_BASE, SLIDE, FakeKernel, build_kernel

if TYPE_CHECKING:
    from pathlib import Path

STACK = 0xFFFF_C900_0010_3F00
USER = 0x40_1234


def stop(kernel: FakeKernel, slide: int = SLIDE) -> int:
    """The program counter of kgdb's own breakpoint."""
    return kernel.symbol("kgdb_breakpoint", slide) + 1


def test_a_stop_in_kgdbs_breakpoint_costs_one_read(layouts: FakeKernel) -> None:
    memory = layouts.memory()
    assert find_slide(layouts.vmlinux, stop(layouts), memory) == SLIDE
    assert len(memory.reads) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(steps=st.integers(0, (WINDOW - 0x0200_0000) // GRANULE - 1))
def test_every_slide_is_found(layouts: FakeKernel, steps: int) -> None:
    slide = steps * GRANULE
    assert find_slide(layouts.vmlinux, stop(layouts, slide), layouts.memory(slide)) == slide


def test_without_a_slide_the_kernel_is_where_it_was_linked(layouts: FakeKernel) -> None:
    memory = layouts.memory(0)
    assert find_slide(layouts.vmlinux, stop(layouts, 0), memory) == 0
    check_slide(layouts.vmlinux, 0, memory)


def test_a_stop_in_init_text_is_found(layouts: FakeKernel) -> None:
    assert find_slide(layouts.vmlinux, layouts.symbol("start_kernel"), layouts.memory()) == SLIDE


@pytest.mark.parametrize("pc", [MODULE_BASE + 0x10, USER, 0, 2**64 - 1])
def test_a_stop_outside_the_kernel_is_found_by_its_return_addresses(layouts: FakeKernel, pc: int) -> None:
    memory = layouts.memory()
    words = [0, 1, STACK, *[layouts.symbol("do_init_module") + 3] * 2, MODULE_BASE + 0x40, 0xDEAD]
    memory.add(STACK, struct.pack(f"<{len(words)}Q", *words).ljust(504, b"\0"))
    assert find_slide(layouts.vmlinux, pc, memory, stack=lambda: STACK + 4) == SLIDE
    assert len(memory.reads) == 2


def test_a_stop_outside_the_kernel_without_a_stack_is_found_by_looking_everywhere(layouts: FakeKernel) -> None:
    memory = layouts.memory()
    assert find_slide(layouts.vmlinux, USER, memory, stack=lambda: 0x7FFF_0000_0000) == SLIDE
    assert len(memory.reads) <= WINDOW // GRANULE + 1


def test_no_kernel_at_all_is_an_error_after_a_bounded_search(layouts: FakeKernel) -> None:
    memory = FakeMemory({})
    with pytest.raises(KernelDataError, match="is not the running kernel"):
        find_slide(layouts.vmlinux, USER, memory, stack=lambda: STACK)
    assert len(memory.reads) <= WINDOW // GRANULE + 1


def test_another_build_is_refused_with_both_banners(layouts: FakeKernel) -> None:
    memory = layouts.memory()
    memory.write(layouts.symbol("linux_banner") + len("Linux version "), b"6.1.98-ever")
    memory.write(layouts.vmlinux.section_ranges[".notes"].start + SLIDE + 16, b"another build's id..")
    with pytest.raises(IdentityError) as caught:
        find_slide(layouts.vmlinux, stop(layouts), memory)
    assert "running: Linux version 6.1.98-ever" in caught.value.message
    assert "vmlinux: Linux version 6.1.99-fake" in caught.value.message
    assert caught.value.hint


def test_check_slide_refuses_a_slide_where_nothing_is(layouts: FakeKernel) -> None:
    with pytest.raises(IdentityError, match="running: unknown"):
        check_slide(layouts.vmlinux, SLIDE + GRANULE, layouts.memory())


def test_a_kernel_without_build_id_is_proved_by_its_banner(tmp_path: Path) -> None:
    path = build_kernel(tmp_path)
    raw = path.read_bytes().replace(b"\x03\0\0\0GNU\0", b"\x09\0\0\0GNU\0")
    path.write_bytes(raw)
    kernel = FakeKernel(path)
    assert kernel.vmlinux.build_id is None
    memory = kernel.memory()
    assert find_slide(kernel.vmlinux, stop(kernel), memory) == SLIDE
    memory.write(kernel.symbol("linux_banner") + 14, b"7")
    with pytest.raises(IdentityError, match=re.escape("running: Linux version 7.1.99")):
        find_slide(kernel.vmlinux, stop(kernel), memory)


def test_text_from_the_target_cannot_speak_to_a_terminal() -> None:
    assert printable(b"ok \x1b[31m\x07\r\n\xff") == r"ok \x1b[31m\x07\r\n\xff"
    assert printable("\u202e\u0085ä".encode()) == "\\u202e\\x85ä"
