"""Configuration of Sphinx for the documentation site; `bash docs/build.sh` builds it."""

import os
import re
import sys
from pathlib import Path

from sphinx.ext.autodoc.mock import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))

project = "camunda-admin"
author = "the camunda-admin contributors"
copyright = author
release = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence", "attrs_inline"]
# Anchors of headings, as GitHub makes them.
myst_heading_anchors = 4
exclude_patterns = ["_build", "README.md"]
# The annotation `type` matches fields of this name, too.
suppress_warnings = ["ref.python"]
nitpicky = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

# The reference needs no native library. Names that the package imports when they are first used are read
# while the mock is in place.
autodoc_mock_imports = ["camunda_admin._library"]
with mock(autodoc_mock_imports):
    import camunda_admin

    for name in camunda_admin.__all__:
        getattr(camunda_admin, name)
# A field is documented once, in the docstring of its class.
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Docstrings mark code as Markdown does.
default_role = "code"

html_theme = "furo"
html_title = f"camunda-admin {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False
# References that other tools generate; docs/build.sh adds them.
html_extra_path = [path for path in os.environ.get("SITE_EXTRA", "").split(os.pathsep) if path]

# Links to those references, which exist only if they were added.
REFERENCES = """
<p>On this site: <a href="rust/camunda_admin/index.html">Rust</a>, <a href="c/index.html">C and C++</a>.</p>
"""
# Lines that only the compiler of a doctest needs.
HIDDEN_LINE = re.compile(r"^# .*\n|^#\n", re.MULTILINE)
RUST_BLOCK = re.compile(r"^```rust[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Files outside docs/ are not pages: show their path instead of a link.
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)[^)]*\)")


def prepare(app, docname, source):
    """Remove from a page what only tests and GitHub need."""
    text = RUST_BLOCK.sub(lambda block: f"```rust\n{HIDDEN_LINE.sub('', block.group(1))}```", source[0])
    if docname == "languages" and html_extra_path:
        text += REFERENCES
    source[0] = OUTSIDE.sub(lambda link: link.group(1) if "`" in link.group(1) else f"{link.group(1)} (`{link.group(2)}`)", text)


def prepare_included(app, path, docname, source):
    """Adapt the links of a file of the root folder that a page includes."""
    source[0] = source[0].replace("](docs/", "](")


def setup(app):
    """Register the events."""
    app.connect("source-read", prepare)
    app.connect("include-read", prepare_included)
