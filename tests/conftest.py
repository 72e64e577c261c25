# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the repository's files, and module sources to build."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import hypothesis
import pytest

from support.modules import REPOSITORY, copy_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A shell that starts us in the background has us ignore Ctrl-C, and every program the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline for one example: the machine also runs emulators, and a slow example is not a wrong one. pytest-timeout
# ends what hangs.
hypothesis.settings.register_profile("nullmodem", deadline=None)
hypothesis.settings.load_profile("nullmodem")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the files that boot kernels, which take long, then the many that do not: workers end together then, if
    pytest-xdist keeps this order (``--no-loadscope-reorder``)."""
    items.sort(key=lambda item: item.get_closest_marker("vm") is None)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The directory that holds pyproject.toml."""
    return REPOSITORY


@pytest.fixture
def module_source(tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies the source of a module to where it may be built and changed, and returns the directory."""
    return lambda name: copy_module(name, tmp_path)
