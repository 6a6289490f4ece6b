"""Exercises of the chapter @name@. TODO: replace these by yours."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise


def two_cells(function):
    """Return what two cells hold, (2,)."""
    return np.asarray(function(np.array([0.5, 0.9]), 1.0), float)


EXERCISES = {
    1: Exercise(
        "TODO: that powers of one half are known, or say what yours tests",
        int,
        right=7,
        wrong=[
            (6, "0.5**6 is 0.0156, which is not below a hundredth"),
            (8, "below a hundredth, but it was so one step earlier"),
        ],
    ),
    2: Exercise(
        "TODO: that a half-life is turned into a gate",
        float,
        right=2 ** (-1 / 10),
        wrong=[
            (0.5, "this gate leaves one half after one step"),
            (0.5**10, "this is what a gate of one half leaves; asked for is the gate"),
        ],
        explain=lambda f: f"after 10 steps {f**10:.2g} is left",
        rtol=1e-3,
    ),
    3: Exercise(
        "TODO: that each gate multiplies its own cell, once a step",
        two_cells,
        right=lambda f, c: c * f**3,
        wrong=[
            (lambda f, c: c * f.prod() ** 3 + 0 * f, "a cell is multiplied by its own gate alone"),
            (lambda f, c: 3 * c * f, "three steps multiply; they do not add up"),
        ],
    ),
}
