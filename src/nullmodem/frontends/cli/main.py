# SPDX-License-Identifier: Apache-2.0
"""The program: `nullmodem`."""

from __future__ import annotations

import click

from nullmodem import __version__
from nullmodem.frontends.cli.common import Program
from nullmodem.frontends.cli.kernel import kernel
from nullmodem.frontends.cli.run import run


@click.group(cls=Program)
@click.version_option(__version__, prog_name="nullmodem")
@click.option("--debug", is_flag=True, help="Show where an error happened.")
def main(*, debug: bool) -> None:
    """Debug Linux kernel modules at source level."""


main.add_command(run)
main.add_command(kernel)
