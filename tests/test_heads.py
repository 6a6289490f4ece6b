"""The head of every chapter, its times, and the equations that code cells name.

Each check returns a list of faults that say what to do; planted faults follow below.
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes

import run
from conftest import code_cell
from test_site import SITE
from weave import ROOT, notebooks

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import equations
import head

Cells = list[dict[str, Any]]

BOOK = notebooks(ROOT)
NAMES = [path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in BOOK]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEAD = re.compile(r"^- \*\*(\w[\w ]*)\*\*:? +(\S.*)$", re.MULTILINE)
SHAPE = "three lines, `- **Previously**: ...`, `- **You will** ...`, `- **You need** ...`"


@cache
def chapter(name: str) -> Cells:
    found: Cells = json.loads((ROOT / f"book/{name}.ipynb").read_text())["cells"]
    return found


def words(text: str) -> Cells:
    return [{"cell_type": "markdown", "metadata": {}, "source": run.lines_of(text)}]


# --- the head ------------------------------------------------------------------------------


def head_faults(cells: Cells, name: str, order: list[str]) -> list[str]:
    """Name what is wrong with the head of a chapter; order is that of all chapters."""
    text = "".join(cells[0]["source"])
    lines = dict(HEAD.findall(text))
    if [label for label, _ in HEAD.findall(text)] != list(head.LABELS):
        return [f"expected in its first cell, after the question, {SHAPE}, got {list(lines)}"]
    if "\n\n- **Previously**" not in text or not re.search(r"^\S.*\n\n- \*\*P", text, re.MULTILINE):
        return ["expected an empty line above the head, and the question above that"]
    faults = []
    before = order[: order.index(name)]
    for label in ("Previously", "You need"):
        for link in LINK.findall(lines[label]):
            target = (ROOT / "book" / name).parent / link.partition("#")[0]
            page = target.resolve().relative_to(ROOT / "book").with_suffix("").as_posix()
            if not target.exists():
                faults.append(f"{label}: link to {link}, which is not there")
            elif not page.startswith("reference/") and page not in before:
                faults.append(f"{label}: link to {link}, which the reader has not met yet")
    if before and not LINK.search(lines["Previously"]):
        faults.append("Previously: expected a link to a chapter before this one")
    return faults


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_has_its_head(name: str) -> None:
    faults = head_faults(chapter(name), name, NAMES)
    assert not faults, "\n".join(f"book/{name}.ipynb: {fault}" for fault in faults)


SOUND = """# Title

A question?

- **Previously**: [two losses](../start.ipynb) showed that a small loss proves nothing.
- **You will** set gates by hand.
- **You need** the [notation](../reference/notation.md).
"""


def test_a_sound_head_passes() -> None:
    assert head_faults(words(SOUND), "gates/cell", NAMES) == []
    first = SOUND.replace("[two losses](../start.ipynb) showed", "nothing. It is not known")
    assert head_faults(words(first.replace("../", "")), NAMES[0], NAMES) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- **You will** set gates by hand.\n", "", "got ['Previously', 'You need']"),
        ("You will", "You do", "got ['Previously', 'You do', 'You need']"),
        ("- **Prev", "- **You need** it.\n- **Prev", "expected in its first cell"),
        ("A question?\n\n", "A question?\n", "an empty line above the head"),
        ("../start.ipynb", "../stop.ipynb", "link to ../stop.ipynb, which is not there"),
        (
            "../reference/notation.md",
            "step.ipynb",
            "You need: link to step.ipynb, which the reader",
        ),
        (
            "../start.ipynb",
            "cell.ipynb",
            "Previously: link to cell.ipynb, which the reader has not",
        ),
        ("[two losses](../start.ipynb)", "it", "Previously: expected a link"),
    ],
)
def test_a_fault_of_the_head_is_named(old: str, new: str, message: str) -> None:
    assert old in SOUND
    faults = head_faults(words(SOUND.replace(old, new)), "gates/cell", NAMES)
    assert len(faults) == 1 and message in faults[0]


def bullets(*labels: str) -> nodes.bullet_list:
    items = [
        nodes.paragraph("", "", nodes.strong("", label), nodes.Text(": x")) for label in labels
    ]
    return nodes.bullet_list("", *(nodes.list_item("", item) for item in items))


def test_the_list_is_known_in_a_page() -> None:
    assert head.is_head(bullets(*head.LABELS))
    others = [bullets(*head.LABELS[:2]), bullets(*reversed(head.LABELS)), nodes.paragraph("", "x")]
    assert not any(head.is_head(other) for other in [*others, bullets()])


def test_the_site_shows_the_heads_that_are_written() -> None:
    for name in NAMES:
        page = (SITE / f"book/{name}.html").read_text()
        expected = not head_faults(chapter(name), name, NAMES)
        shown = re.findall(
            r'<ul class="chapter-head[^"]*">.*?<p class="times">(.*?)</p>', page, re.S
        )
        assert len(shown) == expected, f"{name}: {shown}"
        assert all(re.match(r"About \d+ minutes? to read · runs in about \d+ s$", s) for s in shown)


# --- the times -----------------------------------------------------------------------------


def test_minutes_to_read() -> None:
    prose, code = "word " * 200, code_cell("x = 1\n\n" * 20)
    assert head.minutes(words(prose * 3)) == 3
    assert head.minutes([*words(prose), code]) == 2
    ignored = (
        "\n$$\n" + "a " * 999 + "\n$$ (eq-a)\n\n```{raw} html\n<b " + 'c="d" ' * 999 + ">\n```\n"
    )
    assert head.minutes(words(prose * 2 + ignored)) == 2
    assert head.minutes(words("")) == 1


def test_every_chapter_has_its_seconds() -> None:
    stored = json.loads((ROOT / "book" / "seconds.json").read_text())
    assert sorted(stored) == sorted(NAMES), "execute what is missing; delete what is no chapter"
    assert set(stored.values()) <= set(run.STEPS)


def test_the_seconds_are_stored_in_steps_and_rarely_change(tmp_path: Path) -> None:
    path, file = tmp_path / "book/gates/x.ipynb", tmp_path / "book/seconds.json"
    path.parent.mkdir(parents=True)

    def after(seconds: float) -> int:
        run.record(path, seconds, tmp_path)
        found: int = json.loads(file.read_text())["gates/x"]
        return found

    assert [after(seconds) for seconds in (6.0, 2.4, 11.0, 19.0, 4.0, 24.0)] == [5, 5, 5, 20, 5, 20]
    before = file.read_text()
    run.record(tmp_path / "elsewhere.ipynb", 1.0, tmp_path)
    assert file.read_text() == before
    assert [run.STEPS[run.step_of(s)] for s in (0.0, 1.4, 1.5, 3.5, 7.2, 30, 9e9)] == [
        1, 1, 2, 5, 10, 20, 500,
    ]  # fmt: skip


# --- equations and code --------------------------------------------------------------------


def equation_tags(cells: Cells) -> list[tuple[int, str]]:
    """Return each equation that a code cell names, with the cell's number."""
    return [
        (number, tag.removeprefix(equations.TAG))
        for number, cell in enumerate(cells, 1)
        for tag in cell["metadata"].get("tags", [])
        if tag.startswith(equations.TAG)
    ]


def referred(cells: Cells) -> set[str]:
    """Return the equations that the text of a notebook refers to."""
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return set(re.findall(r"\{eq\}`([^`]+)`", text))


def equation_faults(cells: Cells, book: dict[str, Cells]) -> list[str]:
    """Name each equation without a label, each tag without an equation, each label without use."""
    labels = {label for page in book.values() for _, _, label in equations.displayed(page) if label}
    used = {name for page in book.values() for _, name in equation_tags(page)}
    used |= {name for page in book.values() for name in referred(page)}
    own = equations.displayed(cells)
    return [
        f"cell {number}: the equation {text[:50]} has no label: end it with `$$ (eq-...)`"
        for number, text, label in own
        if label is None
    ] + [
        f"cell {number}: the tag {equations.TAG}{name} names no equation of the book"
        for number, name in equation_tags(cells)
        if name not in labels or cells[number - 1]["cell_type"] != "code"
    ] + [
        f"cell {number}: nothing refers to {label}: tag the code cell that computes it "
        f"{equations.TAG}{label}, or name it in the text with {{eq}}`{label}`"
        for number, _, label in own
        if label and label not in used
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_equation_is_numbered_and_named(name: str) -> None:
    faults = equation_faults(chapter(name), {name: chapter(name) for name in NAMES})
    assert not faults, "\n".join(f"book/{name}.ipynb {fault}" for fault in faults)


TEXT = """Text with `$$` in code.

$$
c_t = f c
$$ (eq-one)

- In a list

  $$a = b$$ (eq-two)

```python
price = "$$ a $$"
```

By {eq}`eq-two` it holds.

```{raw} html
<b>$$ c $$</b>
```

````{note}
:::{tip}
$$
d
$$ (eq-four)
:::
```
$$ e $$
```
````

$$f$$ (eq-five)

It is {eq}`eq-four` and {eq}`eq-five`.
"""


def toy(text: str = TEXT, tag: str = "eq:eq-one") -> Cells:
    return words(text) + [code_cell("c = f * c") | {"metadata": {"tags": ["x", tag]}}]


def test_sound_equations_pass() -> None:
    assert [label for _, _, label in equations.displayed(toy())] == [
        "eq-one", "eq-two", "eq-four", "eq-five",
    ]  # fmt: skip
    assert equation_faults(toy(), {"a": toy()}) == []
    other = words("$$x$$ (eq-far)")
    far = toy() + [code_cell("x") | {"metadata": {"tags": ["eq:eq-far"]}}]
    assert equation_faults(far, {"a": far, "b": other}) == equation_faults(other, {"a": far}) == []


@pytest.mark.parametrize(
    ("cells", "messages"),
    [
        (toy(TEXT.replace("$$ (eq-one)", "$$")), ["c_t = f c has no label", "names no equation"]),
        (toy(TEXT.replace(" (eq-two)", "")), ["cell 1: the equation a = b has no label"]),
        (toy(TEXT + "\n```{note}\n$$x$$\n```\n"), ["the equation x has no label"]),
        (
            toy(tag="eq:eq-three"),
            ["cell 2: the tag eq:eq-three names no", "nothing refers to eq-one"],
        ),
        (toy(tag="eq-one"), ["cell 1: nothing refers to eq-one"]),
        (
            toy(TEXT.replace("{eq}`eq-two`", "eq-two")),
            ["nothing refers to eq-two: tag the code cell"],
        ),
    ],
)
def test_a_fault_of_an_equation_is_named(cells: Cells, messages: list[str]) -> None:
    faults = equation_faults(cells, {"a": cells})
    assert len(faults) == len(messages)
    assert all(message in fault for message, fault in zip(messages, faults))


def test_the_tags_are_kept() -> None:
    notebook = {"cells": [code_cell("x") | {"metadata": {"tags": ["weave:a.b", "eq:eq-one"]}}]}
    assert equation_tags(run.normalize(notebook)["cells"]) == [(1, "eq-one")]


@pytest.mark.parametrize("name", NAMES)
def test_the_site_numbers_equations_and_leads_to_them(name: str) -> None:
    page = (SITE / f"book/{name}.html").read_text()
    labels = [label for _, _, label in equations.displayed(chapter(name)) if label]
    assert sorted(re.findall(r'id="equation-([^"]+)"', page)) == sorted(labels)
    lines = re.findall(r'<p class="computes">(.*?)</p>', page)
    found = [target for line in lines for target in re.findall(r"#equation-([^\"]+)", line)]
    assert found == [label for _, label in equation_tags(chapter(name))]


def test_the_line_above_a_cell_names_other_pages() -> None:
    pages = {"eq-a": "book/x", "eq-b": "book/x", "eq-c": "book/y"}
    line = equations.computes(["eq-a", "eq-b", "eq-c"], pages, "book/y")
    assert line.astext() == "computes eq-a, eq-b of book/x, eq-c"
    assert equations.computes(["eq-a"], pages, "book/x").astext() == "computes eq-a"
    cell = nodes.container("", nodes.literal_block(), classes=["cell", "tag_eq:eq-c"])
    app: Any = SimpleNamespace(equation_pages=pages, env=SimpleNamespace(docname="book/y"))
    equations.name_equations(app, nodes.container("", cell))
    assert cell[0].astext() == "computes eq-c"
