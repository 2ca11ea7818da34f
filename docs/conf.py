"""Settings of the documentation's site; ``scripts/docs`` builds it.

Sources are below the top of the checkout, so that pages link to README and to the results of benchmarks as
they do on the disk. The site's own first page is docs/index.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

import sparkopt

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sparkopt"
author = "sparkopt's contributors"
release = version = sparkopt.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = ["*.md", "benchmarks/*.md", "docs/*.md", "docs/**/*.md", "examples/*.ipynb"]
templates_path = ["_templates"]
myst_heading_anchors = 4
# Notebooks are shown with the outputs that are committed; scripts/notebooks executes them.
nb_execution_mode = "off"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"sparkopt {release}"
html_additional_pages = {"index": "first_page.html"}
html_theme_options = {"sidebar_hide_name": False}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False


def setup(app: Sphinx) -> None:
    """The diagrams of states.md, which GitHub draws, are shown as text: what draws them is not on PyPI."""
    app.add_lexer("mermaid", TextLexer)
