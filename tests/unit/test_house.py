# SPDX-License-Identifier: Apache-2.0
"""The promises about the repository itself that a machine can keep."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nullmodem import errors

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
PYTHON_LICENSE = "SPDX-License-Identifier: Apache-2.0"
# What is loaded into a kernel, or shares a header with it, may be taken under the kernel's licence too.
MODULE_LICENSE = "SPDX-License-Identifier: GPL-2.0 OR Apache-2.0"
SOURCE_SUFFIXES = {".c", ".h", ".py", ".sh"}
SOURCE_NAMES = {"Kbuild", "Makefile"}


def project_files() -> list[Path]:
    """Every file that is in the repository or about to be."""
    # A checkout that another user owns is read all the same: nothing of it is executed here.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    paths = (REPOSITORY / name for name in listing.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


FILES = project_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]


def relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def dependencies() -> set[str]:
    """The names of all packages that pyproject.toml asks for, extras included."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirements in lists for requirement in requirements}


def lines_that_match(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """``file:line: text`` of every line in which the pattern occurs."""
    return [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in paths
        if path.suffix != ".png"  # whose bytes spell anything
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_modules_import_only_from_below() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_package_of_the_house_is_in_the_layers() -> None:
    contract = (REPOSITORY / ".importlinter").read_text(encoding="utf-8")
    layers = set(re.findall(r"nullmodem\.(\w+)", contract.partition("layers =")[2].partition("[importlinter")[0]))
    rooms = {path.parent.name for path in (REPOSITORY / "src" / "nullmodem").glob("*/__init__.py")}
    assert rooms <= layers


def test_every_source_file_says_its_licence_at_its_head() -> None:
    missing = []
    for path in FILES:
        head = path.read_text(encoding="utf-8", errors="replace").splitlines()[:2]
        program = head[:1] and head[0].startswith("#!")
        if not (program or path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES):
            continue
        if not any(PYTHON_LICENSE in line or MODULE_LICENSE in line for line in head):
            missing.append(relative(path))
    assert missing == []


def test_every_python_file_opens_with_licence_and_docstring() -> None:
    wrong = []
    for path in PYTHON_FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        first = lines[1:2] if lines[:1] and lines[0].startswith("#!") else lines[:1]
        rest = [line for line in lines if not line.startswith("#") and line]
        if first != [f"# {PYTHON_LICENSE}"] or not rest[:1] or not rest[0].startswith(('"""', 'r"""')):
            wrong.append(relative(path))
    assert wrong == []


def test_no_python_file_outgrows_one_concept() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON_FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    # Written in pieces, so that this file passes its own test.
    own = [re.escape(f"{path}/") for path in (Path.home(), REPOSITORY) if path != Path("/")]
    places = [*own, "/ro" + "ot/", "/wo" + "rk/", "/tm" + "p/kx", "/tm" + "p/venv"]
    hosts = ["py" + r"pi\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs", "deb" + r"\.debian\.org"]
    pattern = re.compile("|".join([*places, *hosts]))
    assert lines_that_match(pattern, [path for path in FILES if path.name != "LICENSE"]) == []


def test_nothing_is_left_for_another_day() -> None:
    pattern = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]))
    assert lines_that_match(pattern, [path for path in FILES if path.name != "pyproject.toml"]) == []


def test_nothing_waits_by_sleeping() -> None:
    assert lines_that_match(re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))"), PYTHON_FILES) == []


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawing = errors.__doc__ or ""
    drawn: dict[str, str] = {}
    path = ["NullmodemError"]
    for line in drawing.splitlines():
        if branch := re.match(r"    ([│ ]*)[├└]── (\w+)", line):
            depth = len(branch[1]) // 4 + 1
            path[depth:] = [branch[2]]
            drawn[branch[2]] = path[depth - 1]
    real = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.NullmodemError) and kind is not errors.NullmodemError
    }
    assert drawn == real


def test_every_dependency_has_its_reason_written_down() -> None:
    record = (REPOSITORY / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    assert {name for name in dependencies() if f"| {name} |" not in record} == set()


def test_every_dependency_is_in_the_lock() -> None:
    lock = (REPOSITORY / "requirements" / "lock.txt").read_text(encoding="utf-8")
    locked = {line.partition("==")[0].lower() for line in lock.splitlines()}
    assert dependencies() - locked == set()


@pytest.mark.parametrize(
    "target", ["demo", "demo-serial", "test", "setup", "soak", "bench", "docs", "lint", "clean", "help"]
)
def test_make_help_lists_every_promised_target(target: str) -> None:
    help_text = subprocess.run(["make", "help"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    assert f"  make {target} " in help_text
