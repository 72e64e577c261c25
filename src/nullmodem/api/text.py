# SPDX-License-Identifier: Apache-2.0
"""Facts as plain text, the same in gdb's `monitor` commands and on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nullmodem.api.facts import load_map_facts, module_facts, target_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nullmodem.api.facts import CacheFacts, LoadMapFacts, ModuleFacts, TargetFacts, WireFacts
    from nullmodem.api.status import Status
    from nullmodem.session.model import Module


SHOWN: Final = 3
"""Lines of what was said that a status shows; a program gets them all."""


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns padded to their widest entry; those in ``right`` flush right. The first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{c:>{w}}" if n in right else f"{c:<{w}}" for n, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def status_lines(status: Status) -> str:
    """A session's state in a few lines."""
    return target_text(target_facts(status))


def module_table(modules: Sequence[Module]) -> str:
    """One line a module, and what is wrong with those that have no symbols."""
    return modules_text([module_facts(module) for module in modules])


def load_map(module: Module) -> str:
    """Every section of the module's file: size, address and alignment; what insmod -m once printed."""
    return load_map_text(load_map_facts(module))


def target_text(target: TargetFacts) -> str:
    """`status_lines` of facts."""
    stop = target.stop
    lines = [f"target   {target.state}"]
    if stop is not None:
        lines.append(f"stop     {stop.number}: {stop.reason} at {stop.where} (thread {stop.thread})")
    lines.append(f"kernel   {target.vmlinux}, slide {target.slide:#x}, {target.processors} CPU(s)")
    lines.append(f"modules  {target.modules}")
    for client in target.clients:
        waits = "waits for a stop" if client.waiting else "at its prompt"
        lines.append(f"client   {client.id}: {waits}{', holds the target' if client.holds else ''}")
    wire, cache = target.wire, target.cache
    lines += [f"wire     {line}" for line in wire_lines(wire)]
    lines.append(f"cache    {cache_line(cache)}")
    lines += [f"{'said':<7}  {clock(line.when)} {line.text}" for line in target.said[-SHOWN:]]
    return "\n".join(lines) + "\n"


def clock(when: int) -> str:
    """Seconds since 1970 as the time of day here."""
    return f"{datetime.fromtimestamp(when, UTC).astimezone():%H:%M:%S}"


def wire_lines(wire: WireFacts) -> list[str]:
    """What the wire was used for, in all and for the last command, and how well."""
    command = wire.command
    used = "n/a: the line has no rate"
    if wire.baud is not None:
        share = "not yet" if wire.utilisation is None else f"{wire.utilisation} %"
        used = f"{share} of what {wire.baud} baud allow while an answer is awaited"
    return [
        f"{wire.round_trips} round trips, {wire.bytes_out} bytes out, {wire.bytes_in} bytes in",
        f"last command: {command.round_trips} round trips, {command.bytes_out + command.bytes_in} bytes",
        f"line used: {used}",
    ]


def cache_line(cache: CacheFacts) -> str:
    """What was not asked of the wire."""
    answered = f"{cache.hits} of {cache.hits + cache.misses} reads answered without the wire"
    return f"{answered}, {cache.bytes_served} bytes given, {cache.bytes_fetched} read"


def modules_text(modules: Sequence[ModuleFacts]) -> str:
    """`module_table` of facts."""
    if not modules:
        return "no modules are loaded\n"
    rows = [("Module", "State", "Text", "Size", "File")]
    for module in modules:
        text = "-" if module.text is None else f"{module.text:#x}"
        rows.append((module.name, module.state, text, str(module.size), module.file or f"({module.problem})"))
    notes = [f"\n{module.name}: {module.explanation}\n" for module in modules if module.problem]
    return table(rows, right=(3,)) + "".join(notes)


def load_map_text(load_map: LoadMapFacts) -> str:
    """`load_map` of facts. Without a verified file the regions that the kernel knows of."""
    module = load_map.module
    if not load_map.sections:
        regions = [("Region", "Size", "Address")]
        regions += [(r.kind, str(r.size), f"{r.address:#018x}") for r in load_map.regions]
        return f"{module.name}: {module.problem}\n{module.explanation}\n" + table(regions, right=(1,))
    rows = [("Section", "Size", "Address", "Align")]
    for section in load_map.sections:
        address = "not in memory" if section.address is None else f"{section.address:#018x}"
        rows.append((section.name, f"{section.size:#x}", address, f"2**{section.alignment.bit_length() - 1}"))
    return f"{module.name}: {module.file}\n" + table(rows, right=(1,))


def add_symbol_file(load_map: LoadMapFacts) -> str:
    """The gdb command that does by hand, in a gdb that talks to something else, what this session does by itself."""
    present = [section for section in load_map.sections if section.address is not None]
    options = " ".join(f"-s {section.name} {section.address:#x}" for section in present)
    return f"add-symbol-file {load_map.module.file or load_map.module.name + '.ko'} {options}"
