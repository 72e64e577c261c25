# SPDX-License-Identifier: Apache-2.0
"""A built kernel: its image, its symbols, the tree modules are built against, and the modules built with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import cache
from nullmodem.kbuild.settings import parse_config
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORD_FORMAT: Final = 1

# Where `make image_name` puts the bootable image, by processor; an arm64 or riscv tree has Image beside Image.gz.
_IMAGES: Final = ("arch/x86/boot/bzImage", "arch/arm64/boot/Image", "arch/riscv/boot/Image", "arch/arm/boot/zImage")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be booted, debugged and built modules for.

    ``release`` is what `uname -r` will say; ``vmlinux`` has the symbols of ``image``; ``build_tree`` is what `make -C`
    wants for a module; ``key`` identifies the build; ``source`` is the source tree, None when the build tree does not
    say.
    """

    name: str
    release: str
    vmlinux: Path
    image: Path
    build_tree: Path
    config: Path
    key: str
    source: Path | None = None

    def settings(self) -> dict[str, str]:
        """The options of the .config, without ``CONFIG_``."""
        return parse_config(self.config.read_text(encoding="utf-8", errors="replace"))

    def modules(self) -> dict[str, Path]:
        """The modules built with the kernel, by the name `lsmod` shows, in build order."""
        found = {}
        for line in _lines(self.build_tree / "modules.order"):
            # The list names .ko files up to 6.1 and .o files since 6.4.
            path = (self.build_tree / line.strip()).with_suffix(".ko")
            if path.is_file():
                found[path.stem.replace("-", "_")] = path
        return found

    def module(self, name: str) -> Path:
        """The .ko of one of the kernel's own modules. UsageError with the names there are."""
        modules = self.modules()
        try:
            return modules[name.replace("-", "_")]
        except KeyError:
            known = ", ".join(sorted(modules)) or "none"
            raise UsageError(
                f"the kernel {self.name} has no module {name!r}; it has: {known}",
                hint="build a kernel with it: write its option, set to m, into a file and run "
                "`nullmodem kernel build --config-fragment FILE --name NAME`",
            ) from None

    def load_order(self, module: Path, beside: Iterable[Path] = ()) -> tuple[Path, ...]:
        """``module`` preceded by the modules it needs, in the order to load them.

        Sought among ``beside`` (what was built with it) and then the kernel's own. From the ``depends=`` of each .ko:
        there is no modules.dep before `make modules_install`. A dependency found in neither is left out, somebody else
        must bring it. Raises SymbolError for a broken .ko.
        """
        known = self.modules() | {path.stem.replace("-", "_"): path for path in beside}
        order: dict[Path, None] = {}

        def visit(path: Path, waiting: tuple[Path, ...]) -> None:
            for name in ModuleFile.open(path).depends:
                needed = known.get(name.replace("-", "_"))
                if needed is not None and needed not in waiting:
                    visit(needed, (*waiting, needed))
            order.setdefault(path)

        visit(module, (module,))
        return tuple(order)


def open_build_tree(path: Path) -> Kernel:
    """The kernel in a build tree (a source tree built in place, or an O= one). UsageError says what is missing."""
    path = path.expanduser().resolve()
    image = next((path / name for name in _IMAGES if (path / name).is_file()), None)
    release = next(iter(_lines(path / "include" / "config" / "kernel.release")), "").strip()
    needed = {
        "vmlinux": (path / "vmlinux").is_file(),
        ".config": (path / ".config").is_file(),
        "bootable image (bzImage)": image is not None,
        "include/config/kernel.release": bool(release),
    }
    missing = [name for name, there in needed.items() if not there]
    if image is None or missing:
        raise UsageError(
            f"{path} is not a built kernel: it has no {', no '.join(missing)}",
            hint="name a kernel from `nullmodem kernel list`, or a tree in which `make` has finished",
        )
    vmlinux = path / "vmlinux"
    status = vmlinux.stat()
    key = hashlib.sha256(f"{path}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:12]
    source = path / "source"
    return Kernel(
        name=path.name,
        release=release,
        vmlinux=vmlinux,
        image=image,
        build_tree=path,
        config=path / ".config",
        key=key,
        source=source.resolve() if source.is_dir() else path if (path / "Kconfig").is_file() else None,
    )


def cached_kernel(directory: Path) -> Kernel | None:
    """The kernel in a directory of the cache; None when its record or one of its files is missing: then it is none."""
    match cache.read_record(directory / cache.RECORD):
        case {
            "format": int(number),
            "name": str(name),
            "key": str(key),
            "release": str(release),
            "image": str(image),
            "source": str(source),
        } if number == RECORD_FORMAT:
            kernel = Kernel(
                name,
                release,
                directory / "vmlinux",
                directory / image,
                directory,
                directory / ".config",
                key,
                Path(source),
            )
            whole = all(path.is_file() for path in (kernel.vmlinux, kernel.image, kernel.config))
            return kernel if whole and Path(source).is_dir() else None
    return None


def list_kernels() -> tuple[Kernel, ...]:
    """Every kernel in the cache, by name, of one name the newest first. Raises BuildError: the cache is unreadable."""
    root = cache.cache_root()
    if root.exists() and not root.is_dir():
        hint = "NULLMODEM_CACHE, or else XDG_CACHE_HOME, says where the cache is"
        raise BuildError(f"the cache {root} is no directory", hint=hint)
    directory = root / "kernels"
    records = directory.glob(f"*/{cache.RECORD}")
    try:
        newest_first = sorted(records, key=lambda record: record.stat().st_mtime, reverse=True)
    except OSError as error:
        raise cache.os_error(f"cannot read {directory}", error) from error
    kernels = [kernel for record in newest_first if (kernel := cached_kernel(record.parent)) is not None]
    return tuple(sorted(kernels, key=lambda kernel: kernel.name))


def find_kernel(name_or_path: str | Path) -> Kernel:
    """A built kernel by its name, its NAME-KEY, or the path of its build tree. UsageError with the names there are."""
    text = str(name_or_path)
    kernels = list_kernels()
    for kernel in kernels:
        if text in {kernel.name, f"{kernel.name}-{kernel.key}"}:
            return kernel
    path = Path(text).expanduser()
    if path.is_dir():
        path = path.resolve()
        return cached_kernel(path) or open_build_tree(path)
    known = ", ".join(dict.fromkeys(kernel.name for kernel in kernels)) or "none yet"
    raise UsageError(
        f"no kernel {text!r}: it is neither a directory nor a kernel that was built here (those are: {known})",
        hint="`nullmodem kernel build` builds one",
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}") from error
