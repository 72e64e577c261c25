# SPDX-License-Identifier: Apache-2.0
"""How kdb asks for a command: ``[0]kdb> ``, the number a processor's, or ``kdb> `` in a kernel without CONFIG_SMP.

The strings are PROMPT and MOREPROMPT in kernel/debug/kdb/kdb_main.c ``__env``. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = rb"(?:^|[\r\n])"
_NUMBER: Final = rb"\[\d{1,4}\]"
LONGEST: Final = len(b"\n[1234]kdb> ")
"""Bytes that `ENDS_IN_PROMPT` looks at."""

ENDS_IN_PROMPT: Final = re.compile(rb"(?:" + _NUMBER + rb"|[\r\n])kdb> \Z")
"""kdb waits for a command. Without a number its line must have begun before: any text may end so."""

WAITS: Final = re.compile(_LINE + rb"(?:" + _NUMBER + rb")?(?:kdb|more)>[^\r\n]*\Z")
"""The same in all that was heard of a line, with a command typed in part; or it waits for a key to print on."""

HAS_THE_LINE: Final = re.compile(rb"kdb> ?$")
"""A line that ends so is worth a question, whoever has printed it."""
