# SPDX-License-Identifier: Apache-2.0
"""Record the first part of `make demo` as the picture that the README shows: docs/images/demo.svg."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pexpect
from rich.console import Console
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURE = REPOSITORY / "docs" / "images" / "demo.svg"
WIDTH = 118
FROM, TO = "== A breakpoint in a module", "== Breakpoints in its file operations"
LEFT_OUT = re.compile(r"^(\[New Thread|\[Switching|\[Thread|warning: |$)")


def main() -> None:
    command = pexpect.spawn(
        sys.executable, [str(REPOSITORY / "demo" / "session.py"), *sys.argv[1:]],
        encoding="utf-8", codec_errors="replace", timeout=120, dimensions=(60, WIDTH),
    )  # fmt: skip
    command.expect(pexpect.EOF)
    command.close()
    if command.exitstatus != 0:
        sys.exit(command.before)
    lines = (command.before or "").replace("\r", "").split("\n")
    first = next(number for number, line in enumerate(lines) if FROM in line)
    last = next(number for number, line in enumerate(lines) if TO in line)
    console = Console(record=True, width=WIDTH, file=Path("/dev/null").open("w"))
    for line in lines[first:last]:
        if not LEFT_OUT.match(line):
            console.print(Text.from_ansi(_without_places(line)), overflow="ellipsis", no_wrap=True)
    PICTURE.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="make demo")
    # A picture in a README must not fetch fonts from anywhere: the reader's own monospace font will do.
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    picture = re.sub(r"\s*<!-- Generated with Rich.*?-->", "", picture)
    PICTURE.write_text(picture.replace("Fira Code", "ui-monospace"), encoding="utf-8")


def _without_places(line: str) -> str:
    """Paths as they would be anywhere."""
    line = line.replace(str(REPOSITORY), "~/nullmodem").replace(str(Path.home()), "~")
    line = re.sub(r"~/\.cache/nullmodem/sources/(linux-source-[\d.]+)-[0-9a-f]+", r"\1", line)
    return re.sub(r"/tmp/nullmodem-demo-\w+/machine/modules", "…", line)


if __name__ == "__main__":
    main()
