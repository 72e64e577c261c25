# SPDX-License-Identifier: Apache-2.0
"""How a browser comes to the page of a session, and who does not: the built page, from its own server."""

from __future__ import annotations

import contextlib
import socket
import stat
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from nullmodem.errors import SessionError
from nullmodem.frontends.cli.web import leading_to
from nullmodem.frontends.web.site import page_files
from nullmodem.frontends.web.starting import require_port
from support.browser import chromium, new_page
from support.pages import Web, web_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig


@pytest.fixture
def web(rig: Rig, tmp_path: Path) -> Iterator[Web]:
    with web_on(rig.live, tmp_path, files=page_files()) as served:
        yield served


def test_a_file_leads_a_browser_to_the_page_and_its_tab_alone_is_let_in(web: Web, tmp_path: Path) -> None:
    home = f"http://127.0.0.1:{web.server.key.port}/"
    with chromium() as browser, new_page(browser) as page:
        with leading_to(web.server.url, tmp_path) as file:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            page.goto(file.as_uri())
            expect(page.locator(".pill")).to_have_text("running")
        assert not file.exists()
        assert page.url == home
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["expires"], cookie["httpOnly"]) == (web.server.key.cookie, -1, True)
        assert web.server.key.tab not in cookie["value"]
        page.reload()
        expect(page.locator(".pill")).to_have_text("running")
        other = page.context.new_page()  # it has the cookie
        other.goto(home)
        expect(other.get_by_text("Open the address that nullmodem printed").first).to_be_visible()
        other.goto(web.server.url)
        expect(other.locator(".pill")).to_have_text("running")
        assert other.url == home


def test_a_file_that_leads_there_replaces_one_that_was_left(tmp_path: Path) -> None:
    (tmp_path / "else").write_text("mine")
    with leading_to("http://127.0.0.1:1/?token=a&b", tmp_path) as file:
        left = file.with_name("left")
        left.hardlink_to(file)
    file.symlink_to(tmp_path / "else")
    with leading_to("http://127.0.0.1:1/?token=a&b", tmp_path) as file:
        assert not file.is_symlink()
        assert "0;url=http://127.0.0.1:1/?token=a&amp;b" in file.read_text()
    assert (tmp_path / "else").read_text() == "mine"


def test_a_port_may_be_chosen_and_one_in_use_is_said(rig: Rig, tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SessionError, match=f"cannot listen on port {port} of 127.0.0.1: Address already in use\n"):
            require_port(port)
        (tmp_path / "refused").mkdir()
        with pytest.raises(SessionError, match=f"port {port}"), web_on(rig.live, tmp_path / "refused", port=port):
            pass
    assert rig.live.clients() == ()
    (tmp_path / "served").mkdir()
    with web_on(rig.live, tmp_path / "served", port=port) as web:
        assert web.server.url.startswith(f"http://127.0.0.1:{port}/")
