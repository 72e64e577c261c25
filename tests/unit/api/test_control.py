# SPDX-License-Identifier: Apache-2.0
"""The control socket, both ends of it, with a machine that is not there."""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api import control_protocol as protocol
from nullmodem.api.control import is_this_user
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import RunningSession
from nullmodem.errors import (
    BuildError,
    CommandError,
    LeaseError,
    NoSessionError,
    SessionError,
    StateError,
    UsageError,
    WireTimeout,
)
from nullmodem.session.model import Said
from nullmodem.waiting import wait_readable
from support.pretend import STOP, TEXT
from support.served import RECORD, SECONDS, Served, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.kbuild import Progress


def test_only_its_owner_can_open_the_socket(served: Served) -> None:
    assert stat.S_IMODE(served.session.control_socket.stat().st_mode) == 0o600


class Peer:
    """A connection whose other end is a process of the given user."""

    def __init__(self, uid: int) -> None:
        self._credentials = struct.pack("3i", 1, uid, 1)  # struct ucred

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (socket.SOL_SOCKET, socket.SO_PEERCRED, len(self._credentials))
        return self._credentials


def test_only_this_user_and_root_are_served(served: Served) -> None:
    with served.connect() as connection:
        assert is_this_user(connection)
    allowed = {uid for uid in (0, os.getuid(), os.getuid() + 1, 65534) if is_this_user(Peer(uid))}  # type: ignore[arg-type]
    assert allowed == {0, os.getuid()}


def test_facts_arrive_as_they_are(served: Served) -> None:
    status = served.remote.status()
    assert (status.name, status.pid, status.kernel, status.known) == ("simple", RECORD.pid, "6.1", ("simple",))
    assert status.gdb == ("/r/gdb.sock",)
    assert (status.target.state, status.target.stop, status.target.holder) == ("running", None, "gdb")
    assert [module.name for module in served.remote.modules()] == ["simple", "stale"]
    load_map = served.remote.load_map("simple")
    assert [(section.name, section.address) for section in load_map.sections] == [(".text", TEXT), (".init.text", None)]
    assert served.remote.load_map("stale").sections == ()


def test_verbs_arrive_with_their_arguments(served: Served, tmp_path: Path) -> None:
    reports: list[Progress] = []
    notes: list[str] = []
    assert served.remote.build(tmp_path, reports.append).name == "simple"
    assert served.remote.load("simple", ["a=1", "b=ü"], notes.append).stopped is None
    assert served.remote.unload("simple", force=True).module == "simple"
    assert served.remote.reload("simple", reports.append, notes.append).holder == ""
    assert served.remote.push(tmp_path / "f", "/tmp", notes.append) == "/tmp/f"
    assert served.remote.push(tmp_path / "f") == "/host/f"
    assert notes == ["copying"] * 3
    assert served.remote.execute(["one line"], lambda _data: None) == 0
    assert served.remote.execute(["two", "words"], lambda _data: None) == 0
    assert served.machine.diary == [
        ("build", tmp_path),
        ("load", "simple", ("a=1", "b=ü")),
        ("unload", "simple", True),
        ("reload", "simple"),
        ("push", tmp_path / "f", "/tmp"),
        ("push", tmp_path / "f", None),
        ("execute", "one line"),
        ("execute", ("two", "words")),
    ]
    assert [(report.fraction, report.seconds_left) for report in reports] == [(None, None), (0.5, 2.0)]


def test_a_path_is_made_absolute_where_it_was_named(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.session.directory)
    served.remote.build(Path("module"))
    assert served.machine.diary == [("build", served.session.directory / "module")]


def test_output_arrives_byte_for_byte_and_with_the_exit_code(served: Served) -> None:
    sent = bytes(range(256)) * 1000

    def act(_verb: str, out: Callable[[bytes], None]) -> int:
        out(b"")
        out(sent)
        out(b"end")
        return 77

    served.machine.act = act
    got = bytearray()
    assert served.remote.execute(["x"], got.extend) == 77
    assert bytes(got) == sent + b"end"


def test_errors_are_raised_as_they_were(served: Served) -> None:
    for error in (
        UsageError("no such module", hint="there are others"),
        StateError("stopped", state="stopped"),
        BuildError("did not build", output="a.c:1: error"),
        CommandError("insmod failed", code=3, output="why"),
    ):
        served.machine.error = error
        with pytest.raises(type(error)) as raised:
            served.remote.load("simple")
        assert vars(raised.value) == vars(error)
    served.machine.error = None
    served.remote.interrupt()
    with pytest.raises(LeaseError, match="gdb holds the target") as raised_lease:
        served.remote.continue_target()
    assert raised_lease.value.holder == "gdb"


def test_a_bug_in_the_session_is_an_error_here_and_does_not_end_it(served: Served) -> None:
    served.machine.error = ZeroDivisionError("division by zero")
    with pytest.raises(SessionError, match="failed inside: ZeroDivisionError: division by zero"):
        served.remote.load("simple")
    assert served.remote.status().name == "simple"


def test_a_stop_is_an_answer_to_loading(served: Served) -> None:
    released = threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        served.machine.live.halt()
        released.wait(SECONDS)
        return 0

    served.machine.act = act
    done = served.remote.load("simple")
    assert done.stopped is not None
    assert (done.stopped.number, done.stopped.where, done.holder) == (STOP.number, "simple:simple_init", "gdb")
    released.set()


def test_what_fails_when_nobody_waits_any_more_is_said_to_who_listens(served: Served) -> None:
    released = threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        served.machine.live.halt()
        released.wait(SECONDS)
        raise CommandError("insmod failed", code=1, output="why")

    served.machine.act = act
    heard = served.machine.live.subscribe()
    assert served.remote.load("simple").stopped is not None
    released.set()
    while (event := heard.get()) != Said("insmod failed"):
        assert event is not None or wait_readable([heard], SECONDS)
    heard.close()


def test_a_stop_under_a_command_is_told_once_and_the_command_waited_for(served: Served) -> None:
    released = threading.Event()

    def act(_verb: str, out: Callable[[bytes], None]) -> int:
        served.machine.live.halt()
        served.machine.live.halt()
        released.wait(SECONDS)
        out(b"done")
        return 3

    served.machine.act = act
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        released.set()

    got = bytearray()
    assert served.remote.execute(["x"], got.extend, note) == 3
    assert got == b"done"
    assert said == ["the target has stopped at simple:simple_init; the command goes on when it does"]


@pytest.mark.parametrize("well", [True, False])
def test_what_takes_long_is_said_when_the_target_does_nothing_else(served: Served, *, well: bool) -> None:
    machine, said = served.machine, list[str]()
    machine.well = well
    machine.act = lambda _verb, _out: 0 if machine.asked.wait(SECONDS) else 1  # ends once it has been looked after
    assert served.remote.load("simple", (), said.append).module == "simple"
    assert said[-1].startswith("the change of simple has not ended after 0 s")
    assert ("`nullmodem interrupt` stops it and says where" in said[-1]) == (not well)
    machine.asked.clear()
    said.clear()
    assert served.remote.execute(["x"], lambda _data: None, said.append) == 0
    assert bool(said) == (not well), "a command may take its time on a target that is well"


def test_a_client_that_goes_has_its_command_ended(served: Served) -> None:
    begun, released = threading.Event(), threading.Event()

    def act(_verb: str, out: Callable[[bytes], None]) -> int:
        begun.set()
        released.wait(SECONDS)
        out(b"nobody hears this")
        return 0

    served.machine.act = act
    with served.connect() as connection:
        connection.sendall(protocol.encode_request(protocol.Execute(("sleep",))))
        assert begun.wait(SECONDS)
    assert served.machine.cancelled.wait(SECONDS)
    released.set()


def test_a_client_that_goes_while_it_is_told_of_a_stop_has_its_command_ended(served: Served) -> None:
    begun, heard_no_more, released = threading.Event(), threading.Event(), threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        begun.set()
        assert heard_no_more.wait(SECONDS)
        served.machine.live.halt()
        released.wait(SECONDS)
        return 0

    served.machine.act = act
    with served.connect() as connection:
        connection.sendall(protocol.encode_request(protocol.Execute(("sleep",))))
        assert begun.wait(SECONDS)
        connection.shutdown(socket.SHUT_RD)  # what is sent fails, and nothing has come to be read
        heard_no_more.set()
        assert served.machine.cancelled.wait(SECONDS)
    released.set()


def test_a_client_that_goes_does_not_end_a_load(served: Served) -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        begun.set()
        released.wait(SECONDS)
        ended.set()
        return 0

    served.machine.act = act
    with served.connect() as connection:
        connection.sendall(protocol.encode_request(protocol.Load("simple")))
        assert begun.wait(SECONDS)
    released.set()
    assert ended.wait(SECONDS)
    assert not served.machine.cancelled.is_set()


def test_stopping_returns_when_everything_has_ended(served: Served) -> None:
    thread, results = in_thread(lambda: served.remote.stop(SECONDS))
    assert served.end_asked.wait(SECONDS)
    assert thread.is_alive()
    assert served.remote.status().name == "simple"  # until then it answers
    served.server.close()
    thread.join(SECONDS)
    assert results == [None]


def test_a_session_that_does_not_end_is_not_waited_for_for_ever(served: Served) -> None:
    with pytest.raises(WireTimeout, match="did not answer within 0 s") as raised:
        served.remote.stop(0.2)
    assert f"kill {RECORD.pid}" in raised.value.hint


def test_a_session_that_ends_in_the_middle_is_an_error_at_once(served: Served) -> None:
    begun = threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        begun.set()
        threading.Event().wait(SECONDS)
        return 0

    served.machine.act = act
    thread, results = in_thread(lambda: served.remote.execute(["x"], lambda _data: None))
    assert begun.wait(SECONDS)
    served.server.close()
    thread.join(SECONDS)
    (error,) = results
    assert isinstance(error, SessionError)
    assert "ended before it had answered" in error.message


def test_whoever_comes_before_there_is_something_to_serve_waits_for_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        served = Served(Path(directory))
        served.listen()
        thread, results = in_thread(served.remote.status)
        served.serve()
        thread.join(SECONDS)
        served.server.close()
    (status,) = results
    assert isinstance(status, protocol.SessionStatus)


def test_whoever_waits_for_a_session_that_never_begins_is_told(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        served = Served(Path(directory))
        with pytest.raises(NoSessionError, match="it is starting"):
            served.remote.status()
        served.listen()
        thread, results = in_thread(served.remote.status)
        with pytest.raises(WireTimeout):
            served.remote.status(0.1)
        served.server.close()
        thread.join(SECONDS)
        assert isinstance(results[0], SessionError)
        with pytest.raises(NoSessionError, match="does not answer: Connection refused"):
            served.remote.status()


def test_a_session_of_another_protocol_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    record = replace(RECORD, protocol=protocol.VERSION + 1, version="9.9")
    with pytest.raises(SessionError, match=r"was started by nullmodem 9\.9, which speaks another protocol"):
        RemoteMachine(RunningSession("simple", tmp_path, record))
