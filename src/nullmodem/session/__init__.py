# SPDX-License-Identifier: Apache-2.0
"""One live debug session: where what travels on the wire and what is known of the kernel meet."""
