# SPDX-License-Identifier: Apache-2.0
"""Attaching to a target and serving it: from what was typed and configured to a session that others find."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.api.attach import attach, look_at_files
from nullmodem.api.attach_plan import options_of
from nullmodem.api.recording import check_new
from nullmodem.api.sessions import NAME, check_free
from nullmodem.frontends.cli.hosting import begin, enter, new_record, open_doors
from nullmodem.frontends.cli.lifetime import ended_by_signals, uninterrupted
from nullmodem.frontends.cli.progress import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from nullmodem.api.attach_plan import AttachPlan
    from nullmodem.frontends.cli.hosting import Host


@contextlib.contextmanager
def attaching(plan: AttachPlan, console: Console) -> Iterator[Host]:
    """Attach and serve; at the end, however it comes, breakpoints are lifted and the target runs on.

    Raises what attaching raises; UsageError for what is wrong with the request, before a line is opened.
    """
    with ended_by_signals(), contextlib.ExitStack() as stack:
        try:
            yield _start(plan, console, stack)
        finally:
            with uninterrupted():
                stack.close()


def _start(plan: AttachPlan, console: Console, stack: contextlib.ExitStack) -> Host:
    if plan.name:
        check_free(plan.name)
    if plan.record is not None:
        check_new(plan.record)
    with steps(console) as tell:
        options = options_of(plan, tell)
    found = look_at_files(options)
    suggestion = plan.target if NAME.fullmatch(plan.target) else "board"
    beginning = begin(plan.name or suggestion, plan.listen, stack)
    kernel = found.kernel.name if found.kernel is not None else str(options.vmlinux)
    record = new_record(kernel, found.release, options.vmlinux, "", beginning.work)
    entrance = enter(plan.name or suggestion, record, stack, exact=bool(plan.name))
    with steps(console) as tell:
        machine = attach(entrance.name, options, found, beginning.work, tell, journal=entrance.session.journal)
    stack.callback(machine.close)
    return open_doors(beginning, entrance, machine, None, stack)
