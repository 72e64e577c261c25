# SPDX-License-Identifier: Apache-2.0
"""What a target may be, and the command line that makes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nullmodem.errors import UsageError
from nullmodem.targets.spec import Accel, Lines, QemuSpec, command_line

LINES = Lines(console=10, kgdb=11, monitor=12, ports=(13, 14))


@pytest.fixture
def spec(tmp_path: Path) -> QemuSpec:
    image = tmp_path / "bzImage"
    image.write_bytes(bytes(0x202) + b"HdrS" + bytes(100))
    return QemuSpec(image)


def arguments(spec: QemuSpec, accel: Accel = Accel.TCG, share: str = "/share") -> list[str]:
    return command_line("qemu", spec, accel, Path("/w/initramfs"), Path(share), LINES)


def test_a_plain_specification_is_fine(spec: QemuSpec) -> None:
    spec.check()


def test_console_and_kgdb_each_have_their_line(spec: QemuSpec) -> None:
    assert spec.kernel_command_line == "console=ttyS0 kgdboc=ttyS1,115200 no_timer_check"
    words = arguments(spec)
    serial = [words[i + 1] for i, word in enumerate(words) if word == "-serial"]
    assert serial == ["chardev:console", "chardev:kgdb"]
    assert "socket,id=console,fd=10" in words
    assert "socket,id=kgdb,fd=11" in words


def test_what_the_user_appends_comes_last(spec: QemuSpec) -> None:
    full = replace(spec, kaslr=False, append="loglevel=8 kgdbwait", qemu_args=("-device", "e1000"))
    assert full.kernel_command_line == "console=ttyS0 kgdboc=ttyS1,115200 no_timer_check nokaslr loglevel=8 kgdbwait"
    assert arguments(full)[-2:] == ["-device", "e1000"]


def test_every_command_port_has_its_socket_and_its_name(spec: QemuSpec) -> None:
    words = arguments(spec)
    assert "socket,id=port1,fd=14" in words
    assert "virtserialport,bus=ports.0,chardev=port1,name=nullmodem.1" in words
    assert LINES.fds == (10, 11, 12, 13, 14)


def test_a_comma_in_the_shared_directorys_name_does_not_become_an_option(spec: QemuSpec) -> None:
    (share,) = [word for word in arguments(spec, share="/a,readonly=on") if word.startswith("local,")]
    assert "path=/a,,readonly=on," in share


def test_how_the_cpu_is_made(spec: QemuSpec) -> None:
    assert "kvm" in arguments(spec, Accel.KVM)
    assert "qemu64,+nx" in arguments(spec, Accel.TCG)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_mb": 0}, "MiB of memory"),
        ({"cpus": 0}, "CPUs"),
        ({"cpus": 1000}, "CPUs"),
        ({"ports": 0}, "command ports"),
        ({"append": "quiet\nrm"}, "control characters"),
        ({"append": "x" * 3000}, "the kernel reads 2047"),
        ({"qemu_args": ("a\0b",)}, "NUL"),
        ({"kernel": Path("/nonexistent")}, "cannot read the kernel image"),
        ({"kernel": Path("/")}, "cannot read the kernel image"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    spec: QemuSpec, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(spec, **change).check()


def test_a_vmlinux_is_refused_with_the_file_to_give_instead(spec: QemuSpec) -> None:
    spec.kernel.write_bytes(b"\x7fELF" + bytes(1000))
    with pytest.raises(UsageError, match="an ELF file") as caught:
        spec.check()
    assert "bzImage" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"MZ", bytes(4096)])
def test_what_is_no_kernel_is_refused(spec: QemuSpec, content: bytes) -> None:
    spec.kernel.write_bytes(content)
    with pytest.raises(UsageError, match="not an x86 kernel image"):
        spec.check()


def test_a_shared_line_is_the_first_and_the_console(spec: QemuSpec) -> None:
    shared = replace(spec, line="socket,path=/run/line,server=on,wait=off", shared=True)
    shared.check()
    assert shared.kernel_command_line == "console=ttyS0 kgdboc=ttyS0,115200 no_timer_check"
    words = arguments(shared)
    assert "socket,path=/run/line,server=on,wait=off,id=kgdb" in words
    assert [words[at + 1] for at, word in enumerate(words) if word == "-serial"] == ["chardev:kgdb", "chardev:console"]


def test_a_shared_line_needs_somebody_at_its_other_end(spec: QemuSpec) -> None:
    with pytest.raises(UsageError, match="character device"):
        replace(spec, shared=True).check()
