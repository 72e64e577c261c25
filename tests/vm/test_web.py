# SPDX-License-Identifier: Apache-2.0
"""The web view in a browser, on a real kernel: a first session, from the boot to the second load of the module."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import chromium, new_page, violations
from support.cli import Cli
from support.editing import line_of
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.vm]

LINE_PIXELS = 18
PICTURES = "NULLMODEM_PICTURES"
"""Set by `make picture`: a directory to put the documentation's pictures into."""


@dataclass
class View:
    """The page of a session that has just begun."""

    page: Page
    source: Path

    def state(self, state: str) -> None:
        expect(self.page.locator(".pill")).to_have_text(state)

    def at(self, text: str) -> None:
        """Wait until the target stands at a line that has this text in it."""
        expect(self.page.locator(".line-current")).to_contain_text(text)

    def in_function(self, name: str) -> None:
        """Wait until the target stands in a function, and its line is shown."""
        expect(self.page.locator(".stack [aria-current=true] .name")).to_have_text(name)
        expect(self.page.locator(".line-current")).to_be_visible()
        self.state("stopped")

    def click_beside(self, line: int) -> None:
        """Scroll there, and click on the line's number."""
        self.page.locator(".cm-scroller").hover()
        self.page.mouse.wheel(0, LINE_PIXELS * (line - 8))
        self.page.locator(".cm-lineNumbers .cm-gutterElement").get_by_text(str(line), exact=True).click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def variable(self, name: str) -> Locator:
        return self.page.get_by_role("treeitem").filter(has=self.page.locator(f".name:text-is('{name}')")).first

    def event(self, text: str) -> Locator:
        """The first button of the timeline's list that has this text: only rows in sight are there, and how many lines
        the console has printed before is the kernel's affair."""
        events = self.page.get_by_role("group", name="Events")
        found = events.get_by_role("button", name=text)
        end = events.evaluate("each => each.scrollHeight")
        for top in range(0, end, LINE_PIXELS):
            events.evaluate("(each, top) => new Promise(done => { each.scrollTop = top; setTimeout(done); })", top)
            self.page.evaluate("new Promise(requestAnimationFrame)")
            if found.count():
                break
        return found.first

    def type(self, text: str) -> None:
        """Type on the target's console."""
        self.page.locator(".xterm").click()
        self.page.keyboard.type(text)

    def printed(self, text: str) -> None:
        expect(self.page.locator(".xterm-rows")).to_contain_text(text)

    def picture(self, name: str) -> None:
        """The page as it is now, for the documentation, if that is wanted."""
        if directory := os.environ.get(PICTURES):
            self.page.evaluate("Promise.all(document.getAnimations().map(each => each.finished))")
            self.page.screenshot(path=f"{directory}/web-{name}.png")


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    with ExitStack() as stack:
        cli = stack.enter_context(Cli())
        simple = copy_module("simple", tmp_path)
        cli.serve(str(simple), "-s", "simple")
        serving = cli.start("web", "--session", "simple")
        assert serving.stdout is not None
        url = serving.stdout.readline().strip()
        browser = stack.enter_context(chromium())
        page = stack.enter_context(new_page(browser))
        page.goto(url)
        assert page.url == url.partition("?")[0], "nothing secret stays in the address"
        yield View(page, simple / "simple.c")


def test_a_first_session(view: View) -> None:
    page = view.page
    line = line_of(view.source, "ssize_t simple_read(") + 1  # its first instruction: every argument is there yet

    # A breakpoint by a click, before its module is there.
    page.get_by_label("Open a source file").select_option(label="simple.c · simple")
    view.click_beside(line)
    expect(page.get_by_role("cell", name="pending")).to_be_visible()

    # The module comes, the breakpoint with it, and its init goes.
    view.button("Load simple").click()
    expect(page.get_by_role("cell", name="armed")).to_be_visible()
    expect(page.locator(".section.init.freed").first).to_be_attached()
    expect(page.locator(".mark.at-bp")).to_have_count(1)

    # It is hit by what is typed into the console.
    view.printed("#")
    view.type("head -c5 /dev/simple\n")
    view.in_function("simple_read")

    # A structure unfolds, three levels deep.
    view.variable("file").click()
    view.variable("f_op").click()
    expect(view.variable("unlocked_ioctl")).to_contain_text("<simple_ioctl>")
    page.get_by_role("tab", name="Registers").click()
    expect(page.get_by_text("rip", exact=True)).to_be_visible()
    page.get_by_role("tab", name="CPUs and tasks").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("head")
    page.get_by_role("tab", name="Breakpoints").click()
    view.picture("stop")
    assert violations(page) == []

    # Steps: over lines, into a call, out of it.
    page.keyboard.press("F10")
    view.at("mutex_lock(&simple_lock)")
    page.keyboard.press("F10")
    view.at('simple_counted("read")')
    page.keyboard.press("F11")
    view.at("int number = ++simple_count")
    page.keyboard.press("Shift+F11")
    view.in_function("simple_read")
    view.button("Continue").click()
    view.state("running")
    view.printed("hello")

    # What was recorded at the first stop.
    view.event("simple:simple_read (").click()
    expect(page.locator(".line-recorded")).to_be_visible()
    view.variable("file").click()
    view.variable("f_op").click()
    expect(view.variable("unlocked_ioctl")).to_contain_text("<simple_ioctl>")
    view.picture("recorded")
    page.keyboard.press("Escape")

    # Unloaded and loaded again, wherever that is: the breakpoint goes with it.
    page.locator(".section.text").first.click()
    view.button("unload").click()
    expect(page.get_by_role("cell", name="pending")).to_be_visible()
    expect(page.locator(".section")).to_have_count(0)
    view.button("Load simple").click()
    expect(page.get_by_role("cell", name="armed")).to_be_visible()
    expect(page.locator(".section.init.freed").first).to_be_attached()
    view.type("head -c5 /dev/simple\n")
    view.in_function("simple_read")
    page.emulate_media(color_scheme="dark")
    view.picture("dark")
    page.keyboard.press("F5")
    view.state("running")
    page.keyboard.press("F6")
    view.state("stopped")
    page.keyboard.press("F5")
    view.state("running")
