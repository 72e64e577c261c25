# SPDX-License-Identifier: Apache-2.0
"""The page: a session as a browser shows it. One more client of api, in the session's own process."""
