# SPDX-License-Identifier: Apache-2.0
"""The kernels nullmodem builds, and modules built for them."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError, IdentityError, UsageError
from nullmodem.kbuild import (
    Kernel,
    Verdict,
    build_kernel,
    build_module,
    diagnose,
    ensure_kernel,
    find_kernel,
    kernel_request,
    list_kernels,
    read_kernel_config,
)
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.vm

_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox uname -r
/bin/busybox insmod /hello.ko
/bin/busybox cat /proc/modules
/bin/busybox poweroff -f
"""

_HELLO = """\
#include <linux/module.h>
static int __init hello_init(void) { pr_info("hello says %d\\n", 42); return 0; }
module_init(hello_init);
MODULE_LICENSE("GPL");
"""

_BUILD = """
import sys
from nullmodem.frontends.cli.kernel import kernel
kernel(["build", "--source", sys.argv[1], "--name", "interrupted"])
"""


@pytest.fixture(scope="module")
def default_kernel() -> Kernel:
    return ensure_kernel()


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """One C file, alone in a directory."""
    file = tmp_path / "user" / "hello.c"
    file.parent.mkdir()
    file.write_text(_HELLO)
    return file


def compilation_names(ko: Path) -> list[str]:
    """The DW_AT_name of each compilation unit."""
    command = ["objdump", "--dwarf=info", "--dwarf-depth=1", str(ko)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.rpartition(": ")[2] for line in output.splitlines() if "DW_AT_name" in line]


# The kernel.


def test_every_setting_asked_for_is_in_the_built_kernel(kernel: Kernel) -> None:
    request = kernel_request(kernel.name)
    assert request.key() == kernel.key
    assert [str(lost) for lost in request.requirements if not lost.holds(kernel.settings())] == []


def test_the_image_and_the_symbols_carry_the_configuration_and_the_doctor_is_content(kernel: Kernel) -> None:
    for file in (kernel.image, kernel.vmlinux):
        assert read_kernel_config(file).settings == kernel.settings()
    problems = [found for found in diagnose(kernel.settings()).findings if found.verdict is not Verdict.OK]
    assert problems == []


def test_the_release_says_who_built_it_and_the_source_is_there_for_gdb(kernel: Kernel) -> None:
    assert kernel.release.startswith(f"{kernel.name}.")
    assert kernel.release.endswith("-nullmodem")
    assert (kernel.source / "kernel" / "module" / "main.c").is_file()
    assert (kernel.build_tree / "source").resolve() == kernel.source


def test_it_boots_to_userspace_and_loads_a_module_built_for_it(kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    built = build_module(hello, kernel, tmp_path / "work")
    root = tmp_path / "root"
    for name in ("bin", "proc", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "bin" / "busybox")
    shutil.copy(built.ko, root / "hello.ko")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in root.rglob("*"))
    packed = subprocess.run(
        ["cpio", "-o", "-H", "newc"], input=names.encode(), cwd=root, capture_output=True, check=True
    )
    (tmp_path / "initrd").write_bytes(gzip.compress(packed.stdout))
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64,+nx", "-m", "256", "-no-reboot",
               "-display", "none", "-serial", "stdio", "-serial", "null", "-monitor", "none",
               "-kernel", str(kernel.image), "-initrd", str(tmp_path / "initrd"),
               "-append", "console=ttyS0 kgdboc=ttyS1 panic=-1"]  # fmt: skip
    console = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=True)
    assert kernel.release in console.stdout
    assert "KGDB: Registered I/O driver kgdboc" in console.stdout
    assert "hello says 42" in console.stdout
    assert re.search(r"^hello \d+ 0 .*Live ", console.stdout, re.MULTILINE)


def test_its_own_modules_come_with_what_they_need(kernel: Kernel) -> None:
    def order(name: str) -> list[str]:
        return [path.stem for path in kernel.load_order(kernel.module(name))]

    assert order("null_blk") == ["configfs", "null_blk"]
    assert order("bridge")[-1] == "bridge"
    assert order("bridge").index("llc") < order("bridge").index("stp")
    assert order("dummy") == ["dummy"]
    assert {"veth", "dummy", "bridge", "null_blk"} <= kernel.modules().keys()


# Modules.


def test_a_directory_is_built_in_place_with_debug_information(
    kernel: Kernel, module_source: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = module_source("simple")
    built = build_module(directory, kernel, tmp_path / "work")
    assert built.ko == directory / "simple.ko"
    assert built.name == "simple"
    assert str(directory / "simple.c") in compilation_names(built.ko)
    assert ModuleFile.open(built.ko).vermagic.split()[0] == kernel.release
    assert not (tmp_path / "work").exists()


def test_a_c_file_is_built_elsewhere_but_its_debug_information_names_it(
    kernel: Kernel, hello: Path, tmp_path: Path
) -> None:
    (hello.parent / "answer.h").write_text("#define ANSWER 42\n")
    hello.write_text('#include "answer.h"\n' + _HELLO.replace("42", "ANSWER"))
    built = build_module(hello, kernel, tmp_path / "work")
    assert str(hello) in compilation_names(built.ko)
    assert built.ko.is_relative_to(tmp_path / "work")
    assert (built.name, built.directory, built.source) == ("hello", hello.parent, hello)
    assert sorted(path.name for path in hello.parent.iterdir()) == ["answer.h", "hello.c"]


def test_a_changed_c_file_is_built_again(default_kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    first = ModuleFile.open(build_module(hello, default_kernel, tmp_path / "work").ko)
    hello.write_text(_HELLO.replace("42", "43"))
    os.utime(hello, (first.path.stat().st_mtime + 5,) * 2)
    second = ModuleFile.open(build_module(hello, default_kernel, tmp_path / "work").ko)
    assert first.srcversion != second.srcversion


def test_of_two_modules_the_one_that_needs_the_other_is_meant_and_both_are_loaded(
    default_kernel: Kernel, module_source: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = module_source("pair")
    built = build_module(directory, default_kernel, tmp_path)
    assert built.name == "consumer"
    assert built.load_order == (directory / "provider.ko", directory / "consumer.ko")
    assert set(built.modules) == set(built.load_order)
    assert build_module(directory, default_kernel, tmp_path, module="provider").load_order == (
        directory / "provider.ko",
    )


def test_of_unrelated_modules_one_must_be_named(default_kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    shutil.copy(hello, hello.with_name("good-bye.c"))
    (hello.parent / "Makefile").write_text("obj-m := hello.o good-bye.o\n")
    with pytest.raises(UsageError, match="it builds: good_bye, hello") as caught:
        build_module(hello.parent, default_kernel, tmp_path)
    assert "--module" in caught.value.hint
    assert build_module(hello.parent, default_kernel, tmp_path, module="good-bye").name == "good_bye"
    with pytest.raises(UsageError, match="has no module 'other'; it builds: good_bye, hello"):
        build_module(hello.parent, default_kernel, tmp_path, module="other")


def test_a_directory_that_moves_between_kernels_is_built_for_each(
    module_source: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = module_source("simple")
    for name in ("6.1", "6.12", "6.1"):
        kernel = ensure_kernel(name)
        file = ModuleFile.open(build_module(directory, kernel, tmp_path).ko)
        assert file.vermagic.split()[0] == kernel.release


def test_two_kernels_from_one_source_do_not_share_objects(
    default_kernel: Kernel, module_source: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = module_source("simple")

    def built_at(kernel: Kernel) -> int:
        build_module(directory, kernel, tmp_path)
        return (directory / "simple.o").stat().st_mtime_ns

    first = built_at(default_kernel)
    assert built_at(default_kernel) == first
    assert built_at(replace(default_kernel, key="fedcba987654")) > first


def test_a_compilers_error_names_the_users_file_and_comes_first(
    default_kernel: Kernel, hello: Path, tmp_path: Path
) -> None:
    hello.write_text(_HELLO.replace("return 0", "return nothing"))
    with pytest.raises(BuildError, match=r"/hello\.c did not build for the kernel 6\.1: ") as caught:
        build_module(hello, default_kernel, tmp_path / "work")
    first, second, *_ = caught.value.output.splitlines()
    assert first.startswith(f"{hello}: In function")
    assert second.startswith(f"{hello}:2:")
    assert "error:" in second


def test_a_symbol_nobody_exports_is_named(default_kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    hello.write_text(_HELLO.replace("return 0", "extern int nowhere(void); return nowhere()"))
    with pytest.raises(BuildError) as caught:
        build_module(hello, default_kernel, tmp_path / "work")
    assert '"nowhere"' in caught.value.output.splitlines()[0]


def test_a_directory_that_makes_no_module_says_what_its_kbuild_needs(default_kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("# nothing\n")
    with pytest.raises(BuildError, match="made no module") as caught:
        build_module(tmp_path, default_kernel, tmp_path)
    assert "obj-m" in caught.value.hint


def test_a_module_built_without_debug_information_is_refused(
    default_kernel: Kernel, hello: Path, tmp_path: Path
) -> None:
    (hello.parent / "Kbuild").write_text("obj-m := hello.o\nccflags-y += -g0\nKBUILD_CFLAGS += -g0\n")
    with pytest.raises(BuildError, match="without debug information"):
        build_module(hello.parent, default_kernel, tmp_path, extra_cflags=["-g0"])


def test_a_ko_is_taken_as_it_is_if_it_is_for_this_kernel(default_kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    ko = build_module(hello, default_kernel, tmp_path / "work").ko
    built = build_module(ko, default_kernel, tmp_path / "other")
    assert (built.ko, built.load_order) == (ko, (ko,))
    other = ensure_kernel("6.12")
    with pytest.raises(IdentityError, match=rf"was built for Linux {default_kernel.release}, the kernel 6\.12 is"):
        build_module(ko, other, tmp_path / "other")


def test_a_kernel_is_also_found_by_its_build_tree(default_kernel: Kernel, hello: Path, tmp_path: Path) -> None:
    link = tmp_path / "tree"
    link.symlink_to(default_kernel.build_tree)
    assert find_kernel(link) == default_kernel
    assert build_module(hello, find_kernel(link), tmp_path / "work").name == "hello"


# Builds that go wrong, with the real source.


@pytest.mark.slow
def test_kconfig_dropping_the_serial_console_is_explained(
    default_kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    fragment = tmp_path / "no-vt.config"
    fragment.write_text("CONFIG_VT=n\nCONFIG_NO_SUCH_THING=y\n")
    request = kernel_request(directory=default_kernel.source, name="lost", fragment=fragment)
    with pytest.raises(BuildError, match="2 of the settings asked for did not survive") as caught:
        build_kernel(request)
    assert "CONFIG_KGDB_SERIAL_CONSOLE=y    (asked for by target.config:" in caught.value.output
    assert "lib/Kconfig.kgdb: depends on KGDB && TTY && HW_CONSOLE" in caught.value.output
    assert "as configured: HW_CONSOLE is not set" in caught.value.output
    assert "this kernel source has no such option" in caught.value.output
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


@pytest.mark.slow
def test_control_c_ends_a_real_build_with_one_line_and_nothing_left(default_kernel: Kernel, tmp_path: Path) -> None:
    environment = os.environ | {"NULLMODEM_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", _BUILD, str(default_kernel.source)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as builder:
        lines = [next(line for line in builder.stderr if line.startswith("compiling the kernel: "))]
        builder.send_signal(signal.SIGINT)
        lines += builder.stderr.readlines()
    assert builder.returncode == 130
    assert lines[-1] == "nullmodem: interrupted; nothing half-built was kept\n"
    assert list((tmp_path / "kernels").iterdir()) == []
    working_here = [link for link in Path("/proc").glob("[0-9]*/cwd") if _points_into(link, tmp_path)]
    assert working_here == []


def _points_into(link: Path, directory: Path) -> bool:
    try:
        return link.readlink().is_relative_to(directory)
    except OSError:
        return False


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_default_kernel_is_built_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path))
    kernel = ensure_kernel()
    assert list_kernels() == (kernel,)
    assert diagnose(kernel.settings()).verdict is Verdict.OK
