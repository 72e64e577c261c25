# SPDX-License-Identifier: Apache-2.0
"""`import nullmodem`: light, and the door to the Python API."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nullmodem


def test_the_import_brings_nothing_with_it_but_the_version() -> None:
    code = "import sys; before = set(sys.modules); import nullmodem; print(*sorted(set(sys.modules) - before))"
    printed = subprocess.run(
        [sys.executable, "-S", "-c", code], check=False, capture_output=True, text=True, env=_path()
    )
    ours = {name for name in printed.stdout.split() if name.startswith("nullmodem")}
    assert ours == {"nullmodem", "nullmodem.version"}, printed.stderr
    heavy = {"drgn", "click", "rich", "capstone", "asyncio", "subprocess"}
    assert heavy.isdisjoint(printed.stdout.split())


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


@pytest.mark.parametrize("name", nullmodem.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(nullmodem, name)
    assert name == "__version__" or value.__doc__
    assert name in dir(nullmodem)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'bot'"):
        _ = nullmodem.bot  # type: ignore[attr-defined]
