# SPDX-License-Identifier: Apache-2.0
"""Tests of kernel modules under pytest. `plugin` is what pytest loads, the rest comes when a test wants a kernel."""
