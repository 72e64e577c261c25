# SPDX-License-Identifier: Apache-2.0
"""On which machines a test runs: its markers, the command line and the configuration, as a list of machines to boot."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import UsageError
from nullmodem.kbuild import list_kernels, standard_names
from nullmodem.kbuild.kernel import open_build_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MARKER: Final = "kernel_target"
_KEYWORDS: Final = ("kaslr", "smp", "memory", "append")
_MEMORY: Final = 256
_KINDS: Final = {bool: "True or False", int: "a number", str: "a text"}
_EXAMPLE: Final = '@pytest.mark.kernel_target("6.1", "6.12", kaslr=[True, False], smp=[1, 2])'


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine to test on. ``board`` is the name of a real one in a nullmodem.toml; all else is then its own.

    ``kernel`` is a kernel's name or the path of a build tree, ``memory`` in MiB.
    """

    kernel: str = ""
    kaslr: bool = True
    smp: int = 1
    memory: int = _MEMORY
    append: str = ""
    board: str = ""

    @property
    def id(self) -> str:
        """What pytest puts in brackets behind a test's name: what is not usual about the machine."""
        if self.board:
            return self.board
        parts = [Path(self.kernel).name if "/" in self.kernel else self.kernel]
        parts += [] if self.kaslr else ["nokaslr"]
        parts += [f"smp{self.smp}"] if self.smp != 1 else []
        parts += [f"{self.memory}M"] if self.memory != _MEMORY else []
        parts += ["-".join(self.append.split())] if self.append else []
        return "-".join(parts)


def specs(defaults: Sequence[str], markers: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[MachineSpec]:
    """The machines of one test.

    Args:
        defaults: kernels of tests whose markers name none.
        markers: arguments of its `kernel_target` markers, the nearest first: what that says counts before the others.

    Raises:
        UsageError: a marker's argument is none, or no such kernel can be had.
    """
    kernels: tuple[str, ...] = ()
    wanted: dict[str, tuple[Any, ...]] = {}
    for arguments, keywords in markers:
        kernels = kernels or tuple(_kernel(argument) for argument in arguments)
        for name, value in keywords.items():
            wanted.setdefault(name, _values(name, value))
    names = tuple(_checked(name) for name in kernels or defaults)
    axes = [[(name, value) for value in wanted[name]] for name in _KEYWORDS if name in wanted]
    return [
        MachineSpec(kernel=name, **dict(choice)) for name in dict.fromkeys(names) for choice in itertools.product(*axes)
    ]


def _kernel(argument: Any) -> str:
    if not isinstance(argument, str) or not argument:
        raise UsageError(f"kernel_target: {argument!r} is no kernel's name", hint=f"For example {_EXAMPLE}")
    return argument


def _values(name: str, value: Any) -> tuple[Any, ...]:
    """One value or a list of them, checked."""
    if name not in _KEYWORDS:
        hint = f"It takes kernels, and {', '.join(_KEYWORDS)}: {_EXAMPLE}"
        raise UsageError(f"kernel_target has no argument {name!r}", hint=hint)
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    kind = {"kaslr": bool, "append": str}.get(name, int)
    if not values or any(type(item) is not kind for item in values):
        hint = f"It is {_KINDS[kind]}, or a list of such."
        raise UsageError(f"kernel_target: {name}={value!r} cannot be", hint=hint)
    return values


def _checked(name: str) -> str:
    """Raises UsageError for a kernel that is not built and that nullmodem cannot build."""
    if "/" in name:
        open_build_tree(Path(name))
        return str(Path(name).expanduser().absolute())
    built = {known for kernel in list_kernels() for known in (kernel.name, f"{kernel.name}-{kernel.key}")}
    if name not in built and name not in standard_names():
        known = ", ".join(sorted({*standard_names(), *(kernel.name for kernel in list_kernels())}))
        hint = f"There are: {known}; or the path of a build tree. `nullmodem kernel build` makes others."
        raise UsageError(f"there is no kernel {name!r}", hint=hint)
    return name
