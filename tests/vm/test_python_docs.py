# SPDX-License-Identifier: Apache-2.0
"""The examples of the Python API run as they stand in the documentation, on a real kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from support.modules import REPOSITORY, copy_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


def examples(page: str) -> list[str]:
    """The blocks of Python on a page, each with empty lines before it so that an error names the page's line."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text.count("\n", 0, block.start(1)) + block[1] for block in blocks]


@pytest.mark.parametrize("page", ["README.md", "docs/reference/python.md"])
def test_the_examples_of_a_page_run_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drivers").mkdir()
    copy_module("counter", tmp_path).rename(tmp_path / "drivers" / "simple")
    monkeypatch.chdir(tmp_path)
    blocks = examples(page)
    assert blocks
    names: dict[str, Any] = {}
    try:
        for block in blocks:
            exec(compile(block, page, "exec"), names)
    finally:
        if (target := names.get("target")) is not None:
            target.close()
