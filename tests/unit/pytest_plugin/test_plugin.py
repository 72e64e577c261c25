# SPDX-License-Identifier: Apache-2.0
"""The plugin as pytest has it, up to the boot of a machine: tests/vm has the rest."""

from __future__ import annotations

import itertools

import pytest

pytest_plugins = "pytester"

SIMPLE = """\
    import pytest

    {marker}
    def test_it(kernel_target):
        raise AssertionError("no machine was to be booted")
"""


@pytest.fixture(autouse=True)
def _no_machine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a configuration of the user's, nor a program to boot a machine with."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(pytester.path / "config"))
    monkeypatch.chdir(pytester.path)


def test_the_help_and_the_markers_teach(pytester: pytest.Pytester) -> None:
    pytester.runpytest_inprocess("--help").stdout.fnmatch_lines(
        ["nullmodem: tests of kernel modules:", "*--nullmodem-kernel=NAME*", "*--nullmodem-target=NAME*"]
    )
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.kernel_target(*", "@pytest.mark.kernel_module(*", "@pytest.mark.kernel_allows(*"]
    )
    pytester.runpytest_inprocess("--fixtures").stdout.fnmatch_lines(
        ["kernel_machine *", "kernel_target -- *", "kernel_module -- *"]
    )


def test_it_costs_nothing_where_no_test_wants_a_kernel(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_was_imported():
            assert "nullmodem.pytest_plugin.plugin" in sys.modules
            ours = {name.removeprefix("nullmodem") for name in sys.modules if name.startswith("nullmodem")}
            assert ours <= {"", ".version", ".pytest_plugin", ".pytest_plugin.plugin"}
            assert not {"drgn", "capstone", "click", "rich", "qemu"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_a_matrix_makes_one_test_for_each_machine_those_of_one_together(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.kernel_target("6.1", "6.12")

        def test_one(kernel_target): ...

        @pytest.mark.kernel_target(smp=[1, 2])
        def test_two(kernel_module): ...

        def test_neither(): ...
        """
    )
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    tests = [line.partition("::")[2] for line in result.outlines if "::" in line]
    assert sorted(tests) == [
        *("test_neither", "test_one[6.12]", "test_one[6.1]"),
        *("test_two[6.1-smp2]", "test_two[6.12-smp2]", "test_two[6.12]", "test_two[6.1]"),
    ]
    machines = [test.partition("[")[2] for test in tests if "[" in test]
    assert len([one for one, two in itertools.pairwise(machines) if one != two]) == len(set(machines)) - 1


def test_the_default_kernels_come_from_the_command_line_or_the_configuration(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SIMPLE.format(marker=""))
    pytester.runpytest_inprocess("--collect-only", "-q").stdout.fnmatch_lines(["*test_it[[]6.1]"])
    pytester.makeini("[pytest]\nnullmodem_kernels = 6.12 6.1-kdb\n")
    pytester.runpytest_inprocess("--collect-only", "-q").stdout.fnmatch_lines(["*test_it[[]6.12]", "*it[[]6.1-kdb]"])
    result = pytester.runpytest_inprocess("--collect-only", "-q", "--nullmodem-kernel", "6.12-kdb")
    result.stdout.fnmatch_lines(["*test_it[[]6.12-kdb]"])
    result.stdout.no_fnmatch_line("*test_it[[]6.12]")


def test_on_a_board_a_matrix_is_one_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SIMPLE.format(marker='@pytest.mark.kernel_target("6.1", "6.12", smp=[1, 2])'))
    result = pytester.runpytest_inprocess("--collect-only", "-q", "--nullmodem-target", "lab-board")
    assert [line for line in result.outlines if "::" in line] == [
        "test_on_a_board_a_matrix_is_one_test.py::test_it[lab-board]"
    ]


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ('@pytest.mark.kernel_target("5.4")', "*test_it: there is no kernel '5.4'"),
        ("@pytest.mark.kernel_target(cpus=2)", "*test_it: kernel_target has no argument 'cpus'"),
        ("@pytest.mark.kernel_target(smp=[1, 'two'])", "*test_it: kernel_target: smp=[[]1, 'two'] cannot be"),
    ],
)
def test_a_wrong_matrix_is_an_error_of_collection(pytester: pytest.Pytester, marker: str, complaint: str) -> None:
    pytester.makepyfile(SIMPLE.format(marker=marker))
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([complaint])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py*")


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ("", "kernel_module: no module is named"),
        ('@pytest.mark.kernel_module("nothing")', "kernel_module: there is no */nothing"),
        ("@pytest.mark.kernel_module()", "kernel_module takes a path and name=value texts"),
        ('@pytest.mark.kernel_module(".", 7)', "kernel_module takes a path and name=value texts"),
        ('@pytest.mark.kernel_module(".", greeting="hi")', "kernel_module has no argument 'greeting'"),
    ],
)
def test_a_wrong_module_is_said_before_a_machine_boots(pytester: pytest.Pytester, marker: str, complaint: str) -> None:
    pytester.makepyfile(SIMPLE.format(marker=marker).replace("kernel_target", "kernel_module"))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([complaint])
    result.stdout.no_fnmatch_line("*plugin.py*")
    result.stdout.no_fnmatch_line("*booting*")


def test_a_board_that_nobody_has_named_is_said_with_those_there_are(pytester: pytest.Pytester) -> None:
    (pytester.path / "nullmodem.toml").write_text('[targets.lab-board]\nwire = "tcp:127.0.0.1:1"\n')
    pytester.makepyfile(SIMPLE.format(marker=""))
    result = pytester.runpytest_inprocess("--nullmodem-target", "lab-bord")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["'lab-bord' is neither a line nor a target's name", "Named targets: lab-board.*"])
    result = pytester.runpytest_inprocess("--nullmodem", "--nullmodem-target", "lab-bord")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: 'lab-bord' is neither a line nor a target's name"])


def test_a_machine_that_cannot_be_booted_fails_every_test_at_once_and_is_tried_once(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))
    pytester.makepyfile(
        """
        def test_one(kernel_target): ...
        def test_two(kernel_target): ...
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:xdist")
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("nullmodem: booting Linux 6.1") == 1
    assert result.stdout.str().count("qemu-system-x86_64 is missing") >= 2
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_preparing_says_what_is_missing_before_anything_is_collected(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(SIMPLE.format(marker=""))
    result = pytester.runpytest_inprocess("--nullmodem", "--nullmodem-kernel", "5.4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no kernel '5.4'*"])
    monkeypatch.setenv("PATH", str(pytester.path))
    result = pytester.runpytest_inprocess("--nullmodem")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: qemu-system-x86_64 is missing*"])


def test_one_board_is_not_shared_between_workers(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-n", "2", "--nullmodem-target", "lab-board")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --nullmodem-target and -n exclude each other*"])
