# SPDX-License-Identifier: Apache-2.0
"""Where the kernel can be watched loading and unloading modules, and the words it uses for a module's state.

``module_event(nb, state, mod)`` in kernel/debug/debug_core.c does nothing: it is there for a debugger's breakpoint, and
is called for COMING, LIVE and GOING. ``do_init_module(mod)`` is reached when a module's sections are known and its
init has not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError
from nullmodem.symbols.vmlinux import SymbolKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_MODULE_EVENT: Final = ("module_event", "kernel/debug/debug_core.c", "CONFIG_KGDB=y and CONFIG_MODULES=y")
_DO_INIT_MODULE: Final = ("do_init_module", "kernel/module/main.c", "CONFIG_MODULES=y")


class ModuleState(Enum):
    """A module's state, by the kernel's name without its MODULE_STATE_ prefix."""

    LIVE = "LIVE"
    COMING = "COMING"
    GOING = "GOING"
    UNFORMED = "UNFORMED"


@dataclass(frozen=True, slots=True)
class ModuleHooks:
    """Link-time addresses of the two functions, and the meaning of ``module_event``'s second argument."""

    module_event: int
    do_init_module: int
    states: Mapping[int, ModuleState]


def find_hooks(vmlinux: Vmlinux, types: TypeInfo) -> ModuleHooks:
    """The hooks of this kernel. Raises KernelDataError, naming the option that is missing, when it has none."""
    return ModuleHooks(
        module_event=_function(vmlinux, types, *_MODULE_EVENT),
        do_init_module=_function(vmlinux, types, *_DO_INIT_MODULE),
        states=module_states(types),
    )


def module_states(types: TypeInfo) -> dict[int, ModuleState]:
    """The kernel's ``enum module_state``, number to state. Raises KernelDataError when it is missing or incomplete."""
    try:
        numbers = types.enumerators("enum module_state")
        return {numbers[f"MODULE_STATE_{state.value}"]: state for state in ModuleState}
    except LookupError as error:
        msg = f"the kernel's enum module_state is not as it should be: {error}"
        raise KernelDataError(msg, hint="is this a kernel with CONFIG_MODULES=y?") from error


def _function(vmlinux: Vmlinux, types: TypeInfo, name: str, file: str, options: str) -> int:
    """Address of the one function ``name``; where several static ones share the name, of the one in ``file``."""
    found = {symbol.address for symbol in vmlinux.symbols_named(name) if symbol.kind is SymbolKind.FUNCTION}
    if len(found) > 1:
        found &= {types.function_address(name, file)}
    if len(found) != 1:
        msg = f"{vmlinux.path} has no function {name}, so modules cannot be seen to load"
        raise KernelDataError(msg, hint=f"build the kernel with {options}")
    return found.pop()
