"""Exercises of *The tasks of the papers, in sequences and seconds*."""

from __future__ import annotations

import math

import numpy as np

from lstm import adding_task, to_numpy
from lstm_student.exercise import Exercise

MEDIAN = 6832  # of the page's ten runs of the order of two symbols


def drawn(draw):
    """Return what a draw's target is made of: the first drawing's marks and numbers, by loops."""
    x, y, lengths = draw(50, np.random.default_rng(3))
    x, y = to_numpy(x), to_numpy(y)
    if y.shape != (50, 1) or lengths is not None:
        raise ValueError(f"expected y of shape (50, 1) and None for the lengths, got {y.shape}")
    numbers, marks = x[:, :, 0], x[:, :, 1]
    if not (marks.sum(0) == 2).all():
        raise ValueError("expected two marks in each sequence, ones in the second input")
    places = np.array([np.flatnonzero(column) for column in marks.T])
    first, second = (numbers[place, range(50)] for place in places.T)
    half = len(x) // 2
    known = {
        "first less second": first - second,
        "second less first": second - first,
        "sum": first + second,
        "distance": abs(first - second),
        "all numbers": numbers[:half].sum(0) - numbers[half:].sum(0),
    }
    near = [name for name, target in known.items() if np.allclose(y[:, 0], target, atol=1e-5)]
    return {"steps": len(x), "target": (*near, "another")[0]}


def target(made):
    """Return a draw over 20 steps whose target is made of what stands in the two halves."""

    def draw(count, rng):
        x, _ = adding_task(20, count, rng)
        numbers, marks = x[:, :, 0], x[:, :, 1]
        return x, made(numbers, numbers * marks)[:, None], None

    return draw


def halves(x):
    return x[:10].sum(0), x[10:].sum(0)


def judged(counts):
    """Return whether three counts are fewer than the page's, and whether they can be."""
    counts = np.array([float(count) for count in counts])
    if len(counts) != 3:
        raise ValueError(f"expected three counts, one a seed, got {len(counts)}")
    middle = float(np.median(counts))
    return {
        "median below the page's": middle < MEDIAN,
        "median finite": math.isfinite(middle),
        "rows of 2000 possible": bool(counts.min() >= 2000),
    }


EXERCISES = {
    1: Exercise(
        "that a block has two cells that share two gates, and every unit reads a bias",
        int,
        right=280,
        wrong=[
            (156, "that is the network of two blocks"),
            (308, "eight outputs are for three symbols: how many orders have two?"),
            (388, "that is an LSTM of today, four rows for each cell"),
            (514, "that has gates for each cell: the two cells of a block share theirs"),
            (268, "cells and gates read a bias as well"),
            (276, "the outputs read a bias as well"),
        ],
        explain=lambda n: f"{n}: count the cells and gates first, then the outputs",
    ),
    2: Exercise(
        "that a row of right answers bounds how often a network is wrong",
        int,
        right=4603,
        wrong=[
            (1000, "once in 1000 is a mean: more than a third get through 1000 unharmed"),
            (2000, "that is the paper's row: of these networks 13.5% pass it"),
            (2995, "after so many 5% are left; asked for is 1%"),
            (4602, "one too few: the network still passes with a little more than 1%"),
            (4606, "near: that takes 0.001 for -log 0.999"),
        ],
        explain=lambda n: (
            f"a network that is wrong once in 1000 passes with {0.999**n:.2%}"
            + "; fewer are enough" * (n > 4603)
        ),
    ),
    3: Exercise(
        "that a task is a draw, here with a target that depends on the order of two marks",
        drawn,
        right=target(lambda numbers, marked: np.subtract(*halves(marked))),
        wrong=[
            (target(lambda numbers, marked: marked.sum(0)), "that is the sum, as in adding"),
            (
                target(lambda numbers, marked: np.subtract(*halves(marked)[::-1])),
                "the sign is the other one: from which number is which taken off?",
            ),
            (
                target(lambda numbers, marked: abs(np.subtract(*halves(marked)))),
                "a distance has no sign, so it does not say which came first",
            ),
            (
                target(lambda numbers, marked: np.subtract(*halves(numbers))),
                "all numbers count in this target: what are the marks for?",
            ),
        ],
        explain=lambda found: (
            f"the target is right, over {found['steps']} steps instead of 20"
            if found["target"] == "first less second"
            else "the target is none of two marked numbers that is known here"
        ),
    ),
    4: Exercise(
        "what makes a network learn from fewer sequences, judged by a median of seeds",
        judged,
        right=[3000, 4000, 5000],
        wrong=[
            ([10_000, 10_000, 10_000], "no fewer than the page needs, in the median"),
            ([3000, math.inf, math.inf], "a seed that does not get there counts as infinity"),
            ([1500, 1600, 1700], "how can fewer than 2000 hold a row of 2000?"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
