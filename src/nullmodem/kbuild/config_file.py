# SPDX-License-Identifier: Apache-2.0
"""Finding a kernel's configuration in what people have: a .config, a directory, /proc/config.gz, a bzImage, a vmlinux.

A kernel with CONFIG_IKCONFIG carries its .config, gzipped, between two markers (kernel/configs.c). In a vmlinux it is
there for the looking; a bzImage must be unpacked first, and says where its payload lies (fields payload_offset and
payload_length in Documentation/arch/x86/boot.rst).
"""

from __future__ import annotations

import bz2
import lzma
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError, UsageError
from nullmodem.kbuild.settings import parse_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MARKER: Final = b"IKCFG_ST\x1f\x8b\x08"  # the marker and, at once, the gzip stream
_GZIP: Final = b"\x1f\x8b\x08"
_MAX_IMAGE: Final = 256 << 20
_MAX_CONFIG: Final = 16 << 20
_CHUNK: Final = 8 << 20
_LIKELY: Final = 20  # a text with fewer settings is no kernel configuration


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """The options of a kernel, without ``CONFIG_``, and in words where they were found."""

    settings: dict[str, str]
    origin: str


def read_kernel_config(path: Path) -> KernelConfig:
    """The configuration in ``path``. UsageError when it cannot be read, SymbolError when no configuration is in it."""
    if path.is_dir():
        path = path / ".config"
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
            if head[510:512] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS":
                image = _unpack(path, _payload(path, head + file.read(_MAX_IMAGE)))
                return _from_image(path, _scan(image), "bzImage")
            if head.startswith(_GZIP):
                return _from_gzip(path, head + file.read(_MAX_IMAGE))
            if b"\0" in head:
                return _from_image(path, _scan(head, file.read), "vmlinux")
            return _from_text(path, head, "configuration")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _from_gzip(path: Path, data: bytes) -> KernelConfig:
    """/proc/config.gz, or an arm64 Image.gz."""
    inner = _gunzip(data, _MAX_IMAGE)
    if b"\0" in inner:
        return _from_image(path, _scan(inner), "compressed image")
    return _from_text(path, inner, "gzipped configuration")


def _from_text(path: Path, data: bytes, what: str) -> KernelConfig:
    settings = parse_config(data[:_MAX_CONFIG].decode("utf-8", errors="replace"))
    if len(settings) < _LIKELY:
        raise SymbolError(
            f"{path} holds no kernel configuration",
            hint="name a .config, a /boot/config-RELEASE, /proc/config.gz, a bzImage or a vmlinux",
        )
    return KernelConfig(settings, f"{path} ({what})")


def _from_image(path: Path, packed: bytes | None, what: str) -> KernelConfig:
    if packed is None:
        raise SymbolError(
            f"{path} carries no kernel configuration (a kernel does when it was built with CONFIG_IKCONFIG=y)",
            hint="name the .config it was built from; distributions install it as /boot/config-RELEASE",
        )
    return _from_text(path, _gunzip(packed, _MAX_CONFIG), f"{what} with IKCONFIG")


def _scan(data: bytes, more: Callable[[int], bytes] = lambda _: b"") -> bytes | None:
    """What follows the marker in ``data`` and what ``more`` gives; None when there is no marker. Bounded."""
    while True:
        found = data.find(_MARKER)
        if found >= 0:
            start = found + len(_MARKER) - len(_GZIP)
            return data[start:] + (more(_CHUNK) if len(data) - start < _CHUNK else b"")
        chunk = more(_CHUNK)
        if not chunk:
            return None
        data = data[-len(_MARKER) :] + chunk


def _gunzip(data: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, limit)
    except zlib.error:
        return b""


def _payload(path: Path, image: bytes) -> bytes:
    """The compressed kernel in a bzImage, by the offsets its header gives."""
    sectors = image[0x1F1] or 4
    offset = (sectors + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    length = int.from_bytes(image[0x24C:0x250], "little")
    payload = image[offset : offset + length]
    if not payload or len(payload) != length:
        raise SymbolError(
            f"{path} is a broken bzImage: its header points {offset + length - len(image)} bytes past its end"
        )
    return payload


def _unpack(path: Path, payload: bytes) -> bytes:
    for magic, unpack in _FORMATS.items():
        if payload.startswith(magic):
            image = unpack(payload)
            if not image:
                raise SymbolError(f"the compressed kernel in {path} is broken")
            return image
    raise SymbolError(f"{path} is compressed in an unknown way (it begins with {payload[:6].hex()})")


def _unxz(payload: bytes) -> bytes:
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_AUTO).decompress(payload, _MAX_IMAGE)
    except lzma.LZMAError:
        return b""


def _unbzip2(payload: bytes) -> bytes:
    try:
        return bz2.BZ2Decompressor().decompress(payload, _MAX_IMAGE)
    except OSError:
        return b""


def _by_tool(tool: str) -> Callable[[bytes], bytes]:
    """Python has no decompressor for these; the kernel's own scripts/extract-vmlinux uses the same programs."""

    def unpack(payload: bytes) -> bytes:
        try:
            process = subprocess.Popen(
                [tool, "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise SymbolError(
                f"the kernel is compressed with {tool}, and the program {tool} is not installed",
                hint=f"sudo apt install {_PACKAGES.get(tool, tool)}; or name the .config instead of the image",
            ) from error
        # The kernel's build appends the unpacked size to the stream, at which the programs complain after their work.
        return process.communicate(payload)[0][:_MAX_IMAGE]

    return unpack


_PACKAGES: Final = {"lzop": "lzop", "lz4": "lz4", "zstd": "zstd"}

_FORMATS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    _GZIP: lambda payload: _gunzip(payload, _MAX_IMAGE),
    b"\xfd7zXZ\x00": _unxz,
    b"\x5d\x00\x00": _unxz,
    b"BZh": _unbzip2,
    b"\x28\xb5\x2f\xfd": _by_tool("zstd"),
    b"\x02\x21\x4c\x18": _by_tool("lz4"),
    b"\x89LZO": _by_tool("lzop"),
}
