# SPDX-License-Identifier: Apache-2.0
"""Sourced by a gdb: prints its frames as one line of JSON, with the variables that have numbers or addresses."""

import json

import gdb  # type: ignore[import-not-found]

MOST = 12
NUMBERS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR)


def value_of(symbol, frame):  # type: ignore[no-untyped-def]
    """A number, an address in words, or why there is neither."""
    try:
        value = symbol.value(frame)
        if value.is_optimized_out:
            return None
        if value.type.strip_typedefs().code in NUMBERS:
            return int(value)
        return f"at {int(value.address):#x}" if value.address is not None else "value"
    except (gdb.error, gdb.MemoryError, OverflowError) as error:
        return f"error {error}"


def variables(frame):  # type: ignore[no-untyped-def]
    found = {}
    try:
        block = frame.block()
    except RuntimeError:
        return found
    while block is not None:
        for symbol in block:
            if (symbol.is_variable or symbol.is_argument) and symbol.name not in found and not is_static(symbol):
                found[symbol.name] = value_of(symbol, frame)
        if block.function is not None:
            break
        block = block.superblock
    return found


def is_static(symbol):  # type: ignore[no-untyped-def]
    return symbol.addr_class == gdb.SYMBOL_LOC_STATIC


def report():  # type: ignore[no-untyped-def]
    frames = []
    frame = gdb.newest_frame()
    while frame is not None and len(frames) < MOST:
        if frame.type() != gdb.TAILCALL_FRAME:
            sal = frame.find_sal()
            file = sal.symtab.filename if sal.symtab is not None else None
            frames.append({"function": frame.name(), "file": file, "line": sal.line, "variables": variables(frame)})
        frame = frame.older()
    print("REPORT " + json.dumps(frames))
