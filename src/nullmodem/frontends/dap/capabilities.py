# SPDX-License-Identifier: Apache-2.0
"""What editors are told this adapter can do. Each has a test that uses it on a real kernel."""

from __future__ import annotations

from typing import Any, Final

FILTERS: Final = (
    {
        "filter": "oops",
        "label": "Oops",
        "description": "The kernel is about to die of a fault: stop where it happened.",
        "default": True,
    },
    {
        "filter": "warn",
        "label": "WARN",
        "description": "The kernel is about to print a warning: a WARN_ON or its like was true.",
        "default": False,
        "supportsCondition": True,
        "conditionDescription": "an expression in __warn, such as line == 42",
    },
    {
        "filter": "load",
        "label": "Module load",
        "description": "A module has been loaded, and its init has not run.",
        "default": False,
        "supportsCondition": True,
        "conditionDescription": "a regular expression for the path of the module's file",
    },
)

CAPABILITIES: Final[dict[str, Any]] = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsEvaluateForHovers": True,
    "exceptionBreakpointFilters": list(FILTERS),
    "supportsExceptionFilterOptions": True,
    "supportsExceptionInfoRequest": True,
    "supportsSetVariable": True,
    "supportsSetExpression": True,
    "supportsCompletionsRequest": True,
    "completionTriggerCharacters": [" ", "."],
    "supportsModulesRequest": True,
    "additionalModuleColumns": [
        {"attributeName": "addressRange", "label": "Addresses", "type": "string"},
        {"attributeName": "state", "label": "State", "type": "string"},
    ],
    "supportsRestartRequest": True,
    "supportsValueFormattingOptions": True,
    "supportTerminateDebuggee": True,
    "supportsTerminateRequest": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsLoadedSourcesRequest": True,
    "supportsLogPoints": True,
    "supportsDataBreakpoints": True,
    "supportsDataBreakpointBytes": True,
    "supportsReadMemoryRequest": True,
    "supportsWriteMemoryRequest": True,
    "supportsDisassembleRequest": True,
    "supportsInstructionBreakpoints": True,
    "supportsSteppingGranularity": True,
    "supportsBreakpointLocationsRequest": True,
    "supportsCancelRequest": True,
}
"""Not among them, although gdb's own adapter says so: stepping one thread while the others stand. kgdb lets all
processors run."""
