# SPDX-License-Identifier: Apache-2.0
"""A module's parameters, as a user writes them and as the kernel reads them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError
from nullmodem.symbols.module_file import PARAMETERS, ModuleFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nullmodem.kbuild import BuiltModule

EVERY_MODULES: Final = ("async_probe", "dyndbg")
"""What the kernel takes for any module: load_module and unknown_module_param_cb in kernel/module/main.c."""


def parameters_for(built: BuiltModule, texts: Sequence[str]) -> tuple[str, ...]:
    """The words to load a module with. Raises UsageError for what is no parameter, or not one of this module's.

    The kernel loads the module all the same with a parameter that it does not have, and says so on its console alone.
    """
    words = tuple(_word(text) for text in texts)
    file = ModuleFile.open(built.ko)
    names = [parameter.name for parameter in file.params]
    section = file.section(PARAMETERS)
    if not names and section is not None and section.size:
        return words  # it has some, and a file without symbols does not tell their names
    for word in words:
        wanted = _plain(word.partition("=")[0])
        if wanted not in map(_plain, (*names, *EVERY_MODULES)):
            msg = f"{file.name} has no parameter {wanted!r}"
            raise UsageError(msg, hint=_hint(file, wanted))
    return words


def _plain(name: str) -> str:
    """The kernel takes dashes for underscores (parameq in kernel/params.c)."""
    return name.replace("-", "_")


def _hint(file: ModuleFile, wanted: str) -> str:
    if not file.params:
        return "It has none at all."
    named = [f"{p.name} ({p.type})" if p.type else p.name for p in file.params]
    near = difflib.get_close_matches(wanted, [p.name for p in file.params], 1)
    return (f"Is {near[0]} meant? " if near else "") + f"Its parameters: {', '.join(named)}."


def _word(text: str) -> str:
    """A parameter as the kernel reads it: from one line, where blanks part and double quotes hold together.

    See next_arg in the kernel's lib/cmdline.c. Raises UsageError for what is no parameter.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        msg = f"{text!r} is not a module parameter"
        raise UsageError(msg, hint="Write it as NAME=VALUE.")
    if not any(character.isspace() for character in text):
        return text
    if '"' in value or any(character.isspace() for character in name):
        msg = f"the kernel cannot be given the parameter {text!r}"
        raise UsageError(msg, hint="A value with blanks in it cannot have double quotes, a name no blanks.")
    return f'{name}="{value}"'
