# SPDX-License-Identifier: Apache-2.0
"""What a target's answers mean. The line that asks is run by a real shell."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.targets.checkup import PROBE, Finding, Verdict, judge, read_probe

GOOD = {
    "/proc/sys/kernel/osrelease": "6.1.0",
    "/proc/sys/kernel/sysrq": "1",
    "/sys/module/kgdboc/parameters/kgdboc": "ttyS0,115200",
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality",
    "/sys/class/tty/console/active": "tty0 ttyS0",
    "/sys/class/watchdog/watchdog0/state": "inactive",
    "uid": "0",
    "CONFIG_KGDB": "y",
    "CONFIG_MAGIC_SYSRQ": "y",
    "CONFIG_MAGIC_SYSRQ_SERIAL": "y",
}


def found(**changes: str) -> dict[str, Finding]:
    """What is found with some answers changed; keyed by the last part of what was asked."""
    names = {key.rpartition("/")[2]: key for key in GOOD} | {"state": "/sys/class/watchdog/watchdog0/state"}
    facts = {**GOOD, **{names.get(name, name): value for name, value in changes.items()}}
    return {finding.what: finding for finding in judge(facts)}


def test_a_target_in_order_has_nothing_to_put_right() -> None:
    findings = judge(GOOD)
    assert {finding.what for finding in findings} == {"kernel", "lockdown", "kgdboc", "sysrq"}
    assert all(finding.verdict is Verdict.OK and not finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("changes", "what", "verdict", "says", "fix"),
    [
        ({"lockdown": "none [integrity] confidentiality"}, "lockdown", Verdict.FAIL, "refuses kgdb", "Secure Boot"),
        ({"kgdboc": "-"}, "kgdboc", Verdict.FAIL, "no kgdb", "CONFIG_KGDB_SERIAL_CONSOLE"),
        ({"kgdboc": ""}, "kgdboc", Verdict.WARN, "has no line", "gdbstart -n -t /dev/ttyS0"),
        ({"sysrq": "-"}, "sysrq", Verdict.FAIL, "none to stop it", "CONFIG_MAGIC_SYSRQ"),
        ({"sysrq": "438"}, "sysrq", Verdict.WARN, "438: BREAK and g do nothing", "sysctl kernel.sysrq=1"),
        ({"state": "active"}, "watchdog", Verdict.WARN, "watchdog0 is active", "RuntimeWatchdogSec=0"),
        ({"uid": "1000"}, "user", Verdict.WARN, "not root's", "Log in as root"),
    ],
)
def test_what_stands_in_the_way_is_found_with_its_fix(
    changes: dict[str, str], what: str, verdict: Verdict, says: str, fix: str
) -> None:
    finding = found(**changes)[what]
    assert finding.verdict is verdict
    assert says in finding.says
    assert fix in finding.fix


def test_a_kernel_that_ignores_breaks_is_found() -> None:
    facts = {key: value for key, value in GOOD.items() if key != "CONFIG_MAGIC_SYSRQ_SERIAL"}
    assert any(finding.what == "BREAK" and finding.verdict is Verdict.WARN for finding in judge(facts))
    assert "with kdb" in found(CONFIG_KGDB_KDB="y")["kernel"].says


@pytest.mark.parametrize("shell", [("dash", "-c"), ("busybox", "sh", "-c"), ("bash", "-c")], ids=lambda shell: shell[0])
def test_every_shell_answers_the_line_and_its_echo_is_no_answer(shell: tuple[str, ...]) -> None:
    output = subprocess.run([*shell, PROBE], capture_output=True, text=True, check=False).stdout
    assert read_probe(PROBE) is None
    assert read_probe(output[: len(output) // 2]) is None
    facts = read_probe(f"prompt# {PROBE}\r\n" + output.replace("\n", "\r\n") + "prompt# ")
    assert facts is not None
    assert facts["/proc/sys/kernel/osrelease"][0].isdigit()
    assert facts["uid"].isdigit()
    assert {finding.what for finding in judge(facts)} >= {"kernel", "kgdboc", "sysrq", "lockdown"}


@given(st.dictionaries(st.sampled_from([*GOOD, "/sys/class/watchdog/x/state"]), st.text()))
def test_any_answers_are_judged(facts: dict[str, str]) -> None:
    assert {finding.what for finding in judge(facts)} >= {"kernel", "lockdown", "kgdboc", "sysrq"}
