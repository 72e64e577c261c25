# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin with real kernels: whole runs of pytest, each on as few boots as it can."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from support.modules import copy_module

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = "pytester"
pytestmark = pytest.mark.vm

CACHE = str(cache_root())
SECONDS = 110.0

ONE_MACHINE = """
    import pytest

    pytestmark = pytest.mark.kernel_module("simple", "greeting=hi")

    def read(target):
        return target.start("dd if=/dev/simple bs=2 count=1")

    def test_the_module_is_loaded_with_its_parameters(kernel_target, kernel_module):
        assert kernel_module.is_loaded
        assert kernel_target.modules == ("simple",)
        assert kernel_target.run("cat /dev/simple").text == "hi"

    def test_an_assertion_at_a_stop_fails(kernel_target, kernel_module):
        stop = kernel_target.break_at("simple_read").wait(after=lambda: read(kernel_target))
        assert stop.frame["size"] == 3

    def test_a_stop_is_left(kernel_target, kernel_module):
        kernel_target.break_at("simple_read").wait(after=lambda: read(kernel_target))

    def test_a_breakpoint_is_left(kernel_target, kernel_module):
        kernel_target.break_at("simple_write")

    def test_what_was_left_is_gone(kernel_target, kernel_module):
        assert kernel_target.breakpoints == ()
        assert kernel_target.is_running
        assert kernel_target.run("cat /dev/simple").text == "hi"

    @pytest.fixture
    def watched(kernel_target, kernel_module):
        with kernel_target.break_at("simple_write") as breakpoint_:
            yield breakpoint_

    def test_a_breakpoint_of_a_fixture_is_its_own(kernel_target, watched):
        with watched.wait(after=lambda: kernel_target.start("echo hi >/dev/simple")) as stop:
            assert stop.frame.function == "simple_write"

    @pytest.fixture
    def stopped(kernel_target, kernel_module):
        kernel_target.break_at("simple_read").wait(after=lambda: read(kernel_target))
        raise RuntimeError("at a stop")

    def test_a_fixture_fails_at_a_stop(stopped): ...

    def test_a_command_may_end_after_the_test(kernel_target, kernel_module):
        with kernel_target.break_at("simple_read") as breakpoint_:
            breakpoint_.wait(after=lambda: read(kernel_target)).continue_()

    def test_more_modules_may_be_loaded(kernel_target):
        assert kernel_target.modules == ()
        kernel_target.load(kernel_target.build("faulty").name, "warn_at_exit=1")

    @pytest.mark.kernel_module("faulty")
    def test_a_warning_fails(kernel_target, kernel_module):
        kernel_target.run("echo warn >/dev/faulty")

    @pytest.mark.kernel_module("faulty")
    @pytest.mark.kernel_allows("asked to warn")
    def test_a_warning_that_is_allowed_passes(kernel_target, kernel_module):
        kernel_target.run("echo warn >/dev/faulty")

    @pytest.mark.kernel_module("faulty", load=False)
    def test_init_can_be_stopped_in(kernel_target, kernel_module):
        assert not kernel_module.is_loaded
        breakpoint_ = kernel_target.break_at("faulty_init")
        stop = breakpoint_.wait(after=lambda: kernel_target.machine.load("faulty"))
        assert stop.frame.function == "faulty_init"
        breakpoint_.delete()
        stop.continue_()  # insmod goes on while the test ends

    @pytest.mark.kernel_module("broken")
    def test_a_module_does_not_build(kernel_target, kernel_module): ...

    @pytest.mark.kernel_module("broken")
    def test_nor_is_it_built_twice(kernel_target, kernel_module): ...

    @pytest.mark.kernel_module("simple", "greting=hi")
    def test_a_parameter_is_wrong(kernel_target, kernel_module): ...

    def test_an_error_of_nullmodem_shows_the_tests_line(kernel_target, kernel_module):
        kernel_target.break_at("simple_raed")
"""

BROKEN = '#include <linux/module.h>\nint init_module(void) { return nothing; }\nMODULE_LICENSE("GPL");\n'


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with modules beside the tests. pytester has a home of its own, and no kernels are there."""
    monkeypatch.setenv("NULLMODEM_CACHE", CACHE)
    for name in ("simple", "faulty"):
        copy_module(name, pytester.path)
    (pytester.path / "broken").mkdir()
    (pytester.path / "broken" / "broken.c").write_text(BROKEN)
    (pytester.path / "broken" / "Kbuild").write_text("obj-m := broken.o\n")
    return pytester


def run(suite: pytest.Pytester, *arguments: str, seconds: float = SECONDS) -> pytest.RunResult:
    """A run of pytest of its own; it is ended, and its machine with it, when it takes too long."""
    command = (sys.executable, "-m", "pytest", f"--basetemp={suite.path / 'runpytest'}", *arguments)
    return suite.run(*command, timeout=seconds)


def report_of(result: pytest.RunResult, test: str) -> str:
    """What the run says of one failed test."""
    text = result.stdout.str()
    found = re.search(
        rf"^_+ (?:ERROR at \w+ of )?{test}\S* _+$(.*?)(?=^_{{3,}} |^={{3,}} )", text, re.MULTILINE | re.DOTALL
    )
    assert found, text
    return found[1]


def boots(result: pytest.RunResult) -> int:
    return result.stdout.str().count("nullmodem: booting Linux")


@pytest.mark.slow
def test_tests_on_one_machine_are_judged_and_reported_one_by_one(suite: pytest.Pytester, tmp_path: Path) -> None:
    suite.makepyfile(test_one=ONE_MACHINE)
    kept = ("--nullmodem-artifacts", str(tmp_path / "kept"), "--junitxml", "report.xml")
    result = run(suite, "-p", "no:xdist", *kept)
    result.assert_outcomes(passed=7, failed=5, errors=5)
    assert boots(result) == 1

    asserted = report_of(result, "test_an_assertion_at_a_stop_fails")
    assert "assert Object(prog, 'size_t', value=2) == 3" in asserted
    assert "stopped (breakpoint) at simple:simple_read (simple.c:" in asserted
    assert re.search(r"^#0 simple_read at simple/simple\.c:\d+$", asserted, re.MULTILINE)
    assert re.search(r"^  > +\d+ \tchar copy\[SIMPLE_TEXT_MAX\];", asserted, re.MULTILINE)
    assert "    size = 2\n" in asserted
    assert "#1 vfs_read at fs/read_write.c:" in asserted
    assert "simple: /dev/simple is minor" in asserted
    assert re.search(r"^\.text +0x[0-9a-f]+ +0xffffffff", asserted, re.MULTILINE)
    recording = tmp_path / "kept" / re.findall(r"kept/(\S+\.rec) ", asserted)[0]
    assert recording.read_text().startswith("{")
    assert f'name="nullmodem_attachment" value="{recording}"' in (suite.path / "report.xml").read_text()
    assert "test left" not in asserted

    left = report_of(result, "test_a_stop_is_left")
    assert "the test left the target stopped at simple:simple_read (simple.c:" in left
    assert "the test left a breakpoint at simple_read" in left
    assert "#0 simple_read at" in left
    assert "the test left a breakpoint at simple_write" in report_of(result, "test_a_breakpoint_is_left")

    assert "#0 simple_read at simple/simple.c:" in report_of(result, "test_a_fixture_fails_at_a_stop")

    warned = report_of(result, "test_a_warning_fails")
    assert re.search(r"the kernel reported: WARNING: .*faulty_do.*asked to warn", warned)
    assert re.search(r"faulty_(do|write) at faulty/faulty\.c:\d+", warned)
    unloading = report_of(result, "test_more_modules_may_be_loaded")
    assert re.search(r"the kernel reported: WARNING: .*told to warn at exit", unloading)
    assert re.search(r"faulty_exit at faulty/faulty\.c:\d+", unloading)

    for test in ("test_a_module_does_not_build", "test_nor_is_it_built_twice"):
        broken = report_of(result, test)
        assert "broken.c:2:" in broken
        assert "did not build for the kernel 6.1" in broken
        assert "Traceback" not in broken
        assert "plugin.py" not in broken
    assert "'greting'" in report_of(result, "test_a_parameter_is_wrong")
    unknown = report_of(result, "test_an_error_of_nullmodem_shows_the_tests_line")
    assert '>       kernel_target.break_at("simple_raed")' in unknown
    assert "simple_read" in unknown
    assert "nullmodem/frontends" not in unknown


DANGEROUS = """
    import pytest

    pytestmark = pytest.mark.kernel_module("faulty")

    def test_an_oops(kernel_target, kernel_module):
        kernel_target.run("echo oops >/dev/faulty")

    def test_after_the_oops(kernel_target, kernel_module):
        assert kernel_target.run("dmesg | grep -c Oops", check=False).text.strip() == "0"

    def test_an_oops_in_the_background(kernel_target, kernel_module):
        kernel_target.wait(after=lambda: kernel_target.start("echo oops >/dev/faulty"))

    def test_a_panic(kernel_target, kernel_module):
        kernel_target.run("echo panic >/dev/faulty")

    def test_after_the_panic(kernel_target, kernel_module):
        kernel_target.run("true")

    def test_the_machine_goes(kernel_target):
        kernel_target.run("poweroff -f", check=False)

    def test_after_that(kernel_target, kernel_module):
        kernel_target.run("true")
"""


@pytest.mark.soak
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_after_an_oops_a_panic_or_a_loss_the_next_test_has_a_fresh_boot(suite: pytest.Pytester, kernel: str) -> None:
    suite.makepyfile(test_two=DANGEROUS)
    result = run(suite, "-p", "no:xdist", "--nullmodem-kernel", kernel, seconds=600)
    result.assert_outcomes(passed=3, failed=4)
    assert boots(result) == 5

    for test in ("test_an_oops", "test_an_oops_in_the_background"):
        oops = report_of(result, rf"{test}\[")
        assert "stopped (fault) at faulty:faulty_do" in oops
        assert re.search(r"^#0 faulty_do at faulty/faulty\.c:\d+", oops, re.MULTILINE)
        assert "kernel report: BUG: kernel NULL pointer dereference" in oops
        assert re.search(r"RIP: .*faulty_.*\n +faulty_do at faulty/faulty\.c:\d+", oops)
    panic = report_of(result, r"test_a_panic\[")
    assert "Kernel panic - not syncing: asked to panic" in panic
    assert re.search(r"faulty_do at faulty/faulty\.c:\d+", panic)
    assert "the target is lost: the target reboots" in report_of(result, "test_the_machine_goes")


BOARD = """
    import pytest

    @pytest.mark.kernel_module("simple", "greeting=hi")
    @pytest.mark.kernel_target("6.1", "6.12", smp=[1, 2])
    def test_reading(kernel_target, kernel_module, kernel_machine):
        assert kernel_machine.board == "lab-board"
        assert "hi" in kernel_target.run("cat /dev/simple").text
        with kernel_target.break_at("simple_read") as breakpoint_:
            with breakpoint_.wait(after=lambda: kernel_target.start("cat /dev/simple")) as stop:
                assert stop.frame.function == "simple_read"

    @pytest.mark.kernel_module("faulty")
    def test_a_warning(kernel_target, kernel_module):
        kernel_target.run("echo warn >/dev/faulty")

    @pytest.mark.kernel_module("faulty")
    def test_an_oops(kernel_target, kernel_module):
        kernel_target.run("echo oops >/dev/faulty")

    @pytest.mark.kernel_module("simple")
    def test_after_the_oops(kernel_target, kernel_module): ...
"""


@pytest.mark.soak
def test_a_board_is_attached_to_once_and_not_used_after_an_oops(suite: pytest.Pytester, tmp_path: Path) -> None:
    kernel = ensure_kernel("6.12")
    spec = QemuSpec(kernel.image, line=f"socket,path={tmp_path}/line,server=on,wait=off", shared=True)
    (suite.path / "nullmodem.toml").write_text(
        f'[targets.lab-board]\nwire = "unix:{tmp_path}/line"\nvmlinux = "{kernel.vmlinux}"\n'
        f'build-tree = "{kernel.build_tree}"\nbreak-in = ["shell"]\n'
    )
    suite.makepyfile(test_four=BOARD)
    (tmp_path / "board").mkdir(mode=0o700)
    with QemuTarget.launch(spec, tmp_path / "board", cache=cache_root()):
        result = run(suite, "-p", "no:xdist", "--nullmodem-target", "lab-board", seconds=600)
    result.assert_outcomes(passed=1, failed=2, errors=1)
    assert result.stdout.str().count("nullmodem: attaching to lab-board") == 1
    warned = report_of(result, "test_a_warning")
    assert re.search(r"faulty_(do|write) at faulty/faulty\.c:\d+", warned)
    assert "base64" not in warned
    assert "lab-board cannot be used any more: the kernel cannot be trusted" in report_of(result, "test_after_the_oops")


@pytest.mark.soak
def test_two_workers_have_a_machine_each_and_a_matrix_runs_on_both(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_three="""
        import os
        import pytest

        @pytest.mark.kernel_module("simple")
        @pytest.mark.kernel_target("6.1", "6.12", kaslr=[True, False], smp=[1, 2])
        @pytest.mark.parametrize("text", ["one", "two"])
        def test_it(kernel_target, kernel_module, kernel_machine, text, record_property):
            record_property("worker", os.environ["PYTEST_XDIST_WORKER"])
            kernel_target.run(f"echo -n {text} >/dev/simple")
            assert kernel_target.run("cat /dev/simple").text == text
            assert kernel_target.run("uname -r").text.startswith(kernel_machine.kernel + ".")
            assert kernel_target.run("nproc").text.strip() == str(kernel_machine.smp)
            assert ("nokaslr" in kernel_target.run("cat /proc/cmdline").text) is not kernel_machine.kaslr
        """
    )
    result = run(suite, "-n", "2", "--junitxml", "report.xml", seconds=600)
    result.assert_outcomes(passed=16)
    workers = set(re.findall(r'name="worker" value="(gw\d)"', (suite.path / "report.xml").read_text()))
    assert workers == {"gw0", "gw1"}
