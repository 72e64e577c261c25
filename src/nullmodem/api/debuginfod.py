# SPDX-License-Identifier: Apache-2.0
"""Debug info from a debuginfod server, when the user asks for it: through elfutils' own client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from nullmodem.errors import UsageError

PROGRAM: Final = "debuginfod-find"
SECONDS: Final = 120.0


class Debuginfod:
    """Asks the servers in $DEBUGINFOD_URLS. Raises UsageError when there is no client, or no server is named."""

    def __init__(self, urls: str) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise UsageError(f"{PROGRAM} is missing; it asks debuginfod servers", hint="apt-get install debuginfod")
        if not urls.strip():
            raise UsageError(
                "no debuginfod server is named", hint="Set DEBUGINFOD_URLS to the one of the target's distribution."
            )
        self._program = program

    def __call__(self, build_id: bytes) -> Path | None:
        """The file with a build's debug info, as the client keeps it; None when no server has it, or none answers."""
        try:
            done = subprocess.run(
                [self._program, "debuginfo", build_id.hex()],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else None
