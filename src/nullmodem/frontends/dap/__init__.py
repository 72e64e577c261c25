# SPDX-License-Identifier: Apache-2.0
"""For editors: a Debug Adapter Protocol server that stands between an editor and gdb's own adapter."""
