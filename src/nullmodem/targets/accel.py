# SPDX-License-Identifier: Apache-2.0
"""Whether KVM works here: only a boot tells, and it is asked once for each boot of the host.

/dev/kvm may exist, open, and still start nothing (nested virtualisation, missing MSRs).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nullmodem.targets.spec import Accel

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class AccelMemory:
    """That KVM failed, in the file ``accel.json`` of ``directory``; with None nothing is remembered.

    A missing, unreadable or foreign file means that nothing is known. It never makes a boot fail.
    """

    directory: Path | None
    kvm: Path = Path("/dev/kvm")

    def candidates(self, wanted: Accel) -> tuple[Accel, ...]:
        """What to try, in order."""
        if wanted is not Accel.AUTO:
            return (wanted,)
        if not os.access(self.kvm, os.R_OK | os.W_OK) or self._known_to_fail():
            return (Accel.TCG,)
        return (Accel.KVM, Accel.TCG)

    def remember_failure(self) -> None:
        """A machine that TCG could boot did not boot with KVM."""
        if self.directory is None:
            return
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.directory, delete=False) as file:
                json.dump({"boot_id": _boot_id(), "kvm": False}, file)
            Path(file.name).replace(self._file(self.directory))

    def _known_to_fail(self) -> bool:
        if self.directory is None:
            return False
        try:
            known = json.loads(self._file(self.directory).read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(known, dict) and known == {"boot_id": _boot_id(), "kvm": False}

    @staticmethod
    def _file(directory: Path) -> Path:
        return directory / "accel.json"


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
