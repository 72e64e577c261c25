# SPDX-License-Identifier: Apache-2.0
"""A kernel source in miniature: real make, the real targets' names, no compiler; so a build takes a moment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MAKEFILE = """\
all: compile
\t@mkdir -p $(O)/arch/x86/boot $(O)/drivers
\t@echo symbols > $(O)/vmlinux; echo image > $(O)/arch/x86/boot/bzImage
\t@echo object > $(O)/drivers/built-in.a; echo object > $(O)/drivers/core.o; touch $(O)/drivers/core.ko
tinyconfig:
\t@printf '# CONFIG_SMP is not set\\nCONFIG_CC_OPTIMIZE_FOR_SIZE=y\\n' > $(O)/.config
olddefconfig:
\t@grep -vFf dropped $(O)/.config > $(O)/.config.new; mv $(O)/.config.new $(O)/.config
kernelrelease:
\t@echo 9.9.9-nullmodem-mini
image_name:
\t@echo arch/x86/boot/bzImage
include behaviour.mk
"""

_BEHAVIOURS = {
    "good": 'compile:\n\t@for n in $$(seq 20); do echo "  CC      init/file$$n.o"; done\n',
    "hanging": 'compile:\n\t@echo "  CC      init/main.o"; echo $$$$ > hung.pid; exec sleep 1000\n',
    "endless": 'compile:\n\t@while echo "  CC      init/main.o"; do :; done\n',
    "failing": (
        'compile:\n\t@echo "  CC      init/main.o"; echo "init/main.c:3:1: error: expected \';\'"; '
        'echo "   3 | int"; exit 1\n'
    ),
    "filling the disk": "compile:\n\t@echo object > /dev/full\n",
    "without an image": "compile:\n\t@mkdir -p $(O)/arch/x86/boot/bzImage\n",
}

_KCONFIG = """\
config KGDB
\tbool "KGDB"
\thelp
\t  config NOT_AN_OPTION
\t  depends on nothing: this is help

if KGDB
source "Kconfig.serial"
endif
"""

_KCONFIG_SERIAL = """\
config KGDB_SERIAL_CONSOLE
\ttristate "serial" if EXPERT
\tdepends on TTY && !S390
"""


class MiniatureSource:
    """A source tree whose build can be told how to behave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "scripts" / "kconfig").mkdir(parents=True)
        (directory / "Makefile").write_text(_MAKEFILE)
        (directory / "Kconfig").write_text(_KCONFIG)
        (directory / "Kconfig.serial").write_text(_KCONFIG_SERIAL)
        self.drop("CONFIG_NOTHING_IN_PARTICULAR")
        self.behave("good")

    def behave(self, how: str) -> None:
        """What compiling does from now on."""
        (self.directory / "behaviour.mk").write_text(_BEHAVIOURS[how])

    def drop(self, *settings: str) -> None:
        """Settings that do not survive olddefconfig."""
        (self.directory / "dropped").write_text("".join(f"{setting}\n" for setting in settings))


@pytest.fixture
def source(tmp_path: Path) -> MiniatureSource:
    return MiniatureSource(tmp_path / "source")


@pytest.fixture
def ends() -> Callable[[int], bool]:
    """A function that waits for a process that is not our child to end; False when it does not."""

    def wait(pid: int) -> bool:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(wait_readable([fd], 20))
        finally:
            os.close(fd)

    return wait


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("NULLMODEM_CACHE", str(directory))
    return directory
