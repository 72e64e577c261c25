# SPDX-License-Identifier: Apache-2.0
"""Sessions without a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.served import Served, served_in_a_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """One for all the lines a property is tried with."""
    with served_in_a_directory() as served:
        yield served


@pytest.fixture
def served() -> Iterator[Served]:
    """One that a test may change."""
    with served_in_a_directory() as served:
        yield served
