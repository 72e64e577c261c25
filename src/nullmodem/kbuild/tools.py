# SPDX-License-Identifier: Apache-2.0
"""The compiler and the tools a kernel build runs: whether they are there, and which they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

from nullmodem.errors import BuildError

_TOOLS: Final = {"gcc": "gcc", "make": "make", "ld": "binutils", "flex": "flex", "bison": "bison", "bc": "bc",
                 "perl": "perl"}  # fmt: skip


def require_tools() -> None:
    """BuildError naming Debian's packages of the tools a kernel build needs and this machine lacks."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if "gcc" not in missing and not _has_header("gelf.h"):
        missing.append("libelf-dev")  # objtool, which makes the tables ORC unwinding needs
    if missing:
        raise BuildError(
            f"a kernel cannot be built here, these are not installed: {', '.join(missing)}",
            hint=f"sudo apt install {' '.join(missing)}",
        )


def toolchain() -> str:
    """What compiles, in one line: the compiler's and the linker's own words. Part of a kernel's identity."""
    lines = []
    for tool in ("gcc", "ld"):
        try:
            done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            package = _TOOLS[tool]
            raise BuildError(f"{tool} is not installed", hint=f"sudo apt install {package}") from error
        lines.append(done.stdout.partition("\n")[0])
    return "; ".join(lines)


def _has_header(name: str) -> bool:
    command = ["gcc", "-E", "-x", "c", "-", "-o", os.devnull]
    text = f"#include <{name}>\n"
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0
