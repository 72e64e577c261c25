# SPDX-License-Identifier: Apache-2.0
"""A target made by QEMU: the kernel, a busybox root, a console, a line for kgdb, and a way to run commands.

::

    ttyS0   console          Console, ConsoleServer     inherited socket
    ttyS1   kgdb             .kgdb                      inherited socket
    vport   command ports    AgentPool                  inherited sockets
    9p      /host            Share                      a directory
    QMP     QEMU itself      Monitor                    inherited socket
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shlex
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

from nullmodem.errors import BootError, BootTimeout, TargetError, TargetLost, UsageError, WireTimeout
from nullmodem.targets import initramfs
from nullmodem.targets.accel import AccelMemory
from nullmodem.targets.agent import AgentPool
from nullmodem.targets.agent_protocol import new_tag
from nullmodem.targets.boot import BootWatch, Down, boot_again, boot_timeout
from nullmodem.targets.console import Console
from nullmodem.targets.console_server import ConsoleServer
from nullmodem.targets.process import Child
from nullmodem.targets.qmp import Monitor
from nullmodem.targets.share import MOUNT_POINT, Share, check_file
from nullmodem.targets.spec import CONSOLE_CHARDEV, PROGRAM, Accel, Lines, QemuSpec, command_line
from nullmodem.targets.target import END_GROUP, Target, TargetExit, in_own_group

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from nullmodem.targets.target import ExecResult

Progress = Callable[[str], None]

# With a KVM that works the kernel's first words come in the first second. One that does not may run nothing at all and
# never say so, and must not cost the whole boot timeout before TCG is tried.
_KVM_SILENCE = 4.0
_KVM_TIMEOUT = 15.0

# A kgdb reply or a burst of console text is never larger: QEMU does not wait for us to read it.
_SOCKET_BUFFER = 1 << 20

# A kernel that stands asks its UART for a byte without a pause (gdbstub_read_wait in kernel/debug/gdbstub.c). That
# takes a whole processor of this machine, which others need more, such as a gdb that reads symbols.
BEHIND_ITS_DEBUGGER = 5

# A panic prints two dozen lines after the one that says why.
_LAST_LINES = 30

# For what is certain to come at once, unless this machine stands still.
_DRAIN_TIMEOUT = 5.0

# Copies to a destination that may be a directory, and says where the file went.
_COPY = 'if [ -d "$2" ]; then set -- "$1" "${2%/}/${1##*/}"; fi; cp -p "$1" "$2" && printf %s "$2"'


class QemuTarget(Target):
    """A running machine. Make one with ``launch``. Every method may be called from any thread.

    ``console`` is its console, ``kgdb`` the connected socket to its second serial line, which belongs to whoever
    debugs, ``share`` the host's directory that it sees as /host, ``command`` the QEMU command that made it,
    ``accel`` how its CPU is made, ``boot_seconds`` how long it took to come up.
    """

    ends_with_session = True

    def __init__(self, spec: QemuSpec, accel: Accel, workdir: Path, qemu: str, busybox: Path) -> None:
        self.spec = spec
        self.accel = accel
        self.workdir = workdir
        self.share = spec.share if spec.share is not None else workdir / "share"
        self.boot_seconds = 0.0
        self._share = Share(self.share)
        self._watch = BootWatch()
        self._lock = threading.Lock()
        self._closing = False
        self._exit: TargetExit | None = None
        self._exit_callbacks: list[Callable[[TargetExit], None]] = []
        self._qemu_log = workdir / "qemu.log"

        secret = new_tag()
        archive = workdir / "initramfs.cpio"
        archive.write_bytes(initramfs.build(busybox, secret, spec.all_ports))
        self.share.mkdir(exist_ok=True)
        # Undone in reverse: QEMU ends first, then whatever talked to it sees the end of its line and finishes.
        with contextlib.ExitStack() as resources, contextlib.ExitStack() as theirs:
            pairs = [_socket_pair(resources, theirs) for _ in range(3 + spec.all_ports)]
            fds = [there.fileno() for _, there in pairs]
            ours = [here for here, _ in pairs]
            lines = Lines(console=fds[0], kgdb=fds[1], monitor=fds[2], ports=tuple(fds[3:]))
            self.command = tuple(command_line(qemu, spec, accel, archive, self.share, lines))
            self.kgdb = ours[1]
            self.console = Console(ours[0], workdir / "console.log")
            resources.callback(self.console.close)
            self.console.subscribe(self._watch.console)
            self._monitor = Monitor(ours[2])
            resources.callback(self._monitor.close)
            self._pool = AgentPool(ours[3:], secret, self._watch.up)
            resources.callback(self._pool.close)
            self._child = Child(
                self.command, pass_fds=lines.fds, log=self._qemu_log, on_exit=self._exited, nice=BEHIND_ITS_DEBUGGER
            )
            resources.callback(self._child.kill)
            self._resources = resources.pop_all()

    @classmethod
    def launch(
        cls,
        spec: QemuSpec,
        workdir: Path,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
        cache: Path | None = None,
    ) -> QemuTarget:
        """Boot ``spec`` and return when the target takes commands.

        ``workdir`` holds the target's files; it is made if need be, and must be nobody else's (mode 0700).
        ``progress`` gets one line of text for each step. ``timeout`` is in seconds; None: what `boot_timeout`
        gives; see `boot_again` for several emulated processors. ``cache`` is a directory in which to remember that
        KVM does not work on this host.

        Raises UsageError for what cannot be started, BootError for what did not come up. Nothing is left running.
        """
        tell = progress if progress is not None else _silent
        spec.check()
        qemu = find_qemu(spec.qemu)
        busybox = initramfs.find_busybox(spec.busybox)
        _check_workdir(workdir)
        if spec.share is not None and not spec.share.is_dir():
            raise UsageError(f"{spec.share}, to be shared with the target, is no directory")
        if timeout is None:
            timeout = boot_timeout(spec.cpus, os.cpu_count() or 1)
        memory = AccelMemory(cache)
        first, *others = memory.candidates(spec.accel)

        def boot(accel: Accel) -> QemuTarget:
            once = partial(cls._boot, spec, accel, workdir, qemu, busybox, tell)
            return boot_again(once, timeout, tell) if accel is Accel.TCG and spec.cpus > 1 else once(timeout)

        if not others:
            return boot(first)
        try:
            limit = min(timeout, _KVM_TIMEOUT)
            return cls._boot(spec, first, workdir, qemu, busybox, tell, limit, silence=_KVM_SILENCE)
        except BootError as error:
            tell(f"{first.value}: {error.message.splitlines()[0]}; trying {others[0].value}")
        target = boot(others[0])
        memory.remember_failure()
        return target

    @classmethod
    def _boot(
        cls,
        spec: QemuSpec,
        accel: Accel,
        workdir: Path,
        qemu: str,
        busybox: Path,
        tell: Progress,
        timeout: float,
        silence: float | None = None,
    ) -> QemuTarget:
        tell(f"booting {spec.kernel} in QEMU ({accel.value}, {spec.memory_mb} MiB, {spec.cpus} CPU)")
        started = time.monotonic()
        try:
            target = cls(spec, accel, workdir, qemu, busybox)
        except OSError as error:
            raise TargetError(f"cannot prepare the target in {workdir}: {error}") from error
        try:
            target._await_boot(timeout, silence)
        except BaseException:
            target.close()
            raise
        target.boot_seconds = time.monotonic() - started
        tell(f"the target is up after {target.boot_seconds:.1f} s")
        return target

    @property
    def alive(self) -> bool:
        return self._child.exit_code is None

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._child.pid

    def on_exit(self, callback: Callable[[TargetExit], None]) -> None:
        """Call ``callback`` once if QEMU ends by itself, in a thread of ours; at once if it has already."""
        with self._lock:
            if self._exit is None:
                self._exit_callbacks.append(callback)
                return
            ended = self._exit
        callback(ended)

    def in_group(self, line: str, file: str) -> str:
        """See `Target.in_group`."""
        return in_own_group(line, file)

    def end_group(self, file: str) -> None:
        """See `Target.end_group`."""
        self._pool.execute(END_GROUP.format(file=shlex.quote(file)), urgent=True)

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command on the target and wait for its end; see AgentPool.execute."""
        try:
            return self._pool.execute(command, timeout=timeout, on_output=on_output)
        except TargetLost as error:
            raise self._lost(error.message) from None

    def still_running(self, timeout: float) -> tuple[str, ...]:
        """Wait until every command has ended, at most ``timeout`` seconds; those that have not."""
        return self._pool.still_running(timeout)

    def push(
        self,
        file: Path,
        dest: str | None = None,
        *,
        tell: Callable[[str], None] | None = None,  # noqa: ARG002  # as Target has it; here it does not take long
    ) -> str:
        """Copy a file to the target and return its path there.

        Without ``dest`` it goes to /host under its own name, which the target need not run for. ``dest`` is a file or
        an existing directory; relative to /root.
        Raises UsageError, CommandError when the target cannot write it, TargetLost.
        """
        check_file(file)
        path = posixpath.join("/root", dest) if dest is not None else f"{MOUNT_POINT}/"
        if posixpath.normpath(path) == MOUNT_POINT or path.endswith("/"):
            path = f"{path}/{file.name}"
        if (relative := self._share.relative(path)) is not None:
            return self._share.put(file, relative)
        with self._share.lend(file) as lent:
            result = self.exec(["sh", "-c", _COPY, "sh", lent, posixpath.normpath(path)])
            return os.fsdecode(result.check().output)

    def break_in(self) -> None:
        """Stop the running kernel: BREAK, then g, on the console; the kernel enters kgdb.

        Returns when both were delivered to the serial line, which is not yet when the kernel has stopped.
        A target that is stopped already must not be asked: the request waits, and stops it again when it runs.
        Raises TargetError when input typed before is still unread, and TargetLost.
        """
        self.console.send_sysrq("g", lambda: _discard(self._monitor.execute("chardev-send-break", id=CONSOLE_CHARDEV)))

    def monitor(self, command: str, **arguments: object) -> object:
        """Run one QMP command; see Monitor.execute."""
        return self._monitor.execute(command, **arguments)

    def console_text(self) -> str:
        """What the console has printed, as far as Console.text has it; the whole is in console.log of the workdir."""
        return self.console.text()

    def wait_console(self, pattern: str, timeout: float, *, since: int = 0) -> str:
        """Wait until the console prints something that matches; returns what matched. See Console.wait."""
        return self.console.wait(pattern, timeout, since=since)[0]

    def announce(self, text: str) -> None:
        """Show a line on the console that is not the target's own; see Console.announce."""
        self.console.announce(text)

    def serve_console(self, path: Path) -> None:
        """Offer the console to other processes as a unix socket; see ConsoleServer."""
        server = ConsoleServer(self.console, path)
        with self._lock:
            if not self._closing:
                self._resources.callback(server.close)
                return
        server.close()

    def close(self) -> None:
        """End the machine and everything around it, kgdb's line included. May be called again, from any thread.

        Not from an ``on_exit`` callback's thread while another waits for that callback.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exited(self, code: int) -> None:
        # Its lines are closed now; what was on them is still being read.
        self.console.join(_DRAIN_TIMEOUT)
        self._watch.down(f"QEMU ended with exit status {code}")
        with self._lock:
            if self._closing:
                return
            ended = self._exit = TargetExit(code, self._last_words())
            callbacks, self._exit_callbacks = self._exit_callbacks, []
        for callback in callbacks:
            callback(ended)

    def _lost(self, message: str) -> TargetLost:
        if self._closing:
            return TargetLost(f"{message}: it was shut down from here")
        # Lines end a moment before the process has; its exit status says more than they did.
        self._child.join(_DRAIN_TIMEOUT)
        if self._exit is None:
            return TargetLost(message)
        return TargetLost(f"{message}: QEMU ended with exit status {self._exit.code}\n{self._exit.log}")

    def _await_boot(self, timeout: float, silence: float | None) -> None:
        sign = self._watch.wait(timeout, silence)
        reason, late = (sign.reason, sign.late) if isinstance(sign, Down) else ("", False)
        if not reason:
            try:
                self._monitor.connect()
            except (TargetError, WireTimeout) as error:
                reason = error.message
            else:
                return
        # First the end, so that everything it said has arrived.
        self.close()
        words = self._last_words()
        message = f"the target did not boot: {reason}\ncommand: {shlex.join(self.command)}"
        if words:
            message += f"\nlast words:\n{words}"
        hint = "" if words else "it printed nothing: does this kernel have CONFIG_SERIAL_8250_CONSOLE?"
        kind = BootTimeout if late else BootError
        raise kind(message, command=self.command, output=words, hint=hint)

    def _last_words(self) -> str:
        """QEMU's own messages and the console's end, for a person."""
        said = self._qemu_log.read_text(errors="replace").strip() if self._qemu_log.exists() else ""
        return "\n".join(part for part in (said, self.console.tail(_LAST_LINES)) if part)


def find_qemu(name: str = PROGRAM) -> str:
    """The path of a QEMU by its name or path. Raises UsageError that says how to get one."""
    found = shutil.which(name)
    if found is None:
        raise UsageError(
            f"{name} is missing; it is the machine the target runs on", hint="apt-get install qemu-system-x86"
        )
    return found


def _check_workdir(workdir: Path) -> None:
    try:
        workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(workdir.stat().st_mode)
    except OSError as error:
        raise UsageError(f"cannot use {workdir} as the target's work directory: {error.strerror}") from error
    if mode & 0o077:
        raise UsageError(f"{workdir} is open to others (mode {mode:o})", hint=f"chmod 700 {shlex.quote(str(workdir))}")


def _socket_pair(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    ours.enter_context(here)
    theirs.enter_context(there)
    for end in (here, there):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
    return here, there


def _silent(line: str) -> None:
    """For callers that do not want to be told."""


def _discard(value: object) -> None:
    """For a call whose result means nothing."""
