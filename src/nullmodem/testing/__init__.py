# SPDX-License-Identifier: Apache-2.0
"""Fakes to test against, published because they are held to the same conformance suites as the real things."""
