# SPDX-License-Identifier: Apache-2.0
"""Plain gdb and nullmodem side by side: the same operations, by the same gdb, on the same kernel."""
