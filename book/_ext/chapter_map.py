"""The map of the chapters: each with its question and what it adds to the package.

```{chapter-map}
start | What does a forecast have to beat? | the sine task, the mean squared error
evidence/claims | What is said about LSTMs, and does it hold? |
```

A line holds a page's address below `book/`, its question and, if the page weaves anything of
`lstm`, that in words. Order, parts and titles come from `_toc.yml` and the pages, the objects
from the weave tags. A notebook without a line is an error, and so is a line without a notebook.
"""

import json
from pathlib import Path
from typing import NamedTuple

import yaml
from course import is_public
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from translation import Kept, words

from weave import notebooks, woven_cells


class Entry(NamedTuple):
    """What a line of the directive says of a chapter."""

    question: str
    words: str


def parts(root: Path) -> list[tuple[str, list[str]]]:
    """Return the captions of the contents' parts that have notebooks, and these, below book/."""
    chapters = {path.relative_to(root).with_suffix("").as_posix() for path in notebooks(root)}
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    found = [
        (part["caption"], [c["file"] for c in part["chapters"] if c["file"] in chapters])
        for part in toc["parts"]
    ]
    return [(name, [c.removeprefix("book/") for c in files]) for name, files in found if files]


def additions(root: Path, chapter: str) -> dict[str, list[str]]:
    """Return the full names of the objects that a chapter weaves, by module, in its order."""
    path = root / "book" / f"{chapter}.ipynb"
    found: dict[str, list[str]] = {}
    for _, name, _ in woven_cells(root, path, json.loads(path.read_text())):
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return found


def read_entries(lines: list[str], woven: dict[str, dict[str, list[str]]]) -> dict[str, Entry]:
    """Return the entries of all chapters; raise ValueError with every fault of the lines."""
    found, faults = {}, []
    for line in filter(str.strip, lines):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 3 or not fields[1]:
            faults.append(f"expected `page | question | what it adds`, got {line!r}")
        elif fields[0] not in woven or fields[0] in found:
            faults.append(f"expected each chapter of _toc.yml once, got {fields[0]!r}")
        else:
            found[fields[0]] = Entry(*fields[1:])
            adds = any(module.startswith("lstm.") for module in woven[fields[0]])
            if adds != bool(fields[2]):
                told = "what it adds in words" if adds else "nothing: it weaves nothing of `lstm`"
                faults.append(f"{fields[0]}: expected after its question {told}")
    faults += [f"{chapter}: has no line in the map" for chapter in woven if chapter not in found]
    if faults:
        raise ValueError("\n".join(faults))
    return found


def piece(name: str, docname: str) -> nodes.Node:
    """Return an object's name, as a link where the API describes it."""
    text = nodes.literal("", name.rpartition(".")[2])
    if not is_public(name):
        return text
    return pending_xref(
        "", text, refdomain="py", reftype="obj",
        reftarget=name, refdoc=docname, refexplicit=True,
    )  # fmt: skip


def summary(woven: dict[str, list[str]]) -> tuple[str, dict[str, int]]:
    """Return the sentence on what a chapter adds, and the numbers to put into it."""
    own = sum(len(names) for module, names in woven.items() if module.startswith("lstm."))
    numbers = {"own": own, "others": sum(map(len, woven.values())) - own}
    if not woven:
        return "Adds nothing: it uses what is there", numbers
    if not own:
        return "Adds nothing to the package; shows {others} pieces of its measurements", numbers
    return f"Adds {{words}} ({{own}} {'piece' if own == 1 else 'pieces'})", numbers


class Map(nodes.container, Kept):
    """The map. Its words are messages of the page."""


class ChapterMap(SphinxDirective):
    """Lists the chapters part by part."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "_toc.yml"))
        self.woven = {name: additions(root, name) for _, names in parts(root) for name in names}
        for name in self.woven:
            self.env.note_dependency(str(root / "book" / f"{name}.ipynb"))
        try:
            entries = read_entries(list(self.content), self.woven)
        except ValueError as error:
            raise self.error(f"chapter-map: {error}") from error
        said = [text for entry in entries.values() for text in entry if text]
        whole = Map(classes=["chapter-map"], messages=said)
        self.set_source_info(whole)
        for caption, names in parts(root):
            whole += nodes.rubric("", self.say(caption))
            items = [nodes.list_item("", *self.chapter(name, entries[name])) for name in names]
            whole += nodes.bullet_list("", *items)
        return [whole]

    def say(self, text: str) -> str:
        """Return one of the page's messages in the language of the site."""
        return words(self.env.app, text, self.env.docname)

    def chapter(self, name: str, entry: Entry) -> list[nodes.Node]:
        """Return a chapter's title and question, and what it adds, folded."""
        title = pending_xref(
            "", nodes.inline(), refdomain="std", reftype="doc",
            reftarget=f"/book/{name}", refdoc=self.env.docname, refexplicit=False,
        )  # fmt: skip
        head = nodes.paragraph(
            "", "", nodes.strong("", "", title), nodes.Text(f" {self.say(entry.question)}")
        )
        kind, numbers = summary(self.woven[name])
        adds = words(self.env.app, kind).format(words=self.say(entry.words), **numbers)
        text = nodes.inline("", "", *self.parse_inline(adds)[0])
        if not self.woven[name]:
            return [head, nodes.paragraph("", "", text, classes=["adds"])]
        fold = [
            nodes.raw("", tag, format="html")
            for tag in ("<details><summary>", "</summary>", "</details>")
        ]
        return [head, fold[0], text, fold[1], self.pieces(name), fold[2]]

    def pieces(self, name: str) -> nodes.bullet_list:
        """Return the objects that a chapter weaves, a line for each module."""
        found = nodes.bullet_list()
        for module, names in self.woven[name].items():
            line = nodes.paragraph("", "", nodes.literal("", module), nodes.Text(": "))
            for number, full in enumerate(names):
                line += [nodes.Text(", ")] * bool(number) + [piece(full, self.env.docname)]
            found += nodes.list_item("", line)
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("chapter-map", ChapterMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
