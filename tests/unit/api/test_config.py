# SPDX-License-Identifier: Apache-2.0
"""Named targets: whose file counts, what may stand in it, and what is said of what may not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.api.config import FILE, configured_target, configured_targets
from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[targets.lab-board]
wire = "rfc2217:lab:3001?baud=115200"
vmlinux = "build/vmlinux"
modules = ["drivers", "/srv/modules"]
build-tree = "build"
console = "none"
break-in = ["break", "ssh:root@board"]

[targets.other]
wire = "serial:/dev/ttyUSB0"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's directory, with a home that has no file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def write_user(tmp_path: Path, text: str) -> None:
    directory = tmp_path / "home" / "nullmodem"
    directory.mkdir(parents=True)
    (directory / FILE).write_text(text, encoding="utf-8")


def test_a_target_is_read_whole_with_paths_relative_to_its_file(project: Path) -> None:
    (project / FILE).write_text(GOOD, encoding="utf-8")
    below = project / "deep" / "below"
    below.mkdir(parents=True)
    found = configured_target("lab-board", below)
    assert found.wire == "rfc2217:lab:3001?baud=115200"
    assert found.vmlinux == project / "build" / "vmlinux"
    assert [str(path) for path in found.modules] == [str(project / "drivers"), "/srv/modules"]
    assert found.build_tree == project / "build"
    assert (found.console, found.break_in) == ("none", ("break", "ssh:root@board"))
    assert configured_target("other", project).vmlinux is None


def test_the_projects_target_counts_before_the_users(project: Path, tmp_path: Path) -> None:
    write_user(tmp_path, '[targets.other]\nwire = "tcp:user:1"\n[targets.mine]\nwire = "tcp:mine:1"\n')
    (project / FILE).write_text(GOOD, encoding="utf-8")
    assert set(configured_targets(project)) == {"lab-board", "other", "mine"}
    assert configured_target("other", project).wire == "serial:/dev/ttyUSB0"


def test_an_unknown_name_is_answered_with_those_there_are(project: Path) -> None:
    with pytest.raises(UsageError, match="neither a line nor a target's name") as refused:
        configured_target("lab", project)
    assert "No target is named" in refused.value.hint
    (project / FILE).write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        configured_target("lab", project)
    assert "lab-board, other" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("[targets.a]\nwires = 'x'\n", "targets.a.wires is unknown", "wire, vmlinux, build-tree, console, modules"),
        ("[targets.a]\nwire = 3\n", "targets.a.wire is not a text", "quotes"),
        ("[targets.a]\nwire = 'x'\nmodules = 'drivers'\n", "targets.a.modules is not a list", "one"),
        ("[targets.a]\nwire = 'x'\nbreak-in = [1]\n", "targets.a.break-in is not a list", "one"),
        ("[targets.a]\nvmlinux = 'x'\n", "targets.a has no wire", "serial:/dev/ttyUSB0"),
        ("[targets.'a b']\nwire = 'x'\n", "targets.a b", ""),
        ("[target.a]\nwire = 'x'\n", "'target' is unknown", "[targets.NAME]"),
        ("targets = 3\n", "targets is not a table", "[targets.NAME]"),
        ("targets.a = 3\n", "targets.a is not a table", "wire"),
        ("[targets.a\n", "is not TOML", ""),
        ("x = " + "[" * 20_000, "is not TOML", ""),
        ("x = " + "9" * 5_000, "is not TOML", ""),
        ("[targets.a]\nwire = 'x'\nvmlinux = '~nosuchuser/v'\n", "targets.a.vmlinux: '~nosuchuser/v'", "~NAME"),
        ("[targets.a]\nwire = 'x'\nmodules = ['~nosuchuser']\n", "targets.a.modules: '~nosuchuser'", "~NAME"),
        ('[targets.a]\nwire = "x\\u0000"\n', "targets.a.wire holds a NUL", ""),
        ('[targets.a]\nwire = "x"\nmodules = ["a\\u0000"]\n', "targets.a.modules holds a NUL", ""),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_what_is_allowed(
    project: Path, text: str, key: str, allowed: str
) -> None:
    (project / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        configured_targets(project)
    assert str(project / FILE) in refused.value.message
    assert key in refused.value.message
    assert allowed in refused.value.hint


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200))
def test_no_file_at_all_makes_anything_but_targets_or_a_usage_error(project: Path, content: bytes) -> None:
    (project / FILE).write_bytes(content)
    with contextlib.suppress(UsageError):
        assert configured_targets(project) == {}
