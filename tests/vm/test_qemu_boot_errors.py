# SPDX-License-Identifier: Apache-2.0
"""Targets that do not come up: each is one clear error, and nothing is left running."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BootError, TargetError, UsageError
from nullmodem.kbuild import ensure_kernel
from nullmodem.targets import Accel, QemuSpec, QemuTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.vm


@pytest.fixture
def spec() -> QemuSpec:
    return QemuSpec(ensure_kernel("6.1").image, accel=Accel.TCG)


def command_lines() -> Iterator[bytes]:
    """Of every process there is."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def boot_error(spec: QemuSpec, workdir: Path, timeout: float = 60.0) -> BootError:
    with pytest.raises(BootError) as caught:
        QemuTarget.launch(spec, workdir, timeout=timeout)
    assert caught.value.command[0].endswith("qemu-system-x86_64")
    assert [line for line in command_lines() if os.fsencode(workdir) in line] == []
    return caught.value


def test_a_kernel_that_panics_before_init_fails_at_once_with_its_words(spec: QemuSpec, tmp_path: Path) -> None:
    broken = QemuSpec(spec.kernel, accel=Accel.TCG, append="rdinit=/nonexistent root=/dev/nonexistent")
    error = boot_error(broken, tmp_path / "work")
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in error.message
    assert "Unable to mount root fs" in error.output


def test_a_broken_image_fails_at_once(spec: QemuSpec, tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    head = spec.kernel.read_bytes()
    image.write_bytes(head[: 1 << 18])
    error = boot_error(QemuSpec(image, accel=Accel.TCG), tmp_path / "work", timeout=20)
    assert str(image) in error.message


def test_a_qemu_that_refuses_its_arguments_is_quoted(spec: QemuSpec, tmp_path: Path) -> None:
    error = boot_error(QemuSpec(spec.kernel, accel=Accel.TCG, qemu_args=("-device", "nonsense")), tmp_path / "work")
    assert "QEMU ended with exit status 1" in error.message
    assert "'nonsense' is not a valid device model name" in error.output


def test_a_target_that_never_answers_is_an_error_at_the_deadline(spec: QemuSpec, tmp_path: Path) -> None:
    error = boot_error(QemuSpec(spec.kernel, accel=Accel.TCG, append="kgdbwait"), tmp_path / "work", timeout=6)
    assert "it did not answer within 6 s" in error.message
    assert "KGDB: Waiting for connection from remote gdb" in error.output


def test_a_missing_program_names_its_package(spec: QemuSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="qemu-none is missing") as caught:
        QemuTarget.launch(QemuSpec(spec.kernel, qemu="qemu-none"), tmp_path / "work")
    assert caught.value.hint == "apt-get install qemu-system-x86"
    with pytest.raises(UsageError) as caught:
        QemuTarget.launch(QemuSpec(spec.kernel, busybox=tmp_path / "busybox"), tmp_path / "work")
    assert caught.value.hint == "apt-get install busybox-static"


def test_a_work_directory_that_others_can_read_is_refused(spec: QemuSpec, tmp_path: Path) -> None:
    open_to_all = tmp_path / "work"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    with pytest.raises(UsageError, match="is open to others") as caught:
        QemuTarget.launch(spec, open_to_all)
    assert caught.value.hint == f"chmod 700 {open_to_all}"


def test_what_cannot_be_prepared_is_an_error(spec: QemuSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="to be shared with the target, is no directory"):
        QemuTarget.launch(QemuSpec(spec.kernel, share=tmp_path / "missing"), tmp_path / "work")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="as the target's work directory"):
        QemuTarget.launch(spec, tmp_path / "file" / "work")
    (tmp_path / "work" / "initramfs.cpio").mkdir()
    with pytest.raises(TargetError, match="cannot prepare the target"):
        QemuTarget.launch(spec, tmp_path / "work")


def test_kvm_is_tried_with_a_real_boot_and_only_once(spec: QemuSpec, tmp_path: Path) -> None:
    told: list[str] = []
    auto = QemuSpec(spec.kernel)
    with QemuTarget.launch(auto, tmp_path / "work", progress=told.append, cache=tmp_path / "cache") as machine:
        assert machine.exec("echo up").text == "up\n"
        accel = machine.accel
    tried = [line for line in told if line.startswith("booting")]
    told.clear()
    with QemuTarget.launch(auto, tmp_path / "work", progress=told.append, cache=tmp_path / "cache") as machine:
        assert machine.accel is accel
    assert len(tried) <= 2
    assert len([line for line in told if line.startswith("booting")]) == 1
