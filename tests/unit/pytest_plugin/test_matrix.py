# SPDX-License-Identifier: Apache-2.0
"""Which machines a test is run on."""

from __future__ import annotations

from typing import Any

import pytest

from nullmodem.errors import UsageError
from nullmodem.pytest_plugin.matrix import MachineSpec, specs

Marker = tuple[tuple[Any, ...], dict[str, Any]]


def ids(*markers: Marker, defaults: tuple[str, ...] = ("6.1",)) -> list[str]:
    return [spec.id for spec in specs(defaults, markers)]


def test_a_test_that_says_nothing_runs_on_the_default_kernels() -> None:
    assert specs(("6.1",), []) == [MachineSpec("6.1")]
    assert ids(defaults=("6.1", "6.12")) == ["6.1", "6.12"]


def test_lists_make_every_combination() -> None:
    marker: Marker = (("6.1", "6.12"), {"kaslr": [True, False], "smp": (1, 2)})
    assert ids(marker) == [
        *("6.1", "6.1-smp2", "6.1-nokaslr", "6.1-nokaslr-smp2"),
        *("6.12", "6.12-smp2", "6.12-nokaslr", "6.12-nokaslr-smp2"),
    ]


def test_an_id_says_what_is_unusual() -> None:
    marker: Marker = ((), {"memory": 512, "append": "slub_debug=FZP panic_on_warn=1"})
    assert ids(marker) == ["6.1-512M-slub_debug=FZP-panic_on_warn=1"]
    assert MachineSpec(board="lab-board").id == "lab-board"


def test_the_nearest_marker_counts_and_the_others_add_what_it_does_not_say() -> None:
    near: Marker = (("6.12",), {"smp": 2})
    far: Marker = (("6.1",), {"smp": [1, 4], "kaslr": False})
    assert ids(near, far) == ["6.12-nokaslr-smp2"]
    assert ids(((), {"smp": 2}), far) == ["6.1-nokaslr-smp2"]


def test_a_kernel_that_is_named_twice_is_booted_once() -> None:
    assert ids((("6.1", "6.1"), {})) == ["6.1"]


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ((("5.4",), {}), "there is no kernel '5.4'\nThere are: .*6.1, .*6.12"),
        (((6.1,), {}), "6.1 is no kernel's name"),
        ((("",), {}), "'' is no kernel's name"),
        ((("/nowhere/linux",), {}), "/nowhere/linux is not a built kernel"),
        (((), {"cpus": 2}), "kernel_target has no argument 'cpus'\nIt takes kernels, and kaslr, smp, memory, append"),
        (((), {"smp": "2"}), "smp='2' cannot be\nIt is a number, or a list of such"),
        (((), {"smp": True}), "smp=True cannot be"),
        (((), {"kaslr": 1}), "kaslr=1 cannot be"),
        (((), {"smp": []}), r"smp=\[\] cannot be"),
    ],
)
def test_what_is_wrong_with_a_marker_is_said(marker: Marker, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        specs(("6.1",), [marker])
