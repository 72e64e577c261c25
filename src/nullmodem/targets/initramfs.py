# SPDX-License-Identifier: Apache-2.0
"""The embedded target's whole root: busybox, four small files, and a cpio archive around them.

The archive is written here (format: Documentation/driver-api/early-userspace/buffer-format.rst, "newc") because the
cpio program cannot make device nodes for an ordinary user. It is not compressed: the kernel takes it as it is, needs
no decompressor configured, and starts sooner.
"""

from __future__ import annotations

import shutil
import stat
import struct
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIRECTORIES = ("bin", "dev", "etc", "etc/nullmodem", "host", "proc", "root", "run", "sys", "tmp")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory, link or device of the archive. ``mode`` includes the type; ``device`` is (major, minor)."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def cpio(entries: Iterable[Entry]) -> bytes:
    """A newc archive. Parents must come before their children: the kernel makes no directory by itself."""
    archive = bytearray()
    for inode, entry in enumerate((*entries, Entry("TRAILER!!!", 0)), start=1):
        name = entry.name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        archive += bytes(-len(archive) % 4)
        archive += entry.data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def build(busybox: Path, secret: bytes, ports: int) -> bytes:
    """The archive for one boot. ``secret`` is the agents' (see agent_protocol), ``ports`` how many there are."""
    agents = b"".join(b"::respawn:/etc/nullmodem/agent %d\n" % number for number in range(ports))
    script, text, private = stat.S_IFREG | 0o755, stat.S_IFREG | 0o644, stat.S_IFREG | 0o400
    return cpio(
        (
            *(Entry(name, stat.S_IFDIR | 0o755) for name in _DIRECTORIES),
            # The kernel opens it for pid 1 before anybody can have mounted devtmpfs.
            Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
            Entry("bin/busybox", script, busybox.read_bytes()),
            Entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
            Entry("init", stat.S_IFLNK | 0o777, b"bin/busybox"),
            Entry("etc/inittab", text, _guest("inittab") + agents),
            Entry("etc/profile", text, _guest("profile")),
            Entry("etc/passwd", text, b"root::0:0:root:/root:/bin/sh\n"),
            Entry("etc/group", text, b"root:x:0:\n"),
            Entry("etc/nullmodem/rc", script, _guest("rc")),
            Entry("etc/nullmodem/agent", script, _guest("agent")),
            Entry("etc/nullmodem/secret", private, secret + b"\n"),
        )
    )


def find_busybox(path: Path | None = None) -> Path:
    """A statically linked busybox: ``path``, or the system's. Raises UsageError that says how to get one."""
    if path is None:
        found = shutil.which("busybox", path="/bin:/usr/bin:/usr/local/bin")
        if found is None:
            raise UsageError("busybox is missing; it is the target's userland", hint="apt-get install busybox-static")
        path = Path(found)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="apt-get install busybox-static") from error
    if not _is_static_elf(head):
        raise UsageError(
            f"{path} is not a statically linked x86-64 program; the target has no libraries",
            hint="apt-get install busybox-static",
        )
    return path


def _is_static_elf(head: bytes) -> bool:
    """No PT_INTERP among the program headers, which stand right behind the ELF header."""
    if len(head) < 64 or not head.startswith(b"\x7fELF\x02\x01") or head[18:20] != b"\x3e\0":
        return False
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if size < 4 or offset + size * count > len(head):
        return False
    pt_interp = 3
    return all(struct.unpack_from("<I", head, offset + size * i)[0] != pt_interp for i in range(count))


def _guest(name: str) -> bytes:
    return (resources.files(__package__) / "guest" / name).read_bytes()
