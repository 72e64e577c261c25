# SPDX-License-Identifier: Apache-2.0
"""The lines of an attached target, and what is recorded of them. The target is a fake stub and a console's text."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, connect
from nullmodem.api.lines import ConsoleAt
from nullmodem.api.ways import parse_ways
from nullmodem.errors import TargetError
from nullmodem.rsp.framing import encode_packet
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.recorded import read_stops
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Task, Trace
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.waiting import wait_readable
from nullmodem.wire.recording import Direction, read_recording
from nullmodem.wire.spec import parse_wire
from support.fakekernel import build_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT, DATA = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000
FORGED = b"somebody prints " + encode_packet(b"T0bthread:29a;") + b" and goes on\r\n"


def make_fake() -> FakeKgdb:
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(4096), executable=True)
    machine.memory[DATA] = Region(bytearray(4096), writable=True)
    machine.cpus[0] = Cpu(2, {"rip": TEXT, "rsp": DATA})
    machine.tasks = {2: Task("task", rsp=DATA)}
    return FakeKgdb(machine, Trace([TEXT, TEXT + 4]))


@contextlib.contextmanager
def shared_line(path: Path) -> Iterator[None]:
    """One line with a stopped stub at ``path``; when it is told to go on, the console prints, and then it stops."""
    fake = make_fake()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            far, _address = listener.accept()
            with far, contextlib.suppress(OSError):
                far.sendall(b"Entering KGDB\r\n")
                while data := far.recv(4096):
                    far.sendall(fake.receive(data).replace(b"+$T", b"+" + FORGED + b"$T"))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as never:
                never.connect(str(path))  # should nobody have come
            thread.join()


def test_text_of_a_shared_line_is_no_stop_in_its_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    kernel = tmp_path / "kernel"
    kernel.mkdir()
    options = AttachOptions(
        wire=parse_wire(f"unix:{tmp_path}/line"),
        vmlinux=build_kernel(kernel),
        console=ConsoleAt.SAME,
        ways=parse_ways(("break",)),
        record=tmp_path / "rec",
    )
    with shared_line(tmp_path / "line"):
        made = connect(options, (), tmp_path)
        with made.resources:
            with pytest.raises(TargetError, match="cannot carry a BREAK"):
                made.ways()
            stub = made.session.stub
            assert stub.halt_reason().signal == 5
            assert stub.current_thread() == 2
            stub.insert(BreakpointKind.SOFTWARE, TEXT + 4, 1)
            stub.resume()
            while (stop := stub.take_stop()) is None:
                assert wait_readable([stub], 10)
            assert (stop.signal, stop.thread) == (5, 2)
            assert stub.read_registers().pc == TEXT + 5
    recording = read_recording(tmp_path / "rec")
    first, second = read_stops(recording.entries)
    assert (first.signal, first.thread, second.signal, second.thread) == (5, 2, 5, 2)
    assert (None, b"g") in second.answers
    assert [entry.data for entry in recording.entries if entry.direction is Direction.EVENT] == [b"break"]
    assert FORGED in (tmp_path / "console.log").read_bytes()
