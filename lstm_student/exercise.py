"""An exercise's check: what is right, and which mistakes are known by name.

A known wrong answer is kept as an answer, not as its value: what a reader gives is compared by
what it does, so a function that makes the same mistake gets the same hint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from lstm import to_numpy

FOLDER = Path(__file__).with_name("exercises")
UNKNOWN = "not right yet, and no mistake that is known here: check the definition by a small case"


@dataclass(frozen=True)
class Exercise:
    """What the check of one exercise knows.

    Attributes
    ----------
    tests : str
        A clause for the page for teachers: "that a half-life leads to a gate".
    measure : function of an answer
        Returns what is compared: a number, string or array, or a tuple, list or dict of them.
        Raises ValueError for an answer of the wrong form, with what was expected and what came.
    right : an answer that is right
    wrong : pairs of a wrong answer and its hint
        The hint names the misconception, not the solution. Two or more.
    explain : function of what an answer measures to, optional
        Returns what is said of a wrong answer that is not among the known ones.
    rtol : float
        Largest relative difference of numbers that count as the same; also absolute, below 1.
    """

    tests: str
    measure: Callable[[Any], Any]
    right: Any
    wrong: Sequence[tuple[Any, str]]
    explain: Callable[[Any], str] = lambda measured: UNKNOWN
    rtol: float = 1e-6


def same(a: Any, b: Any, rtol: float) -> bool:
    """Tell whether two measured things are the same, numbers up to rounding."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key], rtol) for key in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y, rtol) for x, y in zip(a, b))
    if isinstance(a, str | None) or isinstance(b, str | None):
        return type(a) is type(b) and a == b
    a, b = np.asarray(to_numpy(a)), np.asarray(to_numpy(b))
    if a.shape != b.shape or "O" in (a.dtype.kind, b.dtype.kind):
        return False
    if a.dtype.kind in "bSU" or b.dtype.kind in "bSU":
        return bool(a.dtype.kind == b.dtype.kind and (a == b).all())
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol, equal_nan=True))


@cache
def exercises(chapter: str) -> dict[str, Exercise]:
    """Return a chapter's exercises by their names, such as ``cell-2``."""
    module = import_module(f"lstm_student.exercises.{chapter.replace('-', '_')}")
    return {f"{chapter}-{number}": found for number, found in module.EXERCISES.items()}


def chapters() -> list[str]:
    """Return the names of the chapters that have exercises, in alphabetical order."""
    return sorted(
        path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if path.stem != "__init__"
    )


def find(name: str) -> Exercise:
    """Return the exercise of this name; raise ValueError, with the nearest names, for others."""
    chapter = name.rpartition("-")[0]
    if chapter in chapters() and name in exercises(chapter):
        return exercises(chapter)[name]
    names = [other for chapter in chapters() for other in exercises(chapter)]
    near = ", ".join(get_close_matches(name, names)) or ", ".join(chapters())
    raise ValueError(f"expected the name of an exercise, such as {near}; got {name!r}")


@cache
def known(name: str) -> tuple[Any, list[tuple[Any, str]]]:
    """Return what the right and the known wrong answers of an exercise measure to."""
    exercise = find(name)
    wrong = [(exercise.measure(answer), hint) for answer, hint in exercise.wrong]
    return exercise.measure(exercise.right), wrong


def check(name: str, answer: Any) -> str:
    """Return ``"right"``, or what is wrong with an answer.

    Parameters
    ----------
    name : str
        The exercise, as its label says it: ``cell-2`` is the second of the chapter of the cell.
    answer : what the exercise asks for: numbers, a string, arrays or a function

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    if answer is ...:  # before the exercise is looked up, which may need what a student writes
        return "no answer yet"
    exercise = find(name)
    right, wrong = known(name)
    try:
        measured = exercise.measure(answer)
        if same(measured, right, exercise.rtol):
            return "right"
        hints = [hint for mistake, hint in wrong if same(measured, mistake, exercise.rtol)]
        return hints[0] if hints else exercise.explain(measured)
    except Exception as error:  # whatever an answer does, its author is to read it here
        return f"cannot be checked: {type(error).__name__}: {error}"
