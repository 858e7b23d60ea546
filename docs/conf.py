"""The documentation: sphinx-build -W docs docs/_build. Pages of the reference are generated."""

import sys
from pathlib import Path

from normbench.version import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "normbench"
author = "The normbench authors"
release = __version__
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "generated",
]  # fmt: skip
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"normbench {release}"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
napoleon_use_ivar = True
