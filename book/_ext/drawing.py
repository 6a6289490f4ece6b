"""The drawing of the LSTM step, the same on every page, with the parts lit that the text is at.

```{lstm-step}
:lit: f c-prev kept
The forget gate says how much of the old cell stays.
```

The drawing is `book/lstm-step.svg`. A part of it has a `data-part`, a connection a `data-wire`
with the parts that it joins; a wire is lit if both are. `:backward:` turns the arrows round and
writes the letters with a d, `:moves:` lets the parts light up once in the order of computation.

What a part says of itself, its symbol, name in code and shape, is its row on the notation page.
"""

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

BOOK = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
SUBSCRIPTS = str.maketrans("t-1", "ₜ₋₁")
GRADIENT = r"\mathrm{d}a = \partial L / \partial a"
BACKWARD = (
    "The step read from right to left. A gradient of the new hidden state and one of the new "
    "cell state arrive on the right. The first goes to the output gate and, through tanh, to "
    "the cell, where it meets the second. The gradient of the cell goes on to the forget gate, "
    "to the previous cell state, to the input gate and to the candidate. The gradients of the "
    "four blocks go down to the input and to the previous hidden state, where they are added."
)
HINT = "Point at a part, or go through the parts with Tab and the arrow keys, to read its name."


class Row(NamedTuple):
    """A row of the notation page: its words without markup."""

    meaning: str
    code: str
    shape: str


def plain(cell: str) -> str:
    """Return the words of a cell of a table: links, roles, dollars and backticks removed."""
    cell = re.sub(r"\{[\w:]+\}`([^`<]+?)(?: <[^`>]*>)?`", r"\1", cell)
    return re.sub(r"[$`]", "", re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", cell)).strip()


@cache
def notation() -> dict[str, Row]:
    """Return the rows of the notation page by their symbols, in TeX; the first of a symbol."""
    found: dict[str, Row] = {}
    for table in re.findall(r"(?:^\|.*\n)+", (BOOK / "reference/notation.md").read_text(), re.M):
        head, _, *rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.splitlines()]
        names = [name.strip() for name in head]
        for row in rows:
            cells = dict(zip(names, map(plain, row)))
            symbol = cells.get("symbol", "")
            columns = (cells.get(name, "") for name in ("meaning", "code name", "shape"))
            found.setdefault(symbol, Row(*columns))
    return found


def shown(symbol: str) -> str:
    """Return a symbol in TeX as text: ``c_{t-1}`` with small letters below the line."""
    lower = re.sub(r"_\{?([t\d-]+)\}?", lambda m: m[1].translate(SUBSCRIPTS), symbol)
    return lower.replace("\\", "")


def fact(symbol: str, *, backward: bool = False) -> str:
    """Return what is said of a part: its symbol, its meaning, its name in code and its shape."""
    if symbol not in notation():
        raise ValueError(f"lstm-step.svg has the symbol {symbol}, which the notation page has not")
    row, name = notation()[symbol], shown(symbol)
    if backward:
        rule = notation()[GRADIENT]
        meaning = re.sub(r"\ba$", name, rule.meaning)
        row, name = Row(meaning, f"d{row.code}", row.shape), f"d{name}"
    return f"{name}, {row.meaning}; in code {row.code}, shape {row.shape}"


def arrange(svg: ElementTree.Element, lit: set[str], backward: bool) -> str:
    """Mark what is lit and what is quiet, name the parts; return what is lit in words."""
    parts = {e.get("data-part", ""): e for e in svg.iter(f"{SVG}g") if e.get("data-part")}
    if lit - parts.keys():
        raise ValueError(f"expected parts among {', '.join(parts)}, got {sorted(lit - parts.keys())}")
    for name, part in parts.items():
        if lit:
            part.set("class", "lit" if name in lit else "quiet")
        if symbol := part.get("data-symbol"):
            part.set("data-fact", "")
            title = ElementTree.Element(f"{SVG}title")
            title.text = fact(symbol, backward=backward)
            part.insert(0, title)
    wires = next(e for e in svg.iter(f"{SVG}g") if e.get("class") == "wires")
    for wire in wires:
        if lit:
            ends = set(wire.get("data-wire", "").split())
            wire.set("class", "lit" if ends <= lit else "quiet")
    wires[:] = sorted(wires, key=lambda wire: wire.get("class") == "lit")  # the last is on top
    named = [parts[k].get("data-symbol") for k in parts if k in lit]
    return ", ".join(f"{'d' * backward}{shown(symbol)}" for symbol in named if symbol)


def drawing(name: str, lit: set[str], *, backward: bool, moves: bool, styled: bool) -> str:
    """Return the drawing for a page as HTML.

    Parameters
    ----------
    name : start of its ids, which no other drawing of the page has
    styled : with the style, which the first drawing of a page brings for all
    """
    ElementTree.register_namespace("", SVG[1:-1])
    svg = ElementTree.fromstring((BOOK / "lstm-step.svg").read_text())
    words = arrange(svg, lit, backward)
    svg.set("class", " ".join(["lstm-step", *["backward"] * backward, *["moves"] * moves]))
    svg.set("aria-labelledby", f"{name}-title {name}-desc")
    for tag in ("title", "desc"):
        svg.find(f"{SVG}{tag}").set("id", f"{name}-{tag}")
    described = svg.find(f"{SVG}desc")
    if backward:
        svg.find(f"{SVG}title").text = "One step of an LSTM, backward"
        described.text = BACKWARD
    if words:
        described.text = f"Lit: {words}. The rest of the drawing is quiet. {described.text}"
    if not styled:
        svg.remove(svg.find(f"{SVG}style"))
    return ElementTree.tostring(svg, encoding="unicode").replace("&gt;", ">")


class LSTMStep(SphinxDirective):
    """Put the drawing on a page, with the content as its caption."""

    has_content = True
    option_spec = {
        "lit": directives.unchanged_required,
        "backward": directives.flag,
        "moves": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        if not self.content:
            raise self.error("lstm-step: expected a caption as its content, got none")
        self.env.note_dependency(str(BOOK / "lstm-step.svg"))
        self.env.note_dependency(str(BOOK / "reference/notation.md"))
        number = self.env.new_serialno("lstm-step")
        name = f"lstm-step-{nodes.make_id(self.env.docname)}-{number}"
        given = {flag: flag in self.options for flag in ("backward", "moves")}
        lit = set(self.options.get("lit", "").split())
        try:
            html = drawing(name, lit, **given, styled=number == 0)
        except ValueError as error:
            raise self.error(f"lstm-step: {error}") from error
        caption = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, caption)
        hint = f'<p class="fact">{escape(HINT)}</p>'
        before = f'<figure class="drawing step-drawing">\n{html}\n<figcaption>'
        after = f"</figcaption>\n{hint}\n</figure>"
        return [
            nodes.raw("", before, format="html"),
            *caption.children,
            nodes.raw("", after, format="html"),
        ]


def load_script(app: Sphinx, page, template, context, doctree) -> None:
    """Load the script of the drawing where the page has one."""
    if 'class="drawing step-drawing"' in context.get("body", ""):
        app.add_js_file("drawing.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("lstm-step", LSTMStep)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
