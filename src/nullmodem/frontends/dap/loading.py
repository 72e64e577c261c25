# SPDX-License-Identifier: Apache-2.0
"""The module of a configuration: built, loaded, entered, used, and exchanged for its next build."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.api.entry import init_function
from nullmodem.errors import BuildError, NullmodemError, SessionError, UsageError

if TYPE_CHECKING:
    from nullmodem.api.control_protocol import Built
    from nullmodem.frontends.dap.configuration import Configuration
    from nullmodem.frontends.dap.debuggee import Debuggee

SETTLE_SECONDS: Final = 20.0
"""For what is under way on the target when a module is to be exchanged: its init, and the command that uses it."""


class Loading:
    """Methods are called one at a time."""

    def __init__(self, debuggee: Debuggee) -> None:
        self._debuggee = debuggee
        self._busy: threading.Thread | None = None
        self._name = ""
        """Of the module that was loaded last."""

    def _build(self, path: Path) -> Built:
        say = self._debuggee.editor.output
        say(f"building {path.name}\n")
        try:
            return self._debuggee.remote.build(path)
        except BuildError as error:
            say(error.output.rstrip() + "\n", "stderr")
            raise BuildError(error.message, hint=error.hint) from None  # the answer need not say it again

    def start(self, configuration: Configuration) -> None:
        """With the target standing: build the module, have the target go on, and load it, up to its entry if that is
        wanted. Raises BuildError, UsageError, and the target stands still.
        """
        self._begin(self._build(module_of(configuration)), configuration)

    def _begin(self, built: Built, configuration: Configuration) -> None:
        debuggee = self._debuggee
        if configuration["stopOnEntry"]:
            debuggee.news.expect_entry(int(debuggee.gdb.ask("nullmodem/entry", _entry(built))["id"]))
        self._let_run()
        self._name = built.name
        self._busy = threading.Thread(
            target=self._load, args=(built.name, configuration), name="nullmodem-dap-load", daemon=True
        )
        self._busy.start()

    def _load(self, name: str, configuration: Configuration) -> None:
        editor, remote = self._debuggee.editor, self._debuggee.remote
        try:
            remote.load_through(name, configuration["parameters"])
            if configuration["exec"]:
                editor.output(f"$ {configuration['exec']}\n")
                code = remote.execute([configuration["exec"]], lambda data: editor.output(_text(data), "stdout"))
                if code:
                    editor.output(f"exit status {code}\n")
        except NullmodemError as error:
            editor.output(f"{error}\n", "stderr")

    def exchange(self, configuration: Configuration) -> None:
        """Build anew, and load that in place of what is loaded. Breakpoints are kept, and do not stop what goes.
        Another module than before takes that one's place.

        Raises BuildError, and nothing has changed; SessionError, CommandError when the old one cannot be unloaded.
        """
        debuggee = self._debuggee
        built = self._build(module_of(configuration))
        self._hide()
        debuggee.state.stop_quietly(debuggee.gdb)
        debuggee.gdb.ask("nullmodem/disable")
        try:
            self._take_out(self._name or built.name)
        except NullmodemError:
            self._enable()
            debuggee.let_run(only_if_quiet=True)
            raise
        self._enable()
        self._begin(built, configuration)

    def _let_run(self) -> None:
        self._hide()
        self._debuggee.let_run()

    def _hide(self) -> None:
        """Have the editor believe that the target runs, if it knows better."""
        if self._debuggee.state.hide():
            self._debuggee.editor.event("continued", {"threadId": 0, "allThreadsContinued": True})

    def _enable(self) -> None:
        self._debuggee.state.stop_quietly(self._debuggee.gdb)
        self._debuggee.gdb.ask("nullmodem/enable")

    def _take_out(self, name: str) -> None:
        debuggee = self._debuggee
        if debuggee.news.entry is not None:
            debuggee.gdb.ask("nullmodem/forget", {"id": debuggee.news.entry})
            debuggee.news.entry = None
        self._let_run()
        if self._busy is not None:
            self._busy.join(SETTLE_SECONDS)
            if self._busy.is_alive():
                raise SessionError(
                    f"what uses {name} has not ended within {SETTLE_SECONDS:.0f} s, so it cannot be exchanged",
                    hint="End it on the target, and restart again.",
                )
        if any(module.name == name for module in debuggee.remote.modules()):
            stopped = debuggee.remote.unload(name).stopped
            if stopped is not None:
                raise SessionError(f"unloading {name} was stopped at {stopped.where}; it goes on when the target does")


def _entry(built: Built) -> dict[str, Any]:
    init = init_function(Path(built.file))
    return {"function": init.name, "source": init.file} if init else {"function": "", "module": built.name}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def module_of(configuration: Configuration) -> Path:
    """Raises UsageError for a configuration without one."""
    module: Path | None = configuration["module"]
    if module is None:
        raise UsageError("the configuration names no module to load again", hint="Give it as the attribute 'module'.")
    return module
