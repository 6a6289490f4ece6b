"""Start a chapter from `book/chapter.md`: ``make chapter NAME=practice/foo TITLE="..."``.

The notebook is executed and stored as all are, and enters `_toc.yml` below the last page of its
folder. It has every part of a chapter, each with a line that begins with TODO and says what
belongs there; the tests name those that are left. The checks of its exercises are written beside
those of the others, from `book/chapter_exercises.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jupytext

import run
from weave import ROOT

TEMPLATE = Path(__file__).with_name("chapter.md")
CHECKS = Path(__file__).with_name("chapter_exercises.py")
NEXT = """book/{name}.ipynb is written, and stands in _toc.yml below the last page of its folder. Next:
  1. In _toc.yml, move its line to where a reader should meet it.
  2. Write. Each part has a line that begins with TODO and says what belongs there. The answers of
     the exercises and the mistakes that are known stand in {checks}.
  3. make weave && .venv/bin/python book/run.py book/{name}.ipynb
  4. .venv/bin/python -m pytest tests/test_notebooks.py -k {name} -q    names what is left
  5. make serve    shows the page
  6. make test"""


def entered(toc: str, name: str) -> str:
    """Return the text of `_toc.yml` with a chapter below the last page of its folder."""
    folder = name.partition("/")[0]
    pages = list(re.finditer(rf"^( *)- file: book/{folder}/.*\n", toc, re.M))
    if not pages:
        known = sorted(set(re.findall(r"file: book/([\w-]+)/", toc)))
        raise ValueError(f"expected NAME in a folder of _toc.yml ({', '.join(known)}), got {name}: "
                         "for a new folder, enter its first page in _toc.yml by hand")  # fmt: skip
    last = pages[-1]
    return f"{toc[: last.end()]}{last[1]}- file: book/{name}\n{toc[last.end() :]}"


def notebook_text(name: str, title: str) -> str:
    """Return the file of a new chapter, not yet executed."""
    text = TEMPLATE.read_text().replace("@title@", title).replace("@label@", label_of(name))
    notebook = jupytext.reads(text, fmt="md:myst")
    return run.text_of(run.normalize(notebook))


def label_of(name: str) -> str:
    """Return the beginning of a chapter's labels."""
    return name.replace("/", "-")


def checks_of(name: str) -> str:
    """Return the path of the checks of a chapter's exercises."""
    return f"lstm_student/exercises/{label_of(name).replace('-', '_')}.py"


def refusal(name: str, title: str, root: Path) -> str:
    """Return why a chapter cannot be started, empty if it can."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*/[a-z][a-z0-9_-]*", name):
        return f"expected NAME=folder/name in small letters, such as practice/foo, got {name!r}"
    if not title.strip():
        return 'expected TITLE="...", the heading of the page, got nothing'
    for path in (f"book/{name}.ipynb", f"book/{name}.md", checks_of(name)):
        if (root / path).exists():
            return f"expected the NAME of a new chapter: {path} exists"
    return ""


def start(name: str, title: str, root: Path) -> str:
    """Write and execute a chapter and enter it in the contents; return a fault, or change nothing."""
    if fault := refusal(name, title, root):
        return fault
    try:
        toc = entered((root / "_toc.yml").read_text(), name)
    except ValueError as error:
        return str(error)
    path, checks = root / f"book/{name}.ipynb", root / checks_of(name)
    path.write_text(notebook_text(name, title.strip()))
    checks.write_text(CHECKS.read_text().replace("@name@", name))
    if run.main([str(path)], root):
        path.unlink()
        checks.unlink()
        return "the template does not run (see above): mend book/chapter.md, or the installation"
    (root / "_toc.yml").write_text(toc)
    return ""


def main(name: str, title: str, root: Path = ROOT) -> int:
    """Run the command; return 1 if there is a fault."""
    fault = start(name, title, root)
    print(fault or NEXT.format(name=name, checks=checks_of(name)))
    return int(bool(fault))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
