"""How Sphinx builds the site: `python -m sphinx docs build/docs -W`, after `pip install '.[docs]'`.

The build needs no network, and the pages load nothing from other hosts.
"""

import os
import re
import shutil
from pathlib import Path

import matplotlib
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.util import logging

import fastnn

matplotlib.use("Agg")

project = "fastnn"
copyright = "The fastnn developers"
version = release = fastnn.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
default_role = "py:obj"  # in docstrings, `name` is code, and a link if it is a public name
exclude_patterns = ["_templates", "gallery"]  # sphinx-gallery writes pages from the scripts in it

# Markdown, as a code host reads it. Links name the headings in the same way.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# The reference: a page for each public name, by `_templates/autosummary`.
autodoc_typehints = "none"  # numpydoc shows the types that the docstrings name
numpydoc_show_class_members = False  # the templates list them

# The links to other libraries need their indexes, which only a build for publication downloads.
if os.environ.get("FASTNN_DOCS_INTERSPHINX"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,  # its pages load scripts from other hosts
    "abort_on_example_error": True,
}
if not list(Path(__file__).with_name("gallery").glob("*.py")):
    extensions.remove("sphinx_gallery.gen_gallery")

html_theme = "pydata_sphinx_theme"
html_title = f"fastnn {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"**": ["all-pages"]}
html_show_sourcelink = False
html_theme_options = {
    "navbar_center": [],  # the sidebar lists all pages
    "show_nav_level": 0,
    "collapse_navigation": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_math_renderer = "mathml"


def write_mathml(writer, node, block):
    """Write a formula as MathML, which browsers draw without JavaScript or downloads."""
    formula = node.astext()
    try:
        if re.search(r"frac *\d", formula):  # would be read as one number, as in \frac14
            raise MathError("braces around the arguments of a fraction are wanted")
        writer.body.append(tex2mathml(formula, as_block=block))
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", formula, error, location=node)
    raise nodes.SkipNode


def name_public_base(app, name, cls, options, bases):
    """Show the base class that has a page; a page lists no methods that it inherits from there."""
    public = {fastnn.Layer, fastnn.Loss, fastnn.Callback}
    public |= {fastnn.jacobians.Jacobian, fastnn.schedules.Schedule}
    bases[:] = [base for base in cls.__mro__[1:] if base in public] or [object]


def copy_playground(app, error):
    """Copy the playground, a page that needs no other file, beside the page about it."""
    if error is None and app.builder.format == "html":
        folder = Path("playground")
        shutil.copy(Path(app.srcdir) / folder / "index.html", Path(app.outdir) / folder)


def setup(app):
    """Add what has no setting: base classes, formulas, blocks of code that only a test reads."""
    app.connect("autodoc-process-bases", name_public_base)
    app.connect("build-finished", copy_playground)
    app.add_html_math_renderer(
        "mathml",
        (lambda writer, node: write_mathml(writer, node, False), None),
        (lambda writer, node: write_mathml(writer, node, True), None),
    )
    # A folder of pages may still be empty; Sphinx gives this warning no type to suppress.
    for language in ("layers", "kernels"):
        app.add_lexer(language, TextLexer)
