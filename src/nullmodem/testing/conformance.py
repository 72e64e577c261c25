# SPDX-License-Identifier: Apache-2.0
"""What kgdb on x86-64 answers, as checks for whatever claims to be it: the fake stub, and every real kernel.

Each check takes a ``StoppedStub`` and raises ``AssertionError`` when it is not as stated. The target must be stopped,
and past the point of its boot where the kernel makes its text read-only. It is left stopped, with no breakpoints, and
nothing in it is changed but for a moment. ``CHECKS`` lists them all; run each on a stub that was asked ``?`` before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nullmodem.rsp.replies import OK, UNSUPPORTED, ErrorReply, StopReply, ThreadList, parse_hex, parse_stop_reply
from nullmodem.rsp.requests import (
    BreakpointKind,
    Continue,
    CurrentThread,
    HaltReason,
    InsertBreakpoint,
    MustReplyEmpty,
    ReadBinary,
    ReadMemory,
    ReadRegister,
    ReadRegisters,
    RemoveBreakpoint,
    Request,
    SelectThread,
    StartNoAck,
    Step,
    Supported,
    ThreadAlive,
    ThreadExtraInfo,
    ThreadInfoFirst,
    ThreadInfoNext,
    VContQuery,
    WriteBinary,
    WriteMemory,
    WriteRegister,
    WriteRegisters,
    Xfer,
)
from nullmodem.rsp.threads import parse_thread_id

if TYPE_CHECKING:
    from collections.abc import Callable

ENOENT, EFAULT, EEXIST, EINVAL, ERANGE = 2, 14, 17, 22, 34
EPERM = 1  # what -1 looks like

REGISTER_BYTES = 156
MAX_READ = 511
_RSP, _RIP = 7, 16
_UNMAPPED = 0xFFFFFFFFFFFFE000  # in the hole at the very top: Documentation/x86/x86_64/mm.rst
_USER = 0x1000
_NO_SUCH_PID = 0x7FFFFFF0
_MAX_LISTS = 10_000
_SOFTWARE, _HARDWARE = BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE


class StoppedStub(Protocol):
    """A stub whose target is stopped.

    ``text`` is the address of an instruction where a breakpoint may stand, in read-only memory, away from the stub's
    own path: a system call's entry in a kernel.
    """

    text: int

    def exchange(self, payload: bytes) -> bytes:
        """Send a request and return the payload of the reply to it; for ``s``, of the stop."""
        ...


def _ask(stub: StoppedStub, request: Request) -> bytes:
    return stub.exchange(request.encode())


def _expect(stub: StoppedStub, request: Request, expected: bytes) -> None:
    reply = _ask(stub, request)
    assert reply == expected, f"{request} was answered {reply!r}, not {expected!r}"


def _expect_error(stub: StoppedStub, request: Request, errno: int) -> None:
    reply = _ask(stub, request)
    assert ErrorReply.parse(reply) == ErrorReply(errno), f"{request} was answered {reply!r}, not error {errno}"


def _register(stub: StoppedStub, number: int) -> int:
    return int.from_bytes(parse_hex(_ask(stub, ReadRegister(number)), 8), "little")


def _threads(stub: StoppedStub) -> list[int]:
    threads: list[int] = []
    part = ThreadList.parse(_ask(stub, ThreadInfoFirst()))
    for _ in range(_MAX_LISTS):
        if part.end:
            return threads
        threads += part.threads
        part = ThreadList.parse(_ask(stub, ThreadInfoNext()))
    raise AssertionError(f"the thread list has no end after {_MAX_LISTS} packets")


def _another_thread(stub: StoppedStub) -> int:
    current = parse_thread_id(_ask(stub, CurrentThread()).removeprefix(b"QC"))
    return next(thread for thread in _threads(stub) if thread > 0 and thread != current)


def status_is_a_signal_without_a_thread(stub: StoppedStub) -> None:
    """``?`` is answered ``Snn``."""
    reply = _ask(stub, HaltReason())
    assert reply[:1] == b"S", f"? was answered {reply!r}"
    assert isinstance(parse_stop_reply(reply), StopReply)


def register_file_has_its_size(stub: StoppedStub) -> None:
    """``g`` is 156 bytes of hex: up to es, without fs and gs."""
    parse_hex(_ask(stub, ReadRegisters()), REGISTER_BYTES)


def one_register_is_a_slice_of_all(stub: StoppedStub) -> None:
    """``p`` gives for each of the first 22 registers what ``g`` has in its place."""
    registers = parse_hex(_ask(stub, ReadRegisters()), REGISTER_BYTES)
    offset = 0
    for number in range(22):
        size = 8 if number <= _RIP else 4
        value = parse_hex(_ask(stub, ReadRegister(number)), size)
        assert value == registers[offset : offset + size], f"register {number} differs between p and g"
        offset += size


def registers_past_the_last_are_refused(stub: StoppedStub) -> None:
    """There are 24; ``p18`` and ``P18`` are invalid."""
    _expect_error(stub, ReadRegister(24), EINVAL)
    _expect_error(stub, WriteRegister(24, bytes(8)), EINVAL)


def registers_written_back_change_nothing(stub: StoppedStub) -> None:
    """``G`` and ``P`` of the values just read succeed."""
    registers = parse_hex(_ask(stub, ReadRegisters()), REGISTER_BYTES)
    _expect(stub, WriteRegisters(registers), OK)
    _expect(stub, WriteRegister(_RIP, registers[128:136]), OK)
    assert parse_hex(_ask(stub, ReadRegisters())) == registers


def current_thread_is_listed(stub: StoppedStub) -> None:
    """``qC`` names a thread of the list, CPU 0's shadow is in it, and no id is there twice."""
    threads = _threads(stub)
    current = parse_thread_id(_ask(stub, CurrentThread()).removeprefix(b"QC"))
    assert current in threads
    assert -2 in threads
    assert len(set(threads)) == len(threads)


def thread_list_ends_in_an_empty_packet(stub: StoppedStub) -> None:
    """The end is an empty packet, not ``l``, and no part holds more than 17 tasks besides the shadows."""
    reply = _ask(stub, ThreadInfoFirst())
    for _ in range(_MAX_LISTS):
        if not reply:
            return
        part = ThreadList.parse(reply)
        assert sum(thread > 0 for thread in part.threads) <= 17
        reply = _ask(stub, ThreadInfoNext())
    raise AssertionError(f"the thread list has no end after {_MAX_LISTS} packets")


def threads_have_names(stub: StoppedStub) -> None:
    """A shadow is called ``shadowCPUn``; a task has 16 bytes of comm."""
    assert parse_hex(_ask(stub, ThreadExtraInfo(-2))) == b"shadowCPU0"
    parse_hex(_ask(stub, ThreadExtraInfo(_another_thread(stub))), 16)


def listed_threads_are_alive(stub: StoppedStub) -> None:
    """``T`` of a listed thread is OK, of another pid an error."""
    _expect(stub, ThreadAlive(-2), OK)
    _expect(stub, ThreadAlive(_another_thread(stub)), OK)
    _expect_error(stub, ThreadAlive(_NO_SUCH_PID), EINVAL)


def other_threads_can_be_read_and_not_written(stub: StoppedStub) -> None:
    """After ``Hg`` to another task ``g`` answers, and ``G`` and ``P`` are invalid."""
    before = parse_hex(_ask(stub, ReadRegisters()), REGISTER_BYTES)
    _expect(stub, SelectThread("g", _another_thread(stub)), OK)
    parse_hex(_ask(stub, ReadRegisters()), REGISTER_BYTES)
    _expect_error(stub, WriteRegisters(before), EINVAL)
    _expect_error(stub, WriteRegister(_RIP, bytes(8)), EINVAL)
    _expect(stub, SelectThread("g", 0), OK)
    assert parse_hex(_ask(stub, ReadRegisters())) == before


def selecting_a_missing_thread_is_refused(stub: StoppedStub) -> None:
    """``Hg`` and ``Hc`` of a pid that is not there are invalid."""
    _expect_error(stub, SelectThread("g", _NO_SUCH_PID), EINVAL)
    _expect_error(stub, SelectThread("c", _NO_SUCH_PID), EINVAL)


def only_the_current_thread_can_be_resumed(stub: StoppedStub) -> None:
    """After ``Hc`` to another task, ``c`` and ``s`` are invalid and the target stays stopped."""
    _expect(stub, SelectThread("c", _another_thread(stub)), OK)
    _expect_error(stub, Continue(), EINVAL)
    _expect_error(stub, Step(), EINVAL)
    _expect(stub, SelectThread("c", 0), OK)


def stack_pointer_cannot_be_set(stub: StoppedStub) -> None:
    """``P`` of rsp is answered OK, and rsp stays as it was."""
    before = _register(stub, _RSP)
    _expect(stub, WriteRegister(_RSP, (before - 8).to_bytes(8, "little")), OK)
    assert _register(stub, _RSP) == before


def memory_reads_of_any_length_agree(stub: StoppedStub) -> None:
    """``m`` of 511 bytes begins with what ``m`` of fewer gives."""
    whole = parse_hex(_ask(stub, ReadMemory(stub.text, MAX_READ)), MAX_READ)
    for length in (1, 2, 3, 4, 7, 8, 64, 510):
        assert parse_hex(_ask(stub, ReadMemory(stub.text, length)), length) == whole[:length]


def unmapped_memory_is_refused(stub: StoppedStub) -> None:
    """Reading it is EINVAL, writing it EFAULT, and so is a breakpoint there."""
    _expect_error(stub, ReadMemory(_UNMAPPED, 8), EINVAL)
    _expect_error(stub, WriteMemory(_UNMAPPED, b"\0"), EFAULT)
    _expect_error(stub, WriteBinary(_UNMAPPED, b"\0"), EFAULT)
    _expect_error(stub, InsertBreakpoint(_SOFTWARE, _UNMAPPED, 1), EFAULT)


def user_memory_is_refused(stub: StoppedStub) -> None:
    """The kernel reads no user address: EINVAL for ``m``, and for a breakpoint the ERANGE behind it."""
    _expect_error(stub, ReadMemory(_USER, 8), EINVAL)
    _expect_error(stub, InsertBreakpoint(_SOFTWARE, _USER, 1), ERANGE)


def memory_written_back_changes_nothing(stub: StoppedStub) -> None:
    """``M`` and ``X`` of what lies on the stack succeed, escaped bytes too."""
    stack = _register(stub, _RSP)
    before = parse_hex(_ask(stub, ReadMemory(stack, 16)), 16)
    _expect(stub, WriteMemory(stack, before), OK)
    _expect(stub, WriteBinary(stack, before), OK)
    assert parse_hex(_ask(stub, ReadMemory(stack, 16))) == before


def special_bytes_can_be_written_raw(stub: StoppedStub) -> None:
    """``X`` of ``$ # } *`` puts just these into memory."""
    stack = _register(stub, _RSP)
    before = parse_hex(_ask(stub, ReadMemory(stack, 8)), 8)
    _expect(stub, WriteBinary(stack, b"$#}*\x03+-\0"), OK)
    written = parse_hex(_ask(stub, ReadMemory(stack, 8)), 8)
    _expect(stub, WriteBinary(stack, before), OK)
    assert written == b"$#}*\x03+-\0"


def empty_write_changes_nothing(stub: StoppedStub) -> None:
    """``X`` of no bytes, with which gdb asks for ``X``, is OK even in text; EINVAL where the kernel checks lengths.

    6.1 does not; 6.12.107 does (``write_mem_msg`` refuses a payload that ends at its colon).
    """
    reply = _ask(stub, WriteBinary(stub.text, b""))
    assert reply == OK or ErrorReply.parse(reply) == ErrorReply(EINVAL), f"an empty write was answered {reply!r}"


def text_cannot_be_written(stub: StoppedStub) -> None:
    """``X`` into read-only text is EFAULT."""
    _expect_error(stub, WriteBinary(stub.text, parse_hex(_ask(stub, ReadMemory(stub.text, 1)), 1)), EFAULT)


def software_breakpoint_is_set_once(stub: StoppedStub) -> None:
    """``Z0`` again is EEXIST, ``z0`` again ENOENT; it is not in memory while the target is stopped."""
    before = _ask(stub, ReadMemory(stub.text, 8))
    _expect(stub, InsertBreakpoint(_SOFTWARE, stub.text, 1), OK)
    _expect_error(stub, InsertBreakpoint(_SOFTWARE, stub.text, 1), EEXIST)
    assert _ask(stub, ReadMemory(stub.text, 8)) == before
    _expect(stub, RemoveBreakpoint(_SOFTWARE, stub.text, 1), OK)
    _expect_error(stub, RemoveBreakpoint(_SOFTWARE, stub.text, 1), ENOENT)


def status_drops_breakpoints(stub: StoppedStub) -> None:
    """``?`` removes every breakpoint, software and hardware."""
    _expect(stub, InsertBreakpoint(_SOFTWARE, stub.text, 1), OK)
    _expect(stub, InsertBreakpoint(_HARDWARE, stub.text, 1), OK)
    _ask(stub, HaltReason())
    _expect_error(stub, RemoveBreakpoint(_SOFTWARE, stub.text, 1), ENOENT)
    _expect_error(stub, RemoveBreakpoint(_HARDWARE, stub.text, 1), EPERM)


def there_are_four_hardware_breakpoints(stub: StoppedStub) -> None:
    """The fifth ``Z1`` is refused; so are ``z1`` of one that is not set, and a watchpoint for reads alone."""
    for number in range(4):
        _expect(stub, InsertBreakpoint(_HARDWARE, stub.text + number, 1), OK)
    _expect_error(stub, InsertBreakpoint(_HARDWARE, stub.text + 4, 1), EPERM)
    for number in range(4):
        _expect(stub, RemoveBreakpoint(_HARDWARE, stub.text + number, 1), OK)
    _expect_error(stub, RemoveBreakpoint(_HARDWARE, stub.text, 1), EPERM)
    _expect_error(stub, InsertBreakpoint(BreakpointKind.READ, stub.text, 8), EPERM)


def unknown_requests_are_answered_empty(stub: StoppedStub) -> None:
    """What kgdb does not know gets the empty packet; that is most of the protocol."""
    for request in (
        MustReplyEmpty(),
        Supported(("swbreak+",)),
        VContQuery(),
        StartNoAck(),
        ReadBinary(stub.text, 8),
        Xfer("features", "target.xml", 0, 64),
    ):
        _expect(stub, request, UNSUPPORTED)


def step_stops_with_a_trap(stub: StoppedStub) -> None:
    """``s`` is answered by ``T05`` with a thread, and the pc has moved."""
    before = _register(stub, _RIP)
    stop = parse_stop_reply(_ask(stub, Step()))
    assert isinstance(stop, StopReply)
    assert stop.signal == 5
    assert stop.thread is not None
    assert _register(stub, _RIP) != before


CHECKS: tuple[Callable[[StoppedStub], None], ...] = (
    status_is_a_signal_without_a_thread,
    register_file_has_its_size,
    one_register_is_a_slice_of_all,
    registers_past_the_last_are_refused,
    registers_written_back_change_nothing,
    current_thread_is_listed,
    thread_list_ends_in_an_empty_packet,
    threads_have_names,
    listed_threads_are_alive,
    other_threads_can_be_read_and_not_written,
    selecting_a_missing_thread_is_refused,
    only_the_current_thread_can_be_resumed,
    stack_pointer_cannot_be_set,
    memory_reads_of_any_length_agree,
    unmapped_memory_is_refused,
    user_memory_is_refused,
    memory_written_back_changes_nothing,
    special_bytes_can_be_written_raw,
    empty_write_changes_nothing,
    text_cannot_be_written,
    software_breakpoint_is_set_once,
    status_drops_breakpoints,
    there_are_four_hardware_breakpoints,
    unknown_requests_are_answered_empty,
    step_stops_with_a_trap,
)
