# SPDX-License-Identifier: Apache-2.0
"""A vmlinux with hundreds of megabytes that nobody asks about costs neither memory nor time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from growth import open_vmlinux, pad_vmlinux

from nullmodem.symbols.elf import ElfFile

if TYPE_CHECKING:
    from pathlib import Path

MORE_MB = 600


def test_600_more_megabytes_of_vmlinux_cost_nothing(kernel_path: Path, tmp_path: Path) -> None:
    """The copy that gdb is given included."""
    padded = tmp_path / "vmlinux"
    pad_vmlinux(kernel_path, padded, MORE_MB)
    assert padded.stat().st_size > MORE_MB << 20
    seconds, memory = open_vmlinux(kernel_path, tmp_path / "small")
    more_seconds, more_memory = open_vmlinux(padded, tmp_path / "large")
    print(f"{seconds:.2f} s of the processor, {memory:.0f} MB; {more_seconds:.2f} s, {more_memory:.0f} MB")
    assert more_memory < memory + 10
    assert more_seconds < 1.5 * seconds + 0.2


def test_holes_of_a_file_are_passed_over(kernel_path: Path, tmp_path: Path) -> None:
    padded = tmp_path / "vmlinux"
    pad_vmlinux(kernel_path, padded, 64)
    with ElfFile.open(padded) as elf:
        length = kernel_path.stat().st_size
        ranges = list(elf.data_ranges(0, elf.length))
        assert sum(end - start for start, end in ranges) < length + (1 << 20)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == elf.length
        assert list(elf.data_ranges(100, 200)) == [(100, 200)]
