# SPDX-License-Identifier: Apache-2.0
"""What is said when the target's insmod or rmmod fails: which module it was, and why. A shell runs the real lines, with
insmod and rmmod in the words of busybox and of kmod.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.insmod import insmod, require_done, rmmod
from nullmodem.errors import CommandError
from nullmodem.targets.target import ExecResult

if TYPE_CHECKING:
    from pathlib import Path


def run(directory: Path, line: str, **programs: str) -> ExecResult:
    """Run a line where these programs are what is given here."""
    for name, script in programs.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (directory / name).chmod(0o755)
    environment = {"PATH": f"{directory}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", line], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return ExecResult(line, done.returncode, done.stdout)


def complaint(result: ExecResult) -> CommandError:
    with pytest.raises(CommandError) as caught:
        require_done(result)
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "x.ko"
    path.write_bytes(b"")
    return str(path)


def test_parameters_reach_insmod_as_they_are(tmp_path: Path, file: str) -> None:
    result = run(tmp_path, insmod("x", file, ['a="b c"', "d=$e"]), insmod='cat; printf "<%s>" "$@"')
    assert result.text == '</dev/stdin><a="b c"><d=$e>'
    require_done(result)


@pytest.mark.parametrize(
    "script",
    [
        "cat; echo \"insmod: can't insert '/dev/stdin': No such device\" >&2; exit 19",
        'cat; echo "insmod: ERROR: could not insert module /dev/stdin: No such device" >&2; exit 1',
    ],
)
def test_what_an_init_returned_is_named(tmp_path: Path, file: str, script: str) -> None:
    error = complaint(run(tmp_path, insmod("x", file, []), insmod=script))
    assert error.message == "x was not loaded: its init returned -19 (ENODEV, No such device)"
    assert "nullmodem: " not in error.output
    assert "dmesg" in error.hint


def test_an_error_that_may_be_the_kernels_own_is_not_blamed_on_init(tmp_path: Path, file: str) -> None:
    script = "cat; echo \"insmod: can't insert '/dev/stdin': invalid module format\" >&2; exit 8"
    error = complaint(run(tmp_path, insmod("x", file, []), insmod=script))
    assert error.message.endswith("the kernel, or its init, returned -8 (ENOEXEC, invalid module format)")


def test_of_several_modules_the_one_that_failed_is_named(tmp_path: Path, file: str) -> None:
    script = "cat; echo \"insmod: can't insert '/dev/stdin': No such device\" >&2; exit 19"
    line = f"{insmod('needed', file, [])} && {insmod('x', file, [])}"
    assert complaint(run(tmp_path, line, insmod=script)).message.startswith("needed was not loaded")


def test_an_insmod_that_was_killed_is_told_as_it_is(tmp_path: Path, file: str) -> None:
    error = complaint(run(tmp_path, insmod("x", file, []), insmod="kill -9 $$"))
    assert error.message.startswith("loading x failed on the target with exit status 137")


@pytest.mark.parametrize(
    "script",
    [
        "echo \"rmmod: can't unload module 'x': Resource temporarily unavailable\" >&2; exit 1",
        "echo 'rmmod: ERROR: Module x is in use by: stp bridge' >&2; exit 1",
    ],
)
def test_who_uses_a_module_that_cannot_be_unloaded_is_named(tmp_path: Path, script: str) -> None:
    error = complaint(
        run(tmp_path, rmmod("x"), rmmod=script, ls="[ $1 = /sys/module/x/holders ] && echo bridge && echo stp")
    )
    assert (error.message, error.hint) == ("x is in use by bridge, stp", "Unload these first.")
    error = complaint(run(tmp_path, rmmod("x"), rmmod=script, ls="true"))
    assert error.message == "x is in use"
    assert "has a file of it open" in error.hint


def test_force_is_passed_on(tmp_path: Path) -> None:
    assert run(tmp_path, rmmod("x", force=True), rmmod='echo "$@"').text == "-f x\n"
