# SPDX-License-Identifier: Apache-2.0
"""Which nullmodem this is. Beside `nullmodem` itself, whose names are the top of the house and must not be below it."""

__version__ = "0.1.0"
