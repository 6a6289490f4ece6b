"""Write the student edition into ``_build/student``: the course without its answers.

The functions of `lstm_student.modules` lose their bodies, in the package and in the woven cells;
the solutions of the exercises make room for a cell that checks an answer. All else is as it is.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import run
from lstm_student.grade import BLANK, find
from lstm_student.modules import MODULES
from weave import ROOT, TAG, definitions, notebooks, woven_cells

Cell = dict[str, Any]
README = Path(__file__).with_name("student.md")
FOLDERS = ["lstm", "lstm_student", "experiments", "benchmarks"]
SHARED = ["LICENSE", *(f"tests/{name}" for name in ("conftest.py", "naive.py"))]
SHARED += [f"tests/data/{name}.npz" for name in ("optim", "torch")]
KEPT = {".csv", ".npz", ".md", ".svg"}  # of the book's folders, what its notebooks read or link to
SOLUTION = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<kind>solution-start|solution-end|solution)\} ?(?P<label>\S*)\n"
    r"(?P<body>.*?)^(?P=fence)[ \t]*$\n?", re.M | re.S,
)  # fmt: skip
ANSWER = 'answer = ...  # yours\nprint(check("{name}", answer))'
YOURS = """**Yours to write**: `{name}` in `{file}`. In a terminal, \
`python -m lstm_student check {module}` says whether it is right. Then restart the kernel, \
and the next cell takes it from there.

```python
{text}
```"""
PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}+student"
requires-python = "{python}"
dependencies = {needs}

[tool.setuptools]
packages = ["lstm", "lstm_student", "lstm_student.exercises"]

[tool.setuptools.package-data]
lstm = ["*.csv", "*.npz"]
"""


def title_of(notebook: Cell) -> str:
    """Return the title of a chapter."""
    return "".join(notebook["cells"][0]["source"]).partition("\n")[0].removeprefix("# ")


def emptied(text: str, names: list[str], message: str) -> str:
    """Return source text in which the body of one function, found by names, is an error.

    The docstring stays, and so do the functions around it.
    """
    body = find(ast.parse(text), names).body
    described = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    rest = body[described:]
    lines = text.split("\n")
    error = f"raise NotImplementedError({json.dumps(message)})"
    new = textwrap.indent(error, " " * rest[0].col_offset)
    return "\n".join([*lines[: rest[0].lineno - 1], new, *lines[rest[-1].end_lineno :]])


def blanks(root: Path) -> Iterator[tuple[str, str, list[str], str]]:
    """Yield of each function to be written its module of work, file, names, and its error."""
    titles: dict[str, str] = {}
    for path in notebooks(root):
        notebook = json.loads(path.read_text())
        titles |= {name: title_of(notebook) for _, name, _ in woven_cells(root, path, notebook)}
    for module, (_, functions) in MODULES.items():
        for function in functions:
            file, *names = function.split(".")
            title = titles[f"lstm.{file}.{names[0]}"]
            yield module, file, names, f"{BLANK}{function}: see the chapter {title}"


def blank_package(root: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Empty the functions in a copy of the package.

    Returns
    -------
    dict : from the full name of what a cell weaves to its module of work and its new text
    """
    changed = {}
    for module, file, names, message in blanks(root):
        path = folder / f"lstm/{file}.py"
        path.write_text(emptied(path.read_text(), names, message))
        changed[f"lstm.{file}.{names[0]}"] = module
    return {
        name: (module, definitions(folder / f"{name.rpartition('.')[0].replace('.', '/')}.py")
               [name.rpartition(".")[2]][1])
        for name, module in changed.items()
    }  # fmt: skip


def text_cell(text: str) -> Cell:
    """Return a text cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code_cell(text: str) -> Cell:
    """Return a code cell that was not run."""
    blank: Cell = {"execution_count": None, "metadata": {}, "outputs": []}
    return blank | {"cell_type": "code", "source": text}


def without_solutions(cells: list[Cell]) -> Iterator[Cell]:
    """Yield cells, and in place of each solution one that checks an answer."""
    inside = False
    for cell in cells:
        if cell["cell_type"] != "markdown":
            if not inside:
                yield cell
            continue
        text, end, cut = "".join(cell["source"]), 0, False
        for found in SOLUTION.finditer(text):
            between = text[end : found.start()].strip()
            if between and not inside:
                yield cell | {"source": between}
            end, cut = found.end(), True
            if found["kind"] != "solution-end":
                yield code_cell(ANSWER.format(name=found["label"].removeprefix("ex-")))
            inside = found["kind"] == "solution-start"
        rest = text[end:].strip() if cut else text
        if rest and not inside:
            yield cell | {"source": rest}


def without_bodies(cells: list[Cell], changed: dict[str, tuple[str, str]]) -> Iterator[Cell]:
    """Yield cells, and in place of each woven one that is the student's what to write, and an import."""
    for cell in cells:
        woven = [tag.removeprefix(TAG) for tag in run.tags(cell) if tag.startswith(TAG)]
        if not woven or woven[0] not in changed:
            yield cell
            continue
        work, text = changed[woven[0]]
        module, _, name = woven[0].rpartition(".")
        file = f"{module.replace('.', '/')}.py"
        yield text_cell(YOURS.format(name=name, file=file, module=work, text=text))
        yield code_cell(f"from {module} import {name}  # yours: {file}")


def student_notebook(notebook: Cell, changed: dict[str, tuple[str, str]]) -> Cell:
    """Return a notebook without its outputs, solutions, and the bodies that are to be written."""
    cells = []
    for cell in without_bodies(list(without_solutions(notebook["cells"])), changed):
        if cell["cell_type"] == "code":
            cell = cell | {"execution_count": None, "outputs": []}
        kept = {key: value for key, value in cell["metadata"].items() if key != "recorded"}
        cells.append(cell | {"metadata": kept})
    return run.normalize(notebook | {"cells": cells})


def copy_files(root: Path, folder: Path) -> None:
    """Copy what stays as it is: packages, tests that grade, and the data of the chapters."""
    for name in FOLDERS:
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    tests = {test.partition("::")[0] for m in MODULES.values() for found in m.functions.values()
             for test in found}  # fmt: skip
    files = [*SHARED, *(f"tests/{name}" for name in sorted(tests))]
    files += [
        path.relative_to(root).as_posix() for path in sorted((root / "book").rglob("*"))
        if path.suffix in KEPT and path.parent != root / "book" and path.parent.name[0] != "_"
    ]  # fmt: skip
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)


def written_text(root: Path) -> dict[str, str]:
    """Return the texts of the files of the edition that are its own."""
    rows = []
    for number, (name, module) in enumerate(MODULES.items(), 1):
        files = [f"book/{chapter}.ipynb" for chapter in module.chapters]
        titles = [title_of(json.loads((root / file).read_text())) for file in files]
        links = ", ".join(f"[{title}]({file})" for title, file in zip(titles, files))
        functions = ", ".join(f"`{function}`" for function in module.functions)
        rows.append(f"| {number} | `{name}` | {functions} | {links} |")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needs = list(project["dependencies"])
    for extra, wanted in (("plot", ""), ("train", ""), ("io", ""), ("test", "pytest>|hypothesis")):
        needs += [n for n in project["optional-dependencies"][extra] if re.match(wanted, n)]
    return {
        "README.md": README.read_text().replace("@modules@", "\n".join(rows)),
        "pyproject.toml": PYPROJECT.format(
            name=project["name"], version=project["version"],
            python=project["requires-python"], needs=json.dumps(needs),
        ),
    }  # fmt: skip


def write(folder: Path, root: Path = ROOT) -> None:
    """Write the edition into a folder that does not exist yet."""
    folder.mkdir(parents=True)
    copy_files(root, folder)
    changed = blank_package(root, folder)
    for path in notebooks(root):
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(run.text_of(student_notebook(json.loads(path.read_text()), changed)))
    for name, text in written_text(root).items():
        (folder / name).write_text(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if there is work of a student's in the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_build/student")
    folder = parser.parse_args(arguments).folder
    if folder.exists():
        print(f"{folder} exists, and may hold work: delete or rename it first")
        return 1
    write(folder)
    print(f"The student edition: {folder}; its README.md says how to work with it.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
