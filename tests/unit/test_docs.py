# SPDX-License-Identifier: Apache-2.0
"""The documentation builds, and what it says of the repository is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, str(REPOSITORY / "docs"), str(tmp_path / "html")]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "index.html").is_file()


def test_every_link_to_a_file_leads_to_one() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert links
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []


def test_the_tutorial_shows_the_first_line_of_init_as_it_is() -> None:
    tutorial = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    source = (REPOSITORY / "examples" / "simple" / "simple.c").read_text(encoding="utf-8").splitlines()
    shown = re.search(r"simple_init \(\) at .*simple\.c:(\d+)\n(\d+)\s+(.*)\n", tutorial)
    assert shown
    number = int(shown[1])
    assert shown[2] == shown[1]
    assert source[number - 1].strip() == shown[3]
    assert source[number - 3].endswith("simple_init(void)")


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|^\$ )make ([a-z]+)(?:`|\s+#|$)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named <= targets | {"olddefconfig"}


def test_every_decision_has_a_number_of_its_own_and_says_it() -> None:
    files = sorted((REPOSITORY / "docs" / "decisions").glob("0*.md"))
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == list(range(1, len(files) + 1))
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in files]
    assert [title.partition(".")[0] for title in titles[1:]] == [f"# {number}" for number in numbers[1:]]


README_ROWS = {
    "`next` over a line of ten instructions": "next",
    "breakpoint hit until gdb shows the line, with 340 tasks": "hit, 340 tasks",
    "`info threads`, with 340 tasks": "info threads, 340 tasks",
    "`x/400xb`": "x/400xb",
    "`print` of a struct of 200 bytes, again in the same stop": "print struct again",
}


def test_the_readmes_figures_are_those_that_were_measured() -> None:
    reports = json.loads((REPOSITORY / "bench" / "results" / "linux-6.1.json").read_text(encoding="utf-8"))
    measured = {each["name"]: each for each in reports[-1]["operations"]}
    assert reports[-1]["gdb"] == "18.1"

    def seconds(operation: str, side: str) -> str:
        needed = measured[operation][side]["modelled_seconds"]["115200"]["0 ms"]
        return f"{needed:.2f} s" if needed else "nothing"

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| ([\d.]+ s) \| ([\d.]+ s|nothing) \|$", readme, re.MULTILINE)
    assert rows == [
        (title, seconds(operation, "plain"), seconds(operation, "nullmodem"))
        for title, operation in README_ROWS.items()
    ]
