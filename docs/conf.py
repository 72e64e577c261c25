# SPDX-License-Identifier: Apache-2.0
"""How Sphinx makes the documentation. `make docs` runs it; a warning is an error."""

from importlib.metadata import version as installed_version

project = "nullmodem"
author = "the nullmodem developers"
copyright = "the nullmodem developers"
release = installed_version("nullmodem")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

# The docstrings write names of commands and packets in single backquotes.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"nullmodem {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    # System fonts and nothing from anywhere else: the pages are read without a network too.
    "light_css_variables": {"font-stack": "system-ui, sans-serif", "font-stack--monospace": "ui-monospace, monospace"},
}
