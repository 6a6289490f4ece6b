"""The exercises: each has a folded, executed solution and a check that knows its mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_student import Exercise, check, exercise
from weave import ROOT, notebooks

BOOK = [path for path in notebooks(ROOT) if "{exercise}" in path.read_text()]
NAMES = [name for chapter in exercise.chapters() for name in exercise.exercises(chapter)]
OPENING = re.compile(r"^`*:*\{exercise\}.*\n:label: ex-(\S+)", re.M)


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return cells


def asked(path: Path) -> list[str]:
    """Return the names of a chapter's exercises, in order."""
    return [
        name
        for cell in cells_of(path)
        if cell["cell_type"] == "markdown"
        for name in OPENING.findall("".join(cell["source"]))
    ]


def solution(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the code cells between the start and the end of an exercise's solution."""
    found, inside = [], False
    for cell in cells_of(path):
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            found += [cell] * inside
            continue
        for start, _ in re.findall(r"\{solution-start\} ex-(\S+)|(\{solution-end\})", text):
            inside = start == name if start else False
    return found


def printed(cells: list[dict[str, Any]]) -> list[str]:
    outputs = [output for cell in cells for output in cell["outputs"]]
    return "".join("".join(output.get("text", "")) for output in outputs).splitlines()


# --- the checks --------------------------------------------------------------------------


def test_every_exercise_has_a_check_and_every_check_an_exercise() -> None:
    names = [name for path in BOOK for name in asked(path)]
    assert len(names) == len(set(names))
    assert set(names) == set(NAMES), (
        f"exercises without a check: {sorted(set(names) - set(NAMES))}; "
        f"checks without an exercise: {sorted(set(NAMES) - set(names))}: "
        "a check stands in lstm_student/exercises/, by the label of its exercise"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_right_answer_is_right_and_each_known_mistake_gets_its_hint(name: str) -> None:
    found = exercise.find(name)
    hints = [hint for _, hint in found.wrong]
    assert len(hints) >= 2, "expected two known wrong answers or more"
    assert len(set(hints)) == len(hints), "expected a hint for each mistake"
    assert check(name, found.right) == "right"
    assert [check(name, answer) for answer, _ in found.wrong] == hints


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_answer_is_answered_in_words(name: str) -> None:
    assert check(name, ...) == "no answer yet"
    values = (None, "a word", object(), np.inf, -np.inf, 10**400, [[1], [2, 3]])
    arrays = (np.full(3, np.nan), np.empty(0), np.empty((0, 3)), np.ones((2, 3)))
    functions = (lambda: None, lambda *given: np.empty(0), lambda *given: np.nan)
    for answer in (*values, *arrays, *functions):
        said = check(name, answer)
        assert isinstance(said, str) and said != "right"


@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)
def test_a_chapter_has_three_exercises_whose_solutions_were_checked(path: Path) -> None:
    names = asked(path)
    assert len(names) >= 3
    for name in names:
        cells = solution(path, name)
        calls = re.findall(rf'check\("{name}",', "\n".join("".join(c["source"]) for c in cells))
        lines = printed(cells)
        assert len(calls) >= 2, (
            f"the solution of {name} prints the check of a right answer and a wrong"
        )
        assert "right" in lines, f"no answer in the solution of {name} is right"
        hints = [hint for _, hint in exercise.find(name).wrong]
        assert set(hints) & set(lines), f"the solution of {name} shows no hint"


@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)
def test_each_solution_begins_and_ends_behind_its_exercise(path: Path) -> None:
    texts = ["".join(c["source"]) for c in cells_of(path) if c["cell_type"] == "markdown"]
    marks = re.findall(r"\{(exercise|solution-start|solution-end)\}", "\n".join(texts))
    assert marks == ["exercise", "solution-start", "solution-end"] * len(asked(path))


# --- the mechanism -----------------------------------------------------------------------


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(ValueError, match="such as cell-1, .*; got 'cel-1'"):
        check("cel-1", 1)


@pytest.fixture
def square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put one exercise in place: a function that squares an array."""
    x = np.array([-2.0, 3.0])
    one = Exercise(
        "that a square is no double",
        lambda answer: answer(x),
        right=lambda x: x * x,
        wrong=[(lambda x: 2 * x, "doubled"), (lambda x: x**3, "cubed")],
        explain=lambda found: f"not {found[1]:.0f}",
    )
    monkeypatch.setattr(exercise, "find", lambda name: one)
    exercise.known.cache_clear()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x**2, "right"),
        (lambda x: x**2 * (1 + 1e-9), "right"),
        (lambda x: x + x, "doubled"),
        (lambda x: x * x * x, "cubed"),
        (lambda x: x, "not 3"),
        (lambda x: x[:1] ** 2, "cannot be checked: IndexError: index 1 is out of bounds"),
        (lambda x: "two", "cannot be checked: ValueError: Unknown format code"),
        (lambda x: x / [1, 2, 3], "cannot be checked: ValueError: operands could not be broadcast"),
    ],
)
def test_an_answer_is_compared_by_what_it_does(square: None, answer: Any, said: str) -> None:
    assert check("square", answer).startswith(said)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.001, False),
        (1, True, False),
        ("a", "a", True),
        ("a", "b", False),
        (None, 0.0, False),
        ((1.0, "a"), [1, "a"], True),
        ((1.0, 2.0), (1.0,), False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        (np.ones(3), np.ones(3, np.float32), True),
        (np.ones(3), np.ones((3, 1)), False),
        (np.ones(3), 1.0, False),
        (np.nan, np.nan, True),
        (object(), 1.0, False),
        (np.array(["a"]), np.array(["a"]), True),
        (np.array([True]), np.array([False]), False),
    ],
)
def test_sameness(a: Any, b: Any, equal: bool) -> None:
    assert exercise.same(a, b, 1e-6) is equal
