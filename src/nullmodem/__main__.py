# SPDX-License-Identifier: Apache-2.0
"""The whole program: the command line, and beside it what stands above it in the house."""

from __future__ import annotations

try:
    from nullmodem.frontends.cli.main import main
except KeyboardInterrupt:  # the imports take long enough for a Ctrl-C to meet them
    raise SystemExit(130) from None

main.add_section("Measure", {"bench": "nullmodem.bench.command:bench"})

if __name__ == "__main__":
    main(prog_name="nullmodem")
