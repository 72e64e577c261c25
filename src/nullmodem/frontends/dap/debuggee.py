# SPDX-License-Identifier: Apache-2.0
"""What an editor debugs: a session, ours or somebody's, and a gdb on it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session
from nullmodem.errors import NullmodemError, SessionError, WireTimeout
from nullmodem.frontends.dap.configuration import Request
from nullmodem.frontends.dap.console import Console
from nullmodem.frontends.dap.gdb_adapter import GdbAdapter, GdbRefused, command_line, find_adapter
from nullmodem.frontends.dap.modules import module_name
from nullmodem.frontends.dap.news import News
from nullmodem.frontends.dap.run_state import RunState
from nullmodem.frontends.dap.session_process import SessionProcess
from nullmodem.frontends.dap.session_process import command_line as session_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.control_protocol import SessionEvent
    from nullmodem.api.remote import RemoteEvents
    from nullmodem.frontends.dap.codec import Arguments
    from nullmodem.frontends.dap.configuration import Configuration
    from nullmodem.frontends.dap.editor import Editor
    from nullmodem.frontends.gdb.launch import Gdb

ATTACH_SECONDS: Final = 90.0
RESUME_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 15.0
"""For gdb to let the target go. It takes a second, and longer on a slow line."""
SOON_SECONDS: Final = 2.0
"""Between gdb's answer that it goes on, and the target's going."""


class Beginning:
    """From a configuration to a `Debuggee`; `abandon` may be called from another thread at any time."""

    def __init__(self, configuration: Configuration, default_gdb: str | None, client: Arguments) -> None:
        self._client = client
        self._configuration = configuration
        self._default_gdb = default_gdb
        self._lock = threading.Lock()
        self._process: SessionProcess | None = None
        self._abandoned = False

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            process = self._process
        if process is not None:
            process.abandon()

    def begin(self, editor: Editor, tell: Callable[[str], None], on_end: Callable[[str], None]) -> Debuggee:
        """Raises UsageError before anything is built; SessionError, with the reason, when there is no session."""
        chosen = self._configuration["gdb"]
        gdb = find_adapter(str(chosen) if chosen is not None else self._default_gdb)
        process, remote = self._session(tell)
        try:
            return Debuggee(self._configuration, editor, process, remote, gdb, self._client, on_end)
        except BaseException:
            if process is not None:
                process.end(remote)
            raise

    def _session(self, tell: Callable[[str], None]) -> tuple[SessionProcess | None, RemoteMachine]:
        values = self._configuration.values
        if self._configuration.request is Request.ATTACH and not values["target"]:
            return None, RemoteMachine(find_session(values["session"] or None))
        with self._lock:
            if self._abandoned:
                raise SessionError("the launch was given up")
            self._process = process = SessionProcess(session_command(self._configuration), tell, values["cwd"])
        try:
            return process, process.wait_until_it_serves()
        except BaseException as error:
            process.end(None)
            if self._abandoned:
                raise SessionError("the launch was given up") from error
            raise


class Debuggee:
    """A session with a gdb that has connected to it, and so a target that stands.

    ``client`` is what the editor said of itself. ``on_end`` is called with the reason, in a thread of ours, when gdb or
    the target has ended by itself.
    """

    def __init__(
        self,
        configuration: Configuration,
        editor: Editor,
        process: SessionProcess | None,
        remote: RemoteMachine,
        gdb: Gdb,
        client: Arguments,
        on_end: Callable[[str], None],
    ) -> None:
        self._client = client
        self.configuration = configuration
        self.editor = editor
        self.process = process
        self.remote = remote
        self.state = RunState()
        self._on_end = on_end
        self._closing = False
        self._over = False
        self._lost = False
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._client_id = ""
        status = remote.status()
        self.threads: list[dict[str, Any]] = []
        """What gdb said last of them; it cannot say it of a target that runs."""
        self.vmlinux = status.target.vmlinux
        self.events: RemoteEvents = remote.watch()
        module: Path | None = configuration["module"]
        own = {status.module, module_name(f"{module.stem}.ko") if module is not None else ""} - {""}
        self.news = News(editor, remote, self.state, frozenset(own))
        self._console = Console(remote.session, editor) if configuration["showConsole"] else None
        sources = [f'set substitute-path "{old}" "{new}"' for old, new in configuration["sourceMap"].items()]
        command = command_line(gdb, self.vmlinux, [*sources, *configuration["gdbCommands"]])
        self.gdb = GdbAdapter(command, self._gdb_told, self._gdb_ended)
        self._watcher = threading.Thread(target=self._follow, name="nullmodem-dap-events", daemon=True)
        try:
            self._connect(status.gdb[-1])
        except BaseException:
            self.close()
            raise
        self._watcher.start()

    def _connect(self, address: str) -> None:
        self.gdb.ask("initialize", self._client)
        try:
            self.gdb.ask("nullmodem/ready")
        except GdbRefused:
            raise SessionError(
                "what nullmodem adds to gdb's debug adapter does not fit this gdb",
                hint="pip install 'nullmodem[gdb]' brings one that it fits.",
            ) from None
        answers: list[dict[str, object]] = []
        done = threading.Event()

        def answered(message: dict[str, object]) -> None:
            answers.append(message)
            done.set()

        self.gdb.send("attach", {"target": address}, answered)
        self.gdb.ask("configurationDone")
        good = done.wait(ATTACH_SECONDS) and answers[0].get("success")
        if not good or not self.state.wait_until_stopped(ATTACH_SECONDS):
            said = answers[0].get("message") if answers else "it did not answer"
            raise SessionError(f"gdb could not connect to the session: {said}")
        self._client_id = self._monitor("client").strip()
        if self.configuration["threads"] == "all":
            self._monitor("threads all")
            self.gdb.ask("evaluate", {"expression": "info threads", "context": "repl"})
        self.threads = self.gdb.ask("threads").get("threads", [])

    def _monitor(self, command: str) -> str:
        return str(self.gdb.ask("evaluate", {"expression": f"monitor {command}", "context": "repl"}).get("result", ""))

    def let_run(self, *, only_if_quiet: bool = False) -> None:
        """Have the target run; it does when this returns. gdb's own answer comes before that.

        Raises GdbRefused when it cannot, as when a breakpoint is set where no memory is: the editor is told that it
        stands.
        """
        target = self.remote.status().target
        if not self.state.set_out(only_if_quiet=only_if_quiet):
            return
        try:
            self.gdb.ask("continue", {"threadId": 0})
        except GdbRefused as error:
            self._stays(str(error))
            raise
        if target.stop is not None and not self.state.wait_until_gone(target.resumes, RESUME_SECONDS):
            raise WireTimeout(f"the target was not resumed within {RESUME_SECONDS:.0f} s")

    def look_again(self) -> None:
        """gdb has failed to have the target go on, perhaps after it had said that it does."""
        if self.gdb.ask("nullmodem/stands").get("stands") and self.state.running:
            self._stays("")

    def _stays(self, why: str) -> None:
        """gdb was to let the target go, and did not."""
        self.state.not_resumed()
        if not self.gdb.ended:
            body = {"reason": "pause", "description": "The target cannot go on", "text": why}
            self.editor.event("stopped", {**body, "threadId": self.state.thread, "allThreadsStopped": True})

    def runs_within(self, seconds: float) -> bool:
        """Whether the target, which gdb was told to let go, does so by then: gdb answers before that."""
        deadline = time.monotonic() + seconds
        while self.remote.status().target.stop is not None:
            if time.monotonic() > deadline:
                return False
        return True

    # -- what happens elsewhere ----------------------------------------------------------------------------------

    def _gdb_told(self, message: dict[str, Any]) -> None:
        self.news.event(message)
        if message["event"] == "stopped":
            self._follow_others()  # what it has told of may be over; that was told while gdb had yet to tell of this

    def _gdb_ended(self) -> None:
        self._over = True
        self.state.end()
        if not self._closing:
            self._lose("gdb has ended by itself; the target was released as if it had been disconnected")

    def _follow(self) -> None:
        while (event := self._next_event()) is not None:
            match event.kind:
                case "resumed":
                    self.state.gone(event.resumes)
                    self._follow_others()
                case "lost":
                    self._over = True
                    self._lose(f"the target is lost: {event.text}")
                    return
                case _:
                    pass
        self._over = True
        if not self._closing:
            self._lose(f"the session {self.remote.session.name!r} has ended")

    def _lose(self, reason: str) -> None:
        self._lost = True
        self._on_end(reason)

    def _next_event(self) -> SessionEvent | None:
        try:
            return self.events.next()
        except NullmodemError:
            return None

    def _follow_others(self) -> None:
        """The target was let run. If another debugger did that, gdb is to be where the target is: in the next stop, or
        waiting for it. The session sees to it that this ``continue`` does not let go a target that has stopped."""
        if self.state.running or self._closing:
            return
        # Or else the event is of a resume of ours, whose stop gdb has reported meanwhile.
        with contextlib.suppress(NullmodemError):
            stop = self.state.last
            target = self.remote.status().target
            mine = next((client for client in target.clients if client.id == self._client_id), None)
            if mine is None:  # gdb has just let it go, and for good
                return
            if target.stop is not None and target.stop.number <= mine.seen:  # so, too, while it learns of a module
                return
            if self.state.set_out(only_from=stop):
                self.editor.event("continued", {"threadId": 0, "allThreadsContinued": True})
                thread = int(stop.get("threadId", 0))
                self.gdb.send("nullmodem/follow", {"threadId": thread}, self._followed)

    def _followed(self, answer: dict[str, Any]) -> None:
        if not answer.get("success"):  # one of gdb's before 15 has no such request
            self.gdb.send("continue", {"threadId": 0}, self._continued)

    def _continued(self, answer: dict[str, Any]) -> None:
        if not answer.get("success"):
            self._stays(str(answer.get("message", "")))

    # -- the end -------------------------------------------------------------------------------------------------

    @property
    def is_ours(self) -> bool:
        """Whether this adapter has started the session."""
        return self.process is not None

    def break_off_in(self, seconds: float | None) -> None:
        """Have whatever gdb and the session are at given up then, so that `close` can be called, and comes to an end:
        the session puts the target in order as for any gdb that has vanished. None takes that back. From any thread.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if seconds is not None:
                self._timer = threading.Timer(seconds, self._break_off)
                self._timer.daemon = True
                self._timer.start()

    def _break_off(self) -> None:
        self._closing = True
        self.gdb.kill()
        self.remote.abandon()

    def close(self, *, keep: bool = False) -> None:
        """Disconnect gdb; end the session if it is ours, unless ``keep``. What is not ours is left as it was found.

        One whose gdb or target has ended by itself is not kept: no user asks for that; editors do, of what has ended.
        """
        self._closing = True
        self.break_off_in(CLOSE_SECONDS)
        if not self._over:
            with contextlib.suppress(NullmodemError):
                self.state.stop_quietly(self.gdb)
                self.gdb.ask("disconnect", {"terminateDebuggee": False})
        self.gdb.close()
        self.break_off_in(None)
        self.remote.abandon()
        self.events.close()
        if self._watcher.is_alive():
            self._watcher.join()
        self.events.dispose()
        if self._console is not None:
            self._console.close()
        if self.process is not None:
            if keep and not self._lost:
                self.process.keep()
            else:
                self.process.end(self.remote)
