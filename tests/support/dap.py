# SPDX-License-Identifier: Apache-2.0
"""An editor, as far as its debug adapter can tell: sends requests, waits for answers and events."""

from __future__ import annotations

import itertools
import json
import queue
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from nullmodem.frontends.dap.codec import Decoder, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = 40.0
CLIENT = {
    "clientID": "test", "adapterID": "nullmodem", "linesStartAt1": True, "columnsStartAt1": True,
    "supportsVariableType": True, "supportsVariablePaging": True, "supportsMemoryReferences": True,
}  # fmt: skip
"""What an editor says of itself."""
Message = dict[str, Any]


class Dap:
    """One conversation. Messages are looked at in the order in which they came; `event` passes over others, which
    `seen` still finds.
    """

    def __init__(self, write: Callable[[bytes], object], read: Callable[[], bytes]) -> None:
        self.write = write
        self._read = read
        self._numbers = itertools.count(1)
        self._arrived: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._waiting: list[Message] = []
        self.transcript: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        decoder = Decoder()
        try:
            while data := self._read():
                decoder.feed(data)
                while (body := decoder.next()) is not None:
                    message = json.loads(body)
                    self.transcript.append(f"<< {json.dumps(message)[:2000]}")
                    self._arrived.put(message)
        except (OSError, ValueError):
            pass
        self._arrived.put(None)

    def send(self, command: str, **arguments: Any) -> int:
        """Ask something and do not wait; the request's number."""
        number = next(self._numbers)
        self.transcript.append(f">> {number} {command} {json.dumps(arguments)[:2000]}")
        self.write(encode({"seq": number, "type": "request", "command": command, "arguments": arguments}))
        return number

    def together(self, *requests: tuple[str, Any]) -> list[int]:
        """Send several requests, each a command with its arguments, so that none is seen before the next has come."""
        numbers = [next(self._numbers) for _each in requests]
        messages = [
            {"seq": number, "type": "request", "command": command, "arguments": arguments}
            for number, (command, arguments) in zip(numbers, requests, strict=True)
        ]
        self.transcript += [f">> {json.dumps(message)[:2000]}" for message in messages]
        self.write(b"".join(map(encode, messages)))
        return numbers

    def answer(self, number: int, *, seconds: float = SECONDS) -> Message:
        """Wait for the answer to a request."""
        return self._wait(lambda m: m["type"] == "response" and m["request_seq"] == number, f"answer {number}", seconds)

    def ask(self, command: str, *, seconds: float = SECONDS, **arguments: Any) -> Any:
        """Ask what has to work; the answer's body."""
        answer = self.answer(self.send(command, **arguments), seconds=seconds)
        assert answer["success"], answer
        return answer.get("body")

    def refused(self, command: str, **arguments: Any) -> str:
        """Ask what has to fail; the message."""
        answer = self.answer(self.send(command, **arguments))
        assert not answer["success"], answer
        return str(answer["message"])

    def event(self, name: str, *, seconds: float = SECONDS, **fields: Any) -> Any:
        """Wait for an event with these fields in its body; the body."""

        def wanted(message: Message) -> bool:
            body = message.get("body", {})
            return message.get("event") == name and all(body.get(key) == value for key, value in fields.items())

        return self._wait(wanted, f"event {name} {fields}", seconds).get("body", {})

    def output(self, text: str, *, seconds: float = SECONDS) -> str:
        """Wait for output that has this text in it."""
        message = self._wait(
            lambda m: m.get("event") == "output" and text in m["body"]["output"], f"output {text!r}", seconds
        )
        return str(message["body"]["output"])

    def end(self, *, seconds: float = SECONDS) -> list[Message]:
        """Wait until the adapter has hung up; what came until then."""
        left = [*self._waiting]
        while (message := self._arrived.get(timeout=seconds)) is not None:
            left.append(message)
        self._thread.join()
        return left

    def pending(self, name: str) -> list[Any]:
        """Events of that name which have come and were not waited for."""
        while not self._arrived.empty():
            message = self._arrived.get()
            if message is not None:
                self._waiting.append(message)
        return [message["body"] for message in self._waiting if message.get("event") == name]

    def forget(self) -> None:
        """Nobody will ask for what has come until now."""
        self.pending("")
        self._waiting.clear()

    def _wait(self, wanted: Callable[[Message], bool], what: str, seconds: float) -> Message:
        for index, message in enumerate(self._waiting):
            if wanted(message):
                del self._waiting[index]
                return message
        while True:
            try:
                message_or_end = self._arrived.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no {what} within {seconds:.0f} s\n{self.shown}") from None
            if message_or_end is None:
                raise AssertionError(f"no {what}: the adapter has hung up\n{self.shown}")
            if wanted(message_or_end):
                return message_or_end
            self._waiting.append(message_or_end)

    @property
    def shown(self) -> str:
        return "\n".join(self.transcript[-60:])

    # -- what every editor does ----------------------------------------------------------------------------------

    def begin(self, request: str, **configuration: Any) -> Any:
        """initialize, and launch or attach until breakpoints may be set; the capabilities."""
        capabilities = self.ask("initialize", **CLIENT)
        self.ask(request, **configuration)
        self.event("initialized")
        return capabilities

    def configured(self) -> None:
        self.ask("configurationDone")

    def stopped(self, *, seconds: float = SECONDS, **fields: Any) -> Any:
        return self.event("stopped", seconds=seconds, **fields)

    def frames(self, thread: int, levels: int = 3) -> list[Message]:
        return list(self.ask("stackTrace", threadId=thread, levels=levels)["stackFrames"])

    def go_on(self) -> None:
        self.ask("continue", threadId=1)

    def variables(self, reference: int) -> dict[str, Message]:
        return {each["name"]: each for each in self.ask("variables", variablesReference=reference)["variables"]}

    def scope(self, frame: int, name: str) -> dict[str, Message]:
        """The variables of one; none where gdb leaves it out, as it does with one that is empty."""
        scopes = self.ask("scopes", frameId=frame)["scopes"]
        references = [each["variablesReference"] for each in scopes if each["name"] == name]
        return self.variables(references[0]) if references else {}

    def repl(self, expression: str) -> str:
        return str(self.ask("evaluate", expression=expression, context="repl")["result"])


class Adapter(Dap):
    """`nullmodem dap` in a process of its own, over its standard input and output."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, cwd: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nullmodem", "dap", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            bufsize=0,
            cwd=cwd,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        output = self.process.stdout
        super().__init__(self.process.stdin.write, lambda: output.read(1 << 16) or b"")

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self) -> tuple[int, str]:
        """Wait for the end; the exit code, and what it said on standard error."""
        self.end()
        assert self.process.stderr is not None
        complaint = self.process.stderr.read().decode()
        assert "Traceback" not in complaint, complaint
        return self.process.wait(SECONDS), complaint

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        if kind is not None:
            sys.stderr.write(f"--- adapter ---\n{self.shown}\n")
        if self.process.poll() is None:
            self.close_input()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._thread.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class Connected(Dap):
    """A connection to `nullmodem dap --listen`."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        super().__init__(connection.sendall, lambda: connection.recv(1 << 16))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.connection.close()
