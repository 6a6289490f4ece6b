"""What every stored notebook of the book holds to, and the tool that stores them.

Each check returns a list of faults that name the cell; the second half plants one of each.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

import run
from conftest import code_cell, write_notebook
from weave import ROOT, TAG, notebooks

LINES, WOVEN_FUNCTION, WOVEN_CLASS = 25, 40, 60
# Paths of one machine, and hosts that packages come from. A kernel's "Cell In[4]" is no path.
FOREIGN = re.compile(
    r"/(?:root|home|Users|work|tmp|opt|usr|private)/\w|[A-Z]:\\\\?Users|pythonhosted\.|pypi\.org|/simple/"
)

EXECUTE = "execute it, `.venv/bin/python book/run.py` and its path"

BOOK = notebooks(ROOT)
NAMES = [path.relative_to(ROOT / "book").as_posix() for path in BOOK]

Cell = dict[str, Any]


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def woven(cell: Cell) -> bool:
    return any(tag.startswith(TAG) for tag in run.tags(cell))


def counts(cells: list[Cell]) -> list[str]:
    """Name each code cell whose count is not its place: nbval compares nothing without one."""
    code = [(n, cell) for n, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    return [
        f"cell {n}: expected execution count {k}, got {cell['execution_count']}: {EXECUTE}"
        for k, (n, cell) in enumerate(code, 1)
        if cell["execution_count"] != k
    ]


def errors(cells: list[Cell]) -> list[str]:
    """Name each cell that stores an error without saying that it is meant to."""
    return [
        f"cell {n}: stores the error {output['ename']}: mend the cell and execute it, "
        "or tag it raises-exception if the error is what it shows"
        for n, cell in enumerate(cells, 1)
        for output in cell.get("outputs", [])
        if output["output_type"] == "error" and "raises-exception" not in run.tags(cell)
    ]


def limit(cell: Cell) -> int:
    """Return how many lines a code cell may have; a woven one has the file's name above."""
    if not woven(cell):
        return LINES
    return 1 + (WOVEN_CLASS if re.search(r"^class ", source(cell), re.M) else WOVEN_FUNCTION)


def lengths(cells: list[Cell]) -> list[str]:
    """Name each code cell that is too long to be read in one go."""
    code = [(n, cell) for n, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    return [
        f"cell {n}: {len(source(cell).splitlines())} lines, more than {limit(cell)}: "
        + ("split the function in the package" if woven(cell) else "split it, with prose between")
        for n, cell in code
        if len(source(cell).splitlines()) > limit(cell)
    ]


def prose(cells: list[Cell]) -> list[str]:
    """Name each code cell that follows another without a word between."""
    return [
        f"cell {n}: no prose between it and cell {n - 1}: "
        "add a text cell that says what this one is for, or join the two"
        for n, (before, cell) in enumerate(zip(cells, cells[1:]), 2)
        if before["cell_type"] == cell["cell_type"] == "code"
    ]


def alternatives(cells: list[Cell]) -> list[str]:
    """Name each cell with a picture that nobody described."""
    return [
        f"cell {n}: a picture without alternative text: describe axes, lines and finding, in 20 "
        'letters or more, in the cell\'s metadata: {"mystnb": {"image": {"alt": "..."}}}'
        for n, cell in enumerate(cells, 1)
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        and len(cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "").strip()) < 20
    ]


def foreign(cells: list[Cell]) -> list[str]:
    """Name each cell that holds a path of one machine, or the address of a package registry."""
    faults = []
    for n, cell in enumerate(cells, 1):
        texts = [source(cell)]
        for output in cell.get("outputs", []):
            texts += ["".join(output.get("text", "")), "\n".join(output.get("traceback", []))]
            texts += [
                "".join(d) for kind, d in output.get("data", {}).items() if kind != "image/png"
            ]
        faults += [
            f"cell {n}: holds {m[0]!r}, which other machines do not have: "
            "use a path relative to the notebook, and print none"
            for text in texts
            for m in FOREIGN.finditer(text)
        ]
    return faults


def measured(cells: list[Cell]) -> list[str]:
    """Name each cell whose kept outputs were made by another source."""
    return [
        f"cell {n}: its outputs were measured with another source: {EXECUTE}"
        for n, cell in enumerate(cells, 1)
        if run.MEASURED in run.tags(cell) and cell["metadata"].get("recorded") != run.digest(cell)
    ]


def unfinished(cells: list[Cell]) -> list[str]:
    """Name each thing that a chapter's author was told, or wanted, to do and has not done."""
    texts = [
        f"{source(cell)}\n{cell['metadata'].get('mystnb', {}).get('image', {}).get('alt')}"
        for cell in cells
    ]
    return [
        f"cell {n}: {todo[0]}"
        for n, text in enumerate(texts, 1)
        for todo in re.finditer(r"TODO.*", text)
    ]


def ended(cells: list[Cell]) -> list[str]:
    """Name the last cell if it does not hold the end that every chapter has."""
    text = source(cells[-1])
    return [
        f"cell {len(cells)}: expected {what} at the end of the chapter"
        for what, pattern in (("`## Summary`", r"^## Summary$"), ("`Sources: `", r"^\W*Sources?:"))
        if not re.search(pattern, text, re.M)
    ]


CHECKS = [counts, errors, lengths, prose, alternatives, foreign, measured, unfinished, ended]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", BOOK, ids=NAMES)
def test_notebook(path: Path, check: Any) -> None:
    faults = check(json.loads(path.read_text())["cells"])
    name = path.relative_to(ROOT).as_posix()
    assert not faults, "\n".join(f"{name} {fault}" for fault in faults)


@pytest.mark.parametrize("path", BOOK, ids=NAMES)
def test_is_stored_in_the_books_form(path: Path) -> None:
    text = path.read_text()
    same = run.text_of(run.normalize(json.loads(text))) == text  # no diff of two long texts
    assert same, f"{path.relative_to(ROOT)} is not as book/run.py stores it: {EXECUTE}"


def test_there_are_notebooks() -> None:
    assert BOOK, "no notebook that _toc.yml lists exists: compare its entries with book/"


# --- the checks themselves ---------------------------------------------------------------


def cells_of_a_sound_notebook() -> list[Cell]:
    picture = {"output_type": "display_data", "data": {"image/png": "/tmp/a"}, "metadata": {}}
    failure = {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "no",
        "traceback": ["Cell In[3]"],
    }
    words = {"cell_type": "markdown", "metadata": {}, "source": ["words"]}
    alt = {"mystnb": {"image": {"alt": "A line that rises from left to right."}}}
    cells = [
        code_cell("x = 1\n" * 24 + "x") | {"outputs": []},
        code_cell("plot()") | {"metadata": alt, "outputs": [picture]},
        code_cell("fail()") | {"metadata": {"tags": ["raises-exception"]}, "outputs": [failure]},
        code_cell("y = 1\n" * 40 + "y") | {"metadata": {"tags": ["weave:lstm.fit"]}},
        code_cell("time()") | {"metadata": {"tags": [run.MEASURED]}},
    ]
    cells[4]["metadata"]["recorded"] = run.digest(cells[4])
    for count, cell in enumerate(cells, 1):
        cell["execution_count"] = count
    sound = [cell for pair in zip(cells, [copy.deepcopy(words) for _ in cells]) for cell in pair]
    sound[-1]["source"] = ["## Summary\n", "\n", "Sources: one."]
    return sound


FAULTS = {
    "no count": (counts, 1, {"execution_count": None}),
    "a count left out": (counts, 3, {"execution_count": 7}),
    "an error": (errors, 5, {"metadata": {}}),
    "a long cell": (lengths, 1, {"source": "x = 1\n" * 25 + "x"}),
    "a long woven cell": (lengths, 7, {"source": "x = 1\n" * 41 + "x"}),
    "a long woven class": (lengths, 7, {"source": "#\nclass X:\n" + "    x = 1\n" * 60}),
    "no alternative text": (alternatives, 3, {"metadata": {}}),
    "an empty alternative text": (
        alternatives,
        3,
        {"metadata": {"mystnb": {"image": {"alt": "figure"}}}},
    ),
    "a path": (foreign, 1, {"source": "open('/home/me/x')"}),
    "a path that is printed": (
        foreign,
        1,
        {"outputs": [{"output_type": "stream", "text": ["/root/x\n"]}]},
    ),
    "a registry": (foreign, 2, {"source": ["https://pypi.org/"]}),
    "another source": (measured, 9, {"source": ["time() + 1"]}),
    "no summary": (ended, 10, {"source": ["Sources: one."]}),
    "no sources": (ended, 10, {"source": ["## Summary\n"]}),
    "a place left": (unfinished, 2, {"source": ["TODO: say why.\n", "words"]}),
    "a picture left": (
        unfinished,
        3,
        {"metadata": {"mystnb": {"image": {"alt": "TODO: describe the picture to a reader."}}}},
    ),
}


def test_a_sound_notebook_passes() -> None:
    cells = cells_of_a_sound_notebook()
    assert [fault for check in CHECKS for fault in check(cells)] == []
    cells[6]["source"] = "#\nclass X:\n" + "    x = 1\n" * 59
    assert lengths(cells) == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_cell(fault: tuple[Any, int, Cell]) -> None:
    check, number, change = fault
    cells = cells_of_a_sound_notebook()
    cells[number - 1] |= change
    assert [found.partition(":")[0] for found in check(cells)] == [f"cell {number}"]


def test_code_after_code_is_named() -> None:
    cells = cells_of_a_sound_notebook()
    assert prose([cell for cell in cells if cell is not cells[3]]) == [
        "cell 4: no prose between it and cell 3: "
        "add a text cell that says what this one is for, or join the two"
    ]


# --- the tool that stores them -------------------------------------------------------------

SCRIPT = [
    "import os, sys, time\nprint(os.path.basename(os.getcwd()))",
    "print('a'); print('b', flush=True)\nprint('c')",
    "print(time.time_ns())",
    "1 + 1",
]


@pytest.fixture
def measuring(tmp_path: Path) -> Path:
    """Return the path of a notebook whose third cell prints the time, executed once."""
    cells = [code_cell(text) for text in SCRIPT]
    cells[2]["metadata"] = {"tags": [run.MEASURED], "collapsed": True}
    write_notebook(tmp_path / "chapter/x.ipynb", cells)
    assert run.main(["--fresh", str(tmp_path / "chapter/x.ipynb")], ROOT) == 0
    return tmp_path / "chapter/x.ipynb"


def test_a_second_run_changes_nothing(measuring: Path) -> None:
    before = measuring.read_text()
    assert run.main([str(measuring)], ROOT) == 0
    assert measuring.read_text() == before
    assert run.text_of(run.normalize(json.loads(before))) == before


def test_what_is_stored(measuring: Path) -> None:
    notebook = json.loads(measuring.read_text())
    cells = notebook["cells"]
    assert [cell["id"] for cell in cells] == ["cell-001", "cell-002", "cell-003", "cell-004"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4]
    assert cells[0]["outputs"][0]["text"] == ["chapter\n"]
    assert [output["text"] for output in cells[1]["outputs"]] == [["a\n", "b\n", "c\n"]]
    assert cells[3]["outputs"][0] | {"metadata": {}} == {
        "data": {"text/plain": ["2"]}, "execution_count": 4, "metadata": {}, "output_type": "execute_result",
    }  # fmt: skip
    assert set(cells[2]["metadata"]) == {"tags", "recorded"}
    assert notebook["metadata"] == run.METADATA


def test_a_measurement_is_made_anew_when_told_or_when_its_source_changed(measuring: Path) -> None:
    notebook = json.loads(measuring.read_text())
    old = notebook["cells"][2]["outputs"]
    fresh = copy.deepcopy(notebook)
    fresh["cells"][2]["outputs"] = new = [
        {"name": "stdout", "output_type": "stream", "text": ["5\n"]}
    ]
    kept = copy.deepcopy(fresh)
    run.keep_measured(kept, notebook)
    assert kept["cells"][2]["outputs"] == old
    told = copy.deepcopy(fresh)
    run.keep_measured(told, notebook, fresh=True)
    assert told["cells"][2]["outputs"] == new
    fresh["cells"][2]["source"] = ["print(time.time())"]
    edited = copy.deepcopy(notebook)
    edited["cells"][2]["source"] = ["print(time.time())"]
    run.keep_measured(fresh, edited)
    assert fresh["cells"][2]["outputs"] == new
    assert fresh["cells"][2]["metadata"]["recorded"] == run.digest(fresh["cells"][2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nprint('oh', file=sys.stderr)", "cell 1 writes to stderr: oh"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_cell_that_fails_or_warns_is_refused(
    tmp_path: Path, capsys: Any, text: str, message: str
) -> None:
    path = tmp_path / "x.ipynb"
    write_notebook(path, [code_cell(text)])
    before = path.read_text()
    assert run.main([str(path)], ROOT) == 1
    assert message in capsys.readouterr().out and path.read_text() == before


def test_stderr_may_be_allowed() -> None:
    output = {"output_type": "stream", "name": "stderr", "text": ["oh"]}
    cell = code_cell("x") | {"outputs": [output], "metadata": {"tags": [run.STDERR]}}
    assert run.stderr_of({"cells": [cell]}, "x") == []
