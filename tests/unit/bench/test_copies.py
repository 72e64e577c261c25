# SPDX-License-Identifier: Apache-2.0
"""Many modules out of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.bench.copies import copy_module, copy_name
from nullmodem.errors import UsageError
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import build_module

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_have_names_and_builds_of_their_own(tmp_path: Path) -> None:
    original = build_module(tmp_path, "many_000")
    made = [ModuleFile.open(path) for path in copy_module(original, tmp_path / "copies", 12)]
    assert [file.name for file in made] == [copy_name("many_000", number) for number in range(12)]
    assert len({file.build_id for file in made}) == 12
    assert [section.size for section in made[11].sections] == [
        section.size for section in ModuleFile.open(original).sections
    ]


def test_a_name_that_cannot_be_counted_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has to end in 000"):
        copy_module(build_module(tmp_path, "other"), tmp_path / "copies", 3)
