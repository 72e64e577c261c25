# SPDX-License-Identifier: Apache-2.0
"""What several tests share: a real gdb, driven as its user would."""
