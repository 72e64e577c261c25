# SPDX-License-Identifier: Apache-2.0
"""Finding the functions that tell of modules' lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import KernelDataError
from nullmodem.kernel.hooks import ModuleState, find_hooks, module_states
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from support.fakekernel import FakeKernel, build_kernel, run

if TYPE_CHECKING:
    from pathlib import Path


def test_the_hook_in_debug_core_is_told_from_its_namesake(layouts: FakeKernel) -> None:
    assert len(layouts.vmlinux.symbols_named("module_event")) == 2
    hooks = find_hooks(layouts.vmlinux, layouts.types)
    event = layouts.vmlinux.symbol_at(hooks.module_event)
    assert event is not None
    assert event.name == "module_event"
    assert hooks.module_event == layouts.types.function_address("module_event", "kernel/debug/debug_core.c")
    assert hooks.module_event < hooks.do_init_module


def test_states_are_the_kernels_own_numbers(layouts: FakeKernel) -> None:
    assert module_states(layouts.types) == {
        0: ModuleState.LIVE, 1: ModuleState.COMING, 2: ModuleState.GOING, 3: ModuleState.UNFORMED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "option"), [("module_event", "CONFIG_KGDB=y"), ("do_init_module", "CONFIG_MODULES=y")]
)
def test_a_kernel_without_a_hook_names_the_option_it_lacks(tmp_path: Path, symbol: str, option: str) -> None:
    path = build_kernel(tmp_path)
    run("objcopy", "--strip-symbol", symbol, path, cwd=tmp_path)
    with pytest.raises(KernelDataError, match=f"no function {symbol}") as caught:
        find_hooks(Vmlinux.open(path), TypeInfo.open(path))
    assert option in caught.value.hint


def test_a_kernel_without_modules_has_no_states(tmp_path: Path) -> None:
    source = tmp_path / "none.c"
    source.write_text("int x;\n")
    run("gcc", "-g", "-c", source, cwd=tmp_path)
    with pytest.raises(KernelDataError, match="enum module_state"):
        module_states(TypeInfo.open(tmp_path / "none.o"))
