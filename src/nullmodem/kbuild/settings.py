# SPDX-License-Identifier: Apache-2.0
"""Kernel settings: the fragments that ask for them, the ``.config`` that has them, and whether one holds in the other.

A fragment is what the kernel's own scripts/kconfig/merge_config.sh reads, lines of ``CONFIG_X=value`` and
``# CONFIG_X is not set``, with one addition: ``CONFIG_NEW=y | CONFIG_OLD=y`` asks that one of them holds, because the
kernel renames options and the names a source tree knows are found by asking it, not by its version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

UNSET: Final = "n"

_ASSIGNED: Final = re.compile(r"CONFIG_([A-Za-z0-9_]{1,128})=(.*)")
_NOT_SET: Final = re.compile(r"#\s*CONFIG_([A-Za-z0-9_]{1,128}) is not set")


@dataclass(frozen=True, slots=True)
class Setting:
    """One option and its value as a .config writes it: ``y``, ``m``, ``n`` (not set), a number or a quoted string."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"# CONFIG_{self.name} is not set" if self.value == UNSET else f"CONFIG_{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a fragment: one of ``alternatives`` must hold. ``origin`` is ``file:line``."""

    alternatives: tuple[Setting, ...]
    origin: str

    def holds(self, config: Mapping[str, str]) -> bool:
        return any(config.get(setting.name, UNSET) == setting.value for setting in self.alternatives)

    def __str__(self) -> str:
        return " | ".join(str(setting) for setting in self.alternatives)


def parse_setting(text: str) -> Setting | None:
    """The setting a line states, or None. A bare ``=`` value (``CONFIG_X=``) is how some editors write "not set"."""
    if match := _NOT_SET.fullmatch(text.strip()):
        return Setting(match[1], UNSET)
    if match := _ASSIGNED.fullmatch(text.strip()):
        return Setting(match[1], match[2].strip() or UNSET)
    return None


def parse_config(text: str) -> dict[str, str]:
    """Every option a .config mentions, with its value. Lines that state nothing are skipped, as Kconfig does."""
    found = (parse_setting(line) for line in text.splitlines())
    return {setting.name: setting.value for setting in found if setting is not None}


def parse_fragment(text: str, origin: str) -> tuple[Requirement, ...]:
    """The requirements of a fragment, in order. UsageError names the first line that is neither setting nor comment."""
    requirements = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or (stripped.startswith("#") and not _NOT_SET.match(stripped)):
            continue
        # A quoted string may hold a bar; only plain values are offered as alternatives.
        parts = [stripped] if '"' in stripped else stripped.split("|")
        settings = [parse_setting(part) for part in parts]
        stated = tuple(setting for setting in settings if setting is not None)
        if len(stated) != len(settings):
            raise UsageError(
                f"{origin}:{number}: {stripped[:80]!r} is not a kernel setting",
                hint="write CONFIG_NAME=value, or # CONFIG_NAME is not set",
            )
        requirements.append(Requirement(stated, f"{origin}:{number}"))
    return tuple(requirements)


def read_fragment(path: Path) -> tuple[Requirement, ...]:
    """A user's fragment file. UsageError when it cannot be read or a line is not a setting."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(f"cannot read the configuration fragment {path}: {reason}") from error
    return parse_fragment(text, path.name)


def packaged_fragment(name: str) -> tuple[Requirement, ...]:
    """A fragment that comes with nullmodem (``data/NAME.config``); empty when there is none of that name."""
    file = resources.files("nullmodem.kbuild") / "data" / f"{name}.config"
    return parse_fragment(file.read_text(encoding="utf-8"), file.name) if file.is_file() else ()


def combine(*fragments: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """All requirements; where two speak of the same option the later replaces the earlier, as in a .config."""
    combined: list[Requirement] = []
    for requirement in (requirement for fragment in fragments for requirement in fragment):
        names = {setting.name for setting in requirement.alternatives}
        combined = [kept for kept in combined if names.isdisjoint(setting.name for setting in kept.alternatives)]
        combined.append(requirement)
    return tuple(combined)


def merge(config: str, requirements: Iterable[Requirement]) -> str:
    """The text of ``config`` with every setting asked for put in its place: what `make olddefconfig` is to start from.

    All names of an alternative are written: Kconfig ignores those its source does not have.
    """
    wanted = [setting for requirement in requirements for setting in requirement.alternatives]
    names = {setting.name for setting in wanted}
    kept = []
    for line in config.splitlines():
        stated = parse_setting(line)
        if stated is None or stated.name not in names:
            kept.append(line)
    return "\n".join([*kept, *map(str, wanted), ""])


def render(requirements: Iterable[Requirement]) -> str:
    """The requirements without comments, one a line: what a kernel's cache key is computed from."""
    return "".join(f"{requirement}\n" for requirement in requirements)
