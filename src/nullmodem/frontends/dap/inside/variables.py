# SPDX-License-Identifier: Apache-2.0
"""Variables, those included that cannot be shown."""

import gdb
from inside.requests import part, request, server

varref = part("varref")


def _own(variable, name):
    """What 17 and newer keep under a name with an underscore."""
    return getattr(variable, "_" + name) if hasattr(variable, "_" + name) else getattr(variable, name)


def _child_name(parent, index):
    """What a child is called that cannot be shown."""
    known = getattr(parent, "_var_list", None)
    symbol = known[index] if known is not None and index < len(known) else None
    symbol = symbol.symbol() if hasattr(symbol, "symbol") and callable(symbol.symbol) else symbol
    return getattr(symbol, "print_name", None) or getattr(symbol, "name", None) or "[%d]" % index


def _children(parent, start, stop):
    for index in range(start, stop):
        try:
            yield index, next(iter(parent.fetch_children(index, 1))), None
        except (gdb.error, gdb.MemoryError, RuntimeError) as error:
            yield index, None, error


@request("variables")
def variables(*, variablesReference: int, start: int = 0, count: int = 0, format=None, **extra):
    """gdb's own fails for all when one cannot be read. A module's globals have such: what is in freed init sections,
    and what has an address only on one processor."""
    if not server.client_bool_capability("supportsVariablePaging"):
        start = count = 0
    result = []
    with varref.apply_format(format):
        parent = varref.find_variable(variablesReference)
        total = parent.child_count()
        for index, child, error in _children(parent, start, min(total, start + count) if count else total):
            result.append(_shownchild_named(child, error) or _unreadable(_child_name(parent, index), error))
    return {"variables": result}


def _shownchild_named(child, error):
    if error is not None:
        return None
    try:
        return child.to_object()
    except (gdb.error, gdb.MemoryError, RuntimeError) as unshown:
        return _unreadable(str(_own(child, "name")), unshown)


def _unreadable(name, error):
    return {"name": name, "value": "<%s>" % error, "variablesReference": 0}


def value_of(parent, name):
    """The value of a child."""
    for _index, child, _error in _children(parent, 0, parent.child_count()):
        if child is not None and _own(child, "name") == name:
            return _own(child, "value")
    raise gdb.GdbError("there is no variable %r, or it cannot be read" % name)
