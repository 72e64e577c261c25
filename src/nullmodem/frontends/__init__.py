# SPDX-License-Identifier: Apache-2.0
"""Front ends: equals, each a client of `nullmodem.api`."""
