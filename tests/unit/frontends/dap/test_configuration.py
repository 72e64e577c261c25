# SPDX-License-Identifier: Apache-2.0
"""The attributes of a configuration: each is taken as it is meant, or the error names it."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.attach import attach
from nullmodem.frontends.cli.run import run
from nullmodem.frontends.dap.configuration import ATTRIBUTES, Kind, Request, parse_configuration
from nullmodem.frontends.dap.session_process import command_line

ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers() | st.text(), max_size=2)
)


def test_paths_begin_where_the_configuration_says() -> None:
    configuration = parse_configuration(Request.LAUNCH, {"module": "a/b", "cwd": "/usr", "gdb": "~/gdb"})
    assert configuration["module"] == Path("/usr/a/b")
    assert configuration["gdb"] == Path("~/gdb").expanduser()
    assert parse_configuration(Request.LAUNCH, {"module": "/x"})["module"] == Path("/x")


@pytest.mark.parametrize(
    ("request_", "given_", "complaint"),
    [
        (Request.LAUNCH, {"module": 3}, "'module' wants a path, as a string, not '3'"),
        (Request.LAUNCH, {"cpus": True}, "'cpus' wants a whole number, not 'True'"),
        (Request.LAUNCH, {"parameters": "a=1"}, "'parameters' wants a list of strings, not 'a=1'"),
        (Request.LAUNCH, {"stopOnEntry": "yes"}, "'stopOnEntry' wants true or false, not 'yes'"),
        (Request.LAUNCH, {"threads": "some"}, "'threads' is one of cpus, all, not 'some'"),
        (Request.LAUNCH, {"sourceMap": {"a": 1}}, "'sourceMap' wants an object of strings"),
        (Request.ATTACH, {"vmlinux": "/v"}, "describes a target and names none"),
    ],
)
def test_a_value_that_is_none_is_named(request_: Request, given_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        parse_configuration(request_, given_)


def test_what_is_no_attribute_is_remarked_on_and_what_is_the_editors_is_not() -> None:
    given_ = {"name": "n", "type": "nullmodem", "request": "launch", "__sessionId": "1", "modul": "x", "target": "t"}
    assert parse_configuration(Request.LAUNCH, given_).remarks == (
        "there is no attribute 'modul'; did you mean 'module'?",
        "'target' is for attach, not for launch",
    )


@given(st.sampled_from(Request), st.dictionaries(st.sampled_from([a.name for a in ATTRIBUTES]) | st.text(), ANYTHING))
def test_any_configuration_is_taken_or_refused(request_: Request, given_: dict[str, Any]) -> None:
    with contextlib.suppress(UsageError):
        configuration = parse_configuration(request_, given_)
        assert set(configuration.values) == {a.name for a in ATTRIBUTES if request_ in a.requests}


@pytest.mark.parametrize(
    ("request_", "given_"),
    [
        (Request.LAUNCH, {}),
        (Request.LAUNCH, {"module": "/m", "kernel": "6.12", "cpus": 4, "kaslr": False, "append": "a", "session": "s"}),
        (Request.ATTACH, {"target": "pty:/x", "vmlinux": "/v", "modules": ["/a", "/b"], "breakIn": ["break", "shell"],
                          "buildTree": "/t", "targetConsole": "none", "debuginfod": True, "session": "s"}),
    ],
)  # fmt: skip
def test_every_session_that_can_be_asked_for_is_a_command_the_program_takes(
    request_: Request, given_: dict[str, Any]
) -> None:
    name, *words = command_line(parse_configuration(request_, given_))
    command = {"run": run, "attach": attach}[name]
    taken = command.make_context(name, [word for word in words if word != "--leash"]).params
    assert taken["no_gdb"] is True
    assert (taken.get("path"), taken.get("target")) == (
        Path(given_["module"]) if "module" in given_ else None, given_.get("target"),
    )  # fmt: skip
    assert taken["name"] == given_.get("session", "")


def test_the_extension_for_vs_code_has_the_same_attributes(repository: Path) -> None:
    package = json.loads((repository / "editors" / "vscode" / "package.json").read_text(encoding="utf-8"))
    (debugger,) = package["contributes"]["debuggers"]
    types = {Kind.TEXT: "string", Kind.PATH: "string", Kind.FLAG: "boolean", Kind.NUMBER: "integer",
             Kind.TEXTS: "array", Kind.PATHS: "array", Kind.MAP: "object"}  # fmt: skip
    for request in Request:
        shown = debugger["configurationAttributes"][request.value]["properties"]
        wanted = {a.name: (types[a.kind], a.summary) for a in ATTRIBUTES if request in a.requests}
        assert {name: (each["type"], each["description"]) for name, each in shown.items()} == wanted


def test_every_attribute_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "launch.md").read_text(encoding="utf-8")
    for attribute in ATTRIBUTES:
        assert f"| `{attribute.name}` |" in page, attribute.name
