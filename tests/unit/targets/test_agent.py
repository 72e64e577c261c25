# SPDX-License-Identifier: Apache-2.0
"""The pool of command ports, against a peer that speaks the agents' protocol."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import CommandError, CommandTimeout, TargetError, TargetLost, UsageError
from nullmodem.targets.agent import AgentPool
from nullmodem.targets.target import ExecResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = b"7" * 32


class Peer:
    """The target's end of one port, driven by the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.lines = sock.makefile("rb")

    def start(self) -> None:
        self.socket.sendall(SECRET + b"!\n")

    def take(self) -> tuple[bytes, bytes]:
        """The next request: tag and command."""
        tag, _, command = self.lines.readline().rstrip(b"\n").partition(b" ")
        return tag, command

    def serve(self, output: bytes = b"", code: int = 0) -> bytes:
        tag, command = self.take()
        self.socket.sendall(tag + b"+\n" + output + tag + b"-%d\n" % code)
        return command

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Bench:
    """A pool, its peers, and threads to call it from."""

    def __init__(self, ports: int) -> None:
        pairs = [socket.socketpair() for _ in range(ports + 1)]
        self.ready = threading.Event()
        self.peers = [Peer(there) for _, there in pairs]
        self.pool = AgentPool([here for here, _ in pairs], SECRET, self.ready.set)
        self.callers = ThreadPoolExecutor(ports + 4)

    def start(self) -> None:
        for peer in self.peers:
            peer.start()
        assert self.ready.wait(10)

    def call(self, command: str, timeout: float | None = None) -> Future[ExecResult]:
        return self.callers.submit(self.pool.execute, command, timeout=timeout)

    def close(self) -> None:
        self.pool.close()
        for peer in self.peers:
            peer.close()
        self.callers.shutdown()


@pytest.fixture
def bench() -> Iterator[Callable[[int], Bench]]:
    made: list[Bench] = []

    def make(ports: int) -> Bench:
        made.append(Bench(ports))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_pool_is_ready_when_every_port_has_its_agent(bench: Callable[[int], Bench]) -> None:
    pool = bench(2)
    pool.peers[0].start()
    pool.peers[1].start()
    assert not pool.ready.is_set()
    pool.peers[2].start()  # the one that is kept for what is urgent
    assert pool.ready.wait(10)


def test_a_command_gets_its_output_and_its_code(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("ls /x")
    assert pool.peers[0].serve(b"no\xff\0such", 2) == b"ls /x"
    assert call.result(10) == ExecResult("ls /x", 2, b"no\xff\0such")


def test_words_reach_the_shell_as_one_word_each(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.callers.submit(pool.pool.execute, ["echo", "a b", "$HOME"])
    assert pool.peers[0].serve() == b"echo 'a b' '$HOME'"
    assert call.result(10).code == 0


def test_output_is_streamed_in_the_callers_thread(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    heard = threading.Event()
    got: list[tuple[bytes, str]] = []

    def listen(data: bytes) -> None:
        got.append((data, threading.current_thread().name))
        heard.set()

    def run() -> tuple[ExecResult, str]:
        return pool.pool.execute("x", on_output=listen), threading.current_thread().name

    call = pool.callers.submit(run)
    tag, _ = pool.peers[0].take()
    pool.peers[0].socket.sendall(tag + b"+\nfirst")
    assert heard.wait(10)
    pool.peers[0].socket.sendall(b"second" + tag + b"-0\n")
    result, caller = call.result(10)
    assert b"".join(data for data, _ in got) == b"firstsecond"
    assert {thread for _, thread in got} == {caller}
    assert result.output == b""


def test_several_commands_run_at_once_each_on_its_port(bench: Callable[[int], Bench]) -> None:
    pool = bench(3)
    pool.start()
    calls = [pool.call(f"command {n}") for n in range(3)]
    for peer in reversed(pool.peers[:-1]):
        tag, command = peer.take()
        peer.socket.sendall(tag + b"+\n" + command + tag + b"-0\n")
    assert [call.result(10).text for call in calls] == ["command 0", "command 1", "command 2"]


def test_when_every_port_is_busy_the_error_names_what_they_run(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("sleep 1000")
    tag, _ = pool.peers[0].take()
    with pytest.raises(TargetError, match=r"all 1 command ports are busy with `sleep 1000`"):
        pool.pool.execute("ls")
    pool.peers[0].socket.sendall(tag + b"+\n" + tag + b"-0\n")
    call.result(10)


def test_what_is_urgent_runs_when_every_other_port_is_busy(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("sleep 1000")
    tag, _ = pool.peers[0].take()
    endings = [pool.callers.submit(pool.pool.execute, f"kill {n}", urgent=True) for n in range(3)]
    assert {pool.peers[1].serve() for _ in endings} == {b"kill 0", b"kill 1", b"kill 2"}
    assert [ending.result(10).code for ending in endings] == [0, 0, 0]
    pool.peers[0].socket.sendall(tag + b"+\n" + tag + b"-143\n")
    assert call.result(10).code == 143


def test_a_port_is_not_used_again_before_its_abandoned_command_has_ended(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("slow", timeout=0.05)
    tag, _ = pool.peers[0].take()
    pool.peers[0].socket.sendall(tag + b"+\nso far")
    with pytest.raises(CommandTimeout, match=r"`slow` on the target still runs after 0.05 s") as caught:
        call.result(10)
    assert caught.value.code == 124
    with pytest.raises(TargetError, match="busy with `slow`"):
        pool.pool.execute("next")
    # The abandoned one prints more than a pipe holds: it is read all the same, or it would never end.
    pool.peers[0].socket.sendall(bytes(8 << 20) + tag + b"-0\n")
    retry = pool.callers.submit(_when_free, pool.pool)
    assert pool.peers[0].serve(b"fresh") == b"next"
    assert retry.result(10).output == b"fresh"


def _when_free(pool: AgentPool) -> ExecResult:
    with pool._changed:
        assert pool._changed.wait_for(lambda: pool._ports[0].state.value == "idle", 10)
    return pool.execute("next")


def test_a_caller_that_reads_slowly_makes_the_command_wait_and_loses_nothing(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    go = threading.Event()
    got = bytearray()

    def listen(data: bytes) -> None:
        go.wait(10)
        got.extend(data)

    call = pool.callers.submit(pool.pool.execute, "flood", on_output=listen)
    tag, _ = pool.peers[0].take()
    peer = pool.peers[0].socket
    peer.settimeout(0.2)
    sent = peer.send(tag + b"+\n") - len(tag) - 2
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            sent += peer.send(bytes(1 << 16))
    assert sent < 16 << 20
    go.set()
    peer.settimeout(10)
    peer.sendall(tag + b"-0\n")
    assert call.result(10).code == 0
    assert bytes(got) == bytes(sent)


def test_a_killed_agent_fails_its_command_and_the_port_serves_again(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("kill -9 -1")
    pool.peers[0].take()
    pool.peers[0].start()
    with pytest.raises(CommandError, match="shell that ran `kill -9 -1` was killed"):
        call.result(10)
    again = pool.call("ls")
    pool.peers[0].serve(b"file")
    assert again.result(10).output == b"file"


def test_the_end_of_the_target_is_told_to_those_who_wait_and_to_those_who_come(bench: Callable[[int], Bench]) -> None:
    pool = bench(2)
    pool.start()
    calls = [pool.call("one"), pool.call("two")]
    for peer in pool.peers[:-1]:
        peer.take()
        peer.socket.shutdown(socket.SHUT_RDWR)
    for call in calls:
        with pytest.raises(TargetLost, match="while it ran"):
            call.result(10)
    with pytest.raises(TargetLost, match="`three` was not run"):
        pool.pool.execute("three")


def test_what_still_runs_can_be_waited_for_and_is_named(bench: Callable[[int], Bench]) -> None:
    pool = bench(3)  # the last port is kept for what is urgent
    pool.start()
    assert pool.pool.still_running(0) == ()
    calls = [pool.call("one"), pool.call("two")]
    commands = [peer.take() for peer in pool.peers[:2]]
    assert sorted(pool.pool.still_running(0.01)) == ["one", "two"]
    waiting = pool.callers.submit(pool.pool.still_running, 30)
    for peer, (tag, _command) in zip(pool.peers[:2], commands, strict=True):
        peer.socket.sendall(tag + b"+\n" + tag + b"-0\n")
    assert waiting.result(10) == ()
    assert [call.result(10).code for call in calls] == [0, 0]


def test_closing_wakes_those_who_wait(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    call = pool.call("forever")
    pool.peers[0].take()
    pool.pool.close()
    with pytest.raises(TargetLost):
        call.result(10)


def test_an_error_in_the_callers_listener_reaches_the_caller_and_frees_the_port(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()

    def listen(data: bytes) -> None:
        raise KeyError(data)

    call = pool.callers.submit(pool.pool.execute, "x", on_output=listen)
    pool.peers[0].serve(b"text")
    with pytest.raises(KeyError):
        call.result(10)
    retry = pool.callers.submit(_when_free, pool.pool)
    pool.peers[0].serve(b"fresh")
    assert retry.result(10).output == b"fresh"


def test_a_command_that_is_none_takes_no_port(bench: Callable[[int], Bench]) -> None:
    pool = bench(1)
    pool.start()
    with pytest.raises(UsageError):
        pool.pool.execute("")
    with pytest.raises(UsageError):
        pool.pool.execute([])
    call = pool.call("ls")
    pool.peers[0].serve()
    assert call.result(10).code == 0
