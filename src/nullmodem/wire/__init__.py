# SPDX-License-Identifier: Apache-2.0
"""The line: what carries bytes to a target and back, what separates packets from console text, and what counts."""
