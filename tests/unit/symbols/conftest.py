# SPDX-License-Identifier: Apache-2.0
"""Small real files: a kernel and a module, compiled once for a run of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fakekernel import build_kernel, build_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def kernel_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmlinux; not to be changed."""
    return build_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="session")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .ko; not to be changed."""
    return build_module(tmp_path_factory.mktemp("module"))
