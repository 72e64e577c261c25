# SPDX-License-Identifier: Apache-2.0
"""Building a kernel: from a source and a fragment to a published :class:`Kernel`, once for every different content."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import cache
from nullmodem.kbuild.kconfig import explain_lost
from nullmodem.kbuild.kernel import RECORD_FORMAT, Kernel, cached_kernel, find_kernel, list_kernels
from nullmodem.kbuild.make import run_make
from nullmodem.kbuild.progress import (
    BuildSize,
    Forecast,
    ProgressCallback,
    Stage,
    expected_size,
    measured_build,
    silent,
)
from nullmodem.kbuild.settings import (
    Requirement,
    combine,
    merge,
    packaged_fragment,
    parse_config,
    parse_fragment,
    read_fragment,
    render,
)
from nullmodem.kbuild.source import (
    DEBIAN_VERSIONS,
    DEFAULT_VERSION,
    UNPACKED_BYTES,
    Source,
    debian_source,
    directory_source,
    unpack,
)
from nullmodem.kbuild.tools import require_tools, toolchain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUILT_BYTES: Final = 1_300_000_000  # the build tree of 6.12 before the objects are removed: 1.0 GB

_KDB_SUFFIX: Final = "-kdb"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,39}")
_KEY_DIGITS: Final = 12
_UNPACK_SECONDS: Final = 30.0
_CONFIGURE_SECONDS: Final = 15.0
_FINISH_SECONDS: Final = 3.0
_SRCARCH: Final = {"x86_64": "x86", "aarch64": "arm64", "riscv64": "riscv"}
_SHOWN_LOST: Final = 20

# A banner that names the builder's login and host would differ for no reason and tell what nobody needs to know.
# An empty LOCALVERSION keeps the "+" of a git tree off the release, which is ours to choose.
_BUILDER: Final = {"KBUILD_BUILD_USER": "nullmodem", "KBUILD_BUILD_HOST": "nullmodem", "LOCALVERSION": ""}


@dataclass(frozen=True, slots=True)
class KernelRequest:
    """A kernel to be had: its ``name`` in the cache, where its source is, and every setting it must have."""

    name: str
    source: Source
    requirements: tuple[Requirement, ...]

    def key(self) -> str:
        """Hash of all that decides what the build is: source, settings, compiler, processor, form of the cache."""
        parts = [RECORD_FORMAT, platform.machine(), self.source.identity, render(self.requirements), toolchain()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_KEY_DIGITS]


def kernel_request(
    version: str = DEFAULT_VERSION,
    *,
    directory: Path | None = None,
    name: str | None = None,
    fragment: Path | None = None,
    kdb: bool = False,
) -> KernelRequest:
    """Put a request together: Debian's source of ``version``, or the tree in ``directory``; nullmodem's fragment, with
    kdb's if asked, and the user's ``fragment`` on top. UsageError for a bad name, fragment or tree, BuildError when
    Debian's package is not installed.
    """
    base = version if directory is None else re.sub(r"[^A-Za-z0-9._+-]", "-", directory.resolve().name).lstrip("-.+")
    standard = base + (_KDB_SUFFIX if kdb else "")
    if name is None:
        name = standard if fragment is None else f"{standard}-{fragment.stem}"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a kernel", hint="use up to 40 letters, digits, '.', '_', '+', '-' (--name)"
        )
    if name in standard_names() and (name != standard or fragment is not None or directory is not None):
        raise UsageError(f"the name {name} is kept for nullmodem's own kernel", hint="give another with --name")
    return KernelRequest(
        name,
        directory_source(directory) if directory is not None else debian_source(version),
        combine(
            packaged_fragment("target"),
            packaged_fragment(platform.machine()),
            packaged_fragment("kdb") if kdb else (),
            _release_suffix(name),
            read_fragment(fragment) if fragment is not None else (),
        ),
    )


def standard_names() -> tuple[str, ...]:
    """The kernels :func:`ensure_kernel` builds by name alone."""
    return tuple(version + suffix for suffix in ("", _KDB_SUFFIX) for version in DEBIAN_VERSIONS)


def ensure_kernel(name_or_path: str | Path = DEFAULT_VERSION, progress: ProgressCallback = silent) -> Kernel:
    """The kernel of that name or in that build tree; one of nullmodem's own (`6.1`, `6.12-kdb`) is built if need be.

    Raises UsageError for an unknown name or a directory that is no built kernel, BuildError when building fails.
    """
    name = str(name_or_path)
    if name not in standard_names():
        return find_kernel(name_or_path)
    try:
        request = kernel_request(name.removesuffix(_KDB_SUFFIX), kdb=name.endswith(_KDB_SUFFIX))
    except BuildError:
        # The source package or the compiler is gone; a kernel built before needs neither to boot.
        kernel = next((kernel for kernel in list_kernels() if kernel.name == name), None)
        if kernel is None:
            raise
        return kernel
    return build_kernel(request, progress)


def build_kernel(request: KernelRequest, progress: ProgressCallback = silent, jobs: int | None = None) -> Kernel:
    """The kernel asked for, from the cache if it is there, else built with ``jobs`` (default: one for each CPU).

    Raises BuildError. On any exception, Ctrl-C included, nothing of the build is left, neither processes nor files.
    """
    key = request.key()
    directory = cache.directory("kernels") / f"{request.name}-{key}"
    if kernel := cached_kernel(directory):
        return kernel
    require_tools()
    cache.require_space(directory.parent, BUILT_BYTES + (0 if request.source.ready else UNPACKED_BYTES))
    build = _Build(request, key, directory, progress, jobs or len(os.sched_getaffinity(0)))
    build.unpack()
    return build.run()


def _release_suffix(name: str) -> tuple[Requirement, ...]:
    """`uname -r` ends in the kernel's name, so that a module built for another one is refused by its version magic."""
    version = next((version for version in DEBIAN_VERSIONS if name in {version, version + _KDB_SUFFIX}), None)
    suffix = f"-nullmodem-{name}" if version is None else f"-nullmodem{name.removeprefix(version)}"
    return parse_fragment(f'CONFIG_LOCALVERSION="{suffix}"\n# CONFIG_LOCALVERSION_AUTO is not set\n', "nullmodem")


class _Build:
    """One kernel being built."""

    def __init__(
        self, request: KernelRequest, key: str, directory: Path, progress: ProgressCallback, jobs: int
    ) -> None:
        self._request = request
        self._source = request.source
        self._key = key
        self._directory = directory
        self._progress = progress
        self._jobs = jobs
        self._records = [
            record for kernel in list_kernels() if (record := cache.read_record(kernel.build_tree / cache.RECORD))
        ]
        compile_seconds = expected_size(measured_build().size.options, self._records).cpu_seconds / jobs
        plan = {
            Stage.CONFIGURING: _CONFIGURE_SECONDS,
            Stage.COMPILING: compile_seconds,
            Stage.FINISHING: _FINISH_SECONDS,
        }
        if not self._source.ready:
            plan[Stage.UNPACKING] = _UNPACK_SECONDS
        self._forecast = Forecast(plan, progress)

    def unpack(self) -> None:
        """Have the source in place."""
        if self._source.ready:
            return
        with cache.lock(self._source.directory.name, self._waiting) as fd:
            if not self._source.ready:
                self._forecast.begin(Stage.UNPACKING, detail=self._source.label)
                unpack(self._source, fd, self._forecast.advance)

    def run(self) -> Kernel:
        """Build under the lock, unless somebody else has meanwhile."""
        with cache.lock(self._directory.name, self._waiting) as fd:
            if kernel := cached_kernel(self._directory):
                return kernel
            cache.remove(self._directory)  # what a killed build left
            try:
                with cache.explained(f"cannot build in {self._directory}"):
                    self._directory.mkdir()
                    config = self._configure(fd)
                    size = self._compile(fd, config)
                    self._publish(fd, size)
            except BaseException:
                cache.remove(self._directory)
                raise
        kernel = cached_kernel(self._directory)
        if kernel is None:
            raise BuildError(
                f"the build of {self._request.name} ended well but left no vmlinux or image in {self._directory}"
            )
        return kernel

    def _waiting(self, holder: str) -> None:
        self._forecast.begin(Stage.WAITING, detail=f"process {holder}" if holder else "")

    def _make(self, lock_fd: int, *arguments: str, on_step: Callable[[str], None] = lambda _: None) -> str:
        try:
            return run_make(
                [f"O={self._directory}", *arguments],
                directory=self._source.directory,
                variables=_BUILDER,
                on_step=on_step,
                log=self._directory / "build.log",
                inherit=(lock_fd,),
                when_full=cache.WHEN_FULL,
            )
        except BuildError as error:
            message = f"the kernel {self._request.name} did not build: {error.message}"
            raise BuildError(message, output=error.output, hint=error.hint) from None

    def _configure(self, lock_fd: int) -> dict[str, str]:
        """tinyconfig, the fragment, olddefconfig; then see that nothing asked for got lost on the way."""
        self._forecast.begin(Stage.CONFIGURING, detail=self._source.label)
        self._make(lock_fd, "tinyconfig")
        file = self._directory / ".config"
        file.write_text(merge(file.read_text(encoding="utf-8"), self._request.requirements), encoding="utf-8")
        self._make(lock_fd, "olddefconfig")
        config = parse_config(file.read_text(encoding="utf-8"))
        lost = [requirement for requirement in self._request.requirements if not requirement.holds(config)]
        if lost:
            architecture = _SRCARCH.get(platform.machine(), platform.machine())
            lines = explain_lost(lost[:_SHOWN_LOST], config, self._source.directory, architecture)
            first = ", ".join(str(requirement) for requirement in lost[:3]) + (", ..." if len(lost) > 3 else "")
            raise BuildError(
                f"{len(lost)} of the settings asked for did not survive the kernel's own rules: {first}",
                output="\n".join(lines),
                hint="add what they depend on to the fragment (--config-fragment), or leave them out",
            )
        return config

    def _compile(self, lock_fd: int, config: Mapping[str, str]) -> BuildSize:
        options = sum(value in {"y", "m"} for value in config.values())
        expected = expected_size(options, self._records)
        self._forecast.begin(Stage.COMPILING, expected.cpu_seconds / self._jobs)
        used = _cpu_seconds()
        steps = 0

        def step(what: str) -> None:
            nonlocal steps
            steps += 1
            self._forecast.advance(measured_build().time_fraction(steps / expected.steps), what)

        self._make(lock_fd, f"-j{self._jobs}", on_step=step)
        return BuildSize(options, steps, round(_cpu_seconds() - used, 1))

    def _publish(self, lock_fd: int, size: BuildSize) -> None:
        self._forecast.begin(Stage.FINISHING)
        record = {
            "format": RECORD_FORMAT,
            "name": self._request.name,
            "key": self._key,
            "release": self._make(lock_fd, "-s", "kernelrelease").strip(),
            "image": self._make(lock_fd, "-s", "image_name").strip(),
            "source": str(self._source.directory),
            "toolchain": toolchain(),
            **size.as_record(),
        }
        _remove_objects(self._directory)
        os.sync()  # the record must not outlive, over a power failure, the files it vouches for
        cache.write_atomically(self._directory / cache.RECORD, record)


def _cpu_seconds() -> float:
    """CPU time of all finished child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _remove_objects(directory: Path) -> None:
    """Half of a build tree is objects that are linked into vmlinux; nothing that is built against it reads them.

    What modules are built with stays (scripts/, tools/), and the modules themselves.
    """
    for path, directories, files in os.walk(directory):
        if Path(path) == directory:
            directories[:] = [name for name in directories if name not in {"scripts", "tools", "source"}]
        for name in files:
            if name.endswith((".o", ".a")) or name.startswith(".tmp_vmlinux"):
                Path(path, name).unlink()
