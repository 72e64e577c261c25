# SPDX-License-Identifier: Apache-2.0
"""The whole program: the command line, and beside it what stands above it in the house."""

from __future__ import annotations

from nullmodem.bench.command import bench
from nullmodem.frontends.cli.main import main

main.add_section("Measure", (bench,))

if __name__ == "__main__":
    main(prog_name="nullmodem")
