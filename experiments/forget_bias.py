"""The forget gate's first bias by lag: updates until an LSTM recalls a symbol."""

from __future__ import annotations

import numpy as np

from lstm import (
    LSTM,
    Adam,
    Classifier,
    cross_entropy,
    to_device,
    to_numpy,
)
from lstm.initializers import chrono_bias
from lstm.training import train_step

from .forgetting_claims import BIAS as CLAIMS  # noqa: F401
from .held import HeldLSTM
from .lags import recall_task
from .search import searched

FILE = "book/evidence/forget_bias.csv"
BIASES = ("0", "1", "2", "5", "chrono", "no gate")
LAGS = (10, 20, 50, 100, 200)
RATES = (0.003, 0.01, 0.03)
UNITS, BATCH, UPDATES, EVERY, RIGHT = 16, 16, 400, 20, 0.98
FEW, MANY = 3, 8


def cells(rows):
    sides = [{"bias": bias, "lag": lag} for lag in LAGS for bias in BIASES]
    return searched(rows, sides, RATES, score, FEW, MANY)


def score(row):
    """By which a rate is chosen: updates, and among equals what is right on validation."""
    return float(row["updates"]), -float(row["valid"])


def classifier(bias, lag, seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    options = {"rng": rng, "dtype": dtype}
    if bias == "no gate":
        return Classifier(HeldLSTM(8, UNITS, **options), 4, rng=rng)
    first = 0.0 if bias == "chrono" else float(bias)
    model = Classifier(LSTM(8, UNITS, forget_bias=first, **options), 4, rng=rng)
    if bias == "chrono":
        drawn = chrono_bias(UNITS, lag + 1, np.random.default_rng([3, seed]))
        model.params["recurrent.bias_l0"][...] = to_device(drawn.astype(dtype))
    return model


def accuracy(model, x, labels):
    logits = to_numpy(model(to_device(x))[0])
    return float((logits.argmax(1) == labels).mean())


def measure(bias, lag, rate, seed, updates=UPDATES):
    model, drawn = classifier(bias, lag, seed), np.random.default_rng([0, lag, seed])
    valid = recall_task(lag, 200, np.random.default_rng([1, lag]))
    optimizer, made, right = Adam(model.params, rate), 0, 0.0
    while made < updates and right < RIGHT:
        for _ in range(EVERY):
            x, labels = recall_task(lag, BATCH, drawn)
            train_step(model, to_device(x), to_device(labels), None, optimizer,
                       cross_entropy, clip_norm=1.0)
        made, right = made + EVERY, accuracy(model, *valid)
    test = recall_task(lag, 500, np.random.default_rng([2, lag]))
    return {"updates": made, "valid": right, "test": accuracy(model, *test)}
