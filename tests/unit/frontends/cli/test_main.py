# SPDX-License-Identifier: Apache-2.0
"""The program as a whole: help that teaches, errors as users see them, exit codes that programs can rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import nullmodem
from nullmodem import __version__
from nullmodem.__main__ import main
from nullmodem.errors import BuildError, CommandError, NoSessionError, UsageError
from nullmodem.frontends.cli.program import Program, printable

ALL = {
    *("run", "kernel", "status", "list", "modules", "loadmap", "gdb", "interrupt", "continue", "load", "unload"),
    *("recover", "reload", "exec", "push", "console", "stop", "gdbstart", "gdbinit", "bench", "attach"),
    *("oops", "record", "replay", "doctor", "kdb", "shell", "script", "dap", "web"),
}


def program(error: BaseException) -> click.Group:
    """A program with one command, which raises ``error``."""

    @click.command()
    def fail() -> None:
        raise error

    group = Program("test", sections={})
    group.add_command(fail)
    group.params.append(click.Option(["--debug"], is_flag=True))
    return group


def test_every_command_is_listed_in_a_section() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    listed = {line.split()[0] for line in result.output.splitlines() if line.startswith("  ") and line.split()}
    assert listed >= ALL
    assert set(main.list_commands(click.Context(main))) == ALL


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_teaches_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"nullmodem {name}" in result.output
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.short_help
    assert len(command.help or "") > len(command.short_help)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"nullmodem, version {__version__}\n"


def test_the_module_is_the_program_too() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "nullmodem", "--version"],
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[4] / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"nullmodem, version {__version__}\n"
    for script in entry_points(group="console_scripts", name="nullmodem"):
        assert script.value == "nullmodem.__main__:main"


def test_a_question_imports_nothing_that_only_a_session_needs() -> None:
    ask = "import sys; from nullmodem.__main__ import main; main(['list'], standalone_mode=False); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": str(Path(nullmodem.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(result.stdout.split())
    assert "nullmodem.frontends.cli.facts" in imported
    assert not imported & {"drgn", "elftools", "nullmodem.stub", "nullmodem.frontends.gdb.server", "nullmodem.api.live"}


def test_a_typo_is_met_with_what_was_meant() -> None:
    result = CliRunner().invoke(main, ["relaod", "simple"])
    assert result.exit_code == 2
    assert "No such command 'relaod'" in result.output


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no such thing", hint="try another"), 2, "nullmodem: no such thing\ntry another\n"),
        (NoSessionError("none runs"), 2, "nullmodem: none runs\n"),
        (BuildError("no module", output="a.c:1: error: x\n"), 1, "a.c:1: error: x\nnullmodem: no module\n"),
        (CommandError("it failed", code=7, output="why"), 1, "nullmodem: it failed\n"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, ""),
    ],
)
def test_an_error_is_its_message_its_hint_and_its_exit_code(error: BaseException, code: int, said: str) -> None:
    result = CliRunner().invoke(program(error), ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, said, "")


def test_an_error_nobody_expected_is_one_line_and_where_to_find_more() -> None:
    result = CliRunner().invoke(program(ZeroDivisionError("by zero")), ["fail"])
    assert result.exit_code == 1
    assert "nullmodem: ZeroDivisionError: by zero\n" in result.stderr
    assert "nullmodem --debug" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), UsageError("no such thing")])
def test_debug_shows_where_an_error_came_from(error: Exception) -> None:
    result = CliRunner().invoke(program(error), ["--debug", "fail"])
    assert "Traceback" in result.stderr
    assert "raise error" in result.stderr


def test_what_comes_from_the_target_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\r\x9b1m\n\tü…") == "a\\x1b[2Jb\\x07\\x0d\\x9b1m\n\tü…"
    result = CliRunner().invoke(program(CommandError("said \x1b]0;x\x07", code=1, output="")), ["fail"])
    assert "\x1b" not in result.stderr


def test_colour_is_for_terminals_only() -> None:
    failing = program(UsageError("no such thing"))
    assert "\x1b[" not in CliRunner().invoke(failing, ["fail"]).stderr
    assert "\x1b[" in CliRunner().invoke(failing, ["fail"], color=True).stderr


def test_ctrl_c_while_the_program_is_still_being_read_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    source = str(Path(nullmodem.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-m", "nullmodem"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{source}"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (130, b"")
