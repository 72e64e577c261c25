# SPDX-License-Identifier: Apache-2.0
"""The gdbs that are supported, and how to drive one."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

from nullmodem.frontends.gdb.launch import find_gdb, index_cache
from nullmodem.testing.gdb import Gdb

DEBIAN = "/usr/bin/gdb"

__all__ = ["Gdb", "debian", "quick_start", "wheel"]


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
