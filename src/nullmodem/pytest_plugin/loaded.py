# SPDX-License-Identifier: Apache-2.0
"""The module under test, as a test has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.facts import load_map_facts
from nullmodem.api.text import load_map_text
from nullmodem.errors import UsageError

if TYPE_CHECKING:
    import pytest

    from nullmodem.frontends.python.target import Target
    from nullmodem.kbuild import BuiltModule

_EXAMPLE: Final = '@pytest.mark.kernel_module("../drivers/simple", "greeting=hi")'


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test's marker asks for: where the source is, which module of several, and whether to load it."""

    path: Path
    parameters: tuple[str, ...] = ()
    module: str | None = None
    load: bool = True


def wanted(request: pytest.FixtureRequest) -> Wanted:
    """From the nearest ``kernel_module`` marker of a test, or the configuration. Raises UsageError."""
    marker = request.node.get_closest_marker("kernel_module")
    if marker is None:
        default = request.config.getini("nullmodem_module")
        if not default:
            hint = f"Mark the test, its class or its file: {_EXAMPLE}\nor set nullmodem_module for all tests."
            raise UsageError("kernel_module: no module is named", hint=hint)
        return _existing(Wanted(request.config.rootpath / default))
    keywords = dict(marker.kwargs)
    module, load = keywords.pop("module", None), keywords.pop("load", True)
    if keywords:
        raise UsageError(f"kernel_module has no argument {next(iter(keywords))!r}", hint=f"For example {_EXAMPLE}")
    if not marker.args or not all(isinstance(word, str | Path) for word in marker.args):
        raise UsageError("kernel_module takes a path and name=value texts", hint=f"For example {_EXAMPLE}")
    path, *parameters = marker.args
    return _existing(Wanted(request.path.parent / path, tuple(map(str, parameters)), module, bool(load)))


def _existing(found: Wanted) -> Wanted:
    if not found.path.exists():
        hint = "Name a module's source directory, a .c file or a .ko file, relative to the test's file."
        raise UsageError(f"kernel_module: there is no {found.path}", hint=hint)
    return found


class KernelModule:
    """What the fixture ``kernel_module`` gives: a module that was built for the target and, most often, loaded.

    Attributes:
        name: what the kernel calls it.
        target: the machine it is for.
        parameters: ``name=value``, as it is loaded with.
    """

    def __init__(self, target: Target, built: BuiltModule, parameters: tuple[str, ...]) -> None:
        self.name = built.name
        self.target = target
        self.parameters = parameters
        self._built = built

    def __repr__(self) -> str:
        return f"<KernelModule {self.name}: {'loaded' if self.is_loaded else 'not loaded'}>"

    @property
    def file(self) -> Path:
        """The .ko."""
        return self._built.ko

    @property
    def is_loaded(self) -> bool:
        """Whether it is loaded now; by then its init may run still, stopped at a breakpoint."""
        return self.name in self.target.modules

    def load(self, *parameters: str, timeout: float = 60.0) -> None:
        """Load it, with other ``parameters`` if some are given. Raises what `Target.load` does."""
        self.target.load(self.name, *(parameters or self.parameters), timeout=timeout)

    def unload(self, *, timeout: float = 60.0) -> None:
        """Unload it. Raises what `Target.unload` does."""
        self.target.unload(self.name, timeout=timeout)

    def load_map(self) -> str:
        """Where its sections are, as `nullmodem loadmap` shows it. Raises UsageError when it is not loaded."""
        return load_map_text(load_map_facts(self.target.machine.live.module(self.name)))
