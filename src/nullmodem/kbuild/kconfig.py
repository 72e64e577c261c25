# SPDX-License-Identifier: Apache-2.0
"""Why Kconfig dropped a setting: the conditions on an option, read from the Kconfig files of a source tree.

This is no evaluator. It finds where an option is defined and every condition around it (``depends on``, ``if`` blocks,
menus, the ``source`` lines that led there), so that an error can name the option that is missing. The language is
described in Documentation/kbuild/kconfig-language.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nullmodem.kbuild.settings import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nullmodem.kbuild.settings import Requirement

_MAX_DEPTH: Final = 32  # the kernel nests `source` six deep; a file that sources itself must not nest for ever
_PROMPTED: Final = re.compile(r'(?:bool|tristate|string|int|hex|prompt)\s+["\']')
_TERM: Final = re.compile(r"(!?)\b([A-Z][A-Z0-9_]+)\b")


@dataclass(slots=True)
class Definition:
    """One place that defines an option: what must hold for it, as written, and whether a person can set it there."""

    file: str
    conditions: list[str]
    prompt: bool = False


@dataclass(slots=True)
class _Block:
    """An open ``if``, ``menu`` or ``choice``; its conditions hold for what is inside."""

    conditions: list[str] = field(default_factory=list)


class KconfigReader:
    """Definitions of the wanted options in one source tree. A file that cannot be read counts as empty."""

    def __init__(self, source: Path, architecture: str, wanted: Iterable[str]) -> None:
        self.definitions: dict[str, list[Definition]] = {name: [] for name in wanted}
        self._source = source
        self._architecture = architecture
        self._read("Kconfig", [], 0)

    def _read(self, name: str, outer: list[str], depth: int) -> None:
        name = name.replace("$(SRCARCH)", self._architecture)
        blocks = [_Block(outer)]
        entry: Definition | _Block = blocks[0]
        for word, rest in self._statements(name):
            inside = [condition for block in blocks for condition in block.conditions]
            if word == "source" and depth < _MAX_DEPTH:
                self._read(rest.strip("\"'"), inside, depth + 1)
            elif word in {"if", "menu", "choice"}:
                entry = _Block([rest] if word == "if" else [])
                blocks.append(entry)
            elif word in {"endif", "endmenu", "endchoice"} and len(blocks) > 1:
                blocks.pop()
            elif word in {"config", "menuconfig"}:
                entry = Definition(name, inside)
                self.definitions.get(rest, []).append(entry)
            elif word == "depends":
                entry.conditions.append(rest.removeprefix("on").strip())
            elif isinstance(entry, Definition) and _PROMPTED.match(f"{word} {rest}"):
                entry.prompt = True
                entry.conditions += rest.rsplit(" if ", 1)[1:]

    def _statements(self, name: str) -> Iterator[tuple[str, str]]:
        """The first word and the rest of every line that is neither a comment nor help text."""
        try:
            text = (self._source / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        help_text = _HelpText()
        for raw in text.replace("\\\n", " ").expandtabs().splitlines():
            line = raw.strip()
            if not line or line.startswith("#") or help_text.holds(len(raw) - len(raw.lstrip())):
                continue
            word, _, rest = line.partition(" ")
            if word == "help":
                help_text = _HelpText(started=True)
            else:
                yield word, rest.strip()


class _HelpText:
    """Help text lasts as long as lines are indented at least as far as its first one."""

    def __init__(self, *, started: bool = False) -> None:
        self._indent: int | None = None
        self._started = started

    def holds(self, indent: int) -> bool:
        if self._started and self._indent is None:
            self._indent = indent
        self._started = self._started and self._indent is not None and indent >= self._indent > 0
        return self._started


def explain_lost(
    lost: Iterable[Requirement], config: Mapping[str, str], source: Path, architecture: str
) -> tuple[str, ...]:
    """Lines that say, for each requirement that does not hold in ``config``, what it is now and what it depends on."""
    lost = tuple(lost)
    names = {setting.name for requirement in lost for setting in requirement.alternatives}
    reader = KconfigReader(source, architecture, names)
    lines: list[str] = []
    for requirement in lost:
        lines.append(f"{requirement}    (asked for by {requirement.origin})")
        for setting in requirement.alternatives:
            actual = config.get(setting.name, UNSET)
            lines.append(f"    CONFIG_{setting.name} is {'not set' if actual == UNSET else actual}")
            lines += _explain(reader.definitions[setting.name], config)
    return tuple(lines)


def _explain(definitions: list[Definition], config: Mapping[str, str]) -> list[str]:
    if not definitions:
        return ["        this kernel source has no such option"]
    lines = []
    for definition in definitions:
        where = f"        {definition.file}:"
        conditions = list(dict.fromkeys(definition.conditions))
        if conditions:
            lines.append(f"{where} depends on {' && '.join(map(_bracketed, conditions))}")
        if in_the_way := list(dict.fromkeys(_in_the_way(conditions, config))):
            lines.append(f"            as configured: {', '.join(in_the_way)}")
        elif definition.prompt:
            lines.append(f"{where} another member of its choice, or another option's `select`, decides it here")
        if not definition.prompt:
            lines.append(f"{where} cannot be set by hand, only selected by other options")
    return lines


def _in_the_way(conditions: Iterable[str], config: Mapping[str, str]) -> Iterator[str]:
    for condition in conditions:
        for negation, word in _TERM.findall(condition):
            is_set = config.get(word, UNSET) != UNSET
            if word not in {"y", "m", "n"} and is_set == bool(negation):
                yield f"{word} is {'set' if is_set else 'not set'}"


def _bracketed(condition: str) -> str:
    return f"({condition})" if "||" in condition else condition
