# SPDX-License-Identifier: Apache-2.0
"""Machines to debug. QEMU now: ``QemuTarget.launch(QemuSpec(kernel), workdir)``.

Nothing here knows the debug protocol or modules: a target offers a connected line to the kernel's stub, a console, a
way to run commands and to copy files, and a way to break in.
"""

from nullmodem.targets.console import Console
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import Accel, QemuSpec
from nullmodem.targets.target import ExecResult, Target, TargetExit

__all__ = ["Accel", "Console", "ExecResult", "QemuSpec", "QemuTarget", "Target", "TargetExit"]
