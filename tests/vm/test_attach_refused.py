# SPDX-License-Identifier: Apache-2.0
"""Requests to attach that are wrong: what is said of them, before a line is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lab-bord"], "neither a line nor a target's name"),
        (["usb:1", "--vmlinux", "/dev/null"], "begins with none of"),
        (["tcp:127.0.0.1:1"], "vmlinux is not known"),
        (["/dev/nonexist"], "there is no device /dev/nonexist"),
        (["serial:/dev/null"], "/dev/null is no serial line"),
        (["tcp:127.0.0.1:1", "--vmlinux", "/dev/null", "--break-in", "nmi"], "no way to break in"),
        (["tcp:127.0.0.1:1", "--vmlinux", "/dev/null", "--console", "some"], "begins with none of"),
        (["tcp:127.0.0.1:1", "--vmlinux", "/nowhere/vmlinux"], "/nowhere/vmlinux"),
    ],
)
def test_a_wrong_request_is_refused_before_a_line_is_opened(cli: Cli, arguments: list[str], complaint: str) -> None:
    result = cli("attach", *arguments, "--no-gdb")
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
