# SPDX-License-Identifier: Apache-2.0
"""The page as it is built and shipped."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from support.web_scene import PAGE

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"index.html", "page.js", "page.css", "icon.svg"}
MOST_BYTES = 300_000


def test_the_pages_own_logic(repository: Path) -> None:
    tests = subprocess.run(
        ["node", "--test", "test/"], cwd=repository / "web", check=False, capture_output=True, text=True, timeout=60
    )
    assert tests.returncode == 0, tests.stdout


def test_all_of_it_is_small() -> None:
    assert {path.name for path in PAGE.iterdir()} == FILES
    assert sum(len(gzip.compress((PAGE / name).read_bytes())) for name in FILES) < MOST_BYTES


def test_the_document_asks_for_its_own_files_only_and_holds_no_code_and_no_style() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == FILES - {"index.html"}
    assert re.findall(r"<script[^>]*>[^<]|<style|\sstyle=|\son\w+=", text) == []


def test_a_wheel_holds_the_page(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, repository], check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.rpartition("/")[2] for name in names if "/web/page/" in name} == FILES


def test_the_lock_of_what_it_is_built_from_names_no_host(repository: Path) -> None:
    lock = json.loads((repository / "web" / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
