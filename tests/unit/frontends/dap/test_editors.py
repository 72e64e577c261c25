# SPDX-License-Identifier: Apache-2.0
"""The configurations for editors in `editors`, read as the editor reads them: they start this adapter, and say nothing
that it does not know.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

from nullmodem.frontends.dap.configuration import Request, parse_configuration

if TYPE_CHECKING:
    from pathlib import Path

LUA = """
local dap = { adapters = {}, configurations = {}, defaults = { nullmodem = {} } }
package.loaded.dap = dap
dofile(arg[1])
local adapter = dap.adapters.nullmodem
print(adapter.type, adapter.command, table.concat(adapter.args, ' '))
for _, configuration in ipairs(dap.configurations.c) do
  local shown = {}
  for name, value in pairs(configuration) do table.insert(shown, name .. '=' .. value) end
  print(table.concat(shown, '\\t'))
end
"""


def understood(attributes: dict[str, Any]) -> Request:
    configuration = parse_configuration(Request(attributes["request"]), attributes)
    assert configuration.remarks == ()
    return configuration.request


def test_neovims(repository: Path, tmp_path: Path) -> None:
    program = tmp_path / "read.lua"
    program.write_text(LUA)
    told = subprocess.run(
        ["lua5.1", str(program), str(repository / "editors" / "neovim" / "nullmodem.lua")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    adapter, *configurations = [line.split("\t") for line in told.stdout.splitlines()]
    assert adapter == ["executable", "nullmodem", "dap"]
    all_of = [dict(pair.split("=", 1) for pair in each) for each in configurations]
    assert [understood(each) for each in all_of] == [Request.LAUNCH, Request.ATTACH]
    assert {each["type"] for each in all_of} == {"nullmodem"}


def expressions(text: str) -> list[Any]:
    """Emacs Lisp, as far as lists, symbols and strings go."""
    found: list[list[Any]] = [[]]
    for string, word, bracket in re.findall(r'"([^"]*)"|([^\s()\'"]+)|([()])', re.sub(r"^;.*", "", text, flags=re.M)):
        if bracket == "(":
            found.append([])
        elif bracket == ")":
            done = found.pop()
            found[-1].append(done)
        else:
            found[-1].append(word or string)
    assert len(found) == 1
    return found[0]


def test_emacss(repository: Path) -> None:
    text = (repository / "editors" / "emacs" / "nullmodem.el").read_text(encoding="utf-8")
    entries = [each[2] for each in expressions(text) if each[:2] == ["add-to-list", "dape-configs"]]
    requests = []
    for _name, *properties in entries:
        values = dict(zip(properties[::2], properties[1::2], strict=True))
        assert (values["command"], values["command-args"]) == ("nullmodem", ["dap"])
        assert values[":type"] == "nullmodem"
        requests.append(understood({name[1:]: value for name, value in values.items() if name.startswith(":")}))
    assert requests == [Request.LAUNCH, Request.ATTACH]
