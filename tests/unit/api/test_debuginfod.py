# SPDX-License-Identifier: Apache-2.0
"""Debug info from a real debuginfod server, by its real client."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.api import debuginfod
from nullmodem.api.debuginfod import Debuginfod
from nullmodem.errors import UsageError
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.plain import PlainFiles
from support.lines import answers, free_port, program, running, until
from support.rigged import module_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["module_path"]


@contextlib.contextmanager
def server(files: Path, work: Path) -> Iterator[str]:
    """A debuginfod that has what is in ``files``; its address."""
    port = free_port()
    with running(program("debuginfod"), "-F", "-d", str(work / "index"), "-p", str(port), str(files)):
        until(lambda: answers(port) or answers6(port), "debuginfod listens")
        yield f"http://127.0.0.1:{port}"


def answers6(port: int) -> bool:
    """Whether somebody listens on a port, by IPv6."""
    with open("/proc/net/tcp6", encoding="ascii") as table:  # noqa: PTH123 - a file of the kernel's
        return f":{port:04X} 00000000000000000000000000000000:0000 0A" in table.read()


@pytest.fixture
def stripped(module_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleFile:
    """A module without debug info, whose debug info only a server has."""
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.delenv("DEBUGINFOD_PROGRESS", raising=False)
    served, here = tmp_path / "served", tmp_path / "here"
    served.mkdir()
    here.mkdir()
    subprocess.run(["objcopy", "--only-keep-debug", module_path, served / "module.debug"], check=True)
    subprocess.run(["objcopy", "--strip-debug", module_path, here / module_path.name], check=True)
    return ModuleFile.open(here / module_path.name)


def test_what_is_not_here_comes_from_the_server_in_its_time(
    stripped: ModuleFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not stripped.has_debug_info
    assert stripped.build_id
    build_id = stripped.build_id
    with server(tmp_path / "served", tmp_path) as url:
        monkeypatch.setenv("DEBUGINFOD_URLS", url)
        fetch = Debuginfod(url)

        def scanned() -> bool:
            return fetch(build_id) is not None

        monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "scan"))
        (tmp_path / "scan").mkdir()
        (tmp_path / "scan" / "cache_miss_s").write_text("0", encoding="ascii")  # it is asked again at once
        until(scanned, "the server has read its files")
        found = fetch(build_id)
        assert found is not None
        assert found.read_bytes() == (tmp_path / "served" / "module.debug").read_bytes()
        finder = ModuleFinder([stripped.path.parent], plain=PlainFiles(tmp_path / "plain", fetch=fetch))
        whole = finder.find(stripped.name, build_id, None)
        assert isinstance(whole, ModuleFile)
        assert whole.has_debug_info
        assert fetch(bytes(20)) is None, "what no server has"


def test_a_server_that_is_not_there_is_no_debug_info(stripped: ModuleFile, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("DEBUGINFOD_URLS", url)
    assert stripped.build_id
    assert Debuginfod(url)(stripped.build_id) is None


def test_a_request_without_a_server_or_a_client_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no debuginfod server is named"):
        Debuginfod(" ")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=f"{debuginfod.PROGRAM} is missing"):
        Debuginfod("http://127.0.0.1:1")
