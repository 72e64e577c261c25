# SPDX-License-Identifier: Apache-2.0
"""The gdbs that are supported, and how to drive one."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

from nullmodem.frontends.gdb.launch import find_gdb, index_cache
from nullmodem.testing.gdb import Gdb

DEBIAN = "/usr/bin/gdb"

__all__ = ["EVERY_KERNEL_AND_GDB", "EVERY_KERNEL_ONE_GDB", "Gdb", "debian", "quick_start", "wheel"]


def wheel() -> str:
    """The current gdb that the ``gdb`` extra installs beside this interpreter."""
    found = Path(sys.executable).parent / "gdb"
    assert found.exists(), f"{found} is missing: pip install 'nullmodem[gdb]'"
    return str(found)


@cache
def quick_start(path: str) -> tuple[str, ...]:
    """Options with which this gdb reads a kernel's debug info from its cache, as `nullmodem gdb` starts it."""
    return tuple(index_cache(find_gdb(path)))


def debian() -> str:
    """The gdb of Debian 12."""
    assert shutil.which(DEBIAN), f"{DEBIAN} is missing: apt install gdb"
    return DEBIAN


EVERY_KERNEL_AND_GDB = [
    pytest.param((kernel, gdb), id=f"{kernel}-{name}")
    for kernel in ("6.1", "6.12")
    for gdb, name in ((debian, "gdb-13.1"), (wheel, "gdb-18.1"))
]
"""For what depends on both."""

EVERY_KERNEL_ONE_GDB = [EVERY_KERNEL_AND_GDB[0], EVERY_KERNEL_AND_GDB[-1]]
"""For what depends on the kernel alone: each kernel with one gdb, and no gdb left out."""
