# SPDX-License-Identifier: Apache-2.0
"""The conversations of editors that cannot be installed with their plugins from Debian's packages, had once more.

Each was recorded with the real plugin in the real editor and the configuration in `editors`: a module is launched with
a breakpoint in it, entered, used, looked at, stepped through, exchanged for its next build, used again, and ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api.sessions import running_sessions
from support.cli import Cli, ended
from support.editing import adapter
from support.modules import copy_module
from support.recorded import Recorded

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


@pytest.mark.parametrize(("plugin", "least"), [("nvim-dap", 50), ("dape", 60)])
def test_an_editors_conversation_goes_as_it_did(repository: Path, tmp_path: Path, plugin: str, least: int) -> None:
    recording = repository / "tests" / "recordings" / "editors" / f"{plugin}.jsonl"
    recorded = Recorded(recording, copy_module("simple", tmp_path))
    with Cli() as cli, adapter(cli) as editor:
        assert recorded.play(editor) > least
        editor.close_input()
        assert editor.wait()[0] == 0
        assert "No session is running" in cli.good("list")


@pytest.mark.soak
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "closed"])
def test_an_editor_that_goes_at_any_point_leaves_nothing(repository: Path, tmp_path: Path, *, killed: bool) -> None:
    recording = repository / "tests" / "recordings" / "editors" / "dape.jsonl"
    module = copy_module("simple", tmp_path)
    with Cli() as cli, pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
        for most in range(2 + killed, Recorded(recording, module).said, 4):
            with adapter(cli) as editor:
                Recorded(recording, module).play(editor, most)
                running = [session.record.pid for session in running_sessions()]
                if killed:
                    editor.process.kill()
                    editor.process.wait()
                else:
                    editor.close_input()
                    assert editor.wait()[0] == 0
            assert all(ended(pid) for pid in running)
            assert "No session is running" in cli.good("list")
