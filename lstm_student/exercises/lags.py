"""Exercises of *Where RNN, GRU and LSTM differ*."""

from __future__ import annotations

import numpy as np

from lstm import GRU, Classifier, to_numpy
from lstm.gates import sigmoid
from lstm_student.exercise import Exercise


def gates(opened):
    """Return what a start does to a GRU's update gates, for two lags that it may not use."""
    kept, sizes = [], []
    for lag in (10, 500):
        model = Classifier(GRU(8, 19, rng=0, device="cpu"), 4, rng=0)
        opened(model, lag)
        bias = to_numpy(model.params["recurrent.bias_l0"]).astype(float)
        kept.append(-1 / np.log(sigmoid(bias[19:38])))  # steps to 1/e
        sizes.append(sum(p.size for p in model.params.values()))
    return {
        "parameters": sizes,
        "reset gates as they were": not bias[:19].any(),
        "same for any lag": bool(np.allclose(*kept)),
        "some keep 50 steps": bool(kept[0].max() >= 50),
        "some let go within 5": bool(kept[0].min() <= 5),
    }


def fill(value):
    """Return a start that gives all update gates one bias."""

    def opened(model, lag):
        model.params["recurrent.bias_l0"][19:38] = value(lag)

    return opened


def spread(block):
    """Return a start with times from 2 to 200 in one block of the biases."""

    def opened(model, lag):
        model.params["recurrent.bias_l0"][19 * block : 19 * block + 19] = np.log(
            np.linspace(2, 200, 19)
        )

    return opened


EXERCISES = {
    1: Exercise(
        "that an LSTM has four times an RNN's weights at one size, so equal sizes are unequal",
        int,
        right=41,
        wrong=[
            (20, "equal hidden sizes give the LSTM about four times the parameters"),
            (80, "four times the units give sixteen times the recurrent weights: count in squares"),
            (40, "near, but one unit more is nearer: compute both counts"),
        ],
        explain=lambda H: (
            f"an RNN of {H} units has {H * (H + 2) + H + 1} parameters, not near 1781"
        ),
    ),
    2: Exercise(
        "how far a constant forget gate reaches, from its bias",
        int,
        right=20,
        wrong=[
            (14, "that is the half-life; asked for is the time to 1/e"),
            (21, "after that many steps less than 1/e is left: at least 1/e is asked for"),
            (3, "the bias is the logarithm of the time, not the time"),
        ],
        explain=lambda n: f"after {n} steps {(1 + np.exp(-3)) ** -n:.2f} of the cell is left",
    ),
    3: Exercise(
        "that units with different time scales do without knowing the lag",
        gates,
        right=spread(1),
        wrong=[
            (lambda model, lag: None, "the default start: half of a state is gone at each step"),
            (fill(np.log), "this uses the lag; which times could serve for any of them?"),
            (fill(lambda lag: np.log(200)), "all units keep for long; none lets go within 5 steps"),
            (spread(0), "these biases are the reset gate's: which block of rows is z?"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
