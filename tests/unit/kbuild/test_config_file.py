# SPDX-License-Identifier: Apache-2.0
"""Finding a configuration in whatever somebody has of a kernel."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.errors import NullmodemError, SymbolError, UsageError
from nullmodem.kbuild import read_kernel_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CONFIG = "# Linux\nCONFIG_KGDB=y\n# CONFIG_SLOB is not set\n" + "".join(f"CONFIG_X{n}=m\n" for n in range(30))
_VMLINUX = b"\x7fELF" + bytes(5000) + b"IKCFG_ST" + gzip.compress(_CONFIG.encode(), mtime=0) + b"IKCFG_ED" + bytes(5000)


def by_tool(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def bzimage(payload: bytes, *, length: int | None = None) -> bytes:
    """The header fields Documentation/arch/x86/boot.rst gives a boot loader, and a payload."""
    sectors = 3
    image = bytearray((sectors + 1) * 512)
    image[0x1F1] = sectors
    image[510:512] = b"\x55\xaa"
    image[0x202:0x206] = b"HdrS"
    image[0x248:0x24C] = (64).to_bytes(4, "little")
    image[0x24C:0x250] = (len(payload) if length is None else length).to_bytes(4, "little")
    return bytes(image) + bytes(64) + payload + b"trailer"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (_CONFIG.encode(), "configuration"),
        (gzip.compress(_CONFIG.encode(), mtime=0), "gzipped configuration"),
        (_VMLINUX, "vmlinux with IKCONFIG"),
        (gzip.compress(_VMLINUX, mtime=0), "compressed image with IKCONFIG"),
        (_VMLINUX.replace(b"\x7fELF", b"MZ\0\0"), "vmlinux with IKCONFIG"),
    ],
    ids=["a .config", "config.gz", "vmlinux", "Image.gz", "a raw Image"],
)
def test_it_is_found_in(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "it"
    file.write_bytes(content)
    config = read_kernel_config(file)
    assert config.settings["KGDB"] == "y"
    assert config.settings["SLOB"] == "n"
    assert config.origin == f"{file} ({what})"


@pytest.mark.parametrize("before", [0, 8 << 20, (8 << 20) - 5, (16 << 20) - 11, (24 << 20) + 3])
def test_it_is_found_anywhere_in_a_large_vmlinux(tmp_path: Path, before: int) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(b"\x7fELF" + bytes(before) + _VMLINUX[4:])
    assert read_kernel_config(file).settings["KGDB"] == "y"


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        lzma.compress,
        lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
        bz2.compress,
        by_tool("zstd", "-c"),
        by_tool("lz4", "-lc"),
    ],
    ids=["gzip", "xz", "lzma", "bzip2", "zstd", "lz4"],
)
def test_a_bzimage_is_unpacked(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "bzImage"
    # The build appends the unpacked size to the compressed kernel.
    file.write_bytes(bzimage(compress(_VMLINUX) + len(_VMLINUX).to_bytes(4, "little")))
    assert read_kernel_config(file).settings["KGDB"] == "y"


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bzImage"
    file.write_bytes(bzimage(by_tool("zstd", "-c")(_VMLINUX)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SymbolError, match="zstd is not installed") as caught:
        read_kernel_config(file)
    assert "sudo apt install zstd" in caught.value.hint


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (bzimage(b"\x1f\x8b\x08 no gzip"), "the compressed kernel in .* is broken"),
        (bzimage(b"\xfd7zXZ\0 no xz"), "the compressed kernel in .* is broken"),
        (bzimage(b"BZh no bzip2"), "the compressed kernel in .* is broken"),
        (bzimage(b"\x28\xb5\x2f\xfd no zstd"), "the compressed kernel in .* is broken"),
        (bzimage(b"whatever"), "compressed in an unknown way"),
        (bzimage(b"", length=0), "broken bzImage"),
        (bzimage(gzip.compress(_VMLINUX, mtime=0), length=1 << 30), "broken bzImage"),
        (bzimage(gzip.compress(b"\x7fELF" + bytes(999), mtime=0)), "carries no kernel configuration"),
        (b"\x7fELF" + bytes(100), "carries no kernel configuration"),
        (b"\x7fELF\0IKCFG_ST\x1f\x8b\x08broken", "holds no kernel configuration"),
        (b"", "holds no kernel configuration"),
        (b"CONFIG_A=y\n", "holds no kernel configuration"),
        (gzip.compress(b"hello", mtime=0), "holds no kernel configuration"),
        (b"\x1f\x8b\x08 broken", "holds no kernel configuration"),
    ],
)
def test_what_holds_none_is_one_clear_error(tmp_path: Path, image: bytes, complaint: str) -> None:
    file = tmp_path / "it"
    file.write_bytes(image)
    with pytest.raises(SymbolError, match=complaint):
        read_kernel_config(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([b"", b"\x7fELF", b"\x1f\x8b\x08", bzimage(b"\xfd7zXZ\0")[:1100]]), rest=st.binary())
def test_any_bytes_are_a_configuration_or_one_clear_error(tmp_path: Path, start: bytes, rest: bytes) -> None:
    file = tmp_path / "it"
    file.write_bytes(start + rest)
    with pytest.raises(NullmodemError):
        read_kernel_config(file)


def test_a_directory_stands_for_its_config(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text(_CONFIG)
    assert read_kernel_config(tmp_path).settings["KGDB"] == "y"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_kernel_config(tmp_path / "none")
