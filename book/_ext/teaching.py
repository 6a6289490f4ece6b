"""What the page for teachers computes: minutes of a course plan, and what each exercise tests.

```{course-plan}
start | start-1 start-2 | losses | 25
gates/cell | cell-1 | | 20
```

A line holds a page's address below `book/`, exercises, a module of the student edition to write,
and minutes for both. The minutes of reading and the sums are computed. `{exercise-table}` lists the
exercises that have a check, with what each tests, from `lstm_student/exercises/`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from head import WORDS
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from translation import words

from lstm_student.exercise import Exercise, chapters, exercises
from lstm_student.modules import MODULES
from messages import SITE
from weave import notebooks

TITLE = re.compile(r"^[`:]{3,}\{exercise\} ?(.*)\n:label: ex-(\S+)", re.M)
SOLVED = re.compile(
    r"^[`:]{3,}\{solution-start\}.*?^[`:]{3,}\{solution-end\}\n[`:]+"
    r"|\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`",
    re.M | re.S,
)  # what takes its own time: solutions, formulas, code


def text_of(path: Path) -> str:
    """Return the text cells of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def minutes(text: str) -> int:
    """Return how long the words of a text are read, without solutions, formulas and code."""
    return max(1, round(len(re.findall(r"[^\W\d_]+", SOLVED.sub(" ", text))) / WORDS))


def titles(texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return of each exercise, by its name, the page that asks it and its title."""
    return {
        name: (page, title) for page, text in texts.items() for title, name in TITLE.findall(text)
    }


def form(answer: Any) -> str:
    """Name the form of an answer."""
    if callable(answer):
        return "code"
    if isinstance(answer, str):
        return "word"
    if isinstance(answer, int | float) or getattr(answer, "ndim", None) == 0:
        return "number"
    return "several values"


class Stage(NamedTuple):
    """A line of a course plan."""

    page: str
    exercises: list[str]
    module: str
    work: int


def read_plan(lines: Iterable[str], pages: Iterable[str], names: Iterable[str]) -> list[Stage]:
    """Return the stages of a plan; raise ValueError for a line with what does not exist."""
    stages = []
    for line in filter(str.strip, lines):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or not fields[3].isdigit():
            raise ValueError(f"expected `page | exercises | module | minutes`, got {line!r}")
        page, asked, module, work = fields
        lost = [name for name in asked.split() if name not in names]
        if page not in pages or lost or module not in {"", *MODULES}:
            raise ValueError(f"no such page, exercise or module: {line!r}")
        stages.append(Stage(page, asked.split(), module, int(work)))
    return stages


def row(*cells: Iterable[nodes.Node], span: int = 0) -> nodes.row:
    """Return a row of a table; the first cell may span more columns."""
    found = nodes.row()
    for cell in cells:
        entry = nodes.entry(
            "", nodes.paragraph("", "", *cell), **({"morecols": span} if span else {})
        )
        found += entry
    return found


def table(heads: list[str], widths: list[int], rows: list[nodes.row]) -> nodes.table:
    """Return a table."""
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", row(*[[nodes.Text(head)] for head in heads]))
    group += nodes.tbody("", *rows)
    return nodes.table("", group)


class Teaching(SphinxDirective):
    """What both directives share: the pages, and links to them."""

    def texts(self) -> dict[str, str]:
        """Return the text of each chapter, by its address below book/."""
        root = Path(self.env.srcdir)
        for path in notebooks(root):
            self.env.note_dependency(str(path))
        return {
            path.relative_to(root / "book").with_suffix("").as_posix(): text_of(path)
            for path in notebooks(root)
        }

    def say(self, text: str, page: str = SITE) -> str:
        """Return a text in the language of the site."""
        return words(self.env.app, text, page)

    def link(self, page: str) -> nodes.Node:
        """Return a link to a page by its title."""
        return pending_xref(
            "", nodes.inline(), refdomain="std", reftype="doc",
            reftarget=f"/book/{page}", refdoc=self.env.docname, refexplicit=False,
        )  # fmt: skip


class CoursePlan(Teaching):
    """A table of chapters with minutes for reading and for work, and their sums."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        texts = self.texts()
        try:
            stages = read_plan(self.content, texts, titles(texts))
        except ValueError as error:
            raise self.error(f"course-plan: {error}") from error
        rows, reading, working = [], 0, 0
        for page, asked, module, work in stages:
            read = minutes(texts[page])
            reading, working = reading + read, working + work
            kind = "exercises {names}" if len(asked) > 1 else "exercise {names}"
            todo = [self.say(kind).format(names=", ".join(asked))] if asked else []
            todo += [self.say("write {module}").format(module=module)] if module else []
            cells = str(read), "; ".join(todo) or self.say("run its cells"), str(work)
            rows.append(row([self.link(page)], *[[nodes.Text(cell)] for cell in cells]))
        whole = self.say("{minutes} minutes in all").format(minutes=reading + working)
        sums = self.say("together"), str(reading), whole, str(working)
        rows.append(row(*[[nodes.strong("", cell)] for cell in sums]))
        heads = map(self.say, ("chapter", "read", "then", "work"))
        return [table([*heads], [30, 10, 48, 12], rows)]


class ExerciseTable(Teaching):
    """A table of the exercises that have a check."""

    def run(self) -> list[nodes.Node]:
        found = titles(self.texts())
        checks: dict[str, Exercise] = {}
        for chapter in chapters():
            path = Path(self.env.srcdir) / f"lstm_student/exercises/{chapter.replace('-', '_')}.py"
            self.env.note_dependency(str(path))
            checks |= exercises(chapter)
        rows, page = [], ""
        for name in [name for name in found if name in checks]:
            if found[name][0] != page:
                page = found[name][0]
                rows.append(row([nodes.strong("", "", self.link(page))], span=2))
            exercise = checks[name]
            title = self.say(found[name][1], f"book/{page}")
            title = f"{title} ({name}, {self.say(form(exercise.right))})"
            texts = title, self.say(exercise.tests), str(len(exercise.wrong))
            rows.append(row(*[self.parse_inline(text)[0] for text in texts]))
        heads = map(self.say, ("exercise", "what it tests", "mistakes"))
        return [table([*heads], [34, 54, 12], rows)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("course-plan", CoursePlan)
    app.add_directive("exercise-table", ExerciseTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
