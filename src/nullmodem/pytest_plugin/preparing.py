# SPDX-License-Identifier: Apache-2.0
"""What ``pytest --nullmodem`` does before the first test, and lines on the terminal for what takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import check_host
from nullmodem.api.config import configured_target
from nullmodem.errors import NullmodemError
from nullmodem.kbuild import ensure_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.kbuild import Progress


def prepare(config: pytest.Config, kernels: Sequence[str]) -> None:
    """Check this machine and have every kernel built. Raises pytest.UsageError that says what is missing."""
    board = config.getoption("--nullmodem-target")
    try:
        if board:
            configured_target(board)
            return
        check_host()
        progress = BuildLines(teller(config))
        for name in kernels:
            ensure_kernel(name, progress)
    except NullmodemError as error:
        raise pytest.UsageError(str(error)) from None


def teller(config: pytest.Config) -> Callable[[str], None]:
    """Shows a line on the terminal, whatever is captured; in a worker of pytest-xdist, which has none, nothing."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if terminal is None or hasattr(config, "workerinput"):
        return lambda _text: None

    def tell(text: str) -> None:
        if config.get_verbosity() < 0:
            return
        if capture is not None:
            with capture.global_and_fixture_disabled():
                terminal.ensure_newline()
                terminal.write_line(f"nullmodem: {text}")
        else:
            terminal.write_line(f"nullmodem: {text}")

    return tell


class BuildLines:
    """A kernel's build, a line for each stage and every tenth of it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._last: tuple[object, int] | None = None

    def __call__(self, progress: Progress) -> None:
        tenth = int(10 * (progress.fraction or 0.0))
        if (progress.stage, tenth) != self._last:
            self._last = (progress.stage, tenth)
            self._tell(f"{progress.stage.value}: {10 * tenth}%" if tenth else progress.stage.value)
