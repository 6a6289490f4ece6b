"""Start a chapter from `book/chapter.md`: ``make chapter NAME=practice/foo TITLE="..."``.

The notebook is executed and stored as all are, and enters `_toc.yml` below the last page of its
folder. It has every part of a chapter, each with a line that begins with TODO and says what
belongs there; the tests name those that are left.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jupytext

import run
from weave import ROOT

TEMPLATE = Path(__file__).with_name("chapter.md")
NEXT = """book/{name}.ipynb is written, and stands in _toc.yml below the last page of its folder. Next:
  1. In _toc.yml, move its line to where a reader should meet it.
  2. Write. Each part has a line that begins with TODO and says what belongs there.
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
    text = TEMPLATE.read_text().replace("@title@", title).replace("@label@", name.replace("/", "-"))
    notebook = jupytext.reads(text, fmt="md:myst")
    return run.text_of(run.normalize(notebook))


def start(name: str, title: str, root: Path) -> list[str]:
    """Write and execute a chapter and enter it in the contents; return faults, or change nothing."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*/[a-z][a-z0-9_-]*", name):
        return [f"expected NAME=folder/name in small letters, such as practice/foo, got {name!r}"]
    if not title.strip():
        return ['expected TITLE="...", the heading of the page, got nothing']
    path = root / "book" / f"{name}.ipynb"
    if path.exists() or path.with_suffix(".md").exists():
        return [f"expected the NAME of a new chapter: book/{name} exists"]
    try:
        toc = entered((root / "_toc.yml").read_text(), name)
    except ValueError as error:
        return [str(error)]
    path.write_text(notebook_text(name, title.strip()))
    if run.main([str(path)], root):
        path.unlink()
        return ["the template does not run (see above): mend book/chapter.md, or the installation"]
    (root / "_toc.yml").write_text(toc)
    return []


def main(name: str, title: str, root: Path = ROOT) -> int:
    """Run the command; return 1 if there is a fault."""
    faults = start(name, title, root)
    print("\n".join(faults) or NEXT.format(name=name))
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
