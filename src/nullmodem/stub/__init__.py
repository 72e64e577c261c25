# SPDX-License-Identifier: Apache-2.0
"""The kernel's stub as one typed, bounded client. Nothing else builds a packet for the kernel."""
