# SPDX-License-Identifier: Apache-2.0
"""Whether a file is the build that was loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one build of a module from another. None where it is not known.

    ``build_id``: the linker's hash of the whole file. ``srcversion``: modpost's hash of the sources.
    """

    build_id: bytes | None
    srcversion: str | None

    def matches(self, other: Identity) -> bool | None:
        """Whether both are the same build; None when they have nothing in common to tell by."""
        if self.build_id and other.build_id:
            return self.build_id == other.build_id
        if self.srcversion and other.srcversion:
            return self.srcversion == other.srcversion
        return None

    def __str__(self) -> str:
        if self.build_id:
            return f"build-id {self.build_id.hex()}"
        return f"srcversion {self.srcversion}" if self.srcversion else "neither build-id nor srcversion"
