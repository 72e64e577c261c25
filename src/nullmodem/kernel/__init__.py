# SPDX-License-Identifier: Apache-2.0
"""What a stopped kernel says of itself: where it is, its modules, its tasks and their registers.

Everything is read through :class:`~nullmodem.kernel.memory.Memory` and knows no wire. The target's memory is hostile
until parsed: it may be corrupt, and it may have been stopped in the middle of a change. What makes no sense is a
:class:`~nullmodem.errors.KernelDataError`.
"""
