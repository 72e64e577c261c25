# SPDX-License-Identifier: Apache-2.0
"""A module's parameters: one it does not have is refused, which the kernel would pass over."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.parameters import parameters_for
from nullmodem.errors import UsageError
from nullmodem.kbuild import BuiltModule
from support.fakekernel import build_module

if TYPE_CHECKING:
    from pathlib import Path


def built(ko: Path) -> BuiltModule:
    return BuiltModule(ko, "fake_mod", ko.parent, (ko,), (ko,), ko.parent)


MODULE = 'static long module __attribute__((used, section(".gnu.linkonce.this_module")));'


def bare(directory: Path, source: str) -> Path:
    """A .ko of nothing but this."""
    ko = directory / "bare.ko"
    subprocess.run(["gcc", "-c", "-x", "c", "-", "-o", ko], input=source, text=True, check=True)
    return ko


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> BuiltModule:
    return built(build_module(tmp_path_factory.mktemp("module")))


@pytest.mark.parametrize("text", ["number=1", "other=x,y", "silent=1", "async_probe=1", "dyndbg=+p", "number="])
def test_its_own_are_passed_on_as_they_are(module: BuiltModule, text: str) -> None:
    assert parameters_for(module, [text]) == (text,)


def test_blanks_are_held_together_for_the_kernel(module: BuiltModule) -> None:
    assert parameters_for(module, ["other=a b"]) == ('other="a b"',)


def test_dashes_are_underscores_to_the_kernel(module: BuiltModule) -> None:
    assert parameters_for(module, ["async-probe=1"]) == ("async-probe=1",)


def test_one_it_does_not_have_is_refused_with_those_it_has(module: BuiltModule) -> None:
    with pytest.raises(UsageError, match="fake_mod has no parameter 'nunber'") as raised:
        parameters_for(module, ["silent=1", "nunber=2"])
    assert raised.value.hint == "Is number meant? Its parameters: number (int), other, silent."
    assert raised.value.exit_code == 2


def test_a_module_without_any_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bare has no parameter 'x'") as raised:
        parameters_for(built(bare(tmp_path, MODULE)), ["x=1"])
    assert raised.value.hint == "It has none at all."


def test_names_that_cannot_be_known_are_left_to_the_kernel(tmp_path: Path) -> None:
    nameless = 'static const void *entry __attribute__((used, section("__param")));'
    assert parameters_for(built(bare(tmp_path, MODULE + nameless)), ["x=1"]) == ("x=1",)


@pytest.mark.parametrize("text", ["number", "=1", "", 'other=a "b"', "a b=c d"])
def test_what_is_no_parameter_is_refused(module: BuiltModule, text: str) -> None:
    with pytest.raises(UsageError, match="parameter"):
        parameters_for(module, [text])
