"""Settings of the docs site, which `make docs` builds into build/site; every warning is an error."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_site"))

project = "microduet"
release = importlib.metadata.version(project)
extensions = [
    "cyclopts.ext.sphinx",  # the command line's reference, from the commands' own help
    "myst_parser",  # pages in Markdown
    "sphinx.ext.autodoc",  # the reference, from docstrings
    "sphinx_external_toc",  # the navigation, from _toc.yml
    "reference",  # _site/reference.py
]
exclude_patterns = ["_site", "README.md"]

myst_heading_anchors = 3

default_role = "py:obj"  # `name` in a docstring is a link if the name is in the reference, and code if not
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 160
toc_object_entries = False
smartquotes = False

highlight_language = "text"  # drawings, and what else has no language

html_theme = "furo"
html_title = project
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
