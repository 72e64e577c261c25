# SPDX-License-Identifier: Apache-2.0
"""How much is read at once on lines of all speeds."""

from __future__ import annotations

import pytest

from nullmodem.session.reading import line_size


@pytest.mark.parametrize(
    ("baud", "size"), [(9600, 16), (38400, 16), (115200, 32), (921600, 64), (1_500_000, 128), (4_000_000, 256)]
)
def test_more_is_read_at_once_on_a_faster_line(baud: int, size: int) -> None:
    assert line_size(baud) == size


def test_a_line_without_a_rate_is_taken_for_a_slow_one() -> None:
    assert line_size(None) == line_size(115200)


@pytest.mark.parametrize("baud", [50, 300, 115200, 10**9])
def test_what_is_read_for_nothing_about_doubles_an_exchange_at_most(baud: int) -> None:
    assert 16 <= line_size(baud) <= 256
    assert 2 * line_size(baud) <= 1.5 * (40 + max(baud, 300) * 0.0001)
