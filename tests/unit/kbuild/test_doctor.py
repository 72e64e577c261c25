# SPDX-License-Identifier: Apache-2.0
"""Judging configurations."""

from __future__ import annotations

import pytest

from nullmodem.kbuild import Finding, Verdict, diagnose
from nullmodem.kbuild.doctor_rules import RULES
from nullmodem.kbuild.settings import packaged_fragment, parse_setting

_OURS = {
    setting.name: setting.value
    for name in ("target", "x86_64")
    for requirement in packaged_fragment(name)
    for setting in requirement.alternatives
} | {"MAGIC_SYSRQ_DEFAULT_ENABLE": "0x1", "DEBUG_INFO": "y", "HAVE_HW_BREAKPOINT": "y", "PANIC_TIMEOUT": "0"}


def finding(config: dict[str, str], *options: str) -> Finding:
    """The finding of the rule that looks at one of ``options``."""
    (found,) = [found for found in diagnose(config).findings if found.option in options]
    return found


def test_our_own_kernel_is_healthy() -> None:
    assert [found for found in diagnose(_OURS).findings if found.verdict is not Verdict.OK] == []
    assert diagnose(_OURS).verdict is Verdict.OK


def test_an_empty_configuration_is_hopeless() -> None:
    diagnosis = diagnose({})
    assert diagnosis.verdict is Verdict.FAIL
    failed = {found.option for found in diagnosis.findings if found.verdict is Verdict.FAIL}
    assert {"KGDB", "KGDB_SERIAL_CONSOLE", "MODULES", "DEBUG_INFO", "MAGIC_SYSRQ", "KALLSYMS"} <= failed


def test_every_problem_comes_with_a_remedy_and_every_setting_with_a_reason() -> None:
    worst = {option: "y" for rule in RULES for option in rule.options} | {"PANIC_TIMEOUT": "5", "WATCHDOG": "m"}
    for config in ({}, worst, {"MAGIC_SYSRQ": "y", "DEBUG_INFO": "y", "KGDB": "y"}):
        for found in diagnose(config).findings:
            assert len(found.why) > 20
            assert bool(found.fix) == (found.verdict is not Verdict.OK)


def test_a_remedy_is_a_line_for_a_fragment_that_cures_it() -> None:
    for rule in RULES:
        line = rule.remedy.partition(" (")[0]
        assert parse_setting(line) is not None, line


def test_no_option_is_judged_twice() -> None:
    options = [option for rule in RULES for option in rule.options]
    assert len(options) == len(set(options))


@pytest.mark.parametrize(
    ("change", "option", "verdict"),
    [
        ({"KGDB_KDB": "y"}, "KGDB_KDB", Verdict.OK),
        ({"KGDB_SERIAL_CONSOLE": "m"}, "KGDB_SERIAL_CONSOLE", Verdict.OK),
        ({"VT": "n"}, "VT", Verdict.FAIL),
        ({"MAGIC_SYSRQ_DEFAULT_ENABLE": "0x1b6"}, "MAGIC_SYSRQ_DEFAULT_ENABLE", Verdict.WARN),
        ({"MAGIC_SYSRQ_DEFAULT_ENABLE": "1"}, "MAGIC_SYSRQ_DEFAULT_ENABLE", Verdict.OK),
        ({"DEBUG_INFO_REDUCED": "y"}, "DEBUG_INFO_REDUCED", Verdict.FAIL),
        ({"DEBUG_INFO_SPLIT": "y"}, "DEBUG_INFO_SPLIT", Verdict.FAIL),
        ({"LOCK_DOWN_KERNEL_FORCE_INTEGRITY": "y"}, "LOCK_DOWN_KERNEL_FORCE_INTEGRITY", Verdict.FAIL),
        ({"SECURITY_LOCKDOWN_LSM": "y"}, "SECURITY_LOCKDOWN_LSM", Verdict.OK),
        ({"MODULE_SIG_FORCE": "y"}, "MODULE_SIG_FORCE", Verdict.FAIL),
        ({"RANDOMIZE_BASE": "n"}, "RANDOMIZE_BASE", Verdict.OK),
        ({"LTO_CLANG_THIN": "y"}, "LTO_CLANG_THIN", Verdict.WARN),
        ({"WATCHDOG": "y"}, "WATCHDOG", Verdict.WARN),
        ({"PANIC_TIMEOUT": "-1"}, "PANIC_TIMEOUT", Verdict.WARN),
        ({"BOOTPARAM_SOFTLOCKUP_PANIC": "y"}, "BOOTPARAM_SOFTLOCKUP_PANIC", Verdict.WARN),
    ],
)
def test_a_setting_is_judged(change: dict[str, str], option: str, verdict: Verdict) -> None:
    assert finding(_OURS | change, option).verdict is verdict


def test_any_of_several_names_will_do() -> None:
    without = {name: value for name, value in _OURS.items() if name != "UNWINDER_ORC"}
    assert finding(without | {"FRAME_POINTER": "y"}, "FRAME_POINTER").verdict is Verdict.OK
    assert finding(without, "UNWINDER_ORC").verdict is Verdict.WARN
    srcversion_only = _OURS | {"STACKTRACE_BUILD_ID": "n", "MODULE_SRCVERSION_ALL": "y"}
    assert finding(srcversion_only, "MODULE_SRCVERSION_ALL").verdict is Verdict.OK


def test_a_rule_about_a_part_that_is_not_there_is_silent() -> None:
    options = {found.option for found in diagnose(_OURS | {"MAGIC_SYSRQ": "n"}).findings}
    assert "MAGIC_SYSRQ" in options
    assert "MAGIC_SYSRQ_DEFAULT_ENABLE" not in options


def test_a_boot_parameter_is_offered_where_one_helps() -> None:
    assert finding(_OURS | {"PANIC_TIMEOUT": "30"}, "PANIC_TIMEOUT").boot == "panic=0"
    assert finding(_OURS, "PANIC_TIMEOUT").boot == ""
