# SPDX-License-Identifier: Apache-2.0
"""Running make."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError
from nullmodem.kbuild.make import failure_excerpt, interrupts_held, run_make

if TYPE_CHECKING:
    from collections.abc import Callable

_GCC = """\
  CC      drivers/one.o
In file included from /src/include/linux/a.h:3,
                 from /home/u/m.c:1:
/src/include/linux/b.h: In function 'b':
/src/include/linux/b.h:7:2: error: 'x' undeclared
    7 |  x;
make[1]: *** [scripts/Makefile.build:255: /home/u/m.o] Error 1
make[1]: *** Waiting for unfinished jobs....
  CC      drivers/two.o
make: *** [Makefile:2065: /home/u] Error 2
"""


def makefile(directory: Path, text: str) -> Path:
    (directory / "Makefile").write_text(text)
    return directory


def test_steps_are_told_and_the_rest_is_returned_and_all_is_logged(tmp_path: Path) -> None:
    makefile(tmp_path, "all:\n\t@echo '  CC [M]  a/b.o'; echo '  LD      vmlinux'; echo words; echo '  not a step'\n")
    steps: list[str] = []
    output = run_make(["all"], directory=tmp_path, on_step=steps.append, log=tmp_path / "log")
    assert steps == ["a/b.o", "vmlinux"]
    assert output == "words\n  not a step\n"
    assert (tmp_path / "log").read_text() == "  CC [M]  a/b.o\n  LD      vmlinux\nwords\n  not a step\n"


def test_the_environment_of_another_make_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {"MAKEFLAGS": "-n", "MAKELEVEL": "1", "KBUILD_OUTPUT": "/x", "ARCH": "um", "O": "/y", "KCFLAGS": "-Wno",
               "LOCALVERSION": "x", "V": "1"}  # fmt: skip
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KBUILD_EXTRA_SYMBOLS", "/z/Module.symvers")
    makefile(tmp_path, "all:\n\t@echo $(KBUILD_OUTPUT)$(ARCH)$(O)$(KCFLAGS)$(LOCALVERSION)$(V) $(MAKELEVEL)\n"
             "\t@echo $(KBUILD_EXTRA_SYMBOLS) $(MINE) $(LC_ALL)\n")  # fmt: skip
    output = run_make([], directory=tmp_path, variables={"MINE": "mine"})
    assert output.split() == ["0", "/z/Module.symvers", "mine", "C"]


def test_a_failure_shows_the_compilers_first_error_with_its_context_and_make_last() -> None:
    lines = _GCC.splitlines(keepends=True)[1:]
    shown = failure_excerpt([line for line in lines if "  CC " not in line])
    assert shown[0].startswith("In file included from")
    assert "undeclared" in shown[3]
    assert [line.startswith("make") for line in shown] == [False] * 5 + [True] * 3


def test_a_failure_without_any_message_shows_what_make_says(tmp_path: Path) -> None:
    makefile(tmp_path, "all:\n\t@echo all quiet; exit 3\n")
    with pytest.raises(BuildError, match=r"`make -s all` failed with exit code 2") as caught:
        run_make(["-s", "all"], directory=tmp_path)
    assert caught.value.output.splitlines()[0] == "all quiet"
    assert "Error 3" in caught.value.output


def test_a_full_disk_is_named_as_the_reason(tmp_path: Path) -> None:
    makefile(tmp_path, "all:\n\t@cat Makefile > /dev/full\n")
    with pytest.raises(BuildError, match="because the disk is full") as caught:
        run_make([], directory=tmp_path, when_full="buy a larger one")
    assert caught.value.hint == "buy a larger one"


def test_no_make_and_no_directory_are_clear_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match=r"nowhere does not exist"):
        run_make([], directory=tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="make does not exist"):
        run_make([], directory=tmp_path)


@pytest.mark.parametrize("stubborn", [False, True], ids=["a process that ends", "one that ignores the request"])
def test_an_exception_ends_make_and_everything_it_started(
    tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch, ends: Callable[[int], bool]
) -> None:
    monkeypatch.setattr("nullmodem.kbuild.make._GRACE_SECONDS", 0.2)
    trap = "trap '' TERM; " if stubborn else ""
    makefile(
        tmp_path, f"all:\n\t@{trap}echo '  CC      a.o'; sleep 1000 & echo $$! > pid; echo '  CC      b.o'; wait\n"
    )

    def interrupted(step: str) -> None:
        if step == "b.o":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_make([], directory=tmp_path, on_step=interrupted)
    assert ends(int((tmp_path / "pid").read_text()))


def test_a_ctrl_c_while_a_process_is_started_comes_when_it_is_known() -> None:
    begun: list[str] = []

    def start() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            begun.append("a process")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert begun
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_exception_ends_those_too_who_print_into_files_alone(tmp_path: Path) -> None:
    script = tmp_path / "quiet"
    script.write_text("trap '' TERM\nexec >/dev/null 2>&1\nsleep 1000 &\necho $! > pid\nwait\n")
    makefile(tmp_path, "all:\n\t@sh quiet & while [ ! -s pid ]; do :; done; echo '  CC      a.o'; wait\n")

    def interrupted(step: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_make([], directory=tmp_path, on_step=interrupted)
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_make_holds_the_descriptors_it_shall_inherit(tmp_path: Path) -> None:
    read, write = os.pipe()
    makefile(tmp_path, f"all:\n\t@echo hello > /proc/self/fd/{write}\n")
    run_make([], directory=tmp_path, inherit=(write,))
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "hello\n"
