# SPDX-License-Identifier: Apache-2.0
"""What matters in a kernel's configuration to kgdb and to modules: one entry a rule, in the order to read them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from nullmodem.kbuild.settings import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(Enum):
    """What a setting means for debugging: fine, a nuisance with a way round, or the end of it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


def is_set(value: str) -> bool:
    return value != UNSET


def is_not_set(value: str) -> bool:
    return value == UNSET


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look at.

    ``options`` are names for it, by kernel version or processor; the first one of them that is good counts, else the
    first one the configuration mentions. ``good`` judges the value; any other value is ``otherwise``. ``only_if`` names
    an option without which the rule says nothing. ``why`` is for a person; ``fix`` is the line for the fragment,
    written from the rule when empty; ``boot`` is a kernel parameter that does it without a new kernel.
    """

    options: tuple[str, ...]
    otherwise: Verdict
    why: str
    good: Callable[[str], bool] = is_set
    fix: str = ""
    boot: str = ""
    only_if: str = ""

    @property
    def remedy(self) -> str:
        if self.fix:
            return self.fix
        return f"CONFIG_{self.options[0]}=y" if self.good is is_set else f"# CONFIG_{self.options[0]} is not set"


_OK: Final = Verdict.OK
_WARN: Final = Verdict.WARN
_FAIL: Final = Verdict.FAIL


def _all_of_sysrq(value: str) -> bool:
    # drivers/tty/sysrq.c: 'g' belongs to none of the mask's groups, so only exactly 1 enables it.
    return value.lower() in {"1", "0x1"}


def _never(value: str) -> bool:
    return value in {"0", "n"}


RULES: Final = (
    # The stub and the way to it.
    Rule(("KGDB",), _FAIL, "The kernel's own gdb stub. Without it there is nothing to talk to."),
    Rule(
        ("KGDB_SERIAL_CONSOLE",),
        _FAIL,
        "kgdboc, which puts the stub on a serial line. It vanishes without a word when TTY or VT is off. "
        "As a module it is there only after `modprobe kgdboc`.",
    ),
    Rule(("TTY",), _FAIL, "Serial lines are terminals; KGDB_SERIAL_CONSOLE depends on it."),
    Rule(("VT",), _FAIL, "KGDB_SERIAL_CONSOLE depends on it (in older kernels by way of HW_CONSOLE)."),
    Rule(
        (
            "SERIAL_8250_CONSOLE",
            "SERIAL_AMBA_PL011_CONSOLE",
            "SERIAL_IMX_CONSOLE",
            "SERIAL_MSM_CONSOLE",
            "SERIAL_QCOM_GENI_CONSOLE",
            "SERIAL_MESON_CONSOLE",
            "SERIAL_MVEBU_CONSOLE",
            "SERIAL_SAMSUNG_CONSOLE",
            "SERIAL_SH_SCI_CONSOLE",
            "SERIAL_SIFIVE_CONSOLE",
            "SERIAL_XILINX_PS_UART_CONSOLE",
        ),
        _WARN,
        "A serial driver that can be polled with interrupts off, as console: the line kgdb is reached on.",
    ),
    Rule(
        ("MAGIC_SYSRQ",),
        _FAIL,
        "SysRq g stops a running kernel; it is the only break-in there is. "
        "Without it the target stops at breakpoints only.",
    ),
    Rule(
        ("MAGIC_SYSRQ_SERIAL",),
        _WARN,
        "A BREAK on the serial console begins a SysRq. Without it somebody must write g to /proc/sysrq-trigger.",
    ),
    Rule(
        ("MAGIC_SYSRQ_DEFAULT_ENABLE",),
        _WARN,
        "Which SysRq keys work after boot. g is in no group of the mask, so only 0x1, all of them, allows it "
        "(`sysctl kernel.sysrq=1` does it on a running system).",
        good=_all_of_sysrq,
        fix="CONFIG_MAGIC_SYSRQ_DEFAULT_ENABLE=0x1",
        boot="sysrq_always_enabled",
        only_if="MAGIC_SYSRQ",
    ),
    Rule(
        ("KGDB_KDB",),
        _OK,
        "When set, a stop lands in kdb's shell first. Both ways are handled: the session switches the stub by itself.",
        only_if="KGDB",
    ),
    Rule(
        ("KGDB_HONOUR_BLOCKLIST",),
        _WARN,
        "Refuses breakpoints in the code that handles breakpoints, where one hangs the machine.",
    ),
    Rule(
        ("HAVE_HW_BREAKPOINT", "HW_BREAKPOINT"),
        _WARN,
        "Hardware breakpoints and watchpoints (`hbreak`, `watch`). Follows from PERF_EVENTS.",
        fix="CONFIG_PERF_EVENTS=y",
    ),
    # What may forbid it.
    Rule(
        ("LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY", "LOCK_DOWN_KERNEL_FORCE_INTEGRITY"),
        _FAIL,
        "A locked-down kernel does not let the stub read or write anything, and this one always is.",
        good=is_not_set,
        fix="CONFIG_LOCK_DOWN_KERNEL_FORCE_NONE=y",
    ),
    Rule(
        ("LOCK_DOWN_IN_EFI_SECURE_BOOT",),
        _WARN,
        "Locks the kernel down when the machine boots with Secure Boot, and the stub with it. Turn Secure Boot off.",
        good=is_not_set,
    ),
    Rule(
        ("SECURITY_LOCKDOWN_LSM",),
        _OK,
        "Lockdown, if somebody turns it on, silences the stub; /sys/kernel/security/lockdown tells.",
        good=is_not_set,
    ),
    Rule(
        ("MODULE_SIG_FORCE",),
        _FAIL,
        "Only signed modules are loaded, so none that you build, unless you sign it with the kernel's key.",
        good=is_not_set,
    ),
    # Modules.
    Rule(("MODULES",), _FAIL, "Loadable modules: what this is about."),
    Rule(("MODULE_UNLOAD",), _WARN, "Without it a module can be loaded once, and a corrected one needs a reboot."),
    Rule(
        ("KALLSYMS",),
        _FAIL,
        "With it the kernel remembers where each section of a module went. That is the load map.",
    ),
    Rule(("SYSFS",), _FAIL, "A module's section addresses are kept for /sys/module/NAME/sections."),
    Rule(
        ("KALLSYMS_ALL",),
        _WARN,
        "Data symbols too, not functions alone: the kernel's own reports and drgn find variables by name.",
    ),
    Rule(
        ("STACKTRACE_BUILD_ID", "MODULE_SRCVERSION_ALL"),
        _WARN,
        "How a loaded module is matched with a .ko file: by build-id, else by srcversion. "
        "Without either a stale file cannot be told from the right one.",
    ),
    Rule(
        ("TRIM_UNUSED_KSYMS",),
        _WARN,
        "Symbols that none of the kernel's own modules uses are not exported; yours may fail to load.",
        good=is_not_set,
    ),
    # Debug information.
    Rule(
        ("DEBUG_INFO",),
        _FAIL,
        "DWARF in vmlinux and in every module: types, lines, variables.",
        fix="CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y (before Linux 5.18: CONFIG_DEBUG_INFO=y)",
    ),
    Rule(
        ("DEBUG_INFO_REDUCED",),
        _FAIL,
        "Leaves the layout of structures out of the debug information; modules and tasks cannot be read.",
        good=is_not_set,
    ),
    Rule(
        ("DEBUG_INFO_SPLIT",),
        _FAIL,
        "Puts the debug information into .dwo files beside the objects, where only this build tree has it.",
        good=is_not_set,
    ),
    Rule(
        ("DEBUG_INFO_BTF",),
        _OK,
        "Does no harm, and is no substitute for DWARF: it has no lines and no locals.",
        only_if="DEBUG_INFO",
    ),
    Rule(
        ("UNWINDER_ORC", "UNWINDER_FRAME_POINTER", "FRAME_POINTER", "ARM_UNWIND"),
        _WARN,
        "How a stack is walked through interrupts and assembly. With neither ORC tables nor frame pointers "
        "a break-in shows the serial driver instead of what it interrupted.",
    ),
    Rule(
        ("LTO_CLANG_FULL", "LTO_CLANG_THIN", "LTO_CLANG"),
        _WARN,
        "Link-time optimisation inlines across files and renames static functions: lines jump, locals vanish.",
        good=is_not_set,
        fix="CONFIG_LTO_NONE=y",
    ),
    Rule(
        ("RANDSTRUCT_FULL", "RANDSTRUCT_PERFORMANCE", "GCC_PLUGIN_RANDSTRUCT"),
        _WARN,
        "Shuffles the members of structures after the debug information was written (with gcc); values read are wrong.",
        good=is_not_set,
        fix="CONFIG_RANDSTRUCT_NONE=y",
    ),
    # Looks like trouble, is none.
    Rule(
        ("RANDOMIZE_BASE",),
        _OK,
        "KASLR. Fine either way: the slide is found and verified at the first stop. No nokaslr needed.",
    ),
    Rule(
        ("STRICT_KERNEL_RWX",),
        _OK,
        "Write-protected kernel text. Fine either way: the stub writes breakpoints the way the kernel patches itself.",
    ),
    Rule(("STRICT_MODULE_RWX",), _OK, "Write-protected module text. Fine either way, for the same reason."),
    # What happens while the machine stands still, and after it fell.
    Rule(
        ("WATCHDOG",),
        _WARN,
        "A hardware watchdog that somebody has opened resets the machine while it is stopped. "
        "Do not start the daemon (systemd: RuntimeWatchdogSec=0), or leave the drivers out.",
        good=is_not_set,
    ),
    Rule(
        ("BOOTPARAM_HARDLOCKUP_PANIC",),
        _WARN,
        "A long stop can look like a locked-up CPU, and this makes it a panic.",
        good=is_not_set,
        boot="nmi_watchdog=0",
    ),
    Rule(
        ("BOOTPARAM_SOFTLOCKUP_PANIC",),
        _WARN,
        "A module that loops while you look for the loop becomes a panic.",
        good=is_not_set,
        boot="softlockup_panic=0",
    ),
    Rule(
        ("HARDLOCKUP_DETECTOR",),
        _OK,
        "Fine either way: it warns at most (see BOOTPARAM_HARDLOCKUP_PANIC). nmi_watchdog=0 keeps the console quiet.",
    ),
    Rule(
        ("SOFTLOCKUP_DETECTOR",),
        _OK,
        "Fine either way: the stub tells it that time was lost (touch_softlockup_watchdog_sync).",
    ),
    Rule(
        ("PANIC_ON_OOPS",),
        _WARN,
        "An oops in a module takes the machine down instead of one process "
        "(`sysctl kernel.panic_on_oops=0` turns it off on a running system).",
        good=is_not_set,
    ),
    Rule(
        ("PANIC_TIMEOUT",),
        _WARN,
        "After this many seconds (negative: at once) a panic becomes a reboot. "
        "Unless it is 0 the stub does not even stop on an oops or a panic.",
        good=_never,
        fix="CONFIG_PANIC_TIMEOUT=0",
        boot="panic=0",
    ),
    Rule(
        ("IKCONFIG",),
        _OK,
        "The kernel carries its configuration: this check can read it from an image, or from /proc/config.gz.",
    ),
)
