# SPDX-License-Identifier: Apache-2.0
"""Sources of kernel modules to build: those of tests/modules, and those of the examples."""

from __future__ import annotations

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def module_directory(name: str) -> Path:
    """Where a module's source stands in the repository. ``simple`` is an example; most are in tests/modules."""
    places = [REPOSITORY / "tests" / "modules" / name, REPOSITORY / "examples" / name]
    return next(place for place in places if place.is_dir())


def copy_module(name: str, directory: Path) -> Path:
    """Copy a module's source into ``directory``, where it may be built and changed; returns the copy."""
    return shutil.copytree(module_directory(name), directory / name)
