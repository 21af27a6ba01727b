"""The site: Sphinx with MyST (Markdown) and the PyData theme. `make docs` builds it; CONTRIBUTING.md says why these."""

import os
import sys
from pathlib import Path


os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "serl_trl"
author = "The serl_trl authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "hf_docstrings", "settings_table"]
smartquotes = False  # it makes a dash of the two in a flag
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "serl_trl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": False,
}
html_sidebars = {"**": ["sidebar-nav-bs"]}
html_show_sourcelink = False

myst_heading_anchors = 3  # so that links to headings are checked
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # those of Transformers' callbacks say nothing of ours
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
nitpicky = True  # a reference of a docstring that leads nowhere is an error
nitpick_ignore_regex = [("py:(class|exc|data|func|meth|mod)", ".*")]  # annotations name what other projects document
python_maximum_signature_line_length = 100
