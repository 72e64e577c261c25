# SPDX-License-Identifier: Apache-2.0
"""One frame of a stack at a stop: where it is, and the variables of its scope as drgn objects."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import drgn

from nullmodem.errors import UnknownVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OPTIMIZED_OUT = "<optimized out>"


class Frame:
    """One function call under way at a stop. ``frame["len"]`` is a variable as a `drgn.Object`.

    A variable that the compiler keeps nowhere at this place is an absent object: it prints as ``<absent>``, its
    ``absent_`` is true, and whoever wants its value gets `drgn.ObjectAbsentError`. `describe` and `locals` say so.

    Attributes:
        function: the name in the source, or the symbol's; None in assembly without one.
        file: of the source, as the compiler was told; None without debug info.
        line: the line, None without debug info.
        pc: the address the frame stands at: its next instruction, or where the call it is in returns to.
        sp: the stack pointer.
        inlined: it has no frame of its own in memory, and stands in the frame of its `parent`.
        module: the module the code is in, empty in the kernel itself.
    """

    def __init__(
        self,
        frames: Frames,
        index: int,
        raw: drgn.StackFrame,
        source: tuple[str, int] | None,
        module: str,
    ) -> None:
        self._frames = frames
        self._index = index
        self._raw = raw
        self.function = _function(raw)
        self.file: str | None = source[0] if source is not None else None
        self.line: int | None = source[1] if source is not None else None
        self.pc: int = raw.pc
        self.sp: int = raw.sp
        self.inlined: bool = raw.is_inline
        self.module = module

    @property
    def parent(self) -> Frame | None:
        """The frame that called this one, or None for the outermost. Raises StopOver."""
        self._frames.require()
        index = self._index + 1
        return self._frames[index] if index < len(self._frames) else None

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt or a trap stopped the code here, rather than a call it made."""
        return bool(self._raw.interrupted)

    def __getitem__(self, name: str) -> drgn.Object:
        """A variable by its name: the frame's own, or a global that its code can see.

        Raises UnknownVariable, which is a KeyError too, with the nearest names; StopOver when the stop is over.
        """
        self._frames.require()
        try:
            return self._raw[name]
        except KeyError:
            pass
        near = tuple(difflib.get_close_matches(name, self._raw.locals(), 3, 0.6))
        own = ", ".join(self._raw.locals()) or "none"
        hint = f"Is {' or '.join(near)} meant?" if near else f"Its variables: {own}."
        raise UnknownVariable(f"{self.function or hex(self.pc)} has no variable {name!r}", nearest=near, hint=hint)

    def __contains__(self, name: object) -> bool:
        self._frames.require()
        return isinstance(name, str) and name in self._raw

    @property
    def locals(self) -> dict[str, drgn.Object]:
        """The parameters and variables in scope, by name; absent objects for those that are optimised out."""
        self._frames.require()
        return {name: self._raw[name] for name in self._raw.locals()}

    @property
    def registers(self) -> Mapping[str, int]:
        """The registers that are known in this frame, by drgn's names (``rip``, ``rsp``, ``rdi``, …)."""
        self._frames.require()
        return dict(self._raw.registers())

    def describe(self) -> str:
        """Where it is, and its variables, a line each: what a report shows."""
        lines = [str(self)]
        for name, value in self.locals.items():
            lines.append(f"    {name} = {shown(value)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else (self.module or self._image)
        name = self.function or f"{self.pc:#x}"
        return f"#{self._index} {name} at {where}" + (" (inlined)" if self.inlined else "")

    @property
    def _image(self) -> str:
        """What code that no module holds belongs to: the kernel has the upper half of the addresses."""
        return "vmlinux" if self.pc >> 63 else "user space"

    def __repr__(self) -> str:
        return f"<Frame {self}>"


class Frames:
    """A stack at one stop: a sequence of `Frame`, the innermost first. ``str()`` is the backtrace.

    ``require`` raises StopOver once the stop is over; ``innermost`` says the line of the innermost frame where that is
    known better than from the trace, ``module_of`` the module that holds an address. The innermost ``hidden`` frames of
    the trace are calls that were inlined and begin just where the thread stands: `Stop.step` goes into them.
    """

    def __init__(
        self,
        trace: drgn.StackTrace,
        require: Callable[[], None],
        innermost: tuple[str, int] | None,
        module_of: Callable[[int], str],
        hidden: int = 0,
    ) -> None:
        self._trace = trace
        self.require = require
        self._innermost = innermost if hidden == 0 else None
        self._module_of = module_of
        self._hidden = hidden
        self._made: dict[int, Frame] = {}

    def __len__(self) -> int:
        return len(self._trace) - self._hidden

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        self.require()
        at = range(len(self))[index]
        if at not in self._made:
            raw = self._trace[at + self._hidden]
            source = self._innermost if at == 0 and self._innermost is not None else _source(raw)
            self._made[at] = Frame(self, at, raw, source, self._module_of(raw.pc))
        return self._made[at]

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def shown(value: drgn.Object, *, string: bool = True) -> str:
    """A variable in a few words: its value, or that it is optimised out, or why it cannot be read.

    ``string``: and what a pointer to characters leads to, however long that is."""
    if value.absent_:
        return OPTIMIZED_OUT
    try:
        return str(value.format_(dereference=False, symbolize=False, type_name=False, string=string))
    except (drgn.FaultError, drgn.ObjectAbsentError, ValueError, LookupError, TypeError) as error:
        return f"<{error}>"


def _function(raw: drgn.StackFrame) -> str | None:
    name: str | None = raw.function_name
    if name is None:
        try:
            name = raw.symbol().name
        except LookupError:
            return None
    return name


def _source(raw: drgn.StackFrame) -> tuple[str, int] | None:
    try:
        found = raw.source()
    except LookupError:
        return None
    return (found.filename, found.line) if found.filename and found.line else None
