# SPDX-License-Identifier: Apache-2.0
"""The descriptors of this process: how many there are, and what happens when there are no more."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def descriptors() -> int:
    gc.collect()  # what other tests have left would make room meanwhile
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """This process can open so many more."""
    present = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    fillers = [os.dup(0)]
    while fillers[-1] < max(present):
        fillers.append(os.dup(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + descriptors, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in fillers:
            os.close(each)
