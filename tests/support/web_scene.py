# SPDX-License-Identifier: Apache-2.0
"""A session for the page alone: it answers as the server does, with what a test gives it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route, WebSocketRoute

PAGE = Path(__file__).resolve().parents[2] / "src" / "nullmodem" / "frontends" / "web" / "page"
ORIGIN = "http://127.0.0.1:1"
# As strict as the server's: what the page cannot do under it, it could not do there.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
START = 1_795_000_000.0

Message = dict[str, Any]


def section(name: str, start: int, size: int, kind: str, *, freed: bool = False) -> Message:
    return {"name": name, "start": hex(start), "size": size, "kind": kind, "freed": freed}


def module(name: str, start: int, *, state: str = "live", pages: int = 2) -> Message:
    """A module with its sections one after the other, as 6.1 lays it out; its init stands further on."""
    text = pages * 4096
    return {
        "name": name, "state": state, "stale": False,
        "sections": [
            section(".text", start, text - 700, "text"),
            section(".rodata", start + text, 1200, "rodata"),
            section(".rodata.str1.1", start + text + 1200, 340, "rodata"),
            section("__mcount_loc", start + text + 1540, 96, "other"),
            section(".data", start + text + 4096, 1600, "data"),
            section(".bss", start + text + 5696, 2200, "data"),
            section(".init.text", start + text + 0x5000, 420, "init", freed=state == "live"),
        ],
    }  # fmt: skip


def entry(seq: int, kind: str, text: str, *, after: float | None = None, stop: int | None = None) -> Message:
    """An entry of the timeline, by default 40 ms after the one before."""
    time = START + (seq * 0.04 if after is None else after)
    return {"seq": seq, "time": time, "kind": kind, "text": text, "stop": stop}


def task(number: int, name: str, pid: int, *, current: bool) -> Message:
    return {
        "id": number, "name": f"CPU {number - 1}", "cpu": number - 1, "task": name, "pid": pid, "state": "stopped",
        "current": current,
    }  # fmt: skip


@dataclass
class Scene:
    """What the session has: answers to each request by its name, and what it tells at the beginning."""

    source: str
    path: str = "/home/me/drivers/simple/simple.c"
    line: int = 12
    function: str = "simple_read"
    session: Message = field(
        default_factory=lambda: {
            "name": "simple", "target": "QEMU", "kernel": "6.1.170", "arch": "x86_64", "wire": "unix:kgdb",
        }
    )  # fmt: skip
    modules: list[Message] = field(default_factory=lambda: [module("simple", 0xFFFFFFFFC0208000)])
    breakpoints: list[Message] = field(default_factory=list)
    history: list[Message] = field(default_factory=list)
    console: str = ""
    locals: list[Message] = field(default_factory=list)
    children: dict[int, list[Message]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Message] = field(default_factory=list)
    number: int = 3
    lets_in: bool = True
    _socket: WebSocketRoute | None = None

    def serve(self, page: Page) -> None:
        """Be the page's server, and show it the beginning."""
        page.route(f"{ORIGIN}/**", self._file)
        page.route_web_socket(f"{ORIGIN.replace('http', 'ws')}/socket", self._connected)
        page.goto(f"{ORIGIN}/#secret")
        page.get_by_role("status").filter(has_text="topped").wait_for(state="attached")

    def _file(self, route: Route) -> None:
        path = PAGE / (route.request.url.removeprefix(f"{ORIGIN}/") or "index.html")
        headers = {"Content-Security-Policy": POLICY}
        route.fulfill(body=path.read_bytes(), content_type=KINDS[path.suffix], headers=headers)

    def _connected(self, socket: WebSocketRoute) -> None:
        if not self.lets_in:
            socket.close()
            return
        self._socket = socket
        socket.on_message(lambda text: self._take(json.loads(text)))
        self.tell("hello", session=self.session, history=self.history, console=self.console)
        self.tell("modules", modules=self.modules, kernel={"start": "0xffffffff81000000", "end": "0xffffffff83000000"})
        self.tell("breakpoints", breakpoints=self.breakpoints)
        total = {"bytes_out": 18250, "bytes_in": 61200, "trips": 411, "saved": 902}
        self.tell("wire", last=None, total=total, utilisation=0.12)
        self.stopped()

    def tell(self, kind: str, **content: Any) -> None:
        """A message that the session sends by itself."""
        assert self._socket is not None
        self._socket.send(json.dumps({"type": kind, **content}))

    def hang_up(self, code: int = 1000) -> None:
        """Close the connection, and every new one until `lets_in` is set."""
        self.lets_in = False
        assert self._socket is not None
        self._socket.close(code=code)

    def stopped(self, reason: str = "breakpoint") -> None:
        stop = {"number": self.number, "reason": reason, "thread": 1, "place": self.frame(0)}
        self.tell("state", state="stopped", stop=stop, by="this page")

    def runs(self) -> None:
        self.tell("state", state="running", stop=None, by="gdb 1")

    def frame(self, level: int) -> Message:
        callers = ("vfs_read", "ksys_read", "do_syscall_64")
        if level:
            return {
                "level": level, "function": callers[level - 1], "module": "", "file": "/build/linux/fs/read_write.c",
                "line": 470 + level, "pc": f"0xffffffff8121b4{level:02x}", "inlined": level == 2,
            }  # fmt: skip
        return {
            "level": 0, "function": self.function, "module": "simple", "file": self.path, "line": self.line,
            "pc": "0xffffffffc0208140", "inlined": False,
        }  # fmt: skip

    def _take(self, request: Message) -> None:
        self.asked.append(request)
        given = self.answers.get(request["do"], self._usual(request))
        answer = {"error": given} if isinstance(given, dict) and "message" in given else {"result": given}
        assert self._socket is not None
        self._socket.send(json.dumps({"id": request["id"], **answer}))

    def _usual(self, request: Message) -> Any:
        match request["do"]:
            case "threads":
                return [
                    task(1, "cat", 71, current=True), task(2, "swapper/1", 0, current=False),
                ]  # fmt: skip
            case "stack":
                return [self.frame(level) for level in range(4)]
            case "locals":
                return self.locals
            case "children":
                return self.children[request["ref"]]
            case "registers":
                names = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "rip", "eflags")
                return [{"name": name, "value": hex(0xFFFFC900001B7E00 + at * 8)} for at, name in enumerate(names)]
            case "source" if request["file"] == self.path:
                return {"path": self.path, "text": self.source, "lines_with_code": [self.line, self.line + 1]}
            case "source":
                return {"missing": True, "looked": [request["file"]], "disassembly": []}
            case "files":
                return [{"path": self.path, "module": "simple"}]
            case "disassembly":
                return [
                    {"address": "0xffffffff8121b400", "text": "push   %rbp", "line": 470},
                    {"address": "0xffffffff8121b401", "text": "mov    %rsp,%rbp", "line": 471},
                ]  # fmt: skip
        return None

    def wanted(self, what: str) -> list[Message]:
        """The requests of one name, without their numbers."""
        return [{k: v for k, v in each.items() if k not in {"id", "do"}} for each in self.asked if each["do"] == what]
