# SPDX-License-Identifier: Apache-2.0
"""How long a page waits for a stop: from the session's event to the message at its end of the socket."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.web.server import WebServer
from nullmodem.kbuild import ensure_kernel
from nullmodem.session.events import Subscription
from nullmodem.session.model import Stopped

if TYPE_CHECKING:
    from nullmodem.api.machine import Machine
    from nullmodem.session.model import Event

MODULE = Path(__file__).resolve().parent.parent / "tests" / "modules" / "counter"
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PageTimes:
    """Milliseconds: to the message that says where the target stands, and to the last of what a page shows of it."""

    stops: int
    shown: float
    slowest: float
    complete: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        return (
            f"A stop shows on a page {self.shown:.0f} ms after the session's event (median of {self.stops}, "
            f"{self.slowest:.0f} ms at most); stack, variables, registers, processors and source are there after "
            f"{self.complete:.0f} ms."
        )


class _Clock(Subscription):
    """When the session has told of each stop: noted in its own thread, before anybody is told.

    A thread that waits for events would note it when it gets to run, some 20 ms later and after the page.
    """

    def __init__(self, machine: Machine) -> None:
        self.at: dict[int, float] = {}
        bus = machine.live.look_into(lambda session: session.bus)
        super().__init__(bus, capacity=1)
        bus.add(self)

    def put(self, event: Event) -> None:
        if isinstance(event, Stopped):
            self.at[event.stop.number] = time.monotonic()


def measure_page(kernel: str, stops: int = 50) -> PageTimes:
    """Stop again and again in a module, with one page open, in this process."""
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as work:
        machine = boot("bench", BootOptions(kernel=ensure_kernel(kernel)), Path(work))
        try:
            machine.build(MODULE, module="simple")
            machine.load("simple").wait()
            with contextlib.closing(_Clock(machine)) as clock, contextlib.closing(WebServer(machine)) as server:
                return _measure(machine, server, clock, stops)
        finally:
            machine.close()


def _measure(machine: Machine, server: WebServer, clock: _Clock, stops: int) -> PageTimes:
    key = server.key
    shown, complete = [], []
    address = f"ws://{key.authorities[0]}/socket"
    settings: dict[str, Any] = {
        "additional_headers": {"Cookie": f"{key.cookie}={key.pass_}"},
        "subprotocols": ["nullmodem", key.tab],
        "origin": f"http://{key.authorities[0]}",
    }
    with connect(address, max_size=None, max_queue=None, proxy=None, **settings) as page:

        def until(**wanted: Any) -> dict[str, Any]:
            while True:
                message: dict[str, Any] = json.loads(page.recv(SECONDS))
                if wanted.items() <= message.items():
                    return message

        def ask(id_: int, **request: Any) -> dict[str, Any]:
            page.send(json.dumps({"id": id_, **request}))
            return until(id=id_)

        ask(0, do="break_at", function="simple_read")
        for _ in range(stops):
            command = machine.run("head -c5 /dev/simple")
            state = until(type="state", state="stopped")
            now, stop = time.monotonic(), state["stop"]
            began = clock.at[stop["number"]]
            shown.append(now - began)
            for number, do in enumerate(("threads", "stack", "locals", "registers", "source"), 1):
                thread = {} if do in ("threads", "source") else {"thread": stop["thread"]}
                file = {"file": stop["place"]["file"]} if do == "source" else {}
                ask(number, do=do, **thread, **file)
            complete.append(time.monotonic() - began)
            ask(9, do="continue")
            command.result()
    median = statistics.median
    return PageTimes(stops, 1000 * median(shown), 1000 * max(shown), 1000 * median(complete))
