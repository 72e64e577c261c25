# SPDX-License-Identifier: Apache-2.0
"""Fixtures around `support.rig`, for a conftest to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fakekernel import FakeKernel, build_kernel, build_module
from support.rig import Rig, rig_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def kernel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fake kernel's vmlinux."""
    return build_kernel(tmp_path_factory.mktemp("kernel"), "MEM")


@pytest.fixture(scope="session")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .ko of a fake module."""
    return build_module(tmp_path_factory.mktemp("module"))


@pytest.fixture
def rig(kernel_file: Path, tmp_path: Path) -> Iterator[Rig]:
    """A target that runs under a session."""
    with rig_on(FakeKernel(kernel_file), tmp_path) as rig:
        yield rig
