"""Six small things the site needs of Sphinx.

MathJax is served from the site itself. The script is 2.3 MB, so it is not kept in the
repository: it is copied at build time from the installed package `sphinx-mathjax-offline`
(MathJax 3.2, Apache 2.0). The full build is the one taken: the shorter `tex-svg.js` loads
rare macros on demand, and one that does not arrive leaves a whole page unrendered.

On the API page, the fields of named tuples, whose docstrings Python writes, are left out,
and the words that stand where a type could stand ("name : (T, B, H), gates") stay words:
Sphinx would look for a page for each of them.

The API page and the chapters are linked both ways: an object's description names the chapter
that weaves it, and a woven cell leads to the description.

The script of the figures to play with is loaded by the pages that have one.

The builder of the whole book as one page knows how to write what the pages' builder knows.
"""

import json
import re
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from translation import words

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from weave import TAG, notebooks, woven_cells

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-svg-full.js"


def copy_mathjax(app: Sphinx) -> None:
    """Copy the script to `_static/mathjax` of the output, if it is not there."""
    if app.builder.format != "html":
        return
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ExtensionError(f"the package {PACKAGE} is not installed: pip install {PACKAGE}")
    source = Path(spec.origin).parent / "static" / "mathjax" / SCRIPT
    target = Path(app.outdir) / "_static" / "mathjax" / SCRIPT
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def complete_single_page(app: Sphinx) -> None:
    """Let the builder `singlehtml` write every kind of node.

    Sphinx gives it the handlers of HTML, unless an extension has some for it by name. Several do.
    """
    handlers = app.registry.translation_handlers
    if app.builder.name == "singlehtml":
        handlers["singlehtml"] = handlers["html"] | handlers.get("singlehtml", {})


def skip_tuple_fields(app, what, name, obj, skip, options):
    """Leave out members that Python itself has described as a tuple's fields."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def keep_words(app, what, name, obj, options, lines):
    """Put the words that napoleon took for the type of an attribute back into its text."""
    for line in [line for line in lines if re.match(r":(vartype \w+|type):", line)]:
        lines.remove(line)
        kind, words = line[1:].split(":", 1)
        if kind == "type":  # a property: "words: text"
            lines[0] = f"{words.strip()}: {lines[0]}"
        else:
            start = f":ivar {kind.split()[1]}:"
            at = next(k for k, other in enumerate(lines) if other.startswith(start))
            lines[at] = f"{lines[at].rstrip()} {words.strip()}"


def find_woven(app: Sphinx) -> None:
    """Note which page weaves each object of the package."""
    root = Path(app.srcdir)
    app.woven = {
        name: path.relative_to(root).with_suffix("").as_posix()
        for path in notebooks(root)
        for _, name, _ in woven_cells(root, path, json.loads(path.read_text()))
    }


def name_chapter(app, what, name, obj, options, lines):
    """Let an object's description end with the chapter that derives it."""
    if name in app.woven:
        lines += ["", f"{words(app, 'Derived in')} :doc:`/{app.woven[name]}`.", ""]


def is_public(name: str) -> bool:
    """Tell whether ``lstm.module.object`` is a function or class for users, not a helper."""
    module, _, last = name.rpartition(".")
    if not module.startswith("lstm."):  # of `experiments`, which the API does not describe
        return False
    return last[0] != "_" and callable(getattr(import_module(module), last))


def link_woven_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Put a link to its description under each woven cell."""
    for cell in doctree.findall(nodes.container):
        for tag in cell["classes"]:
            name = tag.removeprefix(f"tag_{TAG}")
            if name != tag and is_public(name):
                link = pending_xref(
                    "", nodes.literal("", name), refdomain="py", reftype="obj",
                    reftarget=name, refdoc=app.env.docname, refexplicit=True,
                )  # fmt: skip
                said = words(app, "described in the API: ")
                cell += nodes.paragraph("", said, link, classes=["woven"])


def load_figures(app: Sphinx, page, template, context, doctree) -> None:
    """Load the script of the figures where the page has one."""
    if 'data-play="' in context.get("body", ""):  # quoted code has &quot;
        app.add_js_file("figures.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy_mathjax)
    app.connect("builder-inited", complete_single_page)
    app.connect("builder-inited", find_woven)
    app.connect("autodoc-skip-member", skip_tuple_fields)
    app.connect("autodoc-process-docstring", name_chapter, priority=400)  # before napoleon
    app.connect("doctree-read", link_woven_cells)
    app.connect("autodoc-process-docstring", keep_words, priority=600)  # after napoleon
    app.connect("html-page-context", load_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
