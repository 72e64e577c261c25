# SPDX-License-Identifier: Apache-2.0
"""Which conditions a page may set: they are evaluated by Python in the session's process, and are to compare only."""

from __future__ import annotations

import ast
from typing import Final

from nullmodem.errors import UsageError

LONGEST: Final = 400
_ALLOWED: Final = (
    ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Constant, ast.Attribute,
    ast.Subscript, ast.Load, ast.boolop, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_ENDLESS: Final = (ast.Pow, ast.LShift, ast.MatMult)


def require_plain(text: str) -> None:
    """Raises UsageError for a condition that does more than compare the code's variables and constants."""
    hint = 'Write it with the names of the code: "len > 4 and file.f_flags & 1".'
    try:
        if len(text) > LONGEST:
            raise UsageError(f"a condition has {LONGEST} characters at most", hint=hint)
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"the condition {text[:80]!r} is no expression: {error}", hint=hint) from None
    for node in nodes:
        names = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        text_constant = isinstance(node, ast.Constant) and not isinstance(node.value, int | bool)
        # A name with underscores at both ends leads out of what the expression is about; drgn's own end with one.
        if not isinstance(node, _ALLOWED) or isinstance(node, _ENDLESS) or text_constant or _leads_out(names):
            raise UsageError(f"the condition {text[:80]!r} does more than compare variables", hint=hint)


def _leads_out(name: str) -> bool:
    return name.endswith("_") or name.startswith("__")
