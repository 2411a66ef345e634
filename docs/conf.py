"""How the documentation is built."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from pynetdicom import __version__  # noqa: E402

project = "pynetdicom"
copyright = "pynetdicom contributors"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "pynetdicom_tables",
    "pynetdicom_rooms",
    "pynetdicom_errors",
    "pynetdicom_guide",
    "pynetdicom_apps",
    "pynetdicom_conformance",
    "pynetdicom_llms",
]
exclude_patterns = ["_build", "_ext"]
default_role = "py:obj"
highlight_language = "default"  # as Python where it is some
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say them
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True

html_theme = "furo"
html_title = f"pynetdicom {version}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sourcelink = False
