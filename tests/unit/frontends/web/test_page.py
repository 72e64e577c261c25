# SPDX-License-Identifier: Apache-2.0
"""The page of the web view, in a browser, with a session that the tests play."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.browser import PATIENCE, chromium, new_page, violations
from support.web_scene import Scene, entry, module, task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

SOURCE = "\n".join(
    [
        "#include <linux/fs.h>", "", "/* what is read */", "static char text[64];", "",
        *(f"static int f{number}(int n) {{ return n + {number}; }}" for number in range(1200)),
    ]
)  # fmt: skip
COLOURS = "each => getComputedStyle(each).color + getComputedStyle(each).backgroundColor"
MARKUP = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
ESCAPES = "\x1b[31m\x1b]0;owned\x07\u202etxt\u200b\x00"
# Questions to a terminal, whose answers would be typed on the target: device, cursor, modes, version, window, colours.
QUESTIONS = (
    "\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[?2004$p\x1b[4$p\x1b[>q\x1b[14t\x1b[18t\x1b[21t\x1b[x\x1b[?u"
    "\x1b]4;1;?\x07\x1b]10;?\x07\x1b]11;?\x1b\\\x1b]12;?\x07\x1bP$qm\x1b\\\x1b[?996n\x1bZ\x05\x1b[?1003h\x1b[?1004h\x1b[?2004h"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as page:
        yield page


def variable(name: str, value: str, ref: int | None = None, kind: str = "int") -> dict[str, object]:
    return {"name": name, "type": kind, "value": value, "ref": ref}


@pytest.fixture
def scene() -> Scene:
    history = [
        entry(1, "load", "simple"), entry(2, "stop", "breakpoint simple_init", stop=2), entry(3, "resume", "by gdb 1"),
        entry(4, "console", "simple: loading"), entry(5, "oops", "BUG: unable to handle"),
        entry(6, "stop", "breakpoint simple_read", stop=3),
    ]  # fmt: skip
    scene = Scene(SOURCE, line=12, history=history, console="Booting\r\n~ # ")
    scene.locals = [variable("file", "0xffff888003a1c100", 1, "struct file *"), variable("size", "4096")]
    scene.children[1] = [variable("f_pos", "0"), variable("f_op", "simple_operations", 2)]
    scene.children[2] = [variable("owner", "simple")]
    return scene


def breakpoint_at(line: int, owner: str = "this page", **more: object) -> dict[str, object]:
    return {
        "id": line, "file": Scene.path, "line": line, "function": "simple_read", "module": "simple",
        "address": "0xffffffffc0208140", "condition": None, "enabled": True, "verified": True, "hits": 1,
        "owner": owner, "message": "", **more,
    }  # fmt: skip


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for something in the session; the browser is asked meanwhile, which lets messages in."""
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end
        page.evaluate("new Promise(requestAnimationFrame)")


def answered(page: Page, scene: Scene, what: str, count: int = 1) -> list[dict[str, object]]:
    """The requests of one name, when there are so many."""
    until(page, lambda: len(scene.wanted(what)) >= count)
    assert len(scene.wanted(what)) == count
    return scene.wanted(what)


# -- a stop ----------------------------------------------------------------------------------------------------------


def test_a_stop_is_asked_for_once_and_shown_everywhere(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="size").wait_for()
    page.get_by_text("swapper/1").wait_for(state="detached")
    assert page.locator(".line-current").inner_text() == SOURCE.splitlines()[11]
    assert page.locator("[aria-current=true] .place").first.inner_text() == "simple.c:12"
    assert [each["do"] for each in scene.asked] == ["files", "threads", "stack", "source", "locals", "registers"]
    page.get_by_role("tab", name="CPUs and tasks").click()
    page.get_by_text("swapper/1").wait_for()
    scene.answers["threads"] = [{**task(9, "kthreadd", 2, current=False), "cpu": None}]
    page.get_by_role("button", name="show sleeping tasks").click()
    page.get_by_role("button", name="kthreadd").click()
    assert scene.wanted("threads")[1:] == [{"tasks": True}]
    assert answered(page, scene, "stack", 2)[1] == {"thread": 9}
    page.get_by_role("tab", name="Registers").click()
    page.get_by_text("rip", exact=True).wait_for()
    assert page.get_by_role("button", name="Continue").is_enabled()
    assert page.get_by_role("button", name="Pause").is_disabled()
    stopped = page.locator(".pill").evaluate(COLOURS)
    scene.runs()
    page.locator(".pill", has_text="running").wait_for()
    assert page.locator(".pill").evaluate(COLOURS) != stopped
    assert page.get_by_role("button", name="Continue").is_disabled()
    assert page.get_by_role("button", name="Pause").is_enabled()


def test_the_next_stop_replaces_it_and_marks_what_changed(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="size").wait_for()
    scene.line, scene.number = 40, 4
    scene.locals = [scene.locals[0], variable("size", "17")]
    scene.stopped("step")
    page.locator(".changed", has_text="17").wait_for()
    page.locator(".line-current", has_text="f34(").wait_for()


def test_a_frame_without_source_shows_instructions_and_where_it_was_looked_for(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("button", name="vfs_read").click()
    page.get_by_text("No source of read_write.c: instructions instead.").wait_for()
    page.get_by_text("/build/linux/fs/read_write.c").wait_for()
    page.get_by_text("mov    %rsp,%rbp").wait_for()
    assert scene.wanted("locals")[-1] == {"thread": 1, "level": 1}


def test_a_file_is_opened_before_anything_stopped_there(page: Page, scene: Scene) -> None:
    scene.answers["files"] = [{"path": "/x/other.c", "module": "other"}]
    scene.answers["source"] = {"path": "/x/other.c", "text": "int one;\nint two;\n", "lines_with_code": [2]}
    scene.serve(page)
    scene.runs()
    page.get_by_label("Open a source file").select_option("/x/other.c")
    page.locator(".cm-line", has_text="int two;").wait_for()
    page.locator(".cm-lineNumbers .cm-gutterElement", has_text="2").click()
    assert answered(page, scene, "break_at") == [{"file": "/x/other.c", "line": 2}]


# -- what the user does ----------------------------------------------------------------------------------------------


def test_a_click_in_the_gutter_sets_a_breakpoint_and_removes_it(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.locator(".cm-lineNumbers .cm-gutterElement", has_text="14").click()
    assert answered(page, scene, "break_at") == [{"file": scene.path, "line": 14}]
    scene.tell("breakpoints", breakpoints=[breakpoint_at(14), breakpoint_at(15, "gdb 1", verified=False)])
    page.locator(".bp.mine.verified").wait_for()
    page.locator(".bp.other.pending").wait_for()
    page.locator(".cm-lineNumbers .cm-gutterElement", has_text="14").click()
    assert answered(page, scene, "remove") == [{"breakpoint": 14}]


@pytest.mark.parametrize(
    ("key", "asked"),
    [("F5", "continue"), ("c", "continue"), ("F10", "next"), ("F11", "step"), ("Shift+F11", "finish"), ("p", "pause")],
)
def test_keys_run_and_stop_the_target(page: Page, scene: Scene, key: str, asked: str) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="size").wait_for()
    page.keyboard.press(key)
    answered(page, scene, asked)


def test_a_key_that_is_held_runs_the_target_once(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="size").wait_for()
    for _press in range(5):
        page.keyboard.down("n")
    page.keyboard.up("n")
    page.keyboard.press("F6")  # not while it stands, but asked for: the others would have been by now
    answered(page, scene, "pause")
    assert scene.wanted("next") == [{}]


def test_everything_can_be_done_without_a_mouse(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="file").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
        page.get_by_role("treeitem", name="f_pos").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_role("treeitem", name="owner").wait_for()
    page.keyboard.press("u")
    page.get_by_text("No source of read_write.c").wait_for()
    page.keyboard.press("d")
    page.get_by_text("No source of read_write.c").wait_for(state="detached")
    page.get_by_role("textbox", name="Source").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("b")
    assert answered(page, scene, "break_at") == [{"file": scene.path, "line": 13}]
    page.get_by_label("Function or FILE:LINE").fill("n")
    page.keyboard.type("ext")
    assert scene.wanted("next") == []
    page.keyboard.press("Enter")
    assert answered(page, scene, "break_at", 2)[1] == {"function": "next"}
    page.get_by_role("tab", name="Breakpoints").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("swapper/1").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("let the target run").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_what_is_typed_into_the_console_goes_to_the_target_but_for_keys_that_run_it(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.locator(".xterm").click()
    page.keyboard.type("cn\n")
    page.keyboard.press("F10")
    answered(page, scene, "next")
    until(page, lambda: "".join(str(each["text"]) for each in scene.wanted("type")) == "cn\r")


def test_a_refusal_says_what_to_do_next(page: Page, scene: Scene) -> None:
    scene.answers["continue"] = {"message": "gdb 1 holds the target.", "next": "Take it first."}
    scene.serve(page)
    page.get_by_role("button", name="Continue").click()
    alert = page.get_by_role("alert")
    alert.get_by_text("Take it first.").wait_for()
    alert.get_by_role("button", name="Dismiss").click()
    alert.get_by_text("Take it first.").wait_for(state="detached")


def test_a_stop_in_the_timeline_shows_what_was_read_there(page: Page, scene: Scene) -> None:
    scene.answers["recorded"] = {
        "number": 2, "reason": "breakpoint", "thread": 1, "place": {**scene.frame(0), "line": 30},
        "stack": [{**scene.frame(0), "line": 30}], "locals": {"0": [variable("size", "64")]},
    }  # fmt: skip
    scene.serve(page)
    picture = page.get_by_label("Stops in time")
    picture.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.get_by_text("Stop 2, as it was read then.").wait_for()
    assert answered(page, scene, "recorded") == [{"stop": 2}]
    page.locator(".line-recorded", has_text="f24(").wait_for()
    page.keyboard.press("n")
    page.get_by_role("alert").get_by_text("Go back to now first").wait_for()
    assert scene.wanted("next") == []
    page.get_by_role("treeitem", name="size").get_by_text("64").wait_for()
    page.keyboard.press("Escape")
    page.locator(".line-current", has_text="f6(").wait_for()
    page.get_by_role("button", name="breakpoint simple_init").click()
    page.get_by_text("Stop 2, as it was read then.").wait_for()


# -- modules, wire, connection ---------------------------------------------------------------------------------------


def test_the_map_fades_init_when_it_is_freed_and_marks_breakpoints(page: Page, scene: Scene) -> None:
    scene.modules = [module("simple", 0xFFFFFFFFC0208000, state="coming")]
    scene.breakpoints = [breakpoint_at(14)]
    scene.serve(page)
    page.locator(".section.init.coming").wait_for()
    page.locator(".mark.at-bp").wait_for()
    assert page.locator(".section.freed").count() == 0
    scene.tell("modules", modules=[module("simple", 0xFFFFFFFFC0208000)])
    page.locator(".section.init.freed").wait_for()
    widths = page.locator(".section.data").evaluate_all("all => all.map(each => each.width.baseVal.value)")
    assert widths[0] / widths[1] == pytest.approx(1600 / 2200, rel=0.01)
    page.locator(".section.text").first.click()
    page.get_by_role("cell", name=".init.text").wait_for()
    page.get_by_role("button", name="unload").click()
    assert answered(page, scene, "unload") == [{"name": "simple"}]
    scene.tell("modules", modules=[])
    page.get_by_role("button", name="Load simple").click()
    assert answered(page, scene, "load") == [{"name": "simple"}]


def test_the_wire_shows_each_command_and_what_was_saved(page: Page, scene: Scene) -> None:
    scene.serve(page)
    total = {"bytes_out": 20000, "bytes_in": 61200, "trips": 412, "saved": 950}
    last = {"command": "next", "bytes_out": 120, "bytes_in": 310, "trips": 3, "saved": 48}
    scene.tell("wire", last=last, total=total, utilisation=0.5)
    scene.tell("wire", last={**last, "bytes_out": 130}, total=total, utilisation=0.5)
    page.get_by_role("row", name="next 130 310 3 48").wait_for()
    assert page.get_by_role("row", name="next").count() == 1
    scene.tell("wire", last=last, total=total, utilisation=0.5)
    page.get_by_role("row", name="next 120 310 3 48").wait_for()
    assert page.get_by_role("row", name="next").count() == 2
    scene.tell("wire", last={**last, "bytes_out": 0, "bytes_in": 0, "trips": 0}, total=total, utilisation=0.25)
    page.get_by_text("25 % busy").wait_for()
    assert page.get_by_role("row", name="next").count() == 2
    page.get_by_role("row", name="all 20k 61k 412 950").wait_for()


def test_a_lost_connection_is_shown_and_comes_back_as_a_fresh_page(page: Page, scene: Scene) -> None:
    scene.serve(page)
    page.get_by_role("treeitem", name="size").wait_for()
    scene.hang_up()
    page.locator(".pill", has_text="disconnected").wait_for()
    scene.lets_in = True
    page.locator(".pill", has_text="stopped").wait_for()
    assert len(answered(page, scene, "stack", 2)) == 2


def test_an_ended_session_is_said_and_asked_for_again_only_by_hand(page: Page, scene: Scene) -> None:
    scene.serve(page)
    scene.hang_up(4410)
    page.get_by_text("The session has ended.").first.wait_for()
    scene.lets_in = True
    page.get_by_role("button", name="connect again").click()
    page.locator(".pill", has_text="stopped").wait_for()
    assert len(answered(page, scene, "stack", 2)) == 2


# -- who looks, and what is looked at --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_those_who_see_little_or_use_no_mouse(
    browser: Browser, scene: Scene, scheme: str
) -> None:
    rules = [] if scheme == "light" else ["color-contrast"]  # nothing else differs
    with new_page(browser, color_scheme=scheme) as page:
        scene.breakpoints = [breakpoint_at(14), breakpoint_at(16, "gdb 1", verified=False, condition="n > 3")]
        scene.serve(page)
        page.get_by_role("treeitem", name="file").click()
        page.get_by_role("treeitem", name="f_pos").wait_for()
        found = violations(page, *rules)
        page.get_by_role("tab", name="Registers").click()
        page.get_by_role("button", name="simple", exact=False).first.click()
        scene.answers["next"] = {"message": "gdb 1 holds the target.", "next": "Take it first."}
        page.keyboard.press("F10")
        page.get_by_text("Take it first.").wait_for()
        found += violations(page, *rules)
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        found += violations(page, *rules)
        page.keyboard.press("Escape")
        scene.runs()
        page.locator(".pill", has_text="running").wait_for()
        page.set_viewport_size({"width": 480, "height": 900})
        found += violations(page, *rules)
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 480


def test_whatever_the_target_says_is_shown_as_text(page: Page, scene: Scene) -> None:
    evil = MARKUP + ESCAPES
    scene.session = dict.fromkeys(scene.session, evil)
    scene.source = evil.replace("\x00", "") + "\nint x;"
    scene.line, scene.function, scene.path = 1, evil, f"/x/{evil}/simple.c"
    scene.locals = [variable(evil, evil, 1, evil)]
    scene.children[1] = [variable(evil, evil, None, evil)]
    scene.breakpoints = [
        breakpoint_at(1, evil, function=evil, condition=evil, message=evil, address=evil, file=scene.path)
    ]
    scene.modules = [{**module(evil, 0xFFFFFFFFC0208000), "state": evil}]
    scene.history = [entry(1, "console", evil), entry(2, evil, evil), entry(3, "stop", evil, stop=1)]
    scene.console = evil + QUESTIONS
    scene.serve(page)
    page.get_by_role("treeitem").click()
    page.get_by_role("treeitem").nth(1).wait_for()
    wire = {"command": evil, "bytes_out": 1, "bytes_in": 1, "trips": 1, "saved": 1}
    scene.tell("wire", last=wire, total=wire, utilisation=0)
    scene.tell("console", text=QUESTIONS + "here\r\n")
    page.locator(".xterm", has_text="here").wait_for()
    assert page.title() == "nullmodem"
    assert page.locator("img[src]").count() == 0
    assert page.evaluate("document.scripts.length") == 1
    shown = page.locator("main").evaluate("main => (main.querySelector('.screen').remove(), main.innerText)")
    assert MARKUP in shown
    assert "\\x1b[31m" in shown
    assert not {"\x1b", "\u202e", "\u200b", "\x00"} & set(shown)
    page.keyboard.press("F10")
    answered(page, scene, "next")
    assert scene.wanted("type") == []


def test_what_is_large_costs_what_is_in_sight(page: Page, scene: Scene) -> None:
    scene.modules = [module(f"mod_{at:03d}", 0xFFFFFFFFC0000000 + at * 0x31000, pages=4 + at % 20) for at in range(200)]
    kinds = ("console", "wire", "stop", "resume")
    scene.history = [entry(at, kinds[at % 4], f"line {at}", after=at / 10, stop=at) for at in range(10_000)]
    scene.console = "".join(f"[{at:5d}] line\r\n" for at in range(2000))
    scene.serve(page)
    page.get_by_text("200, to scale").wait_for()
    page.get_by_text("line 9999").wait_for()
    assert page.locator(".cm-line").count() < 120
    assert page.locator(".timeline svg *").count() < 1500
    assert page.locator(".words li").count() < 60
    drawn = page.locator(".section title").evaluate_all("all => all.map(each => each.textContent.split(' ')[0])")
    assert len(set(drawn)) == 200
    scene.tell("timeline", entry=entry(10_000, "console", "the newest", after=1000.1))
    page.get_by_text("the newest", exact=True).wait_for()
