# SPDX-License-Identifier: Apache-2.0
"""Recording a session that runs already: through its control socket, from now on until somebody has had enough."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.control import ControlServer, Service
from nullmodem.api.recording import recording_of
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import RunningSession
from nullmodem.errors import UsageError
from nullmodem.session.model import State
from nullmodem.stub.recorded import read_stops
from nullmodem.wire.recording import read_recording
from support.rig import PID, Arrival
from support.rigged import kernel_file, rig
from support.served import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig

__all__ = ["kernel_file", "rig"]


@pytest.fixture
def remote(rig: Rig) -> Iterator[RemoteMachine]:
    """The rig's session, as another process has it."""
    with tempfile.TemporaryDirectory(prefix="nm-") as name:
        session = RunningSession("rig", Path(name), RECORD)
        server = ControlServer()
        server.listen(session.control_socket)
        machine = SimpleNamespace(live=rig.live)
        server.serve(Service(session, machine, (), lambda: None, Path(name) / "log"))  # type: ignore[arg-type]
        yield RemoteMachine(session)
        server.close()


def test_what_happens_meanwhile_is_in_the_file_and_nothing_else_is(
    rig: Rig, remote: RemoteMachine, tmp_path: Path
) -> None:
    code = rig.kernel.symbol("do_init_module") + 4
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Z0,%x,1" % code)
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    begun = threading.Event()
    reader, writer = os.pipe()
    recording = threading.Thread(
        target=lambda: remote.record(tmp_path / "rec", reader, lambda _text: begun.set()), daemon=True
    )
    recording.start()
    assert begun.wait(10)
    rig.happen(Arrival(code))
    assert gdb.stop().thread == PID
    shown = gdb.ask(b"m%x,10" % rig.kernel.symbol("modules"))
    os.write(writer, b"x")
    recording.join(10)
    gdb.ask(b"m%x,10" % rig.kernel.symbol("init_uts_ns"))  # nobody records that
    for descriptor in (reader, writer):
        os.close(descriptor)
    (stop,) = read_stops(read_recording(tmp_path / "rec").entries)
    assert (stop.signal, stop.thread) == (5, PID)
    assert stop.read(rig.kernel.symbol("modules"), 16) == bytes.fromhex(shown.decode())
    assert stop.read(rig.kernel.symbol("init_uts_ns"), 16) is None
    assert (tmp_path / "rec").stat().st_mode & 0o777 == 0o600


def test_a_second_recording_and_a_file_that_exists_are_refused(rig: Rig, tmp_path: Path) -> None:
    with recording_of(rig.live, tmp_path / "rec"):
        with pytest.raises(UsageError, match="recorded already"), recording_of(rig.live, tmp_path / "other"):
            pass
        assert not (tmp_path / "other").exists()
        with pytest.raises(UsageError, match="exists already"), recording_of(rig.live, tmp_path / "rec"):
            pass
    with recording_of(rig.live, tmp_path / "third"):
        pass
