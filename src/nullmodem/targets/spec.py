# SPDX-License-Identifier: Apache-2.0
"""Which machine to make, and the QEMU command line that makes it. Pure but for looking at the kernel image's head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# arch/x86/boot/header.S: the setup header's magic.
_HEADER_OFFSET = 0x202
_HEADER_MAGIC = b"HdrS"

# COMMAND_LINE_SIZE in arch/x86/include/asm/setup.h is 2048, with the NUL.
_COMMAND_LINE_LIMIT = 2047

# Below this the kernel and the archive do not fit; above it QEMU itself would not start on the machines we know.
_MEMORY_MB = range(64, 1024 * 1024 + 1)
_CPUS = range(1, 65)


PROGRAM = "qemu-system-x86_64"


class Accel(Enum):
    """How the target's CPU is made: by the host's (KVM), by emulation (TCG), or KVM if it works."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's arguments. Not for AUTO."""
        if self is Accel.KVM:
            return ("-accel", "kvm", "-cpu", "host")
        assert self is Accel.TCG
        # qemu64 lacks NX unless asked, and a kernel without NX has no read-only data to find bugs with.
        return ("-accel", "tcg", "-cpu", "qemu64,+nx")


@dataclass(frozen=True, slots=True)
class QemuSpec:
    """One QEMU target.

    ``kernel`` is a bzImage. ``append`` goes to the end of the kernel's command line, ``qemu_args`` to the end of
    QEMU's, so both can override what stands before. ``share`` is the directory of the host that the target sees as
    /host; None makes one in the work directory. ``ports`` is how many commands can run on the target at once.
    ``qemu`` is a program's name or path; ``busybox`` a static one, None for the system's.

    ``line`` is a QEMU character device (``socket,path=...,server=on,wait=off``) for kgdb's serial line, which is then
    for others to connect to. With ``shared`` the kernel's console is on it, too, as on a board with one UART: what the
    kernel prints is then seen there alone.
    """

    kernel: Path
    memory_mb: int = 256
    cpus: int = 1
    kaslr: bool = True
    append: str = ""
    accel: Accel = Accel.AUTO
    qemu_args: tuple[str, ...] = ()
    share: Path | None = None
    ports: int = 4
    qemu: str = PROGRAM
    busybox: Path | None = None
    line: str = ""
    shared: bool = False

    def check(self) -> None:
        """Raise UsageError for what cannot work, before anything is started."""
        _check_kernel(self.kernel)
        if self.memory_mb not in _MEMORY_MB:
            raise UsageError(f"{self.memory_mb} MiB of memory: a target has {_MEMORY_MB[0]} to {_MEMORY_MB[-1]}")
        if self.cpus not in _CPUS:
            raise UsageError(f"{self.cpus} CPUs: a target has {_CPUS[0]} to {_CPUS[-1]}")
        if not 1 <= self.ports <= 16:
            raise UsageError(f"{self.ports} command ports: a target has 1 to 16")
        if not self.append.isprintable():
            raise UsageError(f"the kernel's command line cannot hold control characters: {self.append!r}")
        if len(self.kernel_command_line) > _COMMAND_LINE_LIMIT:
            raise UsageError(
                f"the kernel's command line has {len(self.kernel_command_line)} characters; "
                f"the kernel reads {_COMMAND_LINE_LIMIT}"
            )
        if self.shared and not self.line:
            raise UsageError("a shared line needs somebody to connect to it: name its character device")
        if any("\0" in argument for argument in (*self.qemu_args, self.line)):
            raise UsageError("an argument for QEMU holds a NUL byte")

    @property
    def all_ports(self) -> int:
        """With the one that is kept for ending the commands on the others."""
        return self.ports + 1

    @property
    def kernel_command_line(self) -> str:
        """Console on the first serial line, kgdb on the second; ``append`` last, so that it can override.

        ``no_timer_check``: check_timer() in arch/x86/kernel/apic/io_apic.c counts the ticks of a moment and panics
        ("IO-APIC + timer doesn't work!") when a busy host gave the emulated processor none of it. A guest of KVM leaves
        the check out by itself.
        """
        words = ["console=ttyS0", f"kgdboc=ttyS{0 if self.shared else 1},115200", "no_timer_check"]
        if not self.kaslr:
            words.append("nokaslr")
        if self.append:
            words.append(self.append)
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Lines:
    """QEMU's ends of the lines to it, as file descriptors it inherits."""

    console: int
    kgdb: int
    monitor: int
    ports: tuple[int, ...]

    @property
    def fds(self) -> tuple[int, ...]:
        return (self.console, self.kgdb, self.monitor, *self.ports)


CONSOLE_CHARDEV = "console"


def command_line(qemu: str, spec: QemuSpec, accel: Accel, initramfs: Path, share: Path, lines: Lines) -> list[str]:
    """The whole QEMU command. Sockets are inherited, so there are no names to clash and none to be too long."""
    return [
        qemu,
        *("-name", "nullmodem", "-no-user-config", "-nodefaults", "-display", "none"),
        # Boots a quarter of a second sooner than the default, i440fx.
        *("-machine", "q35"),
        # A guest that resets itself has ended, as far as a debugger is concerned.
        "-no-reboot",
        *accel.arguments,
        *("-m", str(spec.memory_mb), "-smp", str(spec.cpus)),
        *("-kernel", str(spec.kernel), "-initrd", str(initramfs), "-append", spec.kernel_command_line),
        *_chardev(CONSOLE_CHARDEV, lines.console),
        *(("-chardev", f"{spec.line},id=kgdb") if spec.line else _chardev("kgdb", lines.kgdb)),
        *_chardev("monitor", lines.monitor),
        *_serial_lines(spec),
        *("-mon", "chardev=monitor,mode=control"),
        # security_model=none: files keep the owner QEMU has, and QEMU need not be root to say so.
        *("-fsdev", f"local,id=host,path={_quote(str(share))},security_model=none,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *_ports(lines.ports),
        *spec.qemu_args,
    ]


def _serial_lines(spec: QemuSpec) -> list[str]:
    """The first serial line is the kernel's console: ours, or the one that kgdb shares with it."""
    devices = ("kgdb", CONSOLE_CHARDEV) if spec.shared else (CONSOLE_CHARDEV, "kgdb")
    return [word for device in devices for word in ("-serial", f"chardev:{device}")]


def _ports(fds: Sequence[int]) -> list[str]:
    # Port 0 is the driver's own, for consoles.
    words = ["-device", f"virtio-serial-pci,id=ports,max_ports={len(fds) + 1}"]
    for number, fd in enumerate(fds):
        words += _chardev(f"port{number}", fd)
        words += ["-device", f"virtserialport,bus=ports.0,chardev=port{number},name=nullmodem.{number}"]
    return words


def _chardev(name: str, fd: int) -> tuple[str, str]:
    return "-chardev", f"socket,id={name},fd={fd}"


def _quote(value: str) -> str:
    """A value inside a comma-separated QEMU option."""
    return value.replace(",", ",,")


def _check_kernel(kernel: Path) -> None:
    try:
        with kernel.open("rb") as image:
            head = image.read(_HEADER_OFFSET + len(_HEADER_MAGIC))
    except OSError as error:
        raise UsageError(f"cannot read the kernel image {kernel}: {error.strerror}") from error
    if head[_HEADER_OFFSET:] == _HEADER_MAGIC:
        return
    if head.startswith(b"\x7fELF"):
        raise UsageError(
            f"{kernel} is an ELF file, not a kernel image that can boot",
            hint="give the bzImage (arch/x86/boot/bzImage in the build tree), not vmlinux",
        )
    raise UsageError(f"{kernel} is not an x86 kernel image (bzImage): it has no setup header")
