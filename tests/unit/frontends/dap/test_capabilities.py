# SPDX-License-Identifier: Apache-2.0
"""What editors are told this adapter can do: a test on a real kernel uses each, and nothing that gdb can is missing."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import pytest

from nullmodem.frontends.dap.capabilities import CAPABILITIES, FILTERS
from nullmodem.frontends.dap.gdb_adapter import GdbAdapter
from support.dap import CLIENT
from support.gdb import wheel

if TYPE_CHECKING:
    from pathlib import Path

USED: Final = {
    "supportsConfigurationDoneRequest": ("test_dap_launch", "test_a_module_is_entered", "editor.configured()"),
    "supportsFunctionBreakpoints": ("test_dap", "test_a_breakpoint_is_pending", '"setFunctionBreakpoints"'),
    "supportsConditionalBreakpoints": ("test_dap", "test_conditions_counts", "condition="),
    "supportsHitConditionalBreakpoints": ("test_dap", "test_conditions_counts", "hitCondition="),
    "supportsEvaluateForHovers": ("test_dap", "test_values_are_changed", 'context="hover"'),
    "exceptionBreakpointFilters": ("test_dap", "test_it_stops_on_a_warning", "filters="),
    "supportsExceptionFilterOptions": ("test_dap", "test_it_stops_on_a_warning", "filterOptions="),
    "supportsExceptionInfoRequest": ("test_dap_launch", "test_a_fault_is_an_exception", '"exceptionInfo"'),
    "supportsSetVariable": ("test_dap", "test_values_are_changed", '"setVariable"'),
    "supportsSetExpression": ("test_dap", "test_values_are_changed", '"setExpression"'),
    "supportsCompletionsRequest": ("test_dap", "test_values_are_changed", '"completions"'),
    "completionTriggerCharacters": ("test_dap", "test_values_are_changed", 'text="print simple_le"'),
    "supportsModulesRequest": ("test_dap", "test_a_breakpoint_is_pending", '"modules"'),
    "additionalModuleColumns": ("test_dap", "test_a_breakpoint_is_pending", '"addressRange"'),
    "supportsRestartRequest": ("test_dap_launch", "test_a_module_is_entered", '"restart"'),
    "supportsValueFormattingOptions": ("test_dap", "test_values_are_changed", "format="),
    "supportTerminateDebuggee": ("test_dap_launch", "test_a_fault_is_an_exception", "terminateDebuggee="),
    "supportsTerminateRequest": ("test_dap_launch", "test_a_module_is_entered", '"terminate"'),
    "supportsDelayedStackTraceLoading": ("test_dap", "test_frames_scopes", "startFrame="),
    "supportsLoadedSourcesRequest": ("test_dap", "test_sources_are_listed", '"loadedSources"'),
    "supportsLogPoints": ("test_dap", "test_conditions_counts", "logMessage="),
    "supportsDataBreakpoints": ("test_dap", "test_data_breakpoints", '"setDataBreakpoints"'),
    "supportsDataBreakpointBytes": ("test_dap", "test_data_breakpoints", "asAddress=True, bytes=4"),
    "supportsReadMemoryRequest": ("test_dap", "test_memory_is_read", '"readMemory"'),
    "supportsWriteMemoryRequest": ("test_dap", "test_memory_is_read", '"writeMemory"'),
    "supportsDisassembleRequest": ("test_dap", "test_code_is_shown", '"disassemble"'),
    "supportsInstructionBreakpoints": ("test_dap", "test_code_is_shown", '"setInstructionBreakpoints"'),
    "supportsSteppingGranularity": ("test_dap", "test_code_is_shown", 'granularity="instruction"'),
    "supportsBreakpointLocationsRequest": ("test_dap", "test_sources_are_listed", '"breakpointLocations"'),
    "supportsCancelRequest": ("test_dap_several", "test_a_request_is_cancelled", '"cancel"'),
}
"""Of each capability: the file in tests/vm, how the test's name begins, and how it uses it."""
NOT_HERE: Final = {"supportsSingleThreadExecutionRequests"}
"""What gdb says it can, and kgdb cannot: run one thread while the others stand."""


def test_each_is_in_the_table_of_tests() -> None:
    assert set(USED) == set(CAPABILITIES)


@pytest.mark.parametrize("capability", USED)
def test_a_test_on_a_real_kernel_uses_it(repository: Path, capability: str) -> None:
    file, name, use = USED[capability]
    text = (repository / "tests" / "vm" / f"{file}.py").read_text(encoding="utf-8")
    tests = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name.startswith(name)]
    assert len(tests) == 1
    assert use in (ast.get_source_segment(text, tests[0]) or "")


@pytest.mark.parametrize("filter_", [each["filter"] for each in FILTERS])
def test_each_filter_of_exceptions_stops_in_a_test(repository: Path, filter_: str) -> None:
    texts = [file.read_text(encoding="utf-8") for file in (repository / "tests" / "vm").glob("test_dap*.py")]
    assert any(f'filters=["{filter_}"]' in text or f'"filterId": "{filter_}"' in text for text in texts)


@pytest.mark.gdb
def test_what_gdbs_own_adapter_can_do_is_here_too() -> None:
    gdb = GdbAdapter([wheel(), "-q", "-nx", "-i=dap"], lambda _event: None, lambda: None)
    try:
        can = {name for name, value in gdb.ask("initialize", CLIENT).items() if value}
    finally:
        gdb.close()
    assert can - set(CAPABILITIES) == NOT_HERE
