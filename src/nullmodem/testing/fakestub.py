# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the kernel's gdb stub, byte for byte: kernel/debug/gdbstub.c of Linux 6.1 in front of a fake machine.

It is as strict on the line and as trusting of its client as the real one, and it remembers: ``machine.violations``
says in words every packet that would have harmed a kernel. It passes the same ``conformance`` suite as a real one.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Collection, Generator, Iterator

from nullmodem.errors import WireClosed
from nullmodem.testing.fakecommands import Commands, StubDied
from nullmodem.testing.fakemachine import EINVAL, Execution, Machine, Stop
from nullmodem.wire.streams import ByteStream, SocketStream

BUFMAX = 1024  # arch/x86/include/asm/kgdb.h

_ONLY_TWO_SIGNALS = (
    b"KGDB only knows signal 9 (pass) and 15 (pass and disconnect)\nExecuting a continue without signal passing\n"
)
_HEX = "0123456789abcdef"
_EXPLICIT = frozenset("kRC3")
_LEAVING = frozenset("csCDkR")

Monitor = Callable[[str], bytes]


class FakeKgdb:
    """The stub, without I/O: bytes in, bytes out.

    It begins stopped and not connected, as a kernel with ``kgdbwait`` does. ``execution`` says what happens on ``c``
    and ``s``; without it the target runs until ``stop``. ``monitor`` answers ``qRcmd`` as a kernel with kdb would, one
    ``O`` packet a line; without it there is no kdb. The requests in ``allow`` (of ``k R C 3``) are ones that the
    test's user asked for; anybody else who sends one commits a violation.
    """

    def __init__(
        self,
        machine: Machine,
        execution: Execution | None = None,
        *,
        monitor: Monitor | None = None,
        allow: Collection[str] = (),
    ) -> None:
        self.machine = machine
        self.connected = False
        self.dead = False
        self.requests: list[bytes] = []  # every packet accepted, in order
        self.refused: set[bytes] = set()  # packets to which it says that it cannot
        self.typed = bytearray()  # bytes that came while nobody in the kernel read packets
        self._execution = execution
        self._monitor = monitor
        self._allow = frozenset(allow)
        self._out = bytearray()
        self._stepping = False
        self._stub: Generator[None, int, None] | None = None
        self._enter(Stop())

    @property
    def running(self) -> bool:
        """Whether the machine runs, that is, is not in the stub and not dead."""
        return self._stub is None and not self.dead

    def receive(self, data: bytes) -> bytes:
        """Take what the client wrote and return what the stub writes."""
        for byte in data:
            if self._stub is None:
                self.typed.append(byte)
            else:
                self._advance(self._stub, byte)
        return self._flush()

    def stop(self, stop: Stop | None = None, *, in_kdb: bool = False) -> bytes:
        """Let the running machine stop now, as by BREAK and ``g``, and return what the stub writes, or kdb."""
        if self.running:
            self._enter(stop or Stop(), in_kdb=in_kdb)
        return self._flush()

    def reboot(self, status: int = 0) -> bytes:
        """Let the running machine reboot in an orderly way; ``gdbstub_exit`` tells a client, and waits for no ack."""
        if self.running and self.connected:
            self._put(b"W%02x" % status)
        self.connected, self.dead = False, True
        return self._flush()

    def _flush(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def _enter(self, stop: Stop, *, in_kdb: bool = False) -> None:
        self._stub = self._serve_stop(stop, in_kdb=in_kdb)
        self._advance(self._stub, None)

    def _advance(self, stub: Generator[None, int, None], byte: int | None) -> None:
        try:
            if byte is None:
                next(stub)
            else:
                stub.send(byte)
        except StubDied:
            self._stub, self.dead = None, True
        except StopIteration:
            self._stub = None
            stop = self._resume()
            if stop is not None:
                self._enter(stop)

    def _resume(self) -> Stop | None:
        for address in sorted(self.machine.software):
            if not self.machine.is_text(address):
                self.machine.violations.append(f"resumed with a breakpoint in freed memory at {address:#x}")
        return None if self._execution is None else self._execution(self.machine, self._stepping)

    def _put(self, payload: bytes) -> None:
        self._out += b"$%b#%02x" % (payload, sum(payload) & 0xFF)

    def _get_packet(self) -> Generator[None, int, bytes]:
        """``get_packet``: deaf to everything but a dollar, then for ever in want of a ``#``."""
        while True:
            while (yield) != 0x24:
                pass
            self.connected = True
            body = bytearray()
            while len(body) < BUFMAX - 1 and (byte := (yield)) != 0x23:
                body.append(byte)
            if len(body) == BUFMAX - 1:
                self.machine.violations.append("packet of more than BUFMAX - 1 bytes")
                continue
            high, low = (yield), (yield)
            # hex_to_bin gives -1 for what is no digit, and the sum is cut to a byte.
            checksum = 16 * _HEX.find(chr(high).lower()) + _HEX.find(chr(low).lower())
            good = checksum & 0xFF == sum(body) & 0xFF
            self._out += b"+" if good else b"-"
            if good:
                return bytes(body)

    def _put_packet(self, payload: bytes) -> Generator[None, int, None]:
        """``put_packet``: again and again, until the byte after it is ``+`` or ``$``."""
        while True:
            self._put(payload.partition(b"\0")[0])
            byte = yield
            if byte == 0x03:
                byte = yield
            if byte == 0x2B:
                return
            if byte == 0x24:
                self._out += b"-"
                return

    def _serve_stop(self, stop: Stop, *, in_kdb: bool) -> Generator[None, int, None]:
        """``gdb_serial_stub``: returns when the machine is to run."""
        commands = Commands(self.machine, stop)
        if in_kdb:
            yield from self._visit_kdb()
        elif self.connected:
            yield from self._put_packet(b"T%02xthread:%b;" % (stop.signal, commands.current_id()))
        while True:
            packet = yield from self._get_packet()
            self.requests.append(packet)
            letter = packet[:1].decode("latin-1")
            if letter in _EXPLICIT - self._allow:
                self.machine.violations.append(f"{packet.decode('latin-1')} sent, which no user asked for")
            if packet in self.refused:
                yield from self._put_packet(b"E%02d" % EINVAL)
            elif letter in _LEAVING:
                refusal = yield from self._leave(letter, packet, commands)
                if refusal is None:
                    return
                yield from self._put_packet(refusal)
            elif self._monitor is not None and packet.startswith(b"qRcmd,"):
                yield from self._run_command(self._monitor, packet[6:])
            elif self._monitor is not None and packet == b"3":
                yield from self._visit_kdb()
            else:
                yield from self._put_packet(commands.answer(packet))

    def _leave(self, letter: str, packet: bytes, commands: Commands) -> Generator[None, int, bytes | None]:
        """Act on a request that may let the machine run; return None when it does, else a refusal."""
        self._stepping = letter == "s"
        if letter == "R":
            if packet != b"R0":
                return b""
            yield from self._put_packet(b"OK")
            raise StubDied
        if letter in "Dk" or packet.startswith(b"C15"):
            self.machine.drop_breakpoints()
            self.connected = False
            if letter == "D":
                yield from self._put_packet(b"OK")
            return None
        if letter == "C" and not packet.startswith(b"C09"):
            yield from self._put_packet(b"O" + _ONLY_TWO_SIGNALS.hex().encode("ascii"))
        if not commands.may_resume:
            return b"E%02d" % EINVAL
        commands.take_resume_address(packet)
        return None

    def _run_command(self, monitor: Monitor, digits: bytes) -> Generator[None, int, None]:
        if len(digits) % 2:
            yield from self._put_packet(b"E01")
            return
        for line in monitor(bytes.fromhex(digits.decode("ascii")).decode()).splitlines(keepends=True):
            yield from self._put_packet(b"O" + line.hex().encode("ascii"))
        yield from self._put_packet(b"OK")

    def _visit_kdb(self) -> Generator[None, int, None]:
        """kdb has the line, and all breakpoints are gone, until somebody asks ``$?#3f``: ``kdb_read``."""
        self.machine.drop_breakpoints()
        self._out += b"\r\n[0]kdb> "
        typed = b""
        while not typed.endswith(b"$?#3f"):
            byte = yield
            if byte == 0x0D:
                self.machine.violations.append("return at kdb's prompt, which repeats its last command")
            elif byte == 0x08 and typed:
                typed = typed[:-1]
                self._out += b"\b \r[0]kdb> " + typed
            elif byte >= 0x20:
                typed += bytes((byte,))
                if typed[:1] not in (b"+", b"$"):  # kgdb_transition_check: what may be a debugger's is not shown
                    self._out += typed[-1:]
        self.requests.append(b"?")
        self._out += b"+"
        yield from self._put_packet(b"S05")


class Serving:
    """A fake stub at one end of a line, in a thread of its own, until the line closes."""

    def __init__(self, fake: FakeKgdb, stream: ByteStream) -> None:
        self.fake = fake
        self._stream = stream
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="fake kgdb", daemon=True)
        self._thread.start()

    def stop_machine(self, stop: Stop | None = None) -> None:
        """Let the running machine stop now."""
        self.write(lambda: self.fake.stop(stop))

    def say(self, text: bytes) -> None:
        """Put console text on the line."""
        self.write(lambda: text)

    def write(self, produce: Callable[[], bytes]) -> None:
        """Call ``produce`` while the fake is at rest, and put on the line what it returns."""
        with self._lock:
            data = produce()
            if data:
                self._stream.write(data)

    def join(self) -> None:
        """Wait until the line has closed."""
        self._thread.join()

    def _loop(self) -> None:
        with contextlib.suppress(WireClosed):
            while data := self._stream.read():
                self.write(functools.partial(self.fake.receive, data))
        self._stream.close()


def serve(fake: FakeKgdb, stream: ByteStream) -> Serving:
    """Let ``fake`` answer on ``stream`` from a thread, until the other end closes."""
    return Serving(fake, stream)


@contextlib.contextmanager
def connected(fake: FakeKgdb) -> Iterator[tuple[SocketStream, Serving]]:
    """Give the client's end of a line to ``fake``, and what serves it; both end with the block."""
    ours, theirs = socket.socketpair()
    client, stub = SocketStream(ours), SocketStream(theirs)
    serving = serve(fake, stub)
    try:
        yield client, serving
    finally:
        client.close()
        serving.join()
        stub.close()
