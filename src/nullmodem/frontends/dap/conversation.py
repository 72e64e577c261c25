# SPDX-License-Identifier: Apache-2.0
"""One editor, from its first byte to its last: what is done for each of its requests.

What must not wait behind a long request is done by the thread that reads: pause, cancel, and the end. Everything else
is done one by one in the thread that called `run`; what gdb can do is gdb's to answer, in the thread that reads from
gdb, so that the editor sees answers and events in gdb's order.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import NullmodemError, UsageError
from nullmodem.frontends.dap.capabilities import CAPABILITIES
from nullmodem.frontends.dap.codec import Request
from nullmodem.frontends.dap.commands import Commands, in_background
from nullmodem.frontends.dap.configuration import Request as Kind
from nullmodem.frontends.dap.configuration import parse_configuration
from nullmodem.frontends.dap.debuggee import SOON_SECONDS, Beginning
from nullmodem.frontends.dap.forwarding import BREAKPOINTS, LOOK, RUN, Forwarding
from nullmodem.frontends.dap.incoming import Incoming
from nullmodem.frontends.dap.loading import Loading, module_of
from nullmodem.frontends.dap.pausing import Pausing

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.dap.configuration import Configuration
    from nullmodem.frontends.dap.debuggee import Debuggee
    from nullmodem.frontends.dap.editor import Editor

_ENDS: Final = ("disconnect", "terminate")
PATIENCE_SECONDS: Final = 3.0


class Conversation:
    """``default_gdb`` is used where a configuration names none. What is under way when the editor wants the end, or
    has gone, is given up after ``patience`` seconds.
    """

    def __init__(
        self,
        editor: Editor,
        read: Callable[[], bytes],
        default_gdb: str | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._editor = editor
        self._pausing = Pausing(editor, lambda: self._debuggee)
        urgent = {
            "pause": self._pausing.at_once,
            "cancel": self._cancel,
            **dict.fromkeys(_ENDS, lambda _request: self._give_up()),
        }
        self._incoming = Incoming(editor, read, urgent, self._give_up)
        self._default_gdb = default_gdb
        self._beginning: Beginning | None = None
        self._debuggee: Debuggee | None = None
        self._loading: Loading | None = None
        self._configuration: Configuration | None = None
        self._initialized = False
        self._client: dict[str, Any] = {}
        self._configured = False
        self._ended = False
        self._gives_up = False
        self._patience = patience
        self._lock = threading.Lock()
        self._forwarding = Forwarding(editor)
        self._table: dict[str, Callable[[Request], None]] = {
            "initialize": self._initialize,
            "launch": self._launch,
            "attach": self._launch,
            "configurationDone": self._configuration_done,
            "restart": self._restart,
            "terminate": self._terminate,
            "disconnect": self._disconnect,
            "cancel": self._editor.respond,
            "pause": self._pausing.in_turn,
            "evaluate": self._evaluate,
            "modules": self._modules,
            "threads": self._threads,
            "exceptionInfo": self._exception_info,
            **dict.fromkeys(RUN, self._run),
            **dict.fromkeys(BREAKPOINTS, self._set_breakpoints),
            **dict.fromkeys(LOOK, self._look),
        }

    def run(self) -> int:
        """Until the editor disconnects or has gone; the exit code. Nothing that was started is left."""
        self._incoming.start()
        try:
            while not self._ended and (request := self._next()) is not None:
                self._handle(request)
        finally:
            self._close(keep=False)
        return 1 if self._incoming.broken else 0

    def _next(self) -> Request | None:
        """The next request. A target that stands for breakpoints to be set goes on, unless more are to be: an editor
        sends them a file at a time, and one stop is enough for all of them."""
        if self._incoming.is_empty:
            self._go_on()
        request = self._incoming.get()
        if request is not None and request.command not in BREAKPOINTS:
            self._go_on()
        return request

    def _go_on(self) -> None:
        debuggee = self._debuggee
        if debuggee is None or not debuggee.state.quiet:
            return
        try:
            debuggee.let_run(only_if_quiet=True)
        except NullmodemError as error:
            self._editor.output(f"nullmodem: the target could not be let run: {error}\n", "stderr")

    # -- what does not wait its turn -----------------------------------------------------------------------------

    def _give_up(self) -> None:
        """The end is what the editor waits for, or it has gone: nothing that is under way may keep it back for long."""
        with self._lock:
            self._gives_up = True
            if self._debuggee is not None:
                self._debuggee.break_off_in(self._patience)
            elif self._beginning is not None:
                self._beginning.abandon()

    def _cancel(self, request: Request) -> None:
        debuggee = self._debuggee
        self._forwarding.cancel(request.arguments.get("requestId"), debuggee.gdb if debuggee is not None else None)

    # -- one by one ----------------------------------------------------------------------------------------------

    def _handle(self, request: Request) -> None:
        handler = self._table.get(request.command)
        cancelled = self._forwarding.is_cancelled(request)
        if handler is None:
            self._editor.refuse(request, f"there is no request {request.command[:40]!r}")
        elif cancelled:
            self._editor.pass_on(request, {"success": False, "message": "cancelled"})
        elif not self._initialized and request.command not in ("initialize", *_ENDS):
            self._editor.refuse(request, f"{request.command} before initialize")
        else:
            self._try(handler, request)

    def _try(self, handler: Callable[[Request], None], request: Request) -> None:
        try:
            handler(request)
        except NullmodemError as error:
            self._editor.fail(request, error)
        except Exception as error:  # whatever it is, the editor waits for an answer
            self._editor.refuse(request, f"{type(error).__name__}: {error}. This is a bug in nullmodem.")

    def _initialize(self, request: Request) -> None:
        if self._initialized:
            raise UsageError("initialize was sent before")
        if not (request.arguments.get("linesStartAt1", True) and request.arguments.get("columnsStartAt1", True)):
            raise UsageError("lines and columns begin with 1 here; this editor wants them to begin with 0")
        self._initialized = True
        self._client = request.arguments
        self._editor.respond(request, CAPABILITIES)

    def _launch(self, request: Request) -> None:
        if self._configuration is not None:
            raise UsageError("launch or attach was sent before")
        self._configuration = configuration = parse_configuration(Kind(request.command), request.arguments)
        for remark in configuration.remarks:
            self._editor.output(f"nullmodem: {remark}\n", "important")
        with self._lock:
            self._beginning = Beginning(configuration, self._default_gdb, self._client)
        try:
            debuggee = self._beginning.begin(self._editor, self._editor.output, self._over)
        except BaseException:
            self._configuration = None
            raise
        with self._lock:
            self._debuggee = debuggee
            if self._gives_up:
                debuggee.break_off_in(self._patience)
        if configuration["module"] is not None:
            self._loading = Loading(debuggee)
        self._editor.respond(request)
        self._editor.event("initialized")

    def _over(self, reason: str) -> None:
        """In a thread of the debuggee's."""
        self._editor.output(f"nullmodem: {reason}\n", "stderr")
        self._editor.over()

    def _configuration_done(self, request: Request) -> None:
        debuggee, configuration = self._need(), self._configuration
        assert configuration is not None
        if self._configured:
            raise UsageError("configurationDone was sent before")
        self._configured = True
        self._editor.respond(request)
        debuggee.news.begin()
        debuggee.state.hide()
        try:
            if self._loading is not None:
                self._loading.start(configuration)
            elif configuration["stopOnEntry"]:
                self._stand(debuggee)
            else:
                debuggee.let_run()
        except NullmodemError as error:
            self._editor.output(f"nullmodem: {error}\n", "stderr")
            self._stand(debuggee)

    def _stand(self, debuggee: Debuggee) -> None:
        """Say that the target stands where it was stopped, if it does, and the editor does not know."""
        kept = debuggee.state.show()
        if kept is not None:
            self._editor.event("stopped", {**kept, "reason": "pause", "description": "Stopped where it was"})

    def _restart(self, request: Request) -> None:
        debuggee, configuration = self._need(), self._configuration
        assert configuration is not None
        given = request.arguments.get("arguments")
        if isinstance(given, dict) and given:
            configuration = parse_configuration(configuration.request, given)
        module_of(configuration)
        if self._loading is None:
            self._loading = Loading(debuggee)
        self._loading.exchange(configuration)
        self._configuration = configuration
        self._editor.respond(request)

    # -- the end -------------------------------------------------------------------------------------------------

    def _terminate(self, request: Request) -> None:
        self._close(keep=False)
        self._editor.respond(request)
        self._editor.over()

    def _disconnect(self, request: Request) -> None:
        self._close(keep=request.arguments.get("terminateDebuggee") is False)
        self._editor.respond(request)
        self._ended = True

    def _close(self, *, keep: bool) -> None:
        with self._lock:
            debuggee, self._debuggee, self._beginning = self._debuggee, None, None
        if debuggee is not None:
            debuggee.close(keep=keep)

    # -- through gdb ---------------------------------------------------------------------------------------------

    def _need(self) -> Debuggee:
        if self._debuggee is None:
            raise NullmodemError("nothing is debugged yet, or any more: launch or attach comes first")
        return self._debuggee

    def _forward(
        self,
        request: Request,
        change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        deliver: Callable[[dict[str, Any]], None] | None = None,
    ) -> bool:
        """See `Forwarding.forward`."""
        return self._forwarding.forward(self._need().gdb, request, change, deliver)

    def _look(self, request: Request) -> None:
        self._forward(request)

    def _forward_standing(
        self, request: Request, change: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ) -> None:
        """Have gdb answer while the target stands. It runs again before the editor has the answer."""
        debuggee = self._need()
        debuggee.state.stop_quietly(debuggee.gdb)
        answers: list[dict[str, Any]] = []
        self._forward(request, change, answers.append)
        if self._incoming.is_empty:
            self._go_on()
        self._editor.pass_on(request, answers[0])

    def _run(self, request: Request) -> None:
        state = self._need().state
        if state.quiet or not state.set_out():
            self._editor.pass_on(request, {"success": False, "message": "notStopped"})
            return
        arguments = request.arguments
        if request.command == "continue":
            # Its thread may have ended since the editor last asked; all of them go on anyhow.
            arguments = {**arguments, "threadId": 0}
        if not self._forward(Request(request.seq, request.command, {**arguments, "singleThread": False})):
            state.not_resumed()

    def _set_breakpoints(self, request: Request) -> None:
        debuggee = self._need()

        def explain(body: dict[str, Any]) -> dict[str, Any]:
            if request.command == "setExceptionBreakpoints":
                self._remember(request, body)
            source = request.arguments.get("source")
            place = str(source.get("path")) if isinstance(source, dict) else ""
            made = debuggee.news.breakpoints(f"{request.command} {place}", body.get("breakpoints", ()))
            return {**body, "breakpoints": made}

        self._forward_standing(request, explain)

    def _remember(self, request: Request, body: dict[str, Any]) -> None:
        options = request.arguments.get("filterOptions") or []
        names = [*(request.arguments.get("filters") or []), *(each.get("filterId") for each in options)]
        made = zip(names, body.get("breakpoints", ()), strict=False)
        self._need().news.exceptions = {each["id"]: name for name, each in made if "id" in each}

    def _threads(self, request: Request) -> None:
        """Of a target that runs, those it had: gdb would ask the stub for their names. Editors ask at any time."""
        debuggee = self._need()
        if debuggee.state.running:
            self._editor.respond(request, {"threads": debuggee.threads})
            return

        def remember(body: dict[str, Any]) -> dict[str, Any]:
            debuggee.threads = body.get("threads", [])
            return body

        self._forward(request, remember)

    def _modules(self, request: Request) -> None:
        debuggee = self._need()
        if debuggee.state.quiet or debuggee.state.running:
            self._editor.pass_on(request, {"success": False, "message": "notStopped"})
            return

        def enrich(body: dict[str, Any]) -> dict[str, Any]:
            return {**body, "modules": [debuggee.news.module(each) for each in body.get("modules", ())]}

        self._forward(request, enrich)

    def _exception_info(self, request: Request) -> None:
        debuggee = self._need()
        fault = debuggee.news.fault
        if fault is not None:
            body = {
                "exceptionId": "oops",
                "description": f"signal {fault.signal} at {fault.where}",
                "breakMode": "always",
            }
            self._editor.respond(request, body)
            return
        self._forward(request, lambda body: body if body.get("exceptionId") else {"exceptionId": "load", **_LOADED})

    def _evaluate(self, request: Request) -> None:
        debuggee = self._need()
        arguments = request.arguments
        expression = str(arguments.get("expression", ""))
        if arguments.get("context") != "repl":
            self._forward(request)
            return
        if expression.split()[:1] == ["nullmodem"]:
            # In a thread: it may end only when the editor has let the target go on.
            typed = threading.Thread(
                target=self._try, args=(self._command, request), name="nullmodem-dap-typed", daemon=True
            )
            typed.start()
            return
        if in_background(expression) is not None:
            if debuggee.state.running:
                self._editor.pass_on(request, {"success": False, "message": "notStopped"})
                return
            command = {**arguments, "expression": in_background(expression)}
            if not self._forward(Request(request.seq, "evaluate", command)):
                debuggee.look_again()
            return
        if debuggee.state.running:
            arguments = {name: value for name, value in arguments.items() if name != "frameId"}
        self._forward_standing(Request(request.seq, "evaluate", arguments))

    def _command(self, request: Request) -> None:
        debuggee = self._need()
        if debuggee.state.running:
            debuggee.runs_within(SOON_SECONDS)
        text = Commands(debuggee.remote, self._editor.output).run(str(request.arguments["expression"]))
        self._editor.respond(request, {"result": text, "variablesReference": 0})


_LOADED: Final = {"description": "a module was loaded; its init has not run", "breakMode": "always"}
