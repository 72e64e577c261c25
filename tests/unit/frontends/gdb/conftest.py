# SPDX-License-Identifier: Apache-2.0
"""A session on a fake kernel, and gdbs that send what a test wants."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from support.rigged import kernel_file, module_path, rig

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kernel_file", "module_path", "nothing_failed_in_silence", "rig"]


@pytest.fixture(autouse=True)
def nothing_failed_in_silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever was sent, no thread has met an error of ours."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []
