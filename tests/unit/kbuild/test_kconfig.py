# SPDX-License-Identifier: Apache-2.0
"""Saying why Kconfig dropped a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.kbuild.kconfig import explain_lost
from nullmodem.kbuild.settings import parse_fragment

if TYPE_CHECKING:
    from pathlib import Path


def explained(tmp_path: Path, kconfig: str, wanted: str, config: dict[str, str]) -> str:
    (tmp_path / "Kconfig").write_text(kconfig)
    return "\n".join(explain_lost(parse_fragment(wanted, "mine"), config, tmp_path, "x86"))


def test_it_says_who_asked_and_what_is_there(tmp_path: Path) -> None:
    text = explained(tmp_path, "", "CONFIG_A=m", {"A": "y"})
    assert "CONFIG_A=m    (asked for by mine:1)" in text
    assert "CONFIG_A is y" in text


def test_an_option_the_source_does_not_have_is_told_from_one_it_has(tmp_path: Path) -> None:
    kconfig = 'config A\n\tbool "a"\n'
    assert "no such option" in explained(tmp_path, kconfig, "CONFIG_B=y", {})
    assert "no such option" not in explained(tmp_path, kconfig, "CONFIG_A=y", {})


def test_conditions_come_from_the_option_its_prompt_its_menus_and_ifs(tmp_path: Path) -> None:
    kconfig = """
if OUTER
menu "m"
\tdepends on MENU
config A
\tbool "a" if PROMPT
\tdepends on OWN || OTHER
\tselect SELECTED
endmenu
config LATER
\tdepends on UNRELATED
endif
"""
    text = explained(tmp_path, kconfig, "CONFIG_A=y", {"OUTER": "y"})
    assert "depends on OUTER && MENU && PROMPT && (OWN || OTHER)" in text
    assert "as configured: MENU is not set, PROMPT is not set, OWN is not set, OTHER is not set" in text
    assert "UNRELATED" not in text
    assert "SELECTED" not in text


def test_a_condition_that_must_not_hold_is_in_the_way_when_it_does(tmp_path: Path) -> None:
    kconfig = 'config A\n\tbool "a"\n\tdepends on TTY && !S390 && !ARM\n'
    text = explained(tmp_path, kconfig, "CONFIG_A=y", {"TTY": "y", "ARM": "y"})
    assert "as configured: ARM is set\n" in text + "\n"


def test_included_files_inherit_the_conditions_of_the_place_that_includes_them(tmp_path: Path) -> None:
    (tmp_path / "arch" / "x86").mkdir(parents=True)
    (tmp_path / "arch" / "x86" / "Kconfig").write_text('config A\n\tbool "a"\n')
    text = explained(tmp_path, 'if HERE\nsource "arch/$(SRCARCH)/Kconfig"\nendif\n', "CONFIG_A=y", {})
    assert "arch/x86/Kconfig: depends on HERE" in text


def test_help_text_is_not_read_as_definitions(tmp_path: Path) -> None:
    kconfig = 'config A\n\tbool "a"\n\thelp\n\t  config B\n\t  depends on NOTHING\n\nconfig C\n\tbool "c"\n'
    assert "NOTHING" not in explained(tmp_path, kconfig, "CONFIG_A=y", {})
    assert "no such option" in explained(tmp_path, kconfig, "CONFIG_B=y", {})
    assert "no such option" not in explained(tmp_path, kconfig, "CONFIG_C=y", {})


def test_an_option_without_a_prompt_can_only_be_selected(tmp_path: Path) -> None:
    text = explained(tmp_path, "config A\n\tbool\n", "CONFIG_A=y", {})
    assert "cannot be set by hand" in text


def test_when_nothing_is_in_the_way_a_choice_or_a_select_decided(tmp_path: Path) -> None:
    text = explained(tmp_path, 'choice\nconfig A\n\tbool "a"\nendchoice\n', "CONFIG_A=y", {})
    assert "another member of its choice" in text


def test_a_file_that_includes_itself_comes_to_an_end(tmp_path: Path) -> None:
    assert "no such option" in explained(tmp_path, 'source "Kconfig"\n', "CONFIG_A=y", {})


def test_blocks_that_are_closed_but_never_opened_do_no_harm(tmp_path: Path) -> None:
    text = explained(tmp_path, 'endif\nendmenu\nconfig A\n\tbool "a"\n\tdepends on B\n', "CONFIG_A=y", {})
    assert "depends on B" in text
