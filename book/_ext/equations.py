"""Equations and the code that computes them, linked.

A code cell tagged ``eq:eq-cell-update`` computes the equation with that label, of its own chapter
or of another one; it may have several such tags. On the site a line above the cell names them by
number: "computes (2), (3) of A cell that remembers".
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from weave import notebooks

TAG = "eq:"
FENCE = re.compile(r"\s*(`{3,}|:{3,})\s*(?:\{([\w:-]+)\})?(.*)")
VERBATIM = {"code", "code-block", "code-cell", "literalinclude", "raw"}
EQUATION = re.compile(r"\$\$(.+?)\$\$(?:[ \t]*\(([^)\s]+)\))?", re.S)


def outside_code(text: str) -> str:
    """Return Markdown without its code, in blocks and in lines; the text of directives stays."""
    kept: list[str] = []
    directives: list[str] = []
    block = ""  # the marker that began the block of code
    for line in text.splitlines():
        match = FENCE.match(line)
        marker, directive, rest = match.groups() if match else ("", None, line)
        closes = bool(marker) and not directive and not rest.strip()
        if block:
            block = "" if closes and marker.startswith(block) else block
        elif closes and directives and marker.startswith(directives[-1]):
            directives.pop()
        elif marker and directive and directive not in VERBATIM:
            directives.append(marker)
        elif marker:
            block = marker
        else:
            kept.append(re.sub(r"`[^`]+`", "", line))
    return "\n".join(kept)


def displayed(cells: list[dict]) -> list[tuple[int, str, str | None]]:
    """Return each displayed equation of a notebook: its cell's number, its text, its label."""
    return [
        (number, " ".join(match[1].split()), match[2])
        for number, cell in enumerate(cells, 1)
        if cell["cell_type"] == "markdown"
        for match in EQUATION.finditer(outside_code("".join(cell["source"])))
    ]


def find_labels(app: Sphinx) -> None:
    """Note which chapter has each label."""
    root = Path(app.srcdir)
    app.equation_pages = {
        label: path.relative_to(root).with_suffix("").as_posix()
        for path in notebooks(root)
        for _, _, label in displayed(json.loads(path.read_text())["cells"])
        if label
    }


def reference(kind: str, target: str, docname: str) -> pending_xref:
    """Return a link to an equation (kind "eq") or to a page ("doc"), with its number or title."""
    domain, inner = {"eq": ("math", nodes.literal), "doc": ("std", nodes.inline)}[kind]
    return pending_xref(
        "", inner("", target, classes=["xref", kind]), refdomain=domain, reftype=kind,
        reftarget=target if kind == "eq" else f"/{target}", refdoc=docname, refexplicit=False,
    )  # fmt: skip


def computes(labels: list[str], pages: dict[str, str], docname: str) -> nodes.paragraph:
    """Return the line that names equations; the last of those on one other page names the page."""
    line = nodes.paragraph("", "computes ", classes=["computes"])
    for number, label in enumerate(labels):
        line += [nodes.Text(", ")] * bool(number) + [reference("eq", label, docname)]
        page = pages.get(label, docname)
        after = labels[number + 1] if number + 1 < len(labels) else None
        if page != docname and page != pages.get(after):
            line += [nodes.Text(" of "), reference("doc", page, docname)]
    return line


def name_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Put the line into each cell that has the tag, above its code."""
    for cell in list(doctree.findall(nodes.container)):
        start = f"tag_{TAG}"
        labels = [name.removeprefix(start) for name in cell["classes"] if name.startswith(start)]
        if labels:
            cell.insert(0, computes(labels, app.equation_pages, app.env.docname))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", find_labels)
    app.connect("doctree-read", name_equations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
