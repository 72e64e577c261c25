# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the repository's files, and module sources to build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline for one example: the machine also runs emulators, and a slow example is not a wrong one. pytest-timeout
# ends what hangs.
hypothesis.settings.register_profile("nullmodem", deadline=None)
hypothesis.settings.load_profile("nullmodem")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The directory that holds pyproject.toml."""
    return REPOSITORY


@pytest.fixture
def module_source(tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies the source of a module to where it may be built and changed, and returns the directory.

    ``simple`` is examples/simple; every other name is a directory of tests/modules.
    """

    def copy(name: str) -> Path:
        places = [REPOSITORY / "tests" / "modules" / name, REPOSITORY / "examples" / name]
        source = next(place for place in places if place.is_dir())
        return shutil.copytree(source, tmp_path / name)

    return copy
