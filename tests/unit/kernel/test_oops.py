# SPDX-License-Identifier: Apache-2.0
"""Reports found in a kernel's log. The longer texts are what real kernels printed; see tests/logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.kernel.oops import LONGEST, CodeAddress, TroubleKind, find_troubles, kernel_lines

LOGS = Path(__file__).resolve().parents[2] / "logs"

WARNING = """\
[    9.100000] before
[    9.123456] ------------[ cut here ]------------
[    9.123999] refcount_t: underflow; use-after-free.
[    9.124500] WARNING: CPU: 1 PID: 91 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[    9.124600] Modules linked in: simple(O)
[    9.124700] RIP: 0010:refcount_warn_saturate+0xba/0x110
[    9.124800] Call Trace:
[    9.124900]  <TASK>
[    9.125000]  ? simple_release+0x1f/0x50 [simple]
[    9.125100]  simple_write.isra.0+0x40/0x90 [simple 0123456789abcdef0123456789abcdef01234567]
[    9.125200]  </TASK>
[    9.125300] ---[ end trace 0000000000000000 ]---
[    9.125400] after
"""

LOCKDEP = """\
[   22.000001] ======================================================
[   22.000002] WARNING: possible circular locking dependency detected
[   22.000003] 6.12.0 #1 Not tainted
[   22.000004] ------------------------------------------------------
[   22.000005] cat/80 is trying to acquire lock:
[   22.000006] ffffffffc0200100 (a){+.+.}-{3:3}, at: first+0x10/0x40 [locks]
[   22.000007]
[   22.000008] stack backtrace:
[   22.000009] CPU: 0 UID: 0 PID: 80 Comm: cat Not tainted 6.12.0 #1
[   22.000010] Call Trace:
[   22.000011]  <TASK>
[   22.000012]  dump_stack_lvl+0x5d/0x80
[   22.000013]  </TASK>
[   23.500000] locks: the next line, of somebody else
"""


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_an_oops_of_a_real_kernel_is_one_report_with_its_places_in_code(version: str) -> None:
    (trouble,) = find_troubles((LOGS / f"linux-{version}-oops.log").read_text())
    assert trouble.kind is TroubleKind.OOPS
    assert trouble.fatal
    assert trouble.headline == "BUG: kernel NULL pointer dereference, address: 0000000000000008"
    assert trouble.lines[-1].text == "---[ end trace 0000000000000000 ]---"
    assert len(trouble.kernel_build) == 20
    codes = [line.code for line in trouble.lines if line.code is not None]
    assert [code.symbol for code in codes[:4]] == [
        "oopsinit_read",
        "oopsinit_init",
        "do_one_initcall",
        "do_init_module",
    ]
    assert codes[0].exact
    assert not any(code.exact for code in codes[1:])
    assert (codes[0].offset, codes[0].module) == (0, "oopsinit")
    assert len(codes[1].build_id) == 20


def test_a_warning_begins_at_the_cut_and_says_what_stands_there() -> None:
    (trouble,) = find_troubles(WARNING)
    assert trouble.kind is TroubleKind.WARNING
    assert not trouble.fatal
    assert trouble.headline.startswith("WARNING: CPU: 1 PID: 91 at lib/refcount.c:28")
    assert trouble.headline.endswith(": refcount_t: underflow; use-after-free.")
    assert (trouble.lines[0].text, trouble.lines[-1].text[:12]) == (
        "refcount_t: underflow; use-after-free.",
        "---[ end tra",
    )
    guessed, sure = (line.code for line in trouble.lines if line.code is not None and line.code.module)
    assert guessed == CodeAddress("simple_release", 0x1F, 0x50, "simple", certain=False)
    assert sure is not None
    assert (sure.symbol, sure.build_id[:2], sure.certain) == ("simple_write.isra.0", b"\x01\x23", True)


def test_a_report_without_an_end_mark_ends_with_its_stack() -> None:
    (trouble,) = find_troubles(LOCKDEP)
    assert trouble.kind is TroubleKind.LOCKING
    assert trouble.headline == "WARNING: possible circular locking dependency detected"
    assert trouble.lines[-1].text.strip() == "</TASK>"


def test_reports_one_after_the_other_are_told_apart_and_keep_their_order() -> None:
    oops = (LOGS / "linux-6.1-oops.log").read_text()
    panic = "[   30.000000] Kernel panic - not syncing: Fatal exception\n[   30.000100] ---[ end Kernel panic ]---\n"
    kinds = [trouble.kind for trouble in find_troubles(WARNING + oops + panic + LOCKDEP + WARNING)]
    assert kinds == [
        TroubleKind.WARNING,
        TroubleKind.OOPS,
        TroubleKind.PANIC,
        TroubleKind.LOCKING,
        TroubleKind.WARNING,
    ]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("BUG: unable to handle page fault for address: ffffc90000abc000", TroubleKind.OOPS),
        ("kernel BUG at drivers/simple.c:12!", TroubleKind.OOPS),
        ("general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP", TroubleKind.OOPS),
        ("Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1]", TroubleKind.OOPS),
        ("Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008", TroubleKind.OOPS),
        ("BUG: KASAN: use-after-free in simple_read+0x10/0x20 [simple]", TroubleKind.SANITIZER),
        ("UBSAN: array-index-out-of-bounds in simple.c:3:1", TroubleKind.SANITIZER),
        ("BUG: scheduling while atomic: cat/80/0x00000002", TroubleKind.BUG),
        ("BUG: sleeping function called from invalid context at mm/slab.h:1", TroubleKind.BUG),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [cat:80]", TroubleKind.LOCKUP),
        ("INFO: task cat:80 blocked for more than 120 seconds.", TroubleKind.LOCKUP),
        ("rcu: INFO: rcu_sched self-detected stall on CPU", TroubleKind.LOCKUP),
        ("WARNING: suspicious RCU usage", TroubleKind.LOCKING),
        ("WARNING: CPU: 0 PID: 1 at simple.c:3 simple_init+0x1/0x2 [simple]", TroubleKind.WARNING),
        ("WARNING: simple.c:3 at simple_init+0x1/0x2 [simple], CPU#0: insmod/80", TroubleKind.WARNING),
        ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", TroubleKind.PANIC),
    ],
)
def test_every_kind_is_known_by_its_first_line(line: str, kind: TroubleKind) -> None:
    for log in (line, f"[    1.000000] {line}", f"<4>[    1.000000][  T148] {line}\n", f"[    1.000000] {line}\r\n"):
        (trouble,) = find_troubles(log)
        assert (trouble.kind, trouble.headline) == (kind, line)


@pytest.mark.parametrize(
    "line",
    ["simple: WARNING: low on text", "simple: loading", "the Oops: of a driver", "kernel BUG reports are welcome", ""],
)
def test_what_a_driver_says_is_no_report(line: str) -> None:
    assert find_troubles(f"[    1.000000] {line}\n") == ()


def test_what_a_program_prints_beside_the_kernel_is_no_report() -> None:
    assert find_troubles("[    1.000000] simple: loading\nWARNING: a program's\nBUG: another's\n") == ()


def test_a_report_that_never_ends_is_cut() -> None:
    log = "".join(f"[    1.000000] {line}\n" for line in ["BUG: endless", *["f+0x1/0x2"] * (3 * LONGEST)])
    (trouble,) = find_troubles(log)
    assert len(trouble.lines) == LONGEST


@given(st.text(max_size=300), st.sampled_from([WARNING, LOCKDEP]))
def test_no_log_breaks_it(noise: str, report: str) -> None:
    for log in (noise, noise + report, report + noise, report[:200] + noise + report[200:]):
        for trouble in find_troubles(log):
            assert trouble.lines
            assert trouble.headline


def test_the_kernels_lines_are_told_from_those_of_programs() -> None:
    assert kernel_lines("[    1.000000] kernel\r\nprogram\n<6>[    2.000000][   T1] kernel\n") == [
        "[    1.000000] kernel",
        "<6>[    2.000000][   T1] kernel",
    ]
    assert kernel_lines("no time\nin front\n") == ["no time", "in front"]
