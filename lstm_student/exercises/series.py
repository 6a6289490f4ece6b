"""Exercises of *Does the LSTM beat a straight line?*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise


def share_and_limit(answer):
    """Return two numbers."""
    share, limit = answer
    return float(share), float(limit)


def seeds_and_may(answer):
    """Return a number of seeds, and whether one of ten may differ."""
    seeds, may = answer
    if may not in (True, False):
        raise ValueError(f"expected True or False for one of ten, got {may!r}")
    return int(seeds), bool(may)


def expected(order, targets=500, noise=0.3):
    """Return the expected loss over the floor of a fitted line on the sine, by its equation."""
    lags = np.arange(order)
    angle = 4 * np.pi / 1000
    products = np.cos(angle * (lags[:, None] - lags)) / 2
    ahead = np.cos(angle * (lags + 1)) / 2
    weights = np.linalg.solve(products + noise**2 * np.eye(order), ahead)
    return (1 + (0.5 - ahead @ weights) / noise**2) * (1 + (order + 1) / targets)


def excess(order):
    """Return whether an order has too few values or too many, or is within 1% of the least."""
    order = int(order)
    if not 1 <= order < 500:
        raise ValueError(f"expected an order from 1 to 499, got {order}")
    best = min(range(8, 20), key=expected)
    if expected(order) < 1.01 * expected(best):
        return "within 1%"
    return "too few" if order < best else "too many"


def compared(losses):
    """Return what the losses of two seeds, by the cut of the gradient, say."""
    found = {int(cut): np.array([float(loss) for loss in two]) for cut, two in losses.items()}
    if any(len(two) != 2 for two in found.values()):
        raise ValueError("expected the losses of two seeds for each cut")
    gains = [found[10] - two for cut, two in found.items() if cut != 10] if 10 in found else []
    return {
        "a cut beside 10": bool(gains),
        "over the floor": all(bool(two.min() > 0.9) for two in found.values()),
        "nearer for one seed": any(bool(gain.max() > 0.05) for gain in gains),
        "nearer for both": any(bool(gain.min() > 0.05) for gain in gains),
    }


EXERCISES = {
    1: Exercise(
        "that the squares of a forecast's weights say how much noise it lets through",
        share_and_limit,
        right=(1.5, 2.0),
        wrong=[
            ((2.5, 2.0), "the limit is right; no weight lets through the noise that is to come"),
            ((1.0, 2.0), "the limit is right; the share is no sum of weights: variances add up"),
            ((1.5, 2**0.5), "the share is right; asked for is the variance, not its root"),
            ((1.5, 2 / 3), "the noise that is to come is in the last value's error as well"),
            ((1.5, 0.0), "with so little noise the last value still lags behind by 1"),
        ],
        explain=lambda found: (
            "the share is right, the limit is not: set the two expected errors equal"
            if abs(found[0] - 1.5) < 1e-6
            else "the share is not right: square each weight"
        ),
    ),
    2: Exercise(
        "that the number of seeds bounds what a sign test can say",
        seeds_and_may,
        right=(8, False),
        wrong=[
            ((7, False), "all on the other side would be as far off: count both sides"),
            ((5, False), "that is five against five; a line has no seeds to be dealt with them"),
            ((6, False), "so many have p below 0.05; asked for is 0.01"),
            ((8, True), "which of the ten differs is open: how many cases are there of it?"),
            ((10, False), "so many are enough, and fewer are too"),
        ],
        explain=lambda found: f"{found[0]} of {found[0]} have p = {2 * 0.5 ** found[0]:.2g}",
    ),
    3: Exercise(
        "that with fewer targets each fitted weight costs more, so the best order falls",
        excess,
        right=12,
        wrong=[
            (3, "too few values: a longer sum would average more of the noise away"),
            (60, "too many values: each weight that is fitted to 500 targets has its price"),
        ],
    ),
    4: Exercise(
        "that part of what an LSTM loses to a line is the cut of its gradient",
        compared,
        right={10: [1.4, 1.4], 50: [1.2, 1.2]},
        wrong=[
            ({10: [1.4, 1.4]}, "one cut alone, or none of ten steps: there is nothing to compare"),
            ({10: [1.4, 1.4], 5: [1.5, 1.5]}, "not nearer by 0.05 for either seed"),
            ({10: [1.4, 1.4], 20: [1.2, 1.4]}, "nearer for one seed, which may be luck"),
            (
                {10: [0.014, 0.014], 50: [0.012, 0.012]},
                "these are losses: each is to be divided by the floor of its own noise",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
