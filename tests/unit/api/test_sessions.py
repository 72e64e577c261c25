# SPDX-License-Identifier: Apache-2.0
"""The directory of sessions: found by name, one name each, and the dead are not among the living."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.sessions import (
    SessionEntry,
    SessionRecord,
    check_free,
    claim,
    claim_killed,
    find_session,
    killed_sessions,
    running_sessions,
    sessions_directory,
)
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import NoSessionError, NullmodemError, SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[3] / "src"
RECORD = SessionRecord(
    pid=os.getpid(),
    started=1.5,
    version="0",
    protocol=1,
    kernel="6.1",
    release="6.1.0",
    vmlinux="/k/vmlinux",
    module="simple",
    workdir="/w",
)
CLAIM_AND_WAIT = """
import sys
from nullmodem.api.sessions import SessionRecord, claim
from nullmodem.api.workdir import WorkDirectory
work = WorkDirectory("x")
record = SessionRecord(1, 1.0, "0", 1, "6.1", "6.1.0", "/v", "simple", str(work.path))
print(claim("simple", record, exact=False).session.name, work.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XDG_RUNTIME_DIR, its name short because sockets lie in it, and a cache beside it."""
    directory = tmp_path_factory.mktemp("r") / "run"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    return directory


@pytest.fixture
def entries() -> Iterator[list[SessionEntry]]:
    """Sessions to close at the end."""
    opened: list[SessionEntry] = []
    yield opened
    for entry in opened:
        entry.close()


def another_process() -> subprocess.Popen[str]:
    """A process that holds a session and a work directory."""
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM_AND_WAIT],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def names() -> list[str]:
    return [session.name for session in running_sessions()]


def test_a_session_is_found_by_its_name_and_as_the_only_one(entries: list[SessionEntry], runtime: Path) -> None:
    entries.append(claim("simple", RECORD, exact=True))
    session = find_session("simple")
    assert session == find_session()
    assert session.record == RECORD
    assert session.directory == runtime / "nullmodem" / "simple"
    assert stat.S_IMODE(session.directory.stat().st_mode) == 0o700
    assert session.control_socket.parent == session.gdb_socket.parent == session.console_socket.parent
    entries[0].close()
    entries[0].close()
    assert not session.directory.exists()
    assert names() == []


def test_a_name_that_is_taken_gets_a_number(entries: list[SessionEntry]) -> None:
    entries.extend(claim("simple", RECORD, exact=False) for _ in range(3))
    assert names() == ["simple", "simple-2", "simple-3"]
    entries[1].close()
    entries.append(claim("simple", RECORD, exact=False))
    assert entries[-1].session.name == "simple-2"


def test_a_name_that_was_asked_for_is_not_changed(entries: list[SessionEntry]) -> None:
    entries.append(claim("mine", RECORD, exact=True))
    for refused in (lambda: claim("mine", RECORD, exact=True), lambda: check_free("mine")):
        with pytest.raises(UsageError, match="a session 'mine' is running already"):
            refused()
    check_free("other")


def test_many_that_begin_at_once_have_names_of_their_own(entries: list[SessionEntry]) -> None:
    lock = threading.Lock()

    def begin() -> None:
        entry = claim("simple", RECORD, exact=False)
        with lock:
            entries.append(entry)

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        names()  # whoever looks meanwhile disturbs nobody
    assert len(names()) == len({entry.session.name for entry in entries}) == 16


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a b", "x" * 41, "ä", "a\n", "-x"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a session's name"):
        claim(name, RECORD, exact=True)


def test_none_and_several_are_told_apart(entries: list[SessionEntry]) -> None:
    with pytest.raises(NoSessionError, match="no session is running") as none:
        find_session()
    assert "nullmodem run" in none.value.hint
    with pytest.raises(NoSessionError, match="no session 'x' is running") as none:
        find_session("x")
    entries.append(claim("one", RECORD, exact=True))
    entries.append(claim("two", RECORD, exact=True))
    with pytest.raises(NoSessionError, match="2 sessions are running: one, two") as several:
        find_session()
    assert "--session" in several.value.hint
    with pytest.raises(NoSessionError, match="no session 'x' is running") as wrong:
        find_session("x")
    assert "one, two" in wrong.value.hint
    assert wrong.value.exit_code == 2


def test_a_session_whose_process_was_killed_is_none_and_its_remains_go(entries: list[SessionEntry]) -> None:
    process = another_process()
    assert process.stdout is not None
    name, work = process.stdout.readline().split()
    assert names() == [name]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    directory = sessions_directory() / name
    assert names() == []
    assert directory.exists()
    assert Path(work).exists()
    with WorkDirectory("x") as fresh:
        assert not Path(work).exists()
        assert fresh.path.exists()
    entries.append(claim(name, RECORD, exact=True))
    assert names() == [name]


def test_the_journal_of_a_target_that_was_not_freed_outlives_its_session(entries: list[SessionEntry]) -> None:
    entry = claim("board", RECORD, exact=True)
    entry.session.journal.write_text("what is armed")
    assert entry.close()
    assert names() == []
    assert killed_sessions() == ("board",)
    entries.append(claim("board", RECORD, exact=False))
    assert entries[0].session.name == "board-2"
    with claim_killed("board") as directory:
        assert (directory / "journal").read_text() == "what is armed"
    assert not entries[0].close()
    assert names() == []


def test_a_living_process_keeps_what_is_its_own() -> None:
    process = another_process()
    assert process.stdout is not None
    _name, work = process.stdout.readline().split()
    with WorkDirectory("y") as mine:
        assert Path(work).exists()
        assert stat.S_IMODE(mine.path.stat().st_mode) == 0o700
    assert not mine.path.exists()
    assert Path(work).exists()
    entry = claim("simple", RECORD, exact=False)
    assert names() == ["simple", "simple-2"]
    entry.close()
    process.communicate("")


def test_without_a_runtime_directory_there_is_one_of_our_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fallback = Path(f"/tmp/nullmodem-{os.getuid()}")
    for value in ("", "relative", str(tmp_path / "nothing")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert sessions_directory() == fallback
    assert stat.S_IMODE(fallback.stat().st_mode) == 0o700


def test_a_directory_that_others_can_write_is_not_trusted(runtime: Path) -> None:
    directory = runtime / "nullmodem"
    directory.mkdir()
    directory.chmod(0o755)
    with pytest.raises(UsageError, match="is not a directory that only you can use: it is drwxr-xr-x"):
        sessions_directory()
    directory.rmdir()
    directory.symlink_to("/")
    with pytest.raises(UsageError, match="is not a directory that only you can use: it is l"):
        sessions_directory()
    directory.unlink()
    directory.write_text("")
    with pytest.raises(UsageError, match="nullmodem"):
        sessions_directory()


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(UsageError, match="too long for the sockets in it"):
        claim("simple", RECORD, exact=False)
    assert names() == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}', "\udc80"])
def test_a_record_of_another_version_is_an_error_that_says_so(entries: list[SessionEntry], text: str) -> None:
    entries.append(claim("simple", RECORD, exact=True))
    file = entries[0].session.directory / "session.json"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SessionError, match="is not a session's record") as raised:
        running_sessions()
    assert "another version" in raised.value.hint


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("NULLMODEM_CACHE", str(file))
    with pytest.raises(NullmodemError, match="cannot make a work directory in") as raised:
        WorkDirectory("x")
    assert "NULLMODEM_CACHE" in raised.value.hint
