# SPDX-License-Identifier: Apache-2.0
"""Building kernels: what is kept, what is not, and what happens when it goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import (
    Progress,
    Stage,
    build_kernel,
    ensure_kernel,
    find_kernel,
    kernel_request,
    list_kernels,
    standard_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import MiniatureSource

_BUILDER = """
import sys
from pathlib import Path
from nullmodem.errors import BuildError
from nullmodem.kbuild import build_kernel, kernel_request
request = kernel_request(directory=Path(sys.argv[1]), name="mini")
print(build_kernel(request, lambda progress: print(progress.stage.name, progress.detail, flush=True)).key)
"""


def build(source: MiniatureSource, **options: object) -> object:
    return build_kernel(kernel_request(directory=source.directory, name="mini", **options))


def leftovers(cache_directory: Path) -> list[str]:
    return sorted(path.name for path in (cache_directory / "kernels").glob("*"))


def test_a_built_kernel_has_all_its_parts(source: MiniatureSource, cache_directory: Path) -> None:
    kernel = build(source)
    assert kernel.release == "9.9.9-nullmodem-mini"
    assert kernel.vmlinux.read_text() == "symbols\n"
    assert kernel.image.read_text() == "image\n"
    assert kernel.source == source.directory
    assert kernel.build_tree == cache_directory / "kernels" / f"mini-{kernel.key}"
    assert kernel.settings()["KGDB"] == "y"
    assert "CC_OPTIMIZE_FOR_SIZE" in kernel.settings()
    assert list_kernels() == (kernel,)
    assert find_kernel("mini") == find_kernel(f"mini-{kernel.key}") == find_kernel(kernel.build_tree) == kernel


def test_objects_are_not_kept_but_modules_are(source: MiniatureSource) -> None:
    drivers = build(source).build_tree / "drivers"
    assert [path.name for path in drivers.iterdir()] == ["core.ko"]


def test_the_second_time_nothing_is_built(source: MiniatureSource) -> None:
    first = build(source)
    source_identity = kernel_request(directory=source.directory, name="mini").source
    os.utime(first.vmlinux, (1, 1))
    assert build(source) == first
    assert first.vmlinux.stat().st_mtime == 1
    assert source_identity.identity


def test_each_content_has_its_own_key(source: MiniatureSource, tmp_path: Path) -> None:
    fragment = tmp_path / "mine.config"
    fragment.write_text("CONFIG_I2C=m\n")
    plain = kernel_request(directory=source.directory, name="mini")
    more = kernel_request(directory=source.directory, name="mini", fragment=fragment)
    kdb = kernel_request(directory=source.directory, name="mini", kdb=True)
    keys = {plain.key(), more.key(), kdb.key()}
    (source.directory / "Kconfig").write_text("# another\n")
    keys.add(kernel_request(directory=source.directory, name="mini").key())
    assert len(keys) == 4


def test_a_comment_in_a_fragment_changes_nothing(source: MiniatureSource, tmp_path: Path) -> None:
    fragment = tmp_path / "mine.config"
    fragment.write_text("CONFIG_I2C=m\n")
    first = kernel_request(directory=source.directory, name="mini", fragment=fragment).key()
    fragment.write_text("\n# why\nCONFIG_I2C=m\n\n")
    assert kernel_request(directory=source.directory, name="mini", fragment=fragment).key() == first


def test_a_users_setting_wins_over_ours(source: MiniatureSource, tmp_path: Path) -> None:
    fragment = tmp_path / "mine.config"
    fragment.write_text('CONFIG_SMP=n\nCONFIG_LOCALVERSION="-mine"\n')
    settings = build(source, fragment=fragment).settings()
    assert settings["SMP"] == "n"
    assert settings["LOCALVERSION"] == '"-mine"'


def test_the_release_carries_the_kernels_name(source: MiniatureSource) -> None:
    assert build(source).settings()["LOCALVERSION"] == '"-nullmodem-mini"'


def test_a_setting_that_did_not_survive_is_an_error_that_says_why(
    source: MiniatureSource, cache_directory: Path
) -> None:
    source.drop("CONFIG_KGDB_SERIAL_CONSOLE", "CONFIG_TTY")
    with pytest.raises(
        BuildError, match=r"2 of the settings asked for did not survive .*KGDB_SERIAL_CONSOLE=y"
    ) as caught:
        build(source)
    assert "CONFIG_KGDB_SERIAL_CONSOLE=y    (asked for by target.config:" in caught.value.output
    assert "Kconfig.serial: depends on KGDB && EXPERT && TTY && !S390" in caught.value.output
    assert "as configured: TTY is not set" in caught.value.output
    assert leftovers(cache_directory) == []


def test_a_failed_build_shows_the_compilers_message_and_leaves_nothing(
    source: MiniatureSource, cache_directory: Path
) -> None:
    source.behave("failing")
    with pytest.raises(BuildError, match=r"the kernel mini did not build: .* failed with exit code 2") as caught:
        build(source)
    assert caught.value.output.startswith("init/main.c:3:1: error: expected ';'\n")
    assert leftovers(cache_directory) == []


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(source: MiniatureSource, cache_directory: Path) -> None:
    source.behave("filling the disk")
    with pytest.raises(BuildError, match="because the disk is full") as caught:
        build(source)
    assert "NULLMODEM_CACHE" in caught.value.hint
    assert leftovers(cache_directory) == []


def test_a_build_that_ends_well_without_an_image_is_no_kernel(source: MiniatureSource) -> None:
    source.behave("without an image")
    with pytest.raises(BuildError):
        build(source)
    assert list_kernels() == ()


def test_an_interrupted_build_leaves_nothing_neither_files_nor_processes(
    source: MiniatureSource, cache_directory: Path, ends: Callable[[int], bool]
) -> None:
    source.behave("hanging")

    def interrupt(progress: Progress) -> None:
        if progress.detail == "init/main.o":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_kernel(kernel_request(directory=source.directory, name="mini"), interrupt)
    assert leftovers(cache_directory) == []
    pid = source.directory / "hung.pid"
    written = pid.read_text() if pid.exists() else ""  # its shell may have been ended before it wrote, or between
    assert not written or ends(int(written))


def start_builder(source: MiniatureSource) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _BUILDER, str(source.directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(builder: subprocess.Popen[str], wanted: str) -> None:
    for line in builder.stdout:
        if line.startswith(wanted):
            return
    pytest.fail(builder.stderr.read())


def test_after_a_killed_build_the_next_one_starts_clean_and_the_old_one_dies(
    source: MiniatureSource, cache_directory: Path
) -> None:
    source.behave("endless")
    with start_builder(source) as builder:
        read_until(builder, "COMPILING init/main.o")
        builder.send_signal(signal.SIGKILL)
    assert list_kernels() == ()
    assert len(leftovers(cache_directory)) == 1
    identity = kernel_request(directory=source.directory, name="mini")
    source.behave("good")
    # The same key although the tree changed, so that the same directory is used again.
    kernel = build_kernel(type(identity)(identity.name, identity.source, identity.requirements))
    assert list_kernels() == (kernel,)
    assert leftovers(cache_directory) == [kernel.build_tree.name]


def test_of_two_builders_one_builds_and_the_other_waits_for_it(source: MiniatureSource) -> None:
    source.behave("endless")
    with start_builder(source) as first:
        read_until(first, "COMPILING init/main.o")
        with start_builder(source) as second:
            read_until(second, f"WAITING process {first.pid}")
            first.send_signal(signal.SIGINT)
            first.communicate()
            read_until(second, "COMPILING init/main.o")
            second.send_signal(signal.SIGINT)
            second.communicate()
    assert list_kernels() == ()


def test_progress_goes_through_the_stages_and_never_claims_to_be_done(source: MiniatureSource) -> None:
    reports: list[Progress] = []
    build_kernel(kernel_request(directory=source.directory, name="mini"), reports.append)
    stages = list(dict.fromkeys(report.stage for report in reports))
    assert stages == [Stage.CONFIGURING, Stage.COMPILING, Stage.FINISHING]
    assert [report.detail for report in reports if report.detail.startswith("init/")][-1] == "init/file20.o"
    assert all(0 <= report.fraction < 1 for report in reports)


def test_a_record_with_a_missing_file_is_no_kernel_and_is_built_again(source: MiniatureSource) -> None:
    kernel = build(source)
    kernel.image.unlink()
    assert list_kernels() == ()
    assert build(source).image.is_file()


@pytest.mark.parametrize("name", ["", "-x", "../x", "a/b", "a b", ".hidden", "x" * 41])
def test_a_name_that_is_no_file_name_is_refused(source: MiniatureSource, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a kernel"):
        kernel_request(directory=source.directory, name=name)


@pytest.mark.parametrize("name", standard_names())
def test_the_standard_names_are_kept_for_the_standard_kernels(source: MiniatureSource, name: str) -> None:
    with pytest.raises(UsageError, match="is kept for"):
        kernel_request(directory=source.directory, name=name)


def test_a_name_comes_from_the_directory_the_flavour_and_the_fragment(source: MiniatureSource, tmp_path: Path) -> None:
    fragment = tmp_path / "i2c.config"
    fragment.write_text("CONFIG_I2C=m\n")
    assert kernel_request(directory=source.directory).name == "source"
    assert kernel_request(directory=source.directory, kdb=True, fragment=fragment).name == "source-kdb-i2c"


def test_an_unknown_name_is_refused_with_the_known_ones(source: MiniatureSource) -> None:
    build(source)
    with pytest.raises(UsageError, match=r"no kernel 'nope'.*\(those are: mini\)"):
        ensure_kernel("nope")


def test_ensuring_a_name_that_is_built_finds_it(source: MiniatureSource) -> None:
    kernel = build(source)
    assert ensure_kernel("mini") == ensure_kernel(kernel.build_tree) == kernel
