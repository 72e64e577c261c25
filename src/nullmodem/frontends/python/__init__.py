# SPDX-License-Identifier: Apache-2.0
"""The Python front end: a program that debugs. Its public names are those of `nullmodem` itself."""
