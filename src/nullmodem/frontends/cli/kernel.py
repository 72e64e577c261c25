# SPDX-License-Identifier: Apache-2.0
"""`nullmodem kernel`: build a kernel to debug modules in, look at those there are, judge one built by others."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.building import building
from nullmodem.kbuild import (
    Diagnosis,
    Kernel,
    KernelConfig,
    Verdict,
    build_kernel,
    diagnose,
    find_kernel,
    kernel_request,
    list_kernels,
    read_kernel_config,
)
from nullmodem.kbuild.source import DEBIAN_VERSIONS, DEFAULT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STYLES: Final = {Verdict.FAIL: "bold red", Verdict.WARN: "yellow", Verdict.OK: "green"}

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(short_help="Build target kernels, list them, check others.")
def kernel() -> None:
    """Build kernels to debug modules in, and check kernels built by others.

    No Debian kernel has kgdb, so nullmodem builds one from Debian's kernel source: once, into its cache
    (~/.cache/nullmodem, or where NULLMODEM_CACHE points), in about five minutes on two processors.

    \b
    nullmodem kernel build                    the default kernel, Linux 6.1
    nullmodem kernel build 6.12 --kdb         Linux 6.12, in which a stop lands in kdb
    nullmodem kernel list                     those that are built
    nullmodem kernel doctor /boot/config-6.1  can the kernel on that board be debugged?
    """


@kernel.command()
@click.argument("version", required=False, type=click.Choice(DEBIAN_VERSIONS))
@click.option(
    "--source-version", type=click.Choice(DEBIAN_VERSIONS), help="The same as VERSION: which of Debian's sources."
)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A kernel source tree of your own; it is not written to, and must not have been built in.",
)
@click.option("--name", metavar="NAME", help="What to call it; needed again as `nullmodem run --kernel NAME`.")
@click.option(
    "--config-fragment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="More settings: lines of CONFIG_X=y, as in a .config. They win over nullmodem's own.",
)
@click.option("--kdb", is_flag=True, help="With kdb, the kernel's own debugger shell, in front of the stub.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Processes at a time (default: one for each CPU).")
def build(
    *,
    version: str | None,
    source_version: str | None,
    source: Path | None,
    name: str | None,
    config_fragment: Path | None,
    kdb: bool,
    jobs: int | None,
) -> None:
    """Build a kernel, unless it is there already, and say where it is.

    VERSION is that of one of Debian's packages linux-source-VERSION. Every setting asked for is checked after the
    kernel's own rules have been applied; one that did not survive is an error that says what it depends on.

    \b
    nullmodem kernel build
    nullmodem kernel build 6.12
    nullmodem kernel build --config-fragment i2c.config --name with-i2c
    nullmodem kernel build --source ~/src/linux --name mine
    """
    if source is not None and (version or source_version):
        raise UsageError("--source and a version exclude each other: a source tree has its own version")
    if version and source_version and version != source_version:
        raise UsageError(f"two versions were named: {version} and {source_version}")
    request = kernel_request(
        version or source_version or DEFAULT_VERSION, directory=source, name=name, fragment=config_fragment, kdb=kdb
    )
    errors = Console(stderr=True)
    known = {other.key for other in list_kernels()}
    with building(errors) as progress:
        built = build_kernel(request, progress, jobs)
    done = "is there already" if built.key in known else "is built"
    click.echo(f"{click.style(built.name, bold=True)} {done}: Linux {built.release}, {built.build_tree}")
    if built.key not in known:
        click.echo(f"to debug a module in it: nullmodem run MODULE --kernel {built.name}")


@kernel.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List the kernels in the cache.

    \b
    nullmodem kernel list
    nullmodem kernel list --json | jq -r '.[].vmlinux'
    """
    kernels = list_kernels()
    if as_json:
        _print_json([_record(each) for each in kernels])
        return
    if not kernels:
        click.echo("No kernel is built yet. `nullmodem kernel build` builds one.")
        return
    rows = [(each.name, each.release, each.key, str(each.build_tree)) for each in kernels]
    _print_columns([("NAME", "RELEASE", "KEY", "BUILD TREE"), *rows])


@kernel.command()
@click.argument("name", default=DEFAULT_VERSION)
@_json_option
def show(*, name: str, as_json: bool) -> None:
    """Show one kernel: its files, its modules, and what to give gdb.

    NAME is a kernel's name as `nullmodem kernel list` has it, or the path of a build tree.

    \b
    nullmodem kernel show 6.12
    nullmodem kernel show ~/src/linux
    """
    found = find_kernel(name)
    if as_json:
        _print_json(_record(found))
        return
    _print_columns([(label, value) for label, value in _facts(found)])


@kernel.command()
@click.argument("path", required=False)
@click.option("--all", "everything", is_flag=True, help="Also what is as it should be.")
@_json_option
@click.pass_context
def doctor(context: click.Context, *, path: str | None, everything: bool, as_json: bool) -> None:
    """Check whether modules can be debugged in a kernel, and say what to change.

    PATH is a .config, a /boot/config-RELEASE, /proc/config.gz, a bzImage or vmlinux that carries its configuration
    (CONFIG_IKCONFIG), a build tree, or the name of a kernel in the cache. Without it the kernel this machine runs is
    checked. The exit code is 1 when something makes debugging impossible. What is as it should be is only counted,
    unless --all is given; --json has it always.

    \b
    nullmodem kernel doctor
    nullmodem kernel doctor /boot/config-6.1.0-18-amd64
    nullmodem kernel doctor 6.1 --all
    nullmodem kernel doctor arch/x86/boot/bzImage --json
    """
    config = _config_of(path)
    diagnosis = diagnose(config.settings)
    if as_json:
        _print_json(_diagnosis_record(config, diagnosis))
    else:
        _print_diagnosis(config, diagnosis, everything=everything)
    if diagnosis.verdict is Verdict.FAIL:
        context.exit(1)


def _config_of(path: str | None) -> KernelConfig:
    if path is None:
        usual = (Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}"))
        there = next((file for file in usual if file.exists()), None)
        if there is None:
            raise UsageError(
                f"this machine does not say how its kernel is configured: no {' and no '.join(map(str, usual))}",
                hint="name a .config, a bzImage or a vmlinux",
            )
        return read_kernel_config(there)
    if not Path(path).exists() and path in {each.name for each in list_kernels()}:
        return read_kernel_config(find_kernel(path).config)
    return read_kernel_config(Path(path))


def _facts(found: Kernel) -> Iterator[tuple[str, str]]:
    yield "name", found.name
    yield "release", found.release
    yield "key", found.key
    yield "image", str(found.image)
    yield "symbols", str(found.vmlinux)
    yield "configuration", str(found.config)
    yield "source", str(found.source or "unknown")
    yield "build tree", str(found.build_tree)
    yield "for gdb", f"file {found.vmlinux}"
    yield "for make", f"make -C {found.build_tree} M=$PWD"
    for name, path in sorted(found.modules().items()):
        needed = [other.stem for other in found.load_order(path)[:-1]]
        yield "module", name + (f" (needs {', '.join(needed)})" if needed else "")


def _record(found: Kernel) -> dict[str, object]:
    return {
        "name": found.name,
        "release": found.release,
        "key": found.key,
        "image": str(found.image),
        "vmlinux": str(found.vmlinux),
        "config": str(found.config),
        "source": str(found.source) if found.source else None,
        "build_tree": str(found.build_tree),
        "modules": {name: str(path) for name, path in found.modules().items()},
    }


def _diagnosis_record(config: KernelConfig, diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "origin": config.origin,
        "verdict": diagnosis.verdict.value,
        "findings": [
            {
                "option": f"CONFIG_{finding.option}",
                "value": finding.value,
                "verdict": finding.verdict.value,
                "why": finding.why,
                "fix": finding.fix,
                "boot_parameter": finding.boot,
            }
            for finding in diagnosis.findings
        ],
    }


def _print_diagnosis(config: KernelConfig, diagnosis: Diagnosis, *, everything: bool) -> None:
    out = Console()
    shown = [finding for finding in diagnosis.findings if everything or finding.verdict is not Verdict.OK]
    counts = {verdict: sum(finding.verdict is verdict for finding in diagnosis.findings) for verdict in Verdict}
    summary = f"{counts[Verdict.OK]} fine, {counts[Verdict.WARN]} to think about, {counts[Verdict.FAIL]} in the way"
    summary = f"[{_STYLES[diagnosis.verdict]}]{summary}[/]"
    origin = escape(config.origin)
    if not shown:
        out.print(f"{origin}: {summary}", highlight=False, soft_wrap=True)
        return
    out.print(origin, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("SETTING", overflow="fold")
    table.add_column("WHY, AND WHAT TO DO")
    worst_first = sorted(shown, key=lambda finding: list(_STYLES).index(finding.verdict))
    for finding in worst_first:
        style = _STYLES[finding.verdict]
        advice = [f"→ {finding.fix}"] if finding.fix else []
        advice += [f"→ or boot with {finding.boot}"] if finding.boot else []
        text = escape("\n".join([finding.why, *advice]))
        table.add_row(f"[{style}]{finding.verdict.value}[/]", f"{finding.option}={finding.value}", text)
    out.print(table, highlight=False)
    out.print(summary, highlight=False)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Aligned, the first column bold; the last one may be longer than the line is wide, so that a path stays a path."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [click.style(first.ljust(widths[0]), bold=True)]
        cells += [cell.ljust(width) for cell, width in zip(others, widths[1:], strict=True)]
        click.echo("  ".join(cells).rstrip())


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))
