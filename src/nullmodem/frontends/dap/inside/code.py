# SPDX-License-Identifier: Apache-2.0
"""Memory, instructions and sources."""

import base64
import re

import gdb
from inside.requests import part, request, server

sources = part("sources")

GATE = 4096
"""Bytes: what a module's memory is given in."""


def _address(reference, offset=0):
    try:
        return (int(reference, 0) + offset) & (1 << 64) - 1
    except ValueError:
        raise gdb.GdbError("%r is no address" % reference) from None


def _readable(address, count):
    """As many bytes as can be read there, in pieces that end where pages do."""
    found = bytearray()
    while len(found) < count:
        at = address + len(found)
        length = min(count - len(found), GATE - at % GATE)
        try:
            found += gdb.selected_inferior().read_memory(at, length)
        except gdb.error:
            break
    return bytes(found)


@request("readMemory")
def read_memory(*, memoryReference: str, offset: int = 0, count: int, **extra):
    address = _address(memoryReference, offset)
    data = _readable(address, min(count, 1 << 20))
    result = {"address": hex(address)}
    if data:
        result["data"] = base64.b64encode(data).decode("ascii")
    if len(data) < count:
        # Up to the next page: where memory can be read again is not known without trying.
        result["unreadableBytes"] = min(count - len(data), GATE - (address + len(data)) % GATE)
    return result


def _function_start(pc):
    block = gdb.block_for_pc(pc)
    while block is not None and block.function is None:
        block = block.superblock
    if block is not None:
        return block.start
    symbol = re.match(r".* \+ (\d+) in section", gdb.execute("info symbol 0x%x" % pc, to_string=True))
    return pc - int(symbol[1]) if symbol else pc


def _code(start, end):
    """Instructions from ``start`` to ``end``; what cannot be read ends them."""
    arch = gdb.selected_frame().architecture()
    try:
        return arch.disassemble(start, end - 1) if end > start else []
    except gdb.error:
        return []


def _before(pc, count):
    """The instructions before ``pc``. They can only be told from the function's start on, as they differ in length."""
    found, end = [], pc
    while len(found) < count:
        start = _function_start(end - 1)
        if start >= end:
            break
        found = [each for each in _code(start, end) if each["addr"] < end] + found
        end = start
    return found[-count:] if count else []


def _shown(instruction):
    address = instruction["addr"]
    code = _readable(address, instruction["length"])
    result = {"address": hex(address), "instruction": instruction["asm"], "instructionBytes": code.hex(" ")}
    place = gdb.find_pc_line(address)
    if place.symtab is not None and place.line:
        result["line"] = server.export_line(place.line) if hasattr(server, "export_line") else place.line
        result["location"] = sources.make_source(place.symtab.fullname())
    block = gdb.block_for_pc(address)
    if block is not None and block.function is not None and block.start == address:
        result["symbol"] = block.function.print_name
    return result


def _nothing(address):
    return {"address": hex(address), "instruction": "??", "presentationHint": "invalid"}


@request("disassemble")
def disassemble(*, memoryReference: str, offset: int = 0, instructionOffset: int = 0, instructionCount: int, **extra):
    """gdb's own takes no negative offset, which editors ask for to fill a page."""
    pc = _address(memoryReference, offset)
    count = max(0, min(instructionCount, 4096))
    before = _before(pc, max(0, -instructionOffset))
    shown = [_shown(each) for each in before]
    missing = max(0, -instructionOffset) - len(before)
    first = before[0]["addr"] if before else pc
    shown = [_nothing(first - missing + n) for n in range(missing)] + shown
    shown = shown[:count]
    skip = max(0, instructionOffset)
    wanted = count - len(shown)
    if wanted > 0:
        try:
            code = gdb.selected_frame().architecture().disassemble(pc, count=skip + wanted)[skip:]
        except gdb.error:
            code = []
        shown += [_shown(each) for each in code]
        at = code[-1]["addr"] + code[-1]["length"] if code else pc
        shown += [_nothing(at + n) for n in range(count - len(shown))]
    return {"instructions": shown}


def _looked(path):
    tried = [path]
    rules = re.findall(r"`(.*?)' -> `(.*?)'", gdb.execute("show substitute-path", to_string=True))
    for before, after in rules:
        if path.startswith(before):
            tried.append(after + path[len(before) :])
    directories = gdb.parameter("directories")
    return tried, directories


@request("source")
def source(*, source=None, sourceReference: int = 0, **extra):
    """A file that is not here is answered with where it was looked for, and the code of the frame instead."""
    path = sources.decode_source(source or {"sourceReference": sourceReference})
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return {"content": file.read()}
    except OSError:
        tried, directories = _looked(path)
    lines = ["%s is not on this machine." % path, "", "Looked for:", *("  " + each for each in tried)]
    lines += ["and in the directories %s" % directories, ""]
    lines += ['The attribute "sourceMap" says where sources are now. The code instead:', ""]
    try:
        code = gdb.execute("disassemble", to_string=True)
    except gdb.error as error:
        code = str(error)
    return {"content": "\n".join(lines) + code, "mimeType": "text/x-asm"}
