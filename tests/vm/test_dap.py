# SPDX-License-Identifier: Apache-2.0
"""An editor on a running session, through `nullmodem dap`: every request and every kind of breakpoint."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from support.editing import Desk, line_of

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def at_read(desk: Desk, text: str = 'simple_counted("read")') -> tuple[int, list[Any]]:
    """Stopped in the module's read; the thread, and its frames."""
    desk.remote.load("simple", ["greeting=hi"])
    desk.break_at(text)
    desk.use()
    thread, _body = desk.stop(reason="breakpoint")
    return thread, desk.editor.frames(thread)


# -- modules and breakpoints before and after they come --------------------------------------------------------------


def test_a_breakpoint_is_pending_until_its_module_comes_and_again_when_it_has_gone(desk: Desk) -> None:
    editor = desk.editor
    (source,) = desk.break_at('pr_info("loading')
    (function,) = editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "simple_exit"}])["breakpoints"]
    assert not source["verified"]
    assert not function["verified"]
    assert "when one comes that has it" in source["message"]
    desk.start(lambda: desk.remote.load_through("simple"))
    module = editor.event("module", reason="new")["module"]
    assert (module["name"], module["isUserCode"], module["state"]) == ("simple", True, "coming")
    sections = {each["name"]: each["address"] for each in module["sections"]}
    start, end = (int(address, 16) for address in module["addressRange"].split("-"))
    assert all(start <= int(sections[name], 16) < end for name in (".text", ".init.text", ".data", ".bss"))
    for expected in (source, function):
        changed = desk.changed(expected["id"], verified=True)
        assert changed["source"]["path"] == str(desk.simple)
    thread, body = desk.stop(reason="breakpoint")
    assert body["hitBreakpointIds"] == [source["id"]]
    assert editor.frames(thread, 1)[0]["name"] == "simple_init"
    shown = {each["name"]: each for each in editor.ask("modules")["modules"]}
    assert shown["simple"]["addressRange"] == module["addressRange"]
    assert shown["vmlinux"]["isUserCode"] is False
    desk.go_on()
    desk.join()
    desk.start(lambda: desk.remote.unload("simple"))
    _thread, body = desk.stop(reason="breakpoint")
    assert body["hitBreakpointIds"] == [function["id"]]
    desk.go_on()
    assert editor.event("module", reason="removed")["module"]["id"] == module["id"]
    for gone in (source, function):
        desk.changed(gone["id"], verified=False)


def test_breakpoints_are_set_while_the_target_runs_and_it_runs_on(desk: Desk) -> None:
    desk.remote.load("simple")
    set_ = [desk.break_at('simple_counted("read")'), desk.break_at('simple_counted("read")', "mutex_unlock")]
    assert all(each["verified"] for answer in set_ for each in answer)
    assert desk.editor.pending("stopped") == []
    assert desk.remote.status().target.state == "running"
    desk.use()
    desk.stop(reason="breakpoint")


def test_conditions_counts_and_log_points(desk: Desk) -> None:
    editor = desk.editor
    desk.remote.load("simple", ["greeting=hi"])
    desk.break_at("return simple_read_from_buffer", condition="available == 77")
    desk.use()
    editor.output("release is operation")
    assert editor.pending("stopped") == []
    desk.break_at("return simple_read_from_buffer", hitCondition="1")
    desk.use()
    thread, _body = desk.stop(reason="breakpoint")
    frame = editor.frames(thread)[0]["id"]
    assert editor.ask("evaluate", expression="*position", frameId=frame, context="watch")["result"] == "2"
    desk.break_at("return simple_read_from_buffer", logMessage="{available} bytes in {simple_length + 0}")
    desk.go_on()
    desk.use()
    assert editor.output("bytes in") == "2 bytes in 2\n"
    editor.output("release is operation")
    assert editor.pending("stopped") == []


def test_data_breakpoints_by_variable_by_expression_and_by_address(desk: Desk) -> None:
    editor = desk.editor
    thread, frames = at_read(desk)
    scopes = {
        each["name"]: each["variablesReference"] for each in editor.ask("scopes", frameId=frames[0]["id"])["scopes"]
    }
    info = editor.ask("dataBreakpointInfo", variablesReference=scopes["Globals"], name="simple_count")
    assert info["accessTypes"] == ["write", "readWrite"]
    again = editor.ask("dataBreakpointInfo", name="simple_count", frameId=frames[0]["id"])
    address = editor.repl("output/x (long)&simple_count")
    by_address = editor.ask("dataBreakpointInfo", name=address, asAddress=True, bytes=4)
    assert info["dataId"] == again["dataId"] == by_address["dataId"]
    in_register = editor.ask("dataBreakpointInfo", name="$rip", frameId=frames[0]["id"])
    assert in_register["dataId"] is None
    assert "only memory can be watched" in in_register["description"]
    answer = editor.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"], "accessType": "write"}])
    assert answer["breakpoints"][0]["verified"], answer
    desk.break_at()
    desk.go_on()
    _thread, body = desk.stop(reason="data breakpoint")
    assert body["hitBreakpointIds"] == [answer["breakpoints"][0]["id"]]
    assert editor.frames(thread)[0]["name"] == "simple_counted"
    editor.ask("next", threadId=thread)
    desk.stop(reason="step")
    assert editor.ask("setDataBreakpoints", breakpoints=[{"dataId": "0x1:3"}])["breakpoints"][0]["verified"] is False


def test_a_data_breakpoint_goes_with_its_module_and_comes_back_with_it(desk: Desk) -> None:
    """What lands in its place meanwhile is not watched."""
    editor, remote = desk.editor, desk.remote
    _thread, frames = at_read(desk)
    info = editor.ask("dataBreakpointInfo", name="simple_count", frameId=frames[0]["id"])
    wanted = [{"dataId": info["dataId"], "accessType": "write"}]
    number = editor.ask("setDataBreakpoints", breakpoints=wanted)["breakpoints"][0]["id"]
    desk.break_at()
    for _write in ("read", "read", "release"):
        desk.go_on()
        assert desk.stop(reason="data breakpoint")[1]["hitBreakpointIds"] == [number]
    desk.go_on()
    desk.join()
    remote.unload("simple")
    desk.changed(number, verified=False)
    again = editor.ask("setDataBreakpoints", breakpoints=wanted)["breakpoints"][0]
    assert not again["verified"]
    assert again["message"] == "simple is not loaded; it is set when it is, if that has this variable"
    number = again["id"]
    remote.build(desk.modules["watched"])
    remote.load("watched")
    assert remote.execute(["echo 5 >/sys/module/watched/parameters/run"], lambda _data: None) == 0
    remote.load("simple")
    assert desk.changed(number, verified=True)
    desk.use()
    assert desk.stop(reason="data breakpoint")[1]["hitBreakpointIds"] == [number]
    assert editor.ask("setDataBreakpoints", breakpoints=wanted)["breakpoints"][0]["id"] == number
    assert editor.pending("stopped") == []


# -- looking ---------------------------------------------------------------------------------------------------------


def test_frames_scopes_and_variables_three_levels_deep(desk: Desk) -> None:
    editor = desk.editor
    thread, frames = at_read(desk)
    assert [frame["name"] for frame in frames[:2]] == ["simple_read", "vfs_read"]
    assert frames[0]["source"]["path"] == str(desk.simple)
    assert frames[0]["line"] == line_of(desk.simple, 'simple_counted("read")')
    later = editor.ask("stackTrace", threadId=thread, startFrame=1, levels=1)["stackFrames"]
    assert [frame["name"] for frame in later] == ["vfs_read"]
    assert editor.scope(frames[0]["id"], "Arguments")["size"]["type"] == "size_t"
    arguments = editor.scope(frames[1]["id"], "Arguments")
    file = editor.variables(arguments["file"]["variablesReference"])
    value = next(iter(file.values())) if len(file) == 1 else None
    members = editor.variables(value["variablesReference"]) if value is not None else file
    path = editor.variables(members["f_path"]["variablesReference"])
    dentry = editor.variables(path["dentry"]["variablesReference"])
    names = editor.variables(next(iter(dentry.values()))["variablesReference"]) if len(dentry) == 1 else dentry
    assert "simple" in editor.variables(names["d_name"]["variablesReference"])["name"]["value"]
    assert "rip" in desk.editor.scope(frames[0]["id"], "Registers")


def test_values_are_changed_formatted_and_guarded(desk: Desk) -> None:
    editor = desk.editor
    _thread, frames = at_read(desk)
    frame = frames[0]["id"]
    ask = editor.ask
    globals_ = next(s for s in ask("scopes", frameId=frame)["scopes"] if s["name"] == "Globals")["variablesReference"]
    assert editor.variables(globals_)["simple_length"]["value"] == "2"
    assert ask("setVariable", variablesReference=globals_, name="simple_count", value="40 + 1")["value"] == "41"
    assert ask("setExpression", expression="simple_count", value="simple_count + 1", frameId=frame)["value"] == "42"
    shown = ask("evaluate", expression="simple_count", frameId=frame, context="watch", format={"hex": True})
    assert shown["result"] == "0x2a"
    assert ask("evaluate", expression="simple_length", frameId=frame, context="hover")["result"] == "2"
    assert "Writing to memory is not allowed" in editor.refused(
        "evaluate", expression="simple_count = 7", frameId=frame, context="hover"
    )
    assert ask("evaluate", expression="simple_count", frameId=frame, context="watch")["result"] == "42"
    for call in ("simple_remember(simple_text, 1)", 'simple_counted("x")'):
        assert "Cannot call functions in the program" in editor.refused(
            "evaluate", expression=call, frameId=frame, context="watch"
        )
    assert editor.pending("continued") == []
    offered = ask("completions", text="print simple_le", column=16, frameId=frame)["targets"]
    assert "print simple_length" in [each["label"] for each in offered]


def test_a_condition_that_makes_no_sense_is_told_when_the_module_comes(desk: Desk) -> None:
    (made,) = desk.break_at('simple_counted("read")', condition="nosuch ==")
    assert not made["verified"]
    desk.remote.load("simple")
    while "condition" not in (shown := desk.changed(made["id"], verified=False))["message"]:
        pass
    assert shown["message"] == "It never stops: gdb cannot evaluate its condition there: nosuch =="
    desk.remote.execute(["cat /dev/simple"], lambda _data: None)


def test_memory_is_read_up_to_where_there_is_none_and_written(desk: Desk) -> None:
    editor = desk.editor
    at_read(desk)
    ask = editor.ask
    reference = ask("evaluate", expression="&simple_text", context="watch")["memoryReference"]
    read = ask("readMemory", memoryReference=reference, count=2)
    assert base64.b64decode(read["data"]) == b"hi"
    assert read["address"] == reference
    ask("writeMemory", memoryReference=reference, offset=1, data=base64.b64encode(b"o").decode())
    assert base64.b64decode(ask("readMemory", memoryReference=reference, count=2)["data"]) == b"ho"
    nothing = ask("readMemory", memoryReference="0x10", count=64)
    assert nothing == {"address": "0x10", "unreadableBytes": 64}
    assert "'here' is no address" in editor.refused("readMemory", memoryReference="here", count=1)


def test_code_is_shown_before_and_after_and_stopped_and_stepped_by_instructions(desk: Desk) -> None:
    editor = desk.editor
    thread, frames = at_read(desk)
    pc = frames[0]["instructionPointerReference"]
    around = editor.ask("disassemble", memoryReference=pc, instructionOffset=-4, instructionCount=8)["instructions"]
    assert [each["address"] for each in around].index(pc) == 4
    assert len(around) == 8
    assert around[4]["line"] == frames[0]["line"]
    start = editor.ask("evaluate", expression="(void *)simple_read", context="watch")["memoryReference"]
    beginning = editor.ask("disassemble", memoryReference=start, instructionCount=1)["instructions"]
    assert beginning[0]["symbol"] == "simple_read"
    unknown = editor.ask("disassemble", memoryReference="0x10", instructionCount=3)["instructions"]
    assert [each["presentationHint"] for each in unknown] == ["invalid"] * 3
    after = around[5]["address"]
    wanted = [{"instructionReference": after}]
    assert editor.ask("setInstructionBreakpoints", breakpoints=wanted)["breakpoints"][0]["verified"]
    desk.break_at()
    editor.ask("setInstructionBreakpoints", breakpoints=[])
    editor.ask("next", threadId=thread, granularity="instruction")
    desk.stop(reason="step")
    assert editor.frames(thread)[0]["instructionPointerReference"] == after
    last = editor.ask("disassemble", memoryReference=after, instructionOffset=1, instructionCount=1)["instructions"][0]
    editor.ask("setInstructionBreakpoints", breakpoints=[{"instructionReference": last["address"]}])
    desk.go_on()
    desk.stop(reason="breakpoint")
    assert editor.frames(thread)[0]["instructionPointerReference"] == last["address"]


def test_sources_are_listed_and_one_that_is_missing_is_explained(desk: Desk) -> None:
    editor = desk.editor
    _thread, frames = at_read(desk)
    lines = editor.ask("breakpointLocations", source={"path": str(desk.simple)}, line=1, endLine=400)["breakpoints"]
    assert {"line": frames[0]["line"]} in lines
    sources = editor.ask("loadedSources")["sources"]
    assert str(desk.simple) in [each["path"] for each in sources]
    shown = editor.ask("source", source={"path": "/nowhere/driver.c"}, sourceReference=0)["content"]
    assert shown.startswith("/nowhere/driver.c is not on this machine.")
    assert "Looked for:\n  /nowhere/driver.c\n" in shown
    assert "Dump of assembler code for function simple_read:" in shown
    assert "simple_counted" in editor.ask("source", source={"path": str(desk.simple)}, sourceReference=0)["content"]


# -- running ---------------------------------------------------------------------------------------------------------


def test_steps_over_into_and_out(desk: Desk) -> None:
    editor = desk.editor
    thread, frames = at_read(desk)
    editor.ask("stepIn", threadId=thread)
    desk.stop(reason="step")
    assert editor.frames(thread)[0]["name"] == "simple_counted"
    editor.ask("stepOut", threadId=thread)
    desk.stop(reason="step")
    assert editor.frames(thread)[0]["name"] == "simple_read"
    editor.ask("next", threadId=thread)
    desk.stop(reason="step")
    assert editor.frames(thread)[0]["line"] > frames[0]["line"]


def test_where_gdb_cannot_set_out_the_target_stands_and_can_be_let_go_when_it_can(desk: Desk) -> None:
    editor = desk.editor
    nowhere = [{"instructionReference": "0x10"}]
    (refused,) = editor.ask("setInstructionBreakpoints", breakpoints=nowhere)["breakpoints"]  # while it runs
    assert not refused["verified"]
    assert "Cannot access memory at address 0x10" in refused["message"]
    assert editor.pending("stopped") == []
    editor.send("evaluate", expression="break *0x10", context="repl")  # which gdb keeps
    thread, body = desk.stop(reason="pause")
    assert "a breakpoint is set where there is no memory" in body["text"]
    frames = editor.frames(thread)
    for request in ("next", "stepIn", "stepOut", "continue"):
        assert "a breakpoint is set where there is no memory" in editor.refused(request, threadId=thread)
    editor.refused("evaluate", expression="continue", context="repl")
    desk.stop(reason="pause")
    assert editor.frames(thread)[0]["name"] == frames[0]["name"]
    editor.repl("delete")
    editor.forget()
    editor.repl("continue")
    editor.event("continued")


def test_pause_stops_shows_processors_and_all_tasks_and_what_needs_a_stop_says_so(desk: Desk) -> None:
    editor = desk.editor
    assert editor.refused("stackTrace", threadId=1) == "notStopped"
    assert editor.refused("next", threadId=1) == "notStopped"
    editor.ask("pause", threadId=1)
    desk.stop(reason="pause")
    threads = editor.ask("threads")["threads"]
    assert len(threads) == 1
    for thread in threads:
        assert editor.frames(thread["id"])
    editor.ask("pause", threadId=1)
    assert editor.pending("stopped") == []
    desk.editor.repl("monitor threads all")
    assert "init" in editor.repl("info threads")
    every = editor.ask("threads")["threads"]
    assert len(every) > 10
    sleeping = next(each for each in every if each["name"].startswith("kthreadd"))
    assert editor.frames(sleeping["id"])
    editor.repl("monitor threads cpus")
    desk.go_on()


def test_the_debug_console_takes_gdbs_commands_and_nullmodems(desk: Desk) -> None:
    editor = desk.editor
    assert "simple is loaded" in editor.repl("nullmodem load simple greeting=hey")
    assert "simple live" in editor.repl("nullmodem modules")
    assert "no command here" in editor.refused("evaluate", expression="nullmodem nonsense", context="repl")
    editor.repl("nullmodem exec cat /dev/simple")
    editor.output("hey")
    editor.repl("break simple_read")  # while it runs
    made = editor.event("breakpoint", reason="new")["breakpoint"]
    assert made["verified"]
    desk.use()
    desk.stop(reason="breakpoint")
    assert "simple_read" in editor.repl("bt 1")
    editor.repl(f"delete {made['id']}")
    editor.repl("continue")
    editor.output("release is operation")
    assert editor.refused("evaluate", expression="continue", context="repl") == "notStopped"


def test_the_targets_console_is_output(desk: Desk) -> None:
    desk.remote.execute(["printf 'a\\033[31mred\\033[m line\\n' >/dev/console"], lambda _data: None)
    assert desk.editor.output("red line") == "ared line\n"


# -- exceptions ------------------------------------------------------------------------------------------------------


def test_it_stops_on_a_warning_and_on_a_modules_load(desk: Desk) -> None:
    editor = desk.editor
    options = [{"filterId": "load", "condition": "warns"}]
    answer = editor.ask("setExceptionBreakpoints", filters=["warn"], filterOptions=options)["breakpoints"]
    assert [each["verified"] for each in answer] == [True, True]
    assert editor.ask("setExceptionBreakpoints", filters=["bang"])["breakpoints"][0]["verified"] is False
    editor.ask("setExceptionBreakpoints", filters=["warn"], filterOptions=options)
    desk.remote.load("simple")
    assert editor.pending("stopped") == []
    desk.remote.build(desk.modules["warns"])
    desk.start(lambda: desk.remote.load("warns"))
    _thread, body = desk.stop(reason="exception")
    assert body["text"] == "Module load"
    assert editor.ask("exceptionInfo", threadId=_thread)["exceptionId"] == "load"
    desk.go_on()
    thread, body = desk.stop(reason="exception")
    assert body["text"] == "WARN"
    info = editor.ask("exceptionInfo", threadId=thread)
    line = line_of(desk.modules["warns"] / "warns.c", "WARN_ON(1);")
    assert info["exceptionId"] == "warn"
    assert info["description"].endswith(f"warns.c:{line}")
