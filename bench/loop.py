# SPDX-License-Identifier: Apache-2.0
"""How long a module developer waits: the source is changed and one key pressed, and the rebuilt module stands at the
same breakpoint. Seconds are those of this machine.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nullmodem.frontends.dap.codec import Decoder, encode
from nullmodem.kbuild import ensure_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "simple"
WANTED = "return simple_read_from_buffer"
PROGRAM = (sys.executable, "-m", "nullmodem", "dap")


class Editor:
    """As much of one as the loop takes: what it asks is answered in order, what happens is waited for."""

    def __init__(self, runtime: Path) -> None:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self._process = subprocess.Popen(
            PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
        )
        self._numbers = itertools.count(1)
        self._decoder = Decoder()
        self._passed: list[dict[str, Any]] = []

    def ask(self, command: str, **arguments: Any) -> None:
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(
            encode({"seq": number, "type": "request", "command": command, "arguments": arguments})
        )
        answer = self._await(lambda message: message.get("request_seq") == number)
        if not answer["success"]:
            raise SystemExit(f"{command}: {answer['message']}")

    def event(self, name: str) -> dict[str, Any]:
        body = self._await(lambda message: message.get("event") == name).get("body", {})
        assert isinstance(body, dict)
        return body

    def _await(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for index, message in enumerate(self._passed):
            if wanted(message):
                return self._passed.pop(index)
        while True:
            message = self._next()
            if wanted(message):
                return message
            self._passed.append(message)

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while (body := self._decoder.next()) is None:
            data = self._process.stdout.read(1 << 16)
            if not data:
                raise SystemExit("the adapter has ended")
            self._decoder.feed(data)
        message = json.loads(body)
        assert isinstance(message, dict)
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Loops:
    """``first``: from launch, in a machine that is not there yet; ``again``: from the key, each time."""

    first: float
    again: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        middle, worst = statistics.median(self.again), max(self.again)
        return (
            f"from launch to the breakpoint: {self.first:.1f} s; from the key after a change of the source to the same "
            f"breakpoint in the rebuilt module: {middle:.1f} s (median of {len(self.again)}; worst {worst:.1f} s)"
        )


def measure_loops(kernel: str, times: int) -> Loops:
    ensure_kernel(kernel)
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as work:
        module = shutil.copytree(EXAMPLE, Path(work) / "simple")
        (runtime := Path(work) / "run").mkdir(mode=0o700)
        with Editor(runtime) as editor:
            return _loops(editor, module, kernel, times)


def _loops(editor: Editor, module: Path, kernel: str, times: int) -> Loops:
    source = module / "simple.c"
    text = source.read_text(encoding="utf-8")
    configuration = {"module": str(module), "kernel": kernel, "exec": "cat /dev/simple", "stopOnEntry": False}

    def break_there(changes: int) -> None:
        line = text[: text.index(WANTED)].count("\n") + 1 + changes
        editor.ask("setBreakpoints", source={"path": str(source)}, breakpoints=[{"line": line}])

    editor.ask("initialize")
    began = time.monotonic()
    editor.ask("launch", **configuration)
    editor.event("initialized")
    break_there(0)
    editor.ask("configurationDone")
    editor.event("stopped")
    first = time.monotonic() - began
    again = []
    for changes in range(1, times + 1):
        source.write_text("/* one line more */\n" * changes + text, encoding="utf-8")
        break_there(changes)
        began = time.monotonic()
        editor.ask("restart", arguments=configuration)
        editor.event("stopped")
        again.append(time.monotonic() - began)
    editor.ask("terminate")
    editor.ask("disconnect")
    return Loops(first, tuple(again))
