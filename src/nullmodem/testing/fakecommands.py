# SPDX-License-Identifier: Apache-2.0
"""What the fake stub answers to each request that keeps the machine stopped: the ``gdb_cmd_*`` of gdbstub.c.

Parsing is as loose as the kernel's: ``kgdb_hex2long`` takes a sign and stops at the first byte that is no digit. What a
careful client would never send is carried out all the same, and recorded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nullmodem.testing.fakemachine import (
    EINVAL,
    ORIG_AX,
    REGISTER_BYTES,
    REGISTERS,
    Machine,
    Stop,
    register_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READ = 511  # 2 * length + 1 must fit BUFMAX, which nobody checks
THREADS_PER_PACKET = 17  # KGDB_MAX_THREAD_QUERY

_LOOSE_NUMBER = re.compile(rb"(-?)([0-9a-fA-F]*)")
_HEX_DATA = re.compile(rb"(?:[0-9a-fA-F]{2})*")
_COMM_BYTES = 16


class StubDied(Exception):
    """The kernel under the stub is gone."""


@dataclass(frozen=True, slots=True)
class _Selected:
    """What a thread id means: a task, and the CPU it is on, if any."""

    pid: int
    cpu: int | None


def _number(text: bytes) -> tuple[int | None, bytes]:
    """``kgdb_hex2long``: return the 64-bit number at the start of ``text``, None without a digit, and the rest."""
    found = _LOOSE_NUMBER.match(text)
    assert found is not None, "the pattern matches anything"
    value = int(found[2] or b"0", 16) * (-1 if found[1] else 1)
    return (value & (1 << 64) - 1 if found[2] else None), text[found.end() :]


def _error(errno: int) -> bytes:
    return b"E%x%d" % divmod(errno, 10)


def _result(errno: int) -> bytes:
    return _error(errno) if errno else b"OK"


def _signed(number: int) -> int:
    """Return ``number`` as C converts it to an int."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def _unescape(data: bytes, count: int) -> bytes | None:
    """``kgdb_ebin2mem`` for exactly ``count`` bytes; None when ``data`` encodes another number of them."""
    out = re.sub(rb"}(?s:(.))", lambda found: bytes((found[1][0] ^ 0x20,)), data)
    return out if len(out) == count else None


def _pack_id(thread: int) -> bytes:
    """``pack_threadid``: big-endian hex of 32 bits without its leading zero bytes."""
    return ((thread & 0xFFFFFFFF).to_bytes(4, "big").lstrip(b"\0") or b"\0").hex().encode("ascii")


class Commands:
    """One visit to the stub: the machine stands still, and the client asks."""

    def __init__(self, machine: Machine, stop: Stop) -> None:
        self._machine = machine
        self._stop = stop
        self._current = _Selected(machine.cpus[stop.cpu].pid, stop.cpu)
        self._use: _Selected | None = self._current
        self._resume: _Selected | None = self._current
        self._listed = 0  # thr_query: tasks given so far

    @property
    def may_resume(self) -> bool:
        """Whether ``c`` and ``s`` are for the current task: kgdb cannot switch."""
        return self._resume in (None, self._current)

    def current_id(self) -> bytes:
        """Return the id of the task that stopped, as ``T`` and ``qC`` give it."""
        return _pack_id(self._current.pid or -self._stop.cpu - 2)

    def take_resume_address(self, packet: bytes) -> None:
        """Take the address of a ``c`` or ``s``; the signal of a ``C``, which has become a ``c``, is taken for one."""
        address, _ = _number(packet[1:])
        if len(packet) > 1:
            self._violation(f"{packet.decode('latin-1')} resumes at {address or 0:#x}")
        if address is not None:
            self._machine.cpus[self._stop.cpu].registers["rip"] = address

    def answer(self, packet: bytes) -> bytes:
        """Return the reply to ``packet``; empty to what is not known.

        Raises:
            StubDied: the kernel did not survive it.
        """
        handler = self._HANDLERS.get(packet[:1])
        return b"" if handler is None else handler(self, packet)

    def _violation(self, text: str) -> None:
        self._machine.violations.append(text)

    def _status(self, _packet: bytes) -> bytes:
        self._machine.drop_breakpoints()
        return b"S%02x" % self._stop.signal

    def _registers(self) -> bytes:
        chosen = self._use or self._current
        return self._machine.register_file(chosen.cpu, chosen.pid)

    def _read_registers(self, _packet: bytes) -> bytes:
        return self._registers()[:REGISTER_BYTES].hex().encode("ascii")

    def _write_registers(self, packet: bytes) -> bytes:
        digits = packet[1:]
        if _HEX_DATA.fullmatch(digits) is None or len(digits) != 2 * REGISTER_BYTES:
            self._violation(f"G with {len(digits)} digits instead of {2 * REGISTER_BYTES}")
            digits = b""
        if self._use not in (None, self._current):
            return _error(EINVAL)
        rest = bytes.fromhex(digits.decode("ascii")).ljust(REGISTER_BYTES + 8, b"\0")
        for name in REGISTERS:
            value, rest = rest[: register_size(name)], rest[register_size(name) :]
            self._machine.set_register(self._stop.cpu, name, int.from_bytes(value, "little"))
        return b"OK"

    def _read_register(self, packet: bytes) -> bytes:
        number, _ = _number(packet[1:])
        number = number or 0
        if number >= len(REGISTERS):
            return _error(EINVAL)
        start = sum(map(register_size, REGISTERS[:number]))
        return self._registers()[start : start + register_size(REGISTERS[number])].hex().encode("ascii")

    def _write_register(self, packet: bytes) -> bytes:
        number, rest = _number(packet[1:])
        number = number or 0
        known = number < len(REGISTERS) or number == ORIG_AX
        if not rest.startswith(b"=") or self._use not in (None, self._current) or not known:
            return _error(EINVAL)
        size = 8 if number == ORIG_AX else register_size(REGISTERS[number])
        if _HEX_DATA.fullmatch(rest[1:]) is None or len(rest) != 1 + 2 * size:
            self._violation(f"{packet.decode('latin-1')}: not {size} bytes")
            return b"OK"
        if number != ORIG_AX:
            value = int.from_bytes(bytes.fromhex(rest[1:].decode("ascii")), "little")
            self._machine.set_register(self._stop.cpu, REGISTERS[number], value)
        return b"OK"

    def _read_memory(self, packet: bytes) -> bytes:
        address, rest = _number(packet[1:])
        length, _ = _number(rest[1:])
        if address is None or length is None or not rest.startswith(b","):
            return _error(EINVAL)
        if length > MAX_READ:
            self._violation(f"m of {length} bytes, which overruns the stub's buffer")
            if length >= 1 << 63:
                raise StubDied
        data = self._machine.read(address, length)
        return _error(EINVAL) if data is None else data.hex().encode("ascii")

    def _write_memory(self, packet: bytes) -> bytes:
        address, rest = _number(packet[1:])
        length, tail = _number(rest[1:])
        if address is None or length is None or not rest.startswith(b",") or not tail.startswith(b":"):
            return _error(EINVAL)
        data = self._write_data(packet[:1], tail[1:], length)
        if data is None:
            self._violation(f"{packet[:1].decode()} of {length} bytes does not carry so many")
            if length > len(packet):
                raise StubDied
            return b"OK"
        return _result(self._machine.write(address, data))

    def _write_data(self, letter: bytes, text: bytes, length: int) -> bytes | None:
        if letter == b"X":
            return _unescape(text, length)
        good = _HEX_DATA.fullmatch(text) is not None and len(text) == 2 * length
        return bytes.fromhex(text.decode("ascii")) if good else None

    def _find(self, text: bytes) -> tuple[int, _Selected | None]:
        """``getthread`` of the number in ``text``: return it, as the kernel holds it, and what it means."""
        number = _number(text)[0] or 0
        thread = _signed(number)
        cpu = self._stop.cpu if thread in (0, -1) else -thread - 2
        if cpu >= 0:
            if cpu >= len(self._machine.cpus):
                self._violation(f"thread {thread} of a CPU that does not exist")
                return number, _Selected(0, cpu)
            return number, _Selected(self._machine.cpus[cpu].pid, cpu)
        on = next((index for index, cpu in enumerate(self._machine.cpus) if cpu.pid == thread), None)
        return number, _Selected(thread, on) if on is not None or thread in self._machine.tasks else None

    def _select_thread(self, packet: bytes) -> bytes:
        if packet[1:2] not in (b"g", b"c"):
            return b""
        number, chosen = self._find(packet[2:])
        if chosen is None:
            return _error(EINVAL)
        if chosen.cpu is not None and chosen.cpu >= len(self._machine.cpus):
            raise StubDied
        if packet[1:2] == b"g":
            self._use = chosen
        else:
            self._resume = chosen if number else None
        return b"OK"

    def _thread_alive(self, packet: bytes) -> bytes:
        return _error(EINVAL) if self._find(packet[1:])[1] is None else b"OK"

    def _query(self, packet: bytes) -> bytes:
        if packet[1:12] in (b"fThreadInfo", b"sThreadInfo"):
            return self._list_threads(first=packet[1:2] == b"f")
        if packet.startswith(b"qC"):
            return b"QC" + self.current_id()
        if packet.startswith(b"qThreadExtraInfo,"):
            return self._thread_name(packet[17:])
        return b""

    def _list_threads(self, *, first: bool) -> bytes:
        ids = []
        if first:
            self._listed = 0
            ids = [-cpu - 2 for cpu in range(len(self._machine.cpus))]
        ids += sorted(self._machine.tasks)[self._listed : self._listed + THREADS_PER_PACKET]
        self._listed += THREADS_PER_PACKET
        return b"m" + b",".join(map(_pack_id, ids)) if ids else b""

    def _thread_name(self, text: bytes) -> bytes:
        number, chosen = self._find(text)
        if chosen is None:
            return _error(EINVAL)
        if 0 < number < 1 << 31:
            return self._machine.tasks[number].comm.encode()[: _COMM_BYTES - 1].ljust(_COMM_BYTES, b"\0").hex().encode()
        return f"shadowCPU{_signed(-number - 2)}".encode().hex().encode("ascii")

    def _breakpoint(self, packet: bytes) -> bytes:
        kind = packet[1:2]
        if not b"0" <= kind <= b"4" or kind == b"":
            return b""
        address, rest = _number(packet[3:])
        length, _ = _number(rest[1:])
        if address is None or length is None or packet[2:3] != b"," or not rest.startswith(b","):
            return _error(EINVAL)
        setting = packet.startswith(b"Z")
        if kind == b"0":
            return _result((self._machine.set_software if setting else self._machine.remove_software)(address))
        if setting:
            return _result(self._machine.set_hardware(address, length, int(kind)))
        return _result(self._machine.remove_hardware(address))

    _HANDLERS: ClassVar[dict[bytes, Callable[[Commands, bytes], bytes]]] = {
        b"?": _status,
        b"g": _read_registers,
        b"G": _write_registers,
        b"p": _read_register,
        b"P": _write_register,
        b"m": _read_memory,
        b"M": _write_memory,
        b"X": _write_memory,
        b"q": _query,
        b"H": _select_thread,
        b"T": _thread_alive,
        b"Z": _breakpoint,
        b"z": _breakpoint,
    }
