# SPDX-License-Identifier: Apache-2.0
"""The documents gdb reads: well-formed whatever names they hold, and with what makes gdb ask for libraries."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from nullmodem.rsp.documents import Library, ThreadEntry, library_list, target_description, thread_list

HOSTILE = "<a href=\"x\" o='y'>&amp;\x00\x1b[31m\n\r\t\ud800\ufffe]]>ü"
KEPT = "<a href=\"x\" o='y'>&amp;[31m]]>ü"


def test_a_target_has_an_architecture_no_osabi_and_no_registers() -> None:
    root = ET.fromstring(target_description("i386:x86-64"))
    assert (root.tag, root.get("version")) == ("target", "1.0")
    assert [(child.tag, child.text) for child in root] == [("architecture", "i386:x86-64"), ("osabi", "none")]


def test_a_library_has_one_section_for_every_address() -> None:
    data = library_list([Library("/m/a.ko", (0xFFFFFFFFC0201000, 0xFFFFFFFFC0201000)), Library("/m/b.ko", (1,))])
    root = ET.fromstring(data)
    assert (root.tag, root.get("version")) == ("library-list", "1.0")
    assert [child.get("name") for child in root] == ["/m/a.ko", "/m/b.ko"]
    assert [section.get("address") for section in root[0]] == ["0xffffffffc0201000"] * 2
    assert {section.tag for section in root.iter("section")} == {"section"}


def test_an_empty_list_is_a_document_too() -> None:
    assert len(ET.fromstring(library_list([]))) == 0
    assert len(ET.fromstring(thread_list([]))) == 0


def test_a_thread_has_its_id_as_gdb_will_send_it_and_its_cpu_if_it_is_on_one() -> None:
    root = ET.fromstring(thread_list([ThreadEntry(-2, 0, "swapper/0", "idle"), ThreadEntry(0x12C, None, "insmod", "")]))
    assert [child.attrib for child in root] == [
        {"id": "fffffffe", "core": "0", "name": "swapper/0"},
        {"id": "12c", "name": "insmod"},
    ]
    assert [child.text for child in root] == ["idle", None]


def test_names_from_a_hostile_kernel_are_escaped_and_lose_their_control_characters() -> None:
    (thread,) = ET.fromstring(thread_list([ThreadEntry(1, None, HOSTILE, HOSTILE)]))
    assert (thread.get("name"), thread.text) == (KEPT, KEPT)
    (library,) = ET.fromstring(library_list([Library(HOSTILE, (1,))]))
    assert library.get("name") == KEPT
    assert ET.fromstring(target_description(HOSTILE))[0].text == KEPT


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_makes_a_well_formed_document(name: str, description: str) -> None:
    (thread,) = ET.fromstring(thread_list([ThreadEntry(1, 0, name, description)]))
    assert set(thread.get("name") or "") <= set(name)
