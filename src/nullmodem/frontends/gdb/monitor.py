# SPDX-License-Identifier: Apache-2.0
"""`monitor` commands: what gdb has no command of its own for. They list themselves with `monitor help`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.facts import target_facts
from nullmodem.api.text import cache_line, load_map, module_table, status_lines, wire_lines
from nullmodem.errors import NullmodemError, UsageError
from nullmodem.session.model import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.frontends.gdb.documents import Documents


@dataclass(frozen=True, slots=True)
class MonitorCommand:
    """One command: how it is called, what it does in a line, and the function that returns its text.

    The function gets the words after the command's name; it raises UsageError for wrong ones.
    """

    name: str
    arguments: str
    summary: str
    run: Callable[[list[str]], str]

    @property
    def usage(self) -> str:
        return f"{self.name} {self.arguments}".rstrip()


class Monitor:
    """The commands of one gdb. ``client`` gives its id, or raises StateError once it has detached."""

    def __init__(
        self,
        live: LiveSession,
        client: Callable[[], str],
        documents: Documents,
        extra: tuple[MonitorCommand, ...] = (),
    ) -> None:
        self._live = live
        self._client = client
        self._documents = documents
        own = (
            MonitorCommand("help", "[COMMAND]", "list these commands, or explain one", self._help),
            MonitorCommand(
                "status", "", "what the target does, who is attached, what the wire was used for", self._status
            ),
            MonitorCommand("client", "", "what `monitor status` calls this gdb", self._name),
            MonitorCommand("modules", "", "the loaded modules and their files", self._modules),
            MonitorCommand("loadmap", "NAME", "every section of a module: size, address, alignment", self._loadmap),
            MonitorCommand(
                "threads", "all|cpus", "what `info threads` lists: every task, or the processors", self._threads
            ),
            MonitorCommand("registers", "", "the processor's registers as the stub reported them", self._registers),
            MonitorCommand(
                "wire",
                "",
                "bytes and round trips: in all, for the last command, since last asked",
                self._wire,
            ),
            MonitorCommand("kdb", "COMMAND", "what the kernel's own debugger kdb says to a command", self._kdb),
            MonitorCommand("take", "", "take the right to run the target from another debugger", self._take),
        )
        self._commands = {command.name: command for command in (*own, *extra)}
        self._wire_mark = live.cost

    def run(self, line: str) -> str:
        """The command's text. What is wrong with the line is text too: gdb shows it and nothing else happens."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            return f"{line!r} cannot be read: {error}\n"
        if not words:
            return self._help([])
        matches = [c for name, c in self._commands.items() if name == words[0]] or [
            c for name, c in self._commands.items() if name.startswith(words[0])
        ]
        if len(matches) != 1:
            found = "is ambiguous: " + ", ".join(c.name for c in matches) if matches else "is no monitor command"
            return f"{words[0]!r} {found}\n{self._help([])}"
        try:
            return matches[0].run(words[1:])
        except UsageError as error:
            return f"{error}\nusage: monitor {matches[0].usage}\n"
        except NullmodemError as error:
            return f"{error}\n"

    def _help(self, words: list[str]) -> str:
        chosen = [self._commands[word] for word in words if word in self._commands] or list(self._commands.values())
        width = max(len(command.usage) for command in chosen)
        return "".join(f"monitor {c.usage:<{width}}  {c.summary}\n" for c in chosen)

    def _status(self, _words: list[str]) -> str:
        return status_lines(self._live.status())

    def _name(self, _words: list[str]) -> str:
        return f"{self._client()}\n"

    def _modules(self, _words: list[str]) -> str:
        return module_table(self._live.modules())

    def _loadmap(self, words: list[str]) -> str:
        if len(words) != 1:
            msg = "loadmap wants one module's name"
            raise UsageError(msg)
        return load_map(self._live.module(words[0]))

    def _threads(self, words: list[str]) -> str:
        if words not in (["all"], ["cpus"]):
            msg = "threads wants `all` or `cpus`"
            raise UsageError(msg)
        self._documents.every_task = words == ["all"]
        return f"`info threads` lists {'every task' if words == ['all'] else 'the processors'} from now on\n"

    def _registers(self, _words: list[str]) -> str:
        registers = self._live.reported_registers()
        stop = self._live.stop
        shown = [f"{name:<7}{value:#018x}\n" for name, value in registers.as_dict().items()]
        if stop is not None and stop.reason is StopReason.INTERRUPT:
            shown.append(f"pc is in {self._live.describe(registers.pc)}\n")
        return "".join(shown)

    def _wire(self, _words: list[str]) -> str:
        cost = self._live.cost
        since, self._wire_mark = cost - self._wire_mark, cost
        facts = target_facts(self._live.status())
        asked = f"since last asked: {since.round_trips} round trips, {since.bytes_out + since.bytes_in} bytes"
        return "".join(f"{line}\n" for line in (asked, *wire_lines(facts.wire), cache_line(facts.cache)))

    def _kdb(self, words: list[str]) -> str:
        # kdb says nothing to a command it does not know, when it is asked in this way (gdb_cmd_query, kdb_parse).
        said = self._live.run_kdb(" ".join(words))
        return said or "kdb printed nothing; `monitor kdb help` lists the commands it has\n"

    def _take(self, _words: list[str]) -> str:
        before = self._live.take(self._client())
        return f"the target was held by {before}; it is yours\n" if before else "the target is yours\n"
