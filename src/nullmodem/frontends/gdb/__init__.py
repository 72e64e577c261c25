# SPDX-License-Identifier: Apache-2.0
"""An unmodified gdb as a client: it speaks to a stub that knows modules."""
