"""Sphinx settings of the documentation: `sphinx-build -W docs docs/_build`."""

from tpukernel import __version__

project = "tpukernel"
copyright = "the tpukernel authors"  # noqa: A001 - the name Sphinx reads
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_type_aliases = {}
napoleon_use_ivar = True
html_theme = "alabaster"
