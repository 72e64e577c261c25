# SPDX-License-Identifier: Apache-2.0
"""The XML documents gdb reads over ``qXfer``: target description, library list, thread list.

Names come from the target and from the user's disk, so they are escaped, and characters that XML cannot hold are
dropped. Source: gdb/features/gdb-target.dtd, library-list.dtd, threads.dtd; gdb/solib-target.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from nullmodem.rsp.threads import encode_thread_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Legal in XML 1.0: tab, newline, return, and everything from space on that is no surrogate and no noncharacter.
# The first three are dropped too: gdb would print them.
_ILLEGAL = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Library:
    """A module as gdb shall see it.

    ``name`` is the path of its file, and the only thing gdb tells two libraries apart by. ``sections`` has one address
    for every SHF_ALLOC section of that file, in the order of its section headers, empty ones too; an address of 0
    would make gdb take the section before it instead.
    """

    name: str
    sections: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """A thread as gdb shall show it; ``core`` is the CPU it is on, if it is on one."""

    id: int
    core: int | None
    name: str
    description: str


def _text(value: str) -> str:
    return escape(_ILLEGAL.sub("", value))


def _attribute(name: str, value: str) -> str:
    return f" {name}={quoteattr(_ILLEGAL.sub('', value))}"


def _document(kind: str, dtd: str, attributes: str, lines: Iterable[str]) -> bytes:
    body = "".join(f"{line}\n" for line in lines)
    return f'<?xml version="1.0"?>\n<!DOCTYPE {kind} SYSTEM "{dtd}">\n<{kind}{attributes}>\n{body}</{kind}>\n'.encode()


def target_description(architecture: str) -> bytes:
    """Return ``target.xml`` for a bfd architecture name such as ``i386:x86-64``.

    The osabi ``none`` is what makes gdb ask for the library list at all: under GNU/Linux, its default, it would look
    for a dynamic linker instead. No register feature is named: an incomplete one makes gdb reject the whole
    description and fall back to GNU/Linux, while without any it uses its own registers.
    """
    return _document(
        "target",
        "gdb-target.dtd",
        _attribute("version", "1.0"),
        (f"<architecture>{_text(architecture)}</architecture>", "<osabi>none</osabi>"),
    )


def library_list(libraries: Sequence[Library]) -> bytes:
    """Return the library list; the address of a section is where its first byte is."""
    lines = []
    for library in libraries:
        lines.append(f"<library{_attribute('name', library.name)}>")
        lines += [f'<section address="{address:#x}"/>' for address in library.sections]
        lines.append("</library>")
    return _document("library-list", "library-list.dtd", _attribute("version", "1.0"), lines)


def thread_list(threads: Sequence[ThreadEntry]) -> bytes:
    """Return the thread list; gdb shows ``name`` beside the id and ``description`` in ``info threads``."""
    lines = []
    for thread in threads:
        attributes = _attribute("id", encode_thread_id(thread.id).decode("ascii"))
        if thread.core is not None:
            attributes += _attribute("core", str(thread.core))
        attributes += _attribute("name", thread.name)
        lines.append(f"<thread{attributes}>{_text(thread.description)}</thread>")
    return _document("threads", "threads.dtd", "", lines)
