# SPDX-License-Identifier: Apache-2.0
"""Showing steps that have no measure: the present one on a terminal, a line each where there is none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextlib.contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done now. Nothing of it stays on a terminal."""
    if not console.is_terminal:
        yield lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)
        return
    with console.status("") as status:
        yield lambda text: status.update(escape(text))
