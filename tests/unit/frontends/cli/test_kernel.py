# SPDX-License-Identifier: Apache-2.0
"""`nullmodem kernel`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.kernel import kernel
from nullmodem.kbuild.doctor_rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one kernel in it."""
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "cache" / "kernels" / "mini-0123"
    (directory / "boot").mkdir(parents=True)
    for name in ("vmlinux", "boot/bzImage", "llc.ko", "stp.ko"):
        (directory / name).write_bytes(b"")
    (directory / ".config").write_text("CONFIG_KGDB=y\n" + "".join(f"CONFIG_X{n}=y\n" for n in range(30)))
    record = {"format": 1, "name": "mini", "key": "0123", "release": "6.6.6-mini", "image": "boot/bzImage"}
    (directory / "kernel.json").write_text(json.dumps(record | {"source": str(tmp_path)}))
    return directory


def run(*arguments: str) -> Result:
    return CliRunner().invoke(kernel, list(arguments))


def refused(*arguments: str) -> UsageError:
    error = run(*arguments).exception
    assert isinstance(error, UsageError)
    return error


def test_help_teaches_by_examples() -> None:
    for arguments in ([], ["build"], ["list"], ["show"], ["doctor"]):
        result = run(*arguments, "--help")
        assert result.exit_code == 0
        assert f"nullmodem kernel {arguments[0] if arguments else 'build'}" in result.output


def test_list_shows_name_release_key_and_tree(cache_directory: Path) -> None:
    heading, row = run("list").output.splitlines()
    assert heading.split() == ["NAME", "RELEASE", "KEY", "BUILD", "TREE"]
    assert row.split() == ["mini", "6.6.6-mini", "0123", str(cache_directory)]


def test_list_as_json_has_every_path(cache_directory: Path) -> None:
    (record,) = json.loads(run("list", "--json").output)
    assert record["vmlinux"] == str(cache_directory / "vmlinux")
    assert record["image"] == str(cache_directory / "boot/bzImage")
    assert record["modules"] == {}


def test_an_empty_cache_says_how_to_fill_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "empty"))
    assert "nullmodem kernel build" in run("list").output
    assert json.loads(run("list", "--json").output) == []


def test_show_gives_lines_to_paste(cache_directory: Path) -> None:
    output = run("show", "mini").output
    assert f"file {cache_directory / 'vmlinux'}\n" in output
    assert f"make -C {cache_directory} M=$PWD\n" in output
    assert json.loads(run("show", "mini", "--json").output)["release"] == "6.6.6-mini"


def test_show_of_an_unknown_kernel_names_the_known_ones() -> None:
    assert "(those are: mini)" in refused("show", "nope").message


def test_doctor_lists_the_problems_first_and_exits_with_1(cache_directory: Path) -> None:
    for options, shown in (([], {"fail", "warn"}), (["--all"], {"fail", "warn", "ok"})):
        result = run("doctor", str(cache_directory), *options)
        assert result.exit_code == 1
        words = [line.split()[0] for line in result.output.splitlines() if line.startswith(("ok ", "warn ", "fail "))]
        assert words == sorted(words, key=["fail", "warn", "ok"].index)
        assert set(words) == shown
        assert "→ CONFIG_MODULES=y" in result.output
        assert " fine, " in result.output.splitlines()[-1]


def test_doctor_of_a_kernel_with_nothing_wrong_is_one_line(tmp_path: Path) -> None:
    values = {rule.options[0]: next(v for v in ("n", "y", "1") if rule.good(v)) for rule in RULES}
    (tmp_path / "config").write_text("".join(f"CONFIG_{name}={value}\n" for name, value in values.items()))
    (line,) = run("doctor", str(tmp_path / "config")).output.splitlines()
    assert line.startswith(f"{tmp_path / 'config'} ")
    assert line.endswith(" fine, 0 to think about, 0 in the way")
    assert len(run("doctor", str(tmp_path / "config"), "--all").output.splitlines()) > len(values) / 2


def test_doctor_as_json_has_option_value_reason_and_remedy(cache_directory: Path) -> None:
    result = run("doctor", str(cache_directory / ".config"), "--json")
    report = json.loads(result.output)
    assert result.exit_code == 1
    assert report["verdict"] == "fail"
    modules = next(finding for finding in report["findings"] if finding["option"] == "CONFIG_MODULES")
    assert (modules["value"], modules["verdict"], modules["fix"]) == ("n", "fail", "CONFIG_MODULES=y")


def test_doctor_takes_the_name_of_a_kernel(cache_directory: Path) -> None:
    assert json.loads(run("doctor", "mini", "--json").output)["origin"].startswith(str(cache_directory / ".config"))


def test_doctor_of_a_healthy_kernel_exits_with_0(tmp_path: Path) -> None:
    healthy = """KGDB KGDB_SERIAL_CONSOLE TTY VT SERIAL_8250_CONSOLE MAGIC_SYSRQ MAGIC_SYSRQ_SERIAL MODULES KALLSYMS
        SYSFS DEBUG_INFO MODULE_UNLOAD KALLSYMS_ALL X1 X2 X3 X4 X5 X6 X7 X8 X9"""
    (tmp_path / "config").write_text("".join(f"CONFIG_{name}=y\n" for name in healthy.split()))
    result = run("doctor", str(tmp_path / "config"))
    assert result.exit_code == 0
    assert "0 in the way" in result.output


def test_doctor_of_nothing_is_a_usage_error(tmp_path: Path) -> None:
    assert "No such file" in refused("doctor", str(tmp_path / "none")).message


def test_contradicting_arguments_of_build_are_refused(tmp_path: Path) -> None:
    assert "exclude each other" in refused("build", "6.1", "--source", str(tmp_path)).message
    assert "two versions" in refused("build", "6.1", "--source-version", "6.12").message
    assert "not a kernel source tree" in refused("build", "--source", str(tmp_path)).message
    assert run("build", "5.10").exit_code == 2
    assert run("build", "--jobs", "0").exit_code == 2
