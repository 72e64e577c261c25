# SPDX-License-Identifier: Apache-2.0
"""Scripts and their errors, and the lines between a room and its client: what needs no target."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nullmodem
from nullmodem.errors import RemoteProtocolError, UsageError
from nullmodem.frontends.python.room import run_script
from nullmodem.frontends.python.room_protocol import Channel
from nullmodem.frontends.python.tracebacks import without_ours

if TYPE_CHECKING:
    from collections.abc import Iterator


def ran(path: Path, source: str, *arguments: str, **names: object) -> tuple[int, str]:
    written: list[str] = []
    before = list(sys.argv), list(sys.path)
    code = run_script(path, source, arguments, dict(names), written.append)
    assert (sys.argv, sys.path) == before
    return code, "".join(written)


def test_a_script_has_its_names_its_arguments_and_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 5\n")
    source = "import sys, beside\nassert (sys.argv[1:], beside.value, given, __file__) == (['a'], 5, 1, sys.argv[0])\n"
    assert ran(tmp_path / "script.py", source, "a", given=1) == (0, "")


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no such board')", 1, "no such board\n"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_its_end_is_an_exit_code(tmp_path: Path, source: str, code: int, said: str) -> None:
    assert ran(tmp_path / "script.py", source) == (code, said)


def test_an_error_is_told_with_the_scripts_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("def inner():\n    1 / 0\n\ninner()\n")
    code, said = ran(path, path.read_text())
    assert code == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert [line.split(", ")[1] for line in said.splitlines() if line.startswith("  File")] == ["line 4", "line 2"]
    assert said.endswith("ZeroDivisionError: division by zero\n")
    code, said = ran(path, "1 +")
    assert (code, "SyntaxError" in said) == (1, True)

    def refuse() -> None:
        raise UsageError("that cannot be", hint="try this")

    code, said = ran(path, "refuse()", refuse=refuse)
    assert code == 2
    assert said.endswith("nullmodem.errors.UsageError: that cannot be\ntry this\n")


def test_what_pythons_library_does_for_us_is_not_shown(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    ours = "from concurrent.futures import ThreadPoolExecutor\n"
    ours += "def call():\n    with ThreadPoolExecutor(1) as pool:\n        pool.submit(int, 'x').result()\n"
    exec(compile(ours, str(Path(nullmodem.__file__).with_name("pretended.py")), "exec"), names)
    path = tmp_path / "script.py"
    path.write_text("\ncall()\n")
    code, said = ran(path, path.read_text(), call=names["call"])
    assert code == 1
    assert [line.split('"')[1] for line in said.splitlines() if line.startswith("  File")] == [str(path)]


def test_a_traceback_that_is_all_ours_stays() -> None:
    with pytest.raises(AttributeError) as raised:
        Channel.receive(None)  # type: ignore[arg-type]
    ours = raised.tb.tb_next
    assert ours is not None
    assert without_ours(ours) is ours
    shown = without_ours(raised.tb)
    assert shown is not None
    assert shown.tb_next is None


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield Channel(here), there


def test_messages_come_whole_however_they_were_cut(ends: tuple[Channel, socket.socket]) -> None:
    channel, peer = ends
    other = Channel(peer)
    other.send(feed="1\n2")
    peer.sendall(b'{"a": 1}\n{"b"')
    assert channel.receive() == {"feed": "1\n2"}
    assert channel.receive() == {"a": 1}
    peer.sendall(b": 2}\n")
    assert channel.receive() == {"b": 2}
    peer.shutdown(socket.SHUT_RDWR)
    assert channel.receive() is None


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"7\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_message_is_refused(ends: tuple[Channel, socket.socket], line: bytes) -> None:
    channel, peer = ends
    peer.sendall(line)
    with pytest.raises(RemoteProtocolError):
        channel.receive()
