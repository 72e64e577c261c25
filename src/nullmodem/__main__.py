# SPDX-License-Identifier: Apache-2.0
"""`python -m nullmodem` is the program, too."""

from nullmodem.frontends.cli.main import main

main(prog_name="nullmodem")
