# SPDX-License-Identifier: Apache-2.0
"""What is taken from the file instead of from the target, and what never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.constants import LONGEST, Constants

if TYPE_CHECKING:
    from support.fakekernel import FakeKernel

SLIDE = 0x1A00_0000


@pytest.fixture(params=[0, SLIDE])
def slide(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_a_constant_is_known_without_a_read(layouts: FakeKernel, slide: int) -> None:
    constants = Constants(layouts.vmlinux, slide)
    banner = layouts.vmlinux.banner
    at = layouts.symbol("linux_banner", slide)
    assert constants.read(at, len(banner)) == banner
    assert constants.read(at + 3, 5) == banner[3:8]
    assert constants.read(at, 1) == banner[:1]


def test_an_address_in_a_constant_is_what_the_slide_makes_of_it(layouts: FakeKernel) -> None:
    """So it is read, with every byte that may belong to it."""
    moved, unmoved = Constants(layouts.vmlinux, SLIDE), Constants(layouts.vmlinux, 0)
    at = layouts.symbol("banners", 0)
    for offset in range(8):
        assert moved.read(at + SLIDE + offset, 1) is None or offset > 3
        assert unmoved.read(at + offset, 1) is not None
    assert moved.read(at + SLIDE, 8) is None
    assert unmoved.read(at, 8) == layouts.symbol("linux_banner", 0).to_bytes(8, "little")


def test_what_the_boot_writes_and_what_the_kernel_patches_is_read(layouts: FakeKernel, slide: int) -> None:
    constants = Constants(layouts.vmlinux, slide)
    for name in ("written_at_boot", "do_init_module", "init_task"):
        assert constants.read(layouts.symbol(name, slide), 4) is None, name


def test_what_is_not_wholly_constant_or_very_long_is_read(layouts: FakeKernel, slide: int) -> None:
    constants = Constants(layouts.vmlinux, slide)
    end = layouts.symbol("__start_ro_after_init", slide)
    assert constants.read(end - 1, 2) is None
    assert constants.read(layouts.symbol("linux_banner", slide), LONGEST + 1) is None
    assert constants.read(layouts.symbol("linux_banner", slide), 0) is None
    assert constants.read(0, 8) is None
    assert constants.read((1 << 64) - 4, 8) is None
