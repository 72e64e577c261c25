# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: options, markers, fixtures and hooks.

pytest imports this file whenever nullmodem is installed beside it, so it imports nothing that costs anything. The rest
comes when a test asks for a kernel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from nullmodem.frontends.python.target import Target
    from nullmodem.pytest_plugin.lab import Lab
    from nullmodem.pytest_plugin.loaded import KernelModule, Wanted
    from nullmodem.pytest_plugin.matrix import MachineSpec
    from nullmodem.pytest_plugin.running import KernelRun

_MARKERS: Final = """
kernel_target(*kernels, kaslr=True, smp=1, memory=256, append=''): the machines to run the test on; lists make a matrix.
kernel_module(path, *parameters, module=None, load=True): what the fixture kernel_module builds and loads.
kernel_allows(pattern): what the kernel reports with a first line that matches does not fail the test.
"""
_RUN: pytest.StashKey[KernelRun] = pytest.StashKey()


# -- options and markers ---------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nullmodem", "nullmodem: tests of kernel modules")
    group.addoption(
        "--nullmodem",
        action="store_true",
        help="Prepare before the first test: check this machine, build the kernels, and say what will be used.",
    )
    group.addoption(
        "--nullmodem-kernel",
        action="append",
        default=[],
        metavar="NAME",
        help="The kernel for tests that name none: a name of `nullmodem kernel list` or a build tree. May be repeated.",
    )
    group.addoption(
        "--nullmodem-target",
        metavar="NAME",
        help="Run all of them on this real machine of a nullmodem.toml, instead of machines of their own.",
    )
    group.addoption(
        "--nullmodem-artifacts",
        metavar="DIR",
        help="Where recordings and consoles of failed tests are kept. Default: in pytest's temporary directory.",
    )
    parser.addini("nullmodem_kernels", "As --nullmodem-kernel.", type="args", default=[])
    parser.addini("nullmodem_module", "The module of tests without a kernel_module marker, from the root directory.")


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS.strip().splitlines():
        config.addinivalue_line("markers", marker)
    if config.getoption("--nullmodem-target") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--nullmodem-target and -n exclude each other: there is one such machine")


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--nullmodem") and not hasattr(session.config, "workerinput"):
        from nullmodem.pytest_plugin.preparing import prepare  # noqa: PLC0415

        prepare(session.config, _default_kernels(session.config))


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption("--nullmodem"):
        return None
    board = config.getoption("--nullmodem-target")
    kernels = ", ".join(_default_kernels(config))
    return f"nullmodem: target {board}" if board else f"nullmodem: kernels {kernels}"


def _default_kernels(config: pytest.Config) -> list[str]:
    given: list[str] = config.getoption("--nullmodem-kernel") or config.getini("nullmodem_kernels")
    if given:
        return given
    from nullmodem.kbuild.source import DEFAULT_VERSION  # noqa: PLC0415

    return [DEFAULT_VERSION]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernel_machine" not in metafunc.fixturenames:
        return
    from nullmodem.errors import NullmodemError  # noqa: PLC0415
    from nullmodem.pytest_plugin.matrix import MARKER, MachineSpec, specs  # noqa: PLC0415

    board = metafunc.config.getoption("--nullmodem-target")
    markers = [(marker.args, marker.kwargs) for marker in metafunc.definition.iter_markers(MARKER)]
    try:
        found = [MachineSpec(board=board)] if board else specs(_default_kernels(metafunc.config), markers)
    except NullmodemError as error:
        raise pytest.fail.Exception(f"{metafunc.definition.nodeid}: {error}", pytrace=False) from None
    # The scope makes pytest run all tests of one machine before those of the next.
    metafunc.parametrize("kernel_machine", found, ids=[spec.id for spec in found], indirect=True, scope="session")


# -- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _nullmodem_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The machine of this test process, booted when it is first wanted."""
    from nullmodem.pytest_plugin.lab import Lab  # noqa: PLC0415
    from nullmodem.pytest_plugin.preparing import BuildLines, teller  # noqa: PLC0415

    tell = teller(request.config)
    lab = Lab(tell, BuildLines(tell))
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def _nullmodem_artifacts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Where recordings of failed tests go; the directory is made when the first one fails."""
    given = request.config.getoption("--nullmodem-artifacts")

    def directory() -> Path:
        path = Path(given).absolute() if given else tmp_path_factory.getbasetemp() / "nullmodem"
        path.mkdir(parents=True, exist_ok=True)
        return path

    return directory


@pytest.fixture(scope="session")
def kernel_machine(request: pytest.FixtureRequest) -> MachineSpec:
    """The machine the test runs on, as its markers have it: kernel, kaslr, smp, memory, append, or board."""
    from nullmodem.pytest_plugin.matrix import MachineSpec, specs  # noqa: PLC0415

    found: MachineSpec | None = getattr(request, "param", None)
    if found is not None:
        return found
    # Asked for by name at run time, when it is too late for a matrix.
    board = request.config.getoption("--nullmodem-target")
    return MachineSpec(board=board) if board else specs(_default_kernels(request.config)[:1], [])[0]


@pytest.fixture
def kernel_target(
    request: pytest.FixtureRequest,
    kernel_machine: MachineSpec,
    _nullmodem_lab: Lab,
    _nullmodem_artifacts: Callable[[], Path],
) -> Iterator[Target]:
    """A machine under debugging: a `nullmodem.Target` that runs, with no breakpoint and no module of another test.

    The test fails when the kernel reports an oops, a warning, a lockup or a panic while it runs, and when it leaves a
    breakpoint set or the target stopped.
    """
    from nullmodem.pytest_plugin.running import KernelRun, explained  # noqa: PLC0415

    item = request.node
    allowed = [re.compile(str(pattern)) for marker in item.iter_markers("kernel_allows") for pattern in marker.args]
    with explained():
        bench = _nullmodem_lab.bench(kernel_machine)
        run = KernelRun(bench, item.nodeid, allowed, _nullmodem_artifacts)
    item.stash[_RUN] = run
    yield bench.target
    if problems := run.end():
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def _nullmodem_wanted(request: pytest.FixtureRequest) -> Wanted:
    """The module of the test's marker: what is wrong with that is said before a machine is booted for it."""
    from nullmodem.pytest_plugin.loaded import wanted  # noqa: PLC0415
    from nullmodem.pytest_plugin.running import explained  # noqa: PLC0415

    with explained():
        return wanted(request)


@pytest.fixture
def kernel_module(
    request: pytest.FixtureRequest,
    _nullmodem_wanted: Wanted,
    kernel_target: Target,  # noqa: ARG001  # it makes the run
    _nullmodem_lab: Lab,
) -> Iterator[KernelModule]:
    """The module of the test's ``kernel_module`` marker, built for the target's kernel, loaded for this test alone.

    It is unloaded when the test is over, and what its exit function does wrong fails the test too.
    """
    from nullmodem.pytest_plugin.running import explained  # noqa: PLC0415

    run = request.node.stash[_RUN]
    with explained():
        made = run.module(_nullmodem_lab, _nullmodem_wanted)
        if _nullmodem_wanted.load:
            try:
                made.load()
            except BaseException:
                run.judge(failed=True)
                raise
    yield made
    run.unload(made.name)


# -- a test's end ----------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    run = item.stash.get(_RUN, None)
    if run is None:
        return (yield)
    from nullmodem.errors import NullmodemError  # noqa: PLC0415
    from nullmodem.frontends.python.tracebacks import without_ours  # noqa: PLC0415

    hold = bool(item.config.getoption("usepdb", default=False))
    run.begin_call()
    try:
        result = yield
    except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
        run.abandon()
        raise
    except pytest.skip.Exception:
        _fail_for(run.judge(failed=False))
        raise
    except NullmodemError as error:
        run.judge(failed=True, hold=hold)
        raise error.with_traceback(without_ours(error.__traceback__)) from None
    except BaseException:
        run.judge(failed=True, hold=hold)
        raise
    _fail_for(run.judge(failed=False))
    return result


def _fail_for(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    run = item.stash.get(_RUN, None)
    if run is not None and call.when == "setup" and call.excinfo is not None and not run.sections:
        run.judge(failed=True)  # another fixture, which had a machine already
    report = yield
    if run is not None:
        sections, kept = run.take_evidence()
        if report.failed:
            report.sections += sections
            # A JUnit report takes them from the last phase's report, which is made of the item's.
            attachments = [("nullmodem_attachment", str(path)) for path in kept]
            item.user_properties += attachments
            report.user_properties += attachments
    return report
