# SPDX-License-Identifier: Apache-2.0
"""Judging a kernel's configuration: what of it helps, hinders or prevents debugging its modules over kgdb.

The knowledge is in doctor_rules.py, one entry a rule; this file applies it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.kbuild.doctor_rules import RULES, Rule, Verdict, is_not_set, is_set
from nullmodem.kbuild.settings import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the option's name and value here. ``fix`` and ``boot`` are empty where all is well."""

    option: str
    value: str
    verdict: Verdict
    why: str
    fix: str = ""
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, in the order of the rules, and the worst of their verdicts."""

    findings: tuple[Finding, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in found), Verdict.OK)


def diagnose(config: Mapping[str, str], rules: Iterable[Rule] = RULES) -> Diagnosis:
    """Apply every rule that has something to say to the options of a .config (without ``CONFIG_``)."""
    spoken = (rule for rule in rules if not rule.only_if or is_set(config.get(rule.only_if, UNSET)))
    return Diagnosis(tuple(_apply(rule, config) for rule in spoken))


def _apply(rule: Rule, config: Mapping[str, str]) -> Finding:
    values = {option: config.get(option, UNSET) for option in rule.options}
    if rule.good is is_not_set:
        # Of several names for what must not be, one that is set decides.
        option = next((name for name, value in values.items() if value != UNSET), rule.options[0])
    else:
        option = next((name for name, value in values.items() if rule.good(value)), "")
        option = option or next((name for name in rule.options if name in config), rule.options[0])
    if rule.good(values[option]) or rule.otherwise is Verdict.OK:
        return Finding(option, values[option], Verdict.OK, rule.why)
    return Finding(option, values[option], rule.otherwise, rule.why, rule.remedy, rule.boot)
