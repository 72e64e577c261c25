# SPDX-License-Identifier: Apache-2.0
"""The target's archive: its format, what is in it, and which busybox may go into it."""

from __future__ import annotations

import shutil
import stat
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.targets.initramfs import Entry, build, cpio, find_busybox

if TYPE_CHECKING:
    from pathlib import Path


def unpack(archive: bytes) -> list[Entry]:
    """The entries of a newc archive, read as the kernel reads them (init/initramfs.c)."""
    entries, offset = [], 0
    while True:
        assert archive[offset : offset + 6] == b"070701"
        fields = [int(archive[offset + 6 + 8 * i : offset + 14 + 8 * i], 16) for i in range(13)]
        mode, size, device, name_size = fields[1], fields[6], (fields[9], fields[10]), fields[11]
        name_start = offset + 110
        name = archive[name_start : name_start + name_size]
        assert name.endswith(b"\0")
        data_start = -(-(name_start + name_size) // 4) * 4
        if name == b"TRAILER!!!\0":
            return entries
        data = archive[data_start : data_start + size]
        entries.append(Entry(name[:-1].decode(), mode, data, device))
        offset = -(-(data_start + size) // 4) * 4


NAMES = st.text(st.characters(min_codepoint=1, codec="utf-8"), min_size=1, max_size=40).filter(
    lambda name: name != "TRAILER!!!"
)
ENTRIES = st.builds(
    Entry, NAMES, st.integers(0, 0o177777), st.binary(max_size=50), st.tuples(*[st.integers(0, 255)] * 2)
)


@given(st.lists(ENTRIES, max_size=6))
def test_what_goes_in_comes_out(entries: list[Entry]) -> None:
    assert unpack(cpio(entries)) == entries


@pytest.mark.skipif(shutil.which("cpio") is None, reason="needs cpio")
def test_cpio_reads_the_archive() -> None:
    archive = cpio([Entry("a", stat.S_IFDIR | 0o755), Entry("a/b", stat.S_IFREG | 0o640, b"text")])
    listing = subprocess.run(
        ["cpio", "-itv"], input=archive, capture_output=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    assert [line.split()[0] + " " + line.split()[-1] for line in listing.decode().splitlines()] == [
        "drwxr-xr-x a",
        "-rw-r----- a/b",
    ]


def test_parents_come_before_their_children(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"program")
    names = [entry.name for entry in unpack(build(busybox, b"s" * 32, 4))]
    for name in names:
        parent = name.rpartition("/")[0]
        assert not parent or names.index(parent) < names.index(name)


def test_the_archive_holds_what_boots(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"program")
    entries = {entry.name: entry for entry in unpack(build(busybox, b"s" * 32, 3))}
    assert entries["bin/busybox"].data == b"program"
    assert entries["init"] == Entry("init", stat.S_IFLNK | 0o777, b"bin/busybox")
    assert entries["dev/console"] == Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    assert entries["etc/nullmodem/secret"] == Entry("etc/nullmodem/secret", stat.S_IFREG | 0o400, b"s" * 32 + b"\n")
    agents = [line for line in entries["etc/inittab"].data.decode().splitlines() if "agent" in line and line[0] == ":"]
    assert agents == [f"::respawn:/etc/nullmodem/agent {n}" for n in range(3)]


@pytest.mark.parametrize("script", ["rc", "agent"])
@pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox")
def test_the_targets_scripts_parse(script: str, tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"program")
    entries = {entry.name: entry for entry in unpack(build(busybox, b"s" * 32, 1))}
    text = entries[f"etc/nullmodem/{script}"].data
    subprocess.run(["busybox", "sh", "-n"], input=text, check=True)
    assert text.startswith(b"#!/bin/sh\n")


def elf(*segments: int, machine: int = 0x3E) -> bytes:
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(segments))
    )
    return head.ljust(64, b"\0") + b"".join(struct.pack("<I", kind) + bytes(52) for kind in segments)


def test_a_static_program_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "busybox"
    path.write_bytes(elf(1, 1, 4))
    assert find_busybox(path) == path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n",
        elf(6, 3, 1),
        elf(1, machine=0xB7),
        elf(1)[:70],
        elf(1)[:40],
        b"\x7fELF\x01\x01" + bytes(100),
    ],
    ids=["empty", "script", "dynamic", "arm64", "truncated", "shorter", "32 bit"],
)
def test_what_cannot_run_on_the_target_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "busybox"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a statically linked x86-64 program") as caught:
        find_busybox(path)
    assert "busybox-static" in caught.value.hint


def test_a_missing_busybox_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read") as caught:
        find_busybox(tmp_path / "busybox")
    assert caught.value.hint == "apt-get install busybox-static"
