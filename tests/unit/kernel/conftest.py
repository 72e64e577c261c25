# SPDX-License-Identifier: Apache-2.0
"""Fake kernels in each shape Linux has had, compiled once for a run of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import FakeKernel, build_kernel, build_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPES = {
    "layouts": (),
    "mem": ("MEM",),
    "private": ("MEM", "PRIVATE"),
    "notes": ("NO_BUILD_ID", "NO_EVENTS", "NO_SLOTS"),
}


@pytest.fixture(scope="session")
def kernel_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that gives the vmlinux of one of SHAPES."""
    built: dict[str, Path] = {}

    def of(shape: str) -> Path:
        if shape not in built:
            built[shape] = build_kernel(tmp_path_factory.mktemp(shape), *SHAPES[shape])
        return built[shape]

    return of


@pytest.fixture(params=SHAPES)
def kernel(request: pytest.FixtureRequest, kernel_files: Callable[[str], Path]) -> FakeKernel:
    """A fake kernel; a test that asks for it runs once for each shape."""
    return FakeKernel(kernel_files(request.param))


@pytest.fixture
def layouts(kernel_files: Callable[[str], Path]) -> FakeKernel:
    """A fake kernel of one shape, for what does not depend on it."""
    return FakeKernel(kernel_files("layouts"))


@pytest.fixture(scope="session")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .ko of a fake module."""
    return build_module(tmp_path_factory.mktemp("module"))


@pytest.fixture
def module_file(module_path: Path) -> ModuleFile:
    """The same, parsed."""
    return ModuleFile.open(module_path)


@pytest.fixture
def private(kernel_files: Callable[[str], Path]) -> FakeKernel:
    """A fake kernel whose sect_attrs are as they have been since 6.14."""
    return FakeKernel(kernel_files("private"))


@pytest.fixture
def notes(kernel_files: Callable[[str], Path]) -> FakeKernel:
    """A fake kernel whose struct module keeps no build-id."""
    return FakeKernel(kernel_files("notes"))
