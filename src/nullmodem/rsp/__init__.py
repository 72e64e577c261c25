# SPDX-License-Identifier: Apache-2.0
"""The GDB Remote Serial Protocol: framing, typed requests and replies, and both sides of a connection.

Pure: no I/O, no clock, no thread. Bytes come in as arguments and go out as results.
"""
