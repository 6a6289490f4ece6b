"""The student edition: without answers as it is written, right with them, module by module."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

import student
from lstm_student import exercise
from lstm_student.grade import BLANK, find
from lstm_student.modules import MODULES
from weave import ROOT, notebooks

FUNCTIONS = [name for module in MODULES.values() for name in module.functions]
ANSWERS = re.compile(r'^answer = \.\.\.  # yours\nprint\(check\("(.*)", answer\)\)$')


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an edition as it is handed out."""
    folder = tmp_path_factory.mktemp("class") / "student"
    assert student.main([str(folder)]) == 0
    return folder


@pytest.fixture
def copy(edition: Path, tmp_path: Path) -> Path:
    """Return the folder of an edition to write in."""
    return shutil.copytree(edition, tmp_path / "mine")


def command(folder: Path, *arguments: str, examples: int = 10) -> subprocess.CompletedProcess[str]:
    """Run a module or a text as a student would, in the edition's folder."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "EXAMPLES": str(examples)
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def check(folder: Path, *modules: str) -> tuple[bool, dict[str, str]]:
    """Return whether all is right, and what is said of each function."""
    result = command(folder, "-m", "lstm_student", "check", *modules)
    assert not result.stderr, result.stderr
    lines = re.findall(r"^  (\S+) +(.*(?:\n    .*)?)", result.stdout, re.M)
    return result.returncode == 0, dict(lines)


def solve(folder: Path, upto: str) -> None:
    """Put in the bodies of a module and those before it; later ones stay empty."""
    order = list(MODULES)
    later = [blank for blank in student.blanks(ROOT) if order.index(blank[0]) > order.index(upto)]
    for path in (ROOT / "lstm").glob("*.py"):
        text = path.read_text()
        for _, file, names, message in later:
            text = student.emptied(text, names, message) if file == path.stem else text
        (folder / "lstm" / path.name).write_text(text)


def edit(folder: Path, module: str, old: str, new: str) -> None:
    path = folder / f"lstm/{module}.py"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def sources(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


# --- the work ------------------------------------------------------------------------------


def test_the_untouched_edition_fails_every_module(edition: Path) -> None:
    right, said = check(edition)
    assert not right and said == dict.fromkeys(FUNCTIONS, "not written yet")
    lines = command(edition, "-m", "lstm_student").stdout.splitlines()
    counts = [len(module.functions) for module in MODULES.values()]
    found = [re.fullmatch(r"(\w+) +0 of (\d+) written   (.*)", line) for line in lines]
    assert [(m[1], int(m[2])) for m in found if m] == list(zip(MODULES, counts))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_passes_with_its_solutions_while_later_ones_are_empty(
    copy: Path, module: str
) -> None:
    solve(copy, module)
    right, said = check(copy, module)
    assert said == dict.fromkeys(MODULES[module].functions, "right") and right


# Runs the tests of one function after another while it is empty, in one process.
EMPTY = """
import importlib, inspect, json, sys
from pathlib import Path
from lstm_student import grade
from lstm_student.modules import MODULES

def blank(*args, **kwargs):
    raise NotImplementedError("emptied")

passed = []
for module in MODULES.values():
    for function, tests in module.functions.items():
        file, *names = function.removesuffix(".schedule").split(".")
        owner = importlib.import_module("lstm." + file)
        for name in names[:-1]:
            owner = getattr(owner, name)
        found = getattr(owner, names[-1])
        if inspect.isclass(owner):
            setattr(owner, names[-1], blank)
        else:  # others have imported the function, and keep it
            inner = inspect.unwrap(found)
            code, inner.__code__ = inner.__code__, blank.__code__
        outcome = grade.run(Path.cwd(), set(tests))
        passed += [[function, test] for test in tests if outcome.of(test)[0]]
        for name in [name for name in sys.modules if name.startswith("test_")]:
            del sys.modules[name]
        if inspect.isclass(owner):
            setattr(owner, names[-1], found)
        else:
            inner.__code__ = code
print(json.dumps(passed))
"""


def test_each_test_of_a_function_fails_without_it(copy: Path) -> None:
    solve(copy, list(MODULES)[-1])
    result = command(copy, "-c", EMPTY, examples=30)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


# --- what a student is told ----------------------------------------------------------------


def test_a_mistake_is_told_with_the_test_that_found_it(copy: Path) -> None:
    solve(copy, "gates")
    edit(copy, "gates", "return 1.0 - t * t", "return 1.0 - t")
    right, said = check(copy, "gates")
    assert not right
    message = (
        "wrong: derivatives match central differences\n    Not equal to tolerance .*Mismatched"
    )
    assert re.match(message, said.pop("gates.tanh_grad"))
    assert set(said.values()) == {"right"}


def test_what_lies_before_and_what_is_gone_is_named(copy: Path) -> None:
    solve(copy, "derivatives")
    path = copy / "lstm/gates.py"
    message = f"{BLANK}gates.activate: see the chapter One step"
    path.write_text(student.emptied(path.read_text(), ["activate"], message))
    edit(copy, "initializers", "def chrono_bias(", "def chrono(")
    _, said = check(copy, "derivatives", "initializers")
    assert said["gates.lstm_partials"] == (
        "cannot be judged: its tests use gates.activate, which is not written yet"
    )
    assert (
        said["initializers.chrono_bias"]
        == "not found in lstm/initializers.py: give it its name back"
    )
    assert said["initializers.orthogonal"] == "right"


def test_a_file_of_tests_that_does_not_load_is_named(copy: Path) -> None:
    solve(copy, "gates")
    edit(copy, "gates", "def tanh_grad(", "def tanh_slope(")
    _, said = check(copy, "gates")
    assert said["gates.sigmoid"] == (
        "wrong: tests/test_gates.py cannot be loaded\n"
        "    AttributeError: module 'lstm.gates' has no attribute 'tanh_grad'"
    )


def test_a_name_that_is_no_module_and_a_folder_that_is_no_edition(edition: Path) -> None:
    result = command(edition, "-m", "lstm_student", "check", "gatez")
    assert result.returncode == 2 and "expected a module of losses, gates" in result.stdout
    shutil.copytree(edition / "lstm_student", edition.parent / "lstm_student", dirs_exist_ok=True)
    result = command(edition.parent, "-m", "lstm_student")
    assert result.returncode == 2 and "which `make student` writes" in result.stdout


def test_work_is_not_overwritten(edition: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(edition.rglob("*"))
    assert student.main([str(edition)]) == 1
    assert "may hold work" in capsys.readouterr().out and sorted(edition.rglob("*")) == before


# --- what is taken out, and nothing else -----------------------------------------------------


def bodies() -> dict[str, str]:
    """Return the text of the body of each function that is to be written."""
    found = {}
    for function in FUNCTIONS:
        file, *names = function.split(".")
        text = (ROOT / f"lstm/{file}.py").read_text()
        body = find(ast.parse(text), names).body
        first = body[1 if ast.get_docstring(find(ast.parse(text), names)) else 0]
        found[function] = "\n".join(text.split("\n")[first.lineno - 1 : body[-1].end_lineno])
    return found


def test_no_body_is_left_and_every_notebook_is_valid(edition: Path) -> None:
    texts = {path: path.read_text() for path in (edition / "lstm").glob("*.py")}
    for path in notebooks(ROOT):
        target = edition / path.relative_to(ROOT)
        nbformat.validate(json.loads(target.read_text()))
        texts[target] = "\n".join(sources(target))
    for function, body in bodies().items():
        assert body in (ROOT / f"lstm/{function.partition('.')[0]}.py").read_text()
        assert not [path for path, text in texts.items() if body in text], function


def taken_out(path: Path) -> tuple[list[str], list[str]]:
    """Return a chapter's cells that stay, and the pieces of the others that do not."""
    stay, gone, inside = [], [], False
    for cell in json.loads(path.read_text())["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code":
            yours = any(f"weave:lstm.{'.'.join(f.split('.')[:2])}" in tags for f in FUNCTIONS)
            (gone if inside or yours else stay).append(text)
            continue
        pieces = re.split(
            r"^.*\{(solution-start|solution-end|solution)\}(?: .*)?\n", text, flags=re.M
        )
        for kind, piece in zip(["", *pieces[1::2]], pieces[::2]):
            inside = {"": inside, "solution-end": False}.get(kind, True)
            if not kind:
                (gone if inside else stay).append(piece.strip() if len(pieces) > 1 else piece)
            elif kind == "solution":  # a directive of its own, up to its fence
                body, fence, rest = re.split(r"^(```+|:::+)$\n?", piece, maxsplit=1, flags=re.M)
                gone.append(body)
                stay.append(rest.strip())
                inside = False
            else:
                rest = re.sub(r"\A(?::.*\n)*(```+|:::+)$\n?", "", piece, flags=re.M).strip()
                (gone if inside else stay).append(rest)
    return [text for text in stay if text], [text for text in gone if len(text) > 20]


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda path: path.stem)
def test_solutions_are_gone_and_nothing_else(edition: Path, path: Path) -> None:
    stay, gone = taken_out(path)
    cells = json.loads((edition / path.relative_to(ROOT)).read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    new = sources(edition / path.relative_to(ROOT))
    own = [
        text for text in new
        if ANSWERS.match(text) or text.startswith("**Yours to write**") or "  # yours: lstm/" in text
    ]  # fmt: skip
    assert [text for text in new if text not in own] == stay
    assert not [text for text in gone if any(text in other for other in new)]
    solved = re.findall(r"\{solution(?:-start)?\} ex-(\S+)", "\n".join(sources(path)))
    assert [match[1] for match in map(ANSWERS.match, new) if match] == solved
    assert solved


def test_the_cells_of_answers_run_up_to_no_answer_yet(edition: Path) -> None:
    chapters, cells = exercise.chapters(), []
    for path in notebooks(ROOT):
        for text in sources(edition / path.relative_to(ROOT)):
            match = ANSWERS.match(text)
            if match and match[1].rpartition("-")[0] in chapters:
                cells.append(text)
    program = "\n".join(["from lstm_student import check", *cells])
    result = command(edition, "-c", program)
    assert result.stdout == "no answer yet\n" * len(cells) and cells, result.stderr


def test_the_table_is_in_the_order_of_the_book_and_names_what_exists(edition: Path) -> None:
    order = [path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in notebooks(ROOT)]
    chapters = [chapter for module in MODULES.values() for chapter in module.chapters]
    assert chapters == sorted(chapters, key=order.index)
    woven = {chapter: (ROOT / f"book/{chapter}.ipynb").read_text() for chapter in chapters}
    for module in MODULES.values():
        for function in module.functions:
            tag = f'"weave:lstm.{".".join(function.split(".")[:2])}"'
            assert any(tag in woven[chapter] for chapter in module.chapters), function
    readme = (edition / "README.md").read_text()
    links: Any = re.findall(r"\]\((\S+)\)", readme)
    assert links and all((edition / link).exists() for link in links) and "@" not in readme
