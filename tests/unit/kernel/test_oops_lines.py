# SPDX-License-Identifier: Apache-2.0
"""Reports with source lines, from a kernel and a module that were compiled just now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.oops import find_troubles
from nullmodem.kernel.oops_lines import DecodedLine, OopsDecoder
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import FakeKernel, build_module

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """\
static int deep(int value)
{
	return value / (value - 7);
}

static inline __attribute__((always_inline)) int middle(int value)
{
	return deep(value) + *(volatile int *)8;
}

__attribute__((noinline)) int outer(int value)
{
	return middle(value) * 3;
}

char __this_module[64] __attribute__((section(".gnu.linkonce.this_module"))) = "x";
static const char info[] __attribute__((section(".modinfo"), used)) = "name=crash\\0vermagic=6.1.99-fake ";
"""


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> ModuleFile:
    directory = tmp_path_factory.mktemp("crash")
    (directory / "crash.c").write_text(SOURCE)
    return ModuleFile.open(build_module(directory, "crash", source=directory / "crash.c"))


def report(lines: list[str], build: str = "") -> str:
    cpu = f"CPU: 0 PID: 1 Comm: cat 6.1.99-fake #1 {build}"
    return "\n".join(["BUG: unable to handle page fault for address: 8", cpu, *lines])


def decode(kernel: FakeKernel, crash: ModuleFile | str, text: str) -> list[DecodedLine]:
    decoder = OopsDecoder(kernel.vmlinux, lambda _name, _build: crash)
    (trouble,) = find_troubles(text)
    return [line for line in decoder.decode(trouble) if line.places or line.problem]


def place_of(crash: ModuleFile, name: str) -> tuple[int, int]:
    symbol = crash.symbol(name)
    assert symbol is not None
    return symbol.offset, symbol.size


def test_a_place_is_shown_with_the_functions_that_were_inlined_there(layouts: FakeKernel, crash: ModuleFile) -> None:
    _offset, size = place_of(crash, "outer")
    found = {
        place.function: (place.file.rpartition("/")[2], place.line)
        for at in range(size)
        for line in decode(layouts, crash, report([f"RIP: 0010:outer+{at:#x}/{size + 9:#x} [crash]"]))
        for place in line.places
    }
    assert set(found) == {"deep", "middle", "outer"}
    assert found["deep"] == ("crash.c", 3)
    assert found["middle"] == ("crash.c", 8)
    assert found["outer"][0] == "crash.c"
    order = [
        [place.function for place in line.places]
        for at in range(size)
        for line in decode(layouts, crash, report([f"RIP: 0010:outer+{at:#x}/{size:#x} [crash]"]))
    ]
    assert ["deep", "middle", "outer"] in order


def test_a_return_address_belongs_to_the_call_before_it(layouts: FakeKernel, crash: ModuleFile) -> None:
    _offset, size = place_of(crash, "outer")
    for at in range(1, size + 1):
        (called,) = decode(layouts, crash, report([f" outer+{at:#x}/{size:#x} [crash]"]))
        (exact,) = decode(layouts, crash, report([f"RIP: 0010:outer+{at - 1:#x}/{size:#x} [crash]"]))
        assert called.places == exact.places


def test_the_kernel_itself_is_looked_up_in_its_vmlinux(layouts: FakeKernel, crash: ModuleFile) -> None:
    (line,) = decode(layouts, crash, report(["RIP: 0010:do_init_module+0x0/0x40"]))
    assert line.places[-1].function == "do_init_module"
    assert line.places[-1].file.endswith("debug_core.c")


def test_another_build_of_the_module_is_not_used(layouts: FakeKernel, crash: ModuleFile) -> None:
    _offset, size = place_of(crash, "outer")
    other = "00" * 20
    at_fault, caller = decode(
        layouts,
        crash,
        report([f"RIP: 0010:outer+0x1/{size:#x} [crash]", f" outer+0x2/{size:#x} [crash {other}]"]),
    )
    assert not at_fault.places  # printed without a build-id, and still of the module whose build-id is told below it
    assert "is another build than the module that was loaded" in at_fault.problem
    assert at_fault.problem == caller.problem
    assert crash.build_id is not None
    own = crash.build_id.hex()
    at_fault, caller = decode(
        layouts, crash, report([f"RIP: 0010:outer+0x1/{size:#x} [crash]", f" outer+0x2/{size:#x} [crash {own}]"])
    )
    assert at_fault.places
    assert caller.places


def test_a_function_that_does_not_fit_shows_that_the_file_is_another(layouts: FakeKernel, crash: ModuleFile) -> None:
    for code in ("outer+0x1/0x2", "nothing+0x1/0x20", "outer+0x500/0x400"):
        (line,) = decode(layouts, crash, report([f"RIP: 0010:{code} [crash]"]))
        assert not line.places
        assert "it is another build" in line.problem


def test_another_kernel_is_not_used(layouts: FakeKernel, crash: ModuleFile) -> None:
    (line,) = decode(layouts, crash, report(["RIP: 0010:do_init_module+0x0/0x40"], build="11" * 20))
    assert not line.places
    assert "another build than the kernel that printed this" in line.problem
    assert layouts.vmlinux.build_id is not None
    (line,) = decode(
        layouts, crash, report(["RIP: 0010:do_init_module+0x0/0x40"], build=layouts.vmlinux.build_id.hex())
    )
    assert line.places


def test_a_module_without_a_file_keeps_its_line_and_says_why(layouts: FakeKernel) -> None:
    (line,) = decode(layouts, "no crash.ko was found", report(["RIP: 0010:outer+0x1/0x20 [crash]"]))
    assert line == DecodedLine("RIP: 0010:outer+0x1/0x20 [crash]", (), "no crash.ko was found")


def test_a_module_that_was_replaced_on_the_disk_is_not_read(layouts: FakeKernel, tmp_path: Path) -> None:
    (tmp_path / "crash.c").write_text(SOURCE)
    file = ModuleFile.open(build_module(tmp_path, "crash", source=tmp_path / "crash.c"))
    (tmp_path / "crash.c").write_text(SOURCE.replace("* 3", "* 4000"))
    build_module(tmp_path, "crash", source=tmp_path / "crash.c")
    (line,) = decode(layouts, file, report(["RIP: 0010:outer+0x1/0x90 [crash]"]))
    assert "was replaced since it was read" in line.problem
