"""Exercises of *Claims, and what was measured*."""

from __future__ import annotations

from math import comb
from types import SimpleNamespace

import numpy as np

from lstm_student.exercise import Exercise

PAIRS = (  # the results of two sides, run by run
    ((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (9, 8), (8, 9)),
    ((2, 1), (3, 2), (4, 3), (5, 4), (6, 7), (1, 1)),
    ((1, 2), (2, 1), (3, 4), (4, 5)),
)


def values(test):
    """Return what a test of pairs says of three lists of them."""
    return np.array([float(test(*np.array(pairs, float).T)) for pairs in PAIRS])


def two_sided(a, b):
    return min(1.0, 2 * one_sided(a, b))


def one_sided(a, b):
    n, k = int(np.sum(a != b)), int(min(np.sum(a < b), np.sum(a > b)))
    return sum(comb(n, j) for j in range(k + 1)) / 2**n


def exactly(a, b):
    n, k = int(np.sum(a != b)), int(min(np.sum(a < b), np.sum(a > b)))
    return min(1.0, 2 * comb(n, k) / 2**n)


def with_ties(a, b):
    n, k = len(a), int(min(np.sum(a < b), np.sum(a > b)))
    return min(1.0, 2 * sum(comb(n, j) for j in range(k + 1)) / 2**n)


def outcomes(judge):
    """Return what comes out where seed 0 is lucky, mixed, like the others, and unlucky."""
    shifts = {"lucky": [-1.0] * 8, "mixed": [-1.0] + [0.0] * 6 + [2.0], "alike": [0.0] * 8,
              "unlucky": [1.0] * 8}  # fmt: skip
    found = {}
    for name, shift in shifts.items():
        rows = [
            {"seed": str(seed), "loss": str(2.0 + 0.01 * k + shift[k] * (seed == 0))}
            for seed in range(6)
            for k in range(8)
        ]
        found[name] = [bool(part) for part in judge(rows).parts]
    return found


def finding(compare):
    """Return a judge that compares the runs of seed 0 with the others."""

    def judge(rows):
        mine = np.array([float(row["loss"]) for row in rows if row["seed"] == "0"])
        others = np.array([float(row["loss"]) for row in rows if row["seed"] != "0"])
        return SimpleNamespace(parts=(compare(mine, others),))

    return judge


def below(a, b):
    """Tell whether nearly all pairs of runs have the first of them below the second."""
    return bool((a[:, None] < b).mean() > 0.95)


EXERCISES = {
    1: Exercise(
        "that the number of seeds bounds the smallest p that a test can give",
        int,
        right=7,
        wrong=[
            (5, "that many are enough for one in a hundred; asked for is one in a thousand"),
            (6, "of one side only: the deal in which the other side wins counts too"),
            (10, "2 to the 10 counts coins that fall; here results are dealt to two sides"),
        ],
        explain=lambda n: f"{n} a side: luck parts them with probability {2 / comb(2 * n, n):.2g}",
    ),
    2: Exercise(
        "that a test is the count of the ways in which luck does as well, on both sides",
        values,
        right=two_sided,
        wrong=[
            (one_sided, "that is one side: what is as far on the other side counts too"),
            (exactly, "at least as one-sided: outcomes that are further off count too"),
            (with_ties, "a pair that is equal falls to neither side: leave it out"),
        ],
        explain=lambda p: f"for 7 of 8 pairs it gives {p[0]:.4f}: count the ways that coins fall",
    ),
    3: Exercise(
        "that a claim is a function of the rows, judged by medians and a test",
        outcomes,
        right=finding(below),
        wrong=[
            (
                finding(lambda a, b: bool(a.min() < b.min())),
                "the best runs say nothing: compare all",
            ),
            (finding(lambda a, b: below(b, a)), "this asks whether seed 0 is unlucky"),
            (
                finding(lambda a, b: bool(a.mean() <= b.mean())),
                "with equal results nothing comes out",
            ),
        ],
        explain=lambda parts: f"runs of seed 0 that are lucky, and are not, give {parts}",
    ),
}
