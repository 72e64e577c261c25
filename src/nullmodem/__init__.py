# SPDX-License-Identifier: Apache-2.0
"""Source-level debugging of Linux loadable kernel modules over kgdb."""

__version__ = "0.1.0"
