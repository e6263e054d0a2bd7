"""How Sphinx makes the documentation site; docs/site/build.sh calls it."""

project = "wgmf"
html_title = "wgmf"
copyright = "the authors of wgmf; MIT or Apache 2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
# commands.md is a part of command-line.md.
exclude_patterns = ["commands.md"]
html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 3
# What docstrings have in backticks are names.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
