# SPDX-License-Identifier: Apache-2.0
"""Facts as plain text, the same in gdb's `monitor` commands and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.model import Module, ModuleProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nullmodem.api.live import Status


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
    stop = status.stop
    lines = [f"target   {status.state.value}"]
    if stop is not None and status.where:
        lines.append(f"stop     {stop.number}: {stop.reason.value} at {status.where} (thread {stop.thread})")
    lines.append(f"kernel   {status.vmlinux}, slide {status.slide:#x}, {status.processors} CPU(s)")
    lines.append(f"modules  {status.modules}")
    for client in status.clients:
        waits = "waits for a stop" if client.waiting else "at its prompt"
        lines.append(f"client   {client.id}: {waits}{', holds the target' if client.holds_lease else ''}")
    wire, cache = status.wire, status.cache
    lines.append(f"wire     {wire.round_trips} round trips, {wire.bytes_out} bytes out, {wire.bytes_in} bytes in")
    lines.append(f"cache    {cache.hits} of {cache.hits + cache.misses} reads answered without the wire")
    return "\n".join(lines) + "\n"


def module_table(modules: Sequence[Module]) -> str:
    """One line a module, and what is wrong with those that have no symbols."""
    if not modules:
        return "no modules are loaded\n"
    rows = [("Module", "State", "Text", "Size", "File")]
    for module in modules:
        text = next((r.range for r in module.loaded.regions if r.kind.is_text and not r.kind.is_init), None)
        size = sum(region.range.size for region in module.loaded.regions)
        file = str(module.file.path) if module.file else f"({module.problem.value})"
        rows.append(
            (module.name, module.loaded.state.value.lower(), f"{text.start:#x}" if text else "-", str(size), file)
        )
    notes = [f"\n{m.name}: {m.explanation}\n" for m in modules if m.problem is not ModuleProblem.NONE]
    return table(rows, right=(3,)) + "".join(notes)


def load_map(module: Module) -> str:
    """Every section of the module's file: size, address and alignment; what insmod -m once printed."""
    if not module.sections:
        regions = [("Region", "Size", "Address")]
        regions += [(r.kind.value, str(r.range.size), f"{r.range.start:#018x}") for r in module.loaded.regions]
        return f"{module.name}: {module.problem.value}\n{module.explanation}\n" + table(regions, right=(1,))
    rows = [("Section", "Size", "Address", "Align")]
    for section in module.sections:
        address = f"{section.address:#018x}" if section.present else "not in memory"
        rows.append(
            (section.section.name, f"{section.section.size:#x}", address, f"2**{_log2(section.section.alignment)}")
        )
    return f"{module.name}: {module.file.path if module.file else ''}\n" + table(rows, right=(1,))


def add_symbol_file(module: Module) -> str:
    """The gdb command that does by hand, in a gdb that talks to something else, what this session does by itself."""
    present = [section for section in module.sections if section.present]
    options = " ".join(f"-s {section.section.name} {section.address:#x}" for section in present)
    return f"add-symbol-file {module.file.path if module.file else module.name + '.ko'} {options}"


def _log2(alignment: int) -> int:
    return max(0, alignment.bit_length() - 1)
