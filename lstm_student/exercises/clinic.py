"""Exercises of *The clinic: data and loss*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise


def samples(answer):
    """Return a whole number of samples a period, from 3 on."""
    if answer != int(answer) or answer < 3:
        raise ValueError(f"expected a whole number of samples, 3 or more; got {answer!r}")
    return int(answer)


def enough_or_not(n):
    rough = 1 - np.cos(2 * np.pi / n)
    if rough >= 0.125:
        return f"with {n} samples a period the roughness is {rough:.3f}"
    return "a curve, and so is a sine with one sample less"


def two(answer):
    """Return two numbers."""
    first, second = answer
    return float(first), float(second)


def share(function):
    """Return the share that is found among 8 sequences of which 3 are known.

    One more begins as a known one does, and one more has one feature of a known one.
    """
    rng = np.random.default_rng(0)
    x, later = rng.normal(size=(5, 12, 2)), rng.normal(size=(5, 8, 2))
    later[:, 3], later[:, 6], later[:, 2] = x[:, 11], x[:, 0], x[:, 2]
    later[:3, 1], later[:, 5, 0] = x[:3, 1], x[:, 5, 0]
    x[:, 7] = x[:, 11]
    return float(function(x, later))


def by_pairs(x, later):
    """Compare every sequence with every other."""
    same = (later[:, :, None] == x[:, None]).all((0, 3))
    return same.any(1).mean()


EXERCISES = {
    1: Exercise(
        "that the roughness of a sine follows from how often a period is sampled",
        samples,
        right=13,
        wrong=[
            (12, "a sample too few: 12.4 are needed, so 12 are not enough"),
            (7, "half of noise is where noise begins: a curve has to be below a fourth of it"),
            (18, "the variance of a sine of height 1 is not 1: what is the mean of sin²?"),
        ],
        explain=enough_or_not,
    ),
    2: Exercise(
        "that twice the sequences show by which power of the batch a loss divides",
        two,
        right=(2.0, 2**0.5),
        wrong=[
            ((1.0, 2**0.5), "a sum: what does a sequence that comes twice add to it?"),
            ((2.0, 2**-0.5), "the root divides more, but twice as many sequences are summed up"),
            ((2.0, 1.0), "that is a mean, divided by the batch; here its root divides"),
            ((2.0, 2.0), "nothing has divided the second sum: what does the root do to it?"),
        ],
        explain=lambda found: (
            "the sum is right, the root is not: count the entries, and the size of each"
            if abs(found[0] - 2) < 1e-6
            else "the sum is not right: how large is the gradient of each of the 2B sequences?"
        ),
    ),
    3: Exercise(
        "that a leak is a whole sequence that occurs in both sets, at whatever place",
        share,
        right=by_pairs,
        wrong=[
            (
                lambda x, later: np.isin(later[0, :, 0], x[0, :, 0]).mean(),
                "a sequence that begins as another does is not yet the same sequence",
            ),
            (
                lambda x, later: (later == x[:, :8]).all((0, 2)).mean(),
                "only sequences at the same place were compared: sets have no order",
            ),
            (
                lambda x, later: by_pairs(later, x),
                "that is the share of the training set: which set is it asked of?",
            ),
            (
                lambda x, later: 8 * by_pairs(x, later),
                "that is how many there are; a share lies between 0 and 1",
            ),
            (
                lambda x, later: (later[:, :, None] == x[:, None]).all(0).any((1, 2)).mean(),
                "one equal feature is not enough: a sequence is all of its features",
            ),
        ],
        explain=lambda found: f"not {found:.3g}: compare whole sequences, each with each",
    ),
}
