# SPDX-License-Identifier: Apache-2.0
"""What every front end may do."""
