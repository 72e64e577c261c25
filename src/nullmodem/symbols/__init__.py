# SPDX-License-Identifier: Apache-2.0
"""What files say: a kernel's vmlinux and its modules' .ko files, their sections, symbols, identities, lines and types.

Nothing here looks at a running kernel. Every file is hostile until parsed; what cannot be used is a
:class:`~nullmodem.errors.SymbolError` that says what it is and what to do about it.
"""
