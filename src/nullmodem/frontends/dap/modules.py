# SPDX-License-Identifier: Apache-2.0
"""gdb's modules, which are files, with what the session knows of them: where each section is, and their state."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from nullmodem.api.records import to_json
from nullmodem.errors import NullmodemError

if TYPE_CHECKING:
    from nullmodem.api.facts import LoadMapFacts
    from nullmodem.api.remote import RemoteMachine


def module_name(path: str) -> str:
    """What the kernel calls the module in a file, or an empty string for a file that is none."""
    name = PurePath(path).name
    return name.removesuffix(".ko").replace("-", "_") if name.endswith(".ko") else ""


class Places:
    """Where modules were that have gone: gdb keeps their breakpoints, and their addresses, until another comes."""

    def __init__(self) -> None:
        self._here: dict[str, range] = {}
        self._gone: list[range] = []

    def enter(self, name: str, module: dict[str, Any]) -> None:
        """A module of the protocol, as `enriched` makes it, has come."""
        start, dash, end = str(module.get("addressRange", "")).partition("-")
        if dash:
            place = self._here[name] = range(int(start, 16), int(end, 16))
            self._gone = [gone for gone in self._gone if gone.stop <= place.start or place.stop <= gone.start]

    def leave(self, name: str) -> None:
        place = self._here.pop(name, None)
        if place is not None:
            self._gone.append(place)

    def is_gone(self, address: object) -> bool:
        """Whether an address of the protocol lies where nothing is any more."""
        return isinstance(address, str) and any(int(address, 16) in place for place in self._gone)


def enriched(module: dict[str, Any], remote: RemoteMachine, own: frozenset[str]) -> dict[str, Any]:
    """A module of the protocol. ``own`` are the user's; one that has gone meanwhile stays as gdb knows it."""
    path = str(module.get("path", module.get("name", "")))
    name = module_name(path)
    if not name:
        return {**module, "name": PurePath(path).name, "isUserCode": False, "symbolStatus": "Symbols loaded."}
    shown = {**module, "name": name, "isUserCode": name in own}
    try:
        return {**shown, **_placed(remote.load_map(name))}
    except NullmodemError as error:
        return {**shown, "symbolStatus": error.message}


def _placed(facts: LoadMapFacts) -> dict[str, Any]:
    starts = [region.address for region in facts.regions]
    ends = [region.address + region.size for region in facts.regions]
    problem = facts.module.problem
    return {
        **({"addressRange": f"{min(starts):#x}-{max(ends):#x}"} if starts else {}),
        "state": facts.module.state,
        "symbolStatus": f"{problem}: {facts.module.explanation}" if problem else "Symbols loaded.",
        "symbolFilePath": facts.module.file,
        "sections": to_json(facts.sections),
        "regions": to_json(facts.regions),
    }
