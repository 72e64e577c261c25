# SPDX-License-Identifier: Apache-2.0
"""Tests of the mailbox driver, on a machine with two processors that nullmodem boots for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nullmodem import Target

pytestmark = [
    pytest.mark.kernel_target(smp=2),
    pytest.mark.kernel_module("."),
    pytest.mark.usefixtures("kernel_module"),
]


def test_what_is_written_can_be_read(kernel_target: Target) -> None:
    said = kernel_target.run("exec 3<>/dev/mailbox; echo hello >&3; cat /dev/mailbox").text
    assert said == "hello\n"


def test_an_open_that_meets_the_last_close_keeps_the_buffer(kernel_target: Target) -> None:
    target = kernel_target
    target.run("cd /tmp && rm -f close write said && mkfifo close write said")

    # One process has the device open, until it is told to close it.
    closer = target.start("exec 3</dev/mailbox; echo open >/tmp/close; read word </tmp/close; exec 3<&-")
    target.run("read word </tmp/close")

    # A second one opens it. It has the lock, and now the hardware takes its time to power up.
    opener = "exec 3<>/dev/mailbox; read word </tmp/write; echo hello >&3; cat /dev/mailbox >/tmp/said"
    with target.break_at("mailbox_await_ready") as opening:
        with opening.wait(after=lambda: target.start(opener)) as stop:
            stop.write(stop.prog["mailbox_ready"], False)
            lock = stop.prog["mailbox_lock"].address_of_().value_()

    # The first one closes it, and is about to wait for that lock. Both are now where the race begins.
    with target.break_at("__mutex_lock_slowpath", condition=lambda frame: frame["lock"].value_() == lock) as closing:
        with closing.wait(after=lambda: target.start("echo now >/tmp/close")) as stop:
            assert "mailbox_release" in [frame.function for frame in stop.stack]
            stop.write(stop.prog["mailbox_ready"], True)

    # The open succeeds and the close ends; then the second process uses what it has opened.
    closer.wait(30)
    assert target.run("echo now >/tmp/write; cat /tmp/said").text == "hello\n"
