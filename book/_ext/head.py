"""The head of a chapter: what came before, what the reader will do and needs, how long it takes.

In its first text cell, after the question, a chapter has a list of three lines:

- **Previously**: what the last chapters left, with a link.
- **You will** what the reader can do afterwards.
- **You need** what must be known, with links to the chapters that teach it.

On the site it is a box with one more line, "About 12 minutes to read · runs in about 5 s".
Prose is read at 200 words a minute. Code is read at 20 lines a minute, blank lines not counted;
outputs, figures and displayed equations cost nothing extra. The seconds are those that
`book/run.py` measured and stored in `book/seconds.json`, the start of the kernel included.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

LABELS = ("Previously", "You will", "You need")
WORDS, LINES = 200, 20  # a minute
NOT_PROSE = re.compile(r"^ *(?:`{3,}|:{3,}|:[\w-]+:).*$|(?s:\$\$.+?\$\$)|<[^>\n]+>", re.MULTILINE)


def minutes(cells: list[dict]) -> int:
    """Return how many minutes a chapter takes to read, 1 or more."""
    time = 0.0
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            time += len(re.findall(r"\w[\w'-]*", NOT_PROSE.sub(" ", text))) / WORDS
        elif cell["cell_type"] == "code":
            time += sum(bool(line.strip()) for line in text.splitlines()) / LINES
    return max(1, round(time))


def times(root: Path, chapter: str) -> str:
    """Return the line that says how long a chapter takes, to read and to run."""
    read = minutes(json.loads((root / f"{chapter}.ipynb").read_text())["cells"])
    seconds = json.loads((root / "book" / "seconds.json").read_text())
    said = f"About {read} {'minute' if read == 1 else 'minutes'} to read"
    ran = seconds.get(chapter.removeprefix("book/"))
    return said if ran is None else f"{said} · runs in about {ran} s"


def is_head(node: nodes.Node) -> bool:
    """Tell whether a node is a list whose items begin with the three labels."""
    if not isinstance(node, nodes.bullet_list):
        return False
    first = [next(iter(item.findall(nodes.strong)), None) for item in node]
    return [word and word.astext() for word in first] == list(LABELS)


class MarkHead(SphinxTransform):
    """Gives the list its class while it is in English: translations come after."""

    default_priority = 10

    def apply(self) -> None:
        for head in self.document.findall(is_head):
            head["classes"].append("chapter-head")


def add_times(app: Sphinx, doctree: nodes.document) -> None:
    """Add the line of times to the head of a notebook."""
    name = app.env.docname
    for head in doctree.findall(nodes.bullet_list):
        if "chapter-head" in head["classes"]:
            if not (Path(app.srcdir) / f"{name}.ipynb").exists():
                return
            app.env.note_dependency(str(Path(app.srcdir) / "book" / "seconds.json"))
            line = nodes.paragraph("", times(Path(app.srcdir), name), classes=["times"])
            head += nodes.list_item("", line)
            return


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(MarkHead)
    app.connect("doctree-read", add_times)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
