"""Exercises of *What it keeps, and for how long*."""

from __future__ import annotations

import numpy as np

from lstm.diagnostics import half_life
from lstm_student.exercise import Exercise


def pair(answer):
    """Return what is kept and the half-life as numbers."""
    kept, half = answer
    return float(kept), float(half)


def not_kept(found):
    """Say what a half-life would keep in six steps, if that is what is wrong."""
    kept, half = found
    if abs(kept - 1 / 64) > 1e-6:
        return f"six steps do not keep {kept:.4g}: multiply their gates"
    return f"a half-life of {half:.3g} keeps {0.5 ** (6 / half):.3g} in six steps"


def pairs_of(twins):
    """Return the pairs of units that a function finds alike in states (40, 4, 8)."""
    h = np.random.default_rng(5).normal(size=(40, 4, 8))
    h[:, :, 4] = 0.3 * h[:, :, 1] + 2.0
    h[:, :, 5] = -h[:, :, 2]
    h[:, 0, 6] = h[:, 0, 3]  # alike in one sequence alone
    h[:, :, 7] *= 40.0
    h[:, :, 0] += h[:, :, 7]  # much in common, and each its own part
    return sorted(sorted(int(unit) for unit in pair) for pair in twins(h))


def unlike(found):
    """Say how many twins were found, and how many others."""
    twins = sum(pair in found for pair in ([1, 4], [2, 5]))
    return f"of two pairs of twins {twins} found, and {len(found) - twins} that are none: {found}"


def correlations(h):
    """Return the correlation of every two units over steps and sequences."""
    return np.corrcoef(h.reshape(-1, h.shape[2]).T)


def upper(alike):
    """Return the pairs of different units that a matrix marks."""
    return np.argwhere(np.triu(alike, 1))


def maps():
    """Return maps of influence (6, 6) by what they are, rows of outputs."""
    even = np.tril(np.full((6, 6), 1.0))
    every = np.tril(np.full((6, 6), 1.0))
    every[:5, 0] = 20.0  # the outputs before the last look at the first input
    most = np.tril(np.full((6, 6), 1.0))
    most[-1, 0] = 2.0  # more than any other, and less than half
    known = np.tril(np.full((6, 6), 1.0))
    known[-1, 0] = 20.0
    return {
        "all inputs alike": even,
        "the first input, but not at the last output": every,
        "the first input most of all": most,
        "the first input for the most part": known,
        "the same, all influence a hundredth": 0.01 * known,
        "all inputs alike, all influence a hundred times": 100.0 * even,
    }


RECALLS = ("the first input for the most part", "the same, all influence a hundredth")


def warned(warns):
    """Return what a function says of each map."""
    return {name: bool(warns(found)) for name, found in maps().items()}


def misjudged(found):
    """Name the maps that were not told."""
    wrong = [name for name, said in found.items() if said == (name in RECALLS)]
    return f"wrong about the map: {'; '.join(wrong)}"


EXERCISES = {
    1: Exercise(
        "that the half-life of a varying gate follows from its product, not from its mean",
        pair,
        right=(1 / 64, 1.0),
        wrong=[
            ((1 / 64, half_life(0.625)), "what is kept is right; the mean gate keeps more"),
            ((0.625**6, half_life(0.625)), "the mean gate, six times, is not what the cell keeps"),
            ((1 / 64, 0.5), "that half-life is of the even steps alone; half of all steps are odd"),
            ((1 / 4096, 0.5), "only every other step multiplies by 0.25"),
            ((63 / 64, 1.0), "that is what is lost, not what is kept"),
        ],
        explain=not_kept,
    ),
    2: Exercise(
        "that memory length counts distances from 0 and draws lines between whole steps",
        float,
        right=7.5,
        wrong=[
            (7.0, "the sum over k below 7 does not reach distance 7: it is still zero there"),
            (8.0, "the sum over k below 8 is the whole already, and half of it is asked for"),
            (6.5, "the step itself is at distance 0, so seven steps before is at k = 7"),
            (3.5, "the middle of the time is not the middle of the influence"),
        ],
        explain=lambda n: f"not {n:g}: all of the influence lies at distance 7",
    ),
    3: Exercise(
        "that a correlation takes mean and scale out, and what its sign is worth",
        pairs_of,
        right=lambda h: upper(abs(correlations(h)) > 0.999),
        wrong=[
            (
                lambda h: upper(correlations(h) > 0.999),
                "a pair that mirror each other is missing: a readout cannot tell them apart",
            ),
            (
                lambda h: [
                    (i, j)
                    for i in range(h.shape[2])
                    for j in range(i)
                    if np.allclose(h[:, :, i], h[:, :, j])
                ],
                "only units with the same numbers are found; a factor and a constant may differ",
            ),
            (
                lambda h: np.argwhere(abs(correlations(h)) > 0.999),
                "each unit is here its own twin, and each pair comes twice",
            ),
            (
                lambda h: upper(abs(np.cov(h.reshape(-1, h.shape[2]).T)) > 0.999),
                "a covariance grows with the size of the units: take it out",
            ),
            (
                lambda h: upper(abs(np.corrcoef(h[:, 0].T)) > 0.999),
                "two units alike in the first sequence differ in the others",
            ),
        ],
        explain=unlike,
    ),
    4: Exercise(
        "that a share of influence warns of cramming where the input that matters is known",
        warned,
        right=lambda G: G[-1, 0] < 0.5 * G[-1].sum(),
        wrong=[
            (
                lambda G: G[:, 0].sum() < 0.5 * G.sum(),
                "this sums over all outputs; only the last one has a task",
            ),
            (
                lambda G: G[-1].argmax() != 0,
                "the largest share need not be more than half",
            ),
            (lambda G: G[-1, 0] < 0.5, "this is a size; how large is it beside the others?"),
            (
                lambda G: G[0, -1] < 0.5 * G[:, -1].sum(),
                "rows are outputs and columns are inputs: here they are exchanged",
            ),
            (
                lambda G: G[-1, 0] > 0.5 * G[-1].sum(),
                "the warning is the wrong way round: it is due where the share is low",
            ),
        ],
        explain=misjudged,
    ),
}
