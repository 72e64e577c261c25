# SPDX-License-Identifier: Apache-2.0
"""Variables of modules by name: a module that is loaded again has them elsewhere, and others where they were."""

import re

import gdb

_SYMBOL = re.compile(r"(\S+?)(?: \+ (\d+))? in section \S+ of (.+\.ko)\s*")


def module_of(objfile):
    """What the kernel calls the module in a file, or an empty string for a file that is none."""
    return _module(objfile.filename or "")


def _module(path):
    name = path.rpartition("/")[2]
    return name[: -len(".ko")].replace("-", "_") if name.endswith(".ko") else ""


def address_of(module, variable):
    """Where a module that is loaded has a variable; None if it is not, or has none."""
    for objfile in gdb.objfiles():
        if module_of(objfile) != module:
            continue
        symbol = objfile.lookup_static_symbol(variable) or objfile.lookup_global_symbol(variable)
        if symbol is not None and symbol.addr_class == gdb.SYMBOL_LOC_STATIC:
            return int(symbol.value().address)
    return None


def home(address):
    """The module, the variable and the bytes into it at an address; None where no module's variable is, or one whose
    name does not lead back there."""
    match = _SYMBOL.fullmatch(gdb.execute("info symbol 0x%x" % address, to_string=True))
    if match is None:
        return None
    module, offset = _module(match[3]), int(match[2] or 0)
    start = address_of(module, match[1])
    return (module, match[1], offset) if start is not None and start + offset == address else None
