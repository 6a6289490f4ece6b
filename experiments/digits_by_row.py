"""Handwritten digits: softmax regression and a network see them whole, LSTMs row by row."""

from __future__ import annotations

import numpy as np

from lstm import (
    LSTM,
    RNN,
    Classifier,
    Linear,
    Sequential,
    cross_entropy,
    digits,
    to_device,
    to_numpy,
)
from lstm.data import Split

from .series_claims import DIGITS as CLAIMS  # noqa: F401
from .sides import stopped

FILE = "book/evidence/digits_by_row.csv"
FITTED = 1000  # digits to train on, by other writers than the 297 to choose on
STOPS = range(4, 41, 4)
RATES = (0.003, 0.01, 0.03, 0.1)
ROWS = {"LSTM 8": (LSTM, 8), "LSTM 32": (LSTM, 32), "RNN 32": (RNN, 32)}  # cell and units


def cells(rows):
    return [
        {"model": model, "rate": rate, "seed": seed}
        for model in ("line", "hidden 32", *ROWS) for rate in RATES for seed in range(10)
    ]


def parts(by_row):
    """Return digits to train on, to choose on and to test on, as 8 steps or as one of 64."""
    train, test = digits()
    found = [Split(train.x[:, :FITTED], train.y[:FITTED]),
             Split(train.x[:, FITTED:], train.y[FITTED:]), test]
    if by_row:
        return found
    return [Split(x.swapaxes(0, 1).reshape(1, -1, 64), y[None]) for x, y in found]


def network(model, seed):
    rng = np.random.default_rng(seed)
    if model in ROWS:
        cell, units = ROWS[model]
        return Classifier(cell(8, units, rng=rng), 10, rng=rng)
    if model == "line":
        return Sequential(readout=Linear(64, 10, rng=rng))
    return Sequential(hidden=RNN(64, 32, rng=rng), readout=Linear(32, 10, rng=rng))


def wrong(net, part):
    """Return the share of digits of which another one gets the largest logit."""
    logits = to_numpy(net(to_device(part.x))[0])
    return float((logits.argmax(-1) != part.y).mean())


def trained(model, rate, seed, stops=STOPS):
    """Train with twenty updates an epoch of 50 digits each; return the model and its stop."""
    train, validation, _ = parts(model in ROWS)
    net, x = network(model, seed), to_device(validation.x)

    def judge(net):
        return float(cross_entropy(to_numpy(net(x)[0]), validation.y)[0])

    return net, *stopped(net, [*map(to_device, train)], rate, stops, judge, batch_size=50,
                         loss=cross_entropy, rng=np.random.default_rng([1, seed]))


def measure(model, rate, seed):
    net, chosen, loss = trained(model, rate, seed)
    _, validation, test = parts(model in ROWS)
    found = {"test": wrong(net, test), "validation": loss}
    return found | {"wrong_at_choice": wrong(net, validation), "chosen": chosen}
