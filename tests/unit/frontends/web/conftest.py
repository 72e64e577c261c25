# SPDX-License-Identifier: Apache-2.0
"""A session on a fake kernel, and a page server on it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from support.pages import Web, web_on
from support.rigged import kernel_file, module_path, rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig

__all__ = ["kernel_file", "module_path", "nothing_failed_in_silence", "rig", "web"]


@pytest.fixture
def web(rig: Rig, tmp_path: Path) -> Iterator[Web]:
    with web_on(rig.live, tmp_path) as served:
        yield served


@pytest.fixture(autouse=True)
def nothing_failed_in_silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever was sent, no thread has met an error of ours."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []
