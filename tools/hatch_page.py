# SPDX-License-Identifier: Apache-2.0
"""Builds the page of `nullmodem web` before it is packed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """What is installed editable is a checkout, where `tools/setup` builds the page."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if version != "editable":
            subprocess.run([Path(self.root) / "tools" / "page"], check=True)
