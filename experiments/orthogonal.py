"""Recall: the first recurrent weights of a plain RNN and an LSTM, by lag."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, RNN, Adam, Classifier, to_device
from lstm.initializers import orthogonal

from .choices_claims import ORTHOGONAL as CLAIMS  # noqa: F401
from .recall import judged, learn_recall, recall_task

FILE = "book/evidence/choices_orthogonal.csv"

UNITS, UPDATES = 16, 200
CELLS = {"LSTM": LSTM, "RNN": RNN}
GAUSSIAN = {"gaussian 0.5": 0.5, "gaussian 1": 1.0, "gaussian 1.5": 1.5}
KINDS = (*GAUSSIAN, "uniform", "orthogonal", "identity")


def cells(rows):
    return [
        {"cell": cell, "kind": kind, "lag": lag, "rate": rate, "seed": seed}
        for cell in CELLS for kind in KINDS for lag in (15, 30, 60, 120)
        for rate in (0.003, 0.01) for seed in range(10)
    ]  # fmt: skip


def square(kind, units, rng):
    """Return first recurrent weights of one gate (H, H)."""
    if kind == "identity":
        return np.eye(units)
    if kind == "orthogonal":
        return orthogonal((units, units), rng)
    if kind == "uniform":  # PyTorch's, of a variance of 1 / (3 H)
        return rng.uniform(-1, 1, (units, units)) * units**-0.5
    if kind in GAUSSIAN:
        return rng.normal(0.0, GAUSSIAN[kind] * units**-0.5, (units, units))
    raise ValueError(f"square expected kind as one of {KINDS}, got {kind!r}")


def started(cell, kind, rng):
    """Return a new classifier whose gates' recurrent weights, one by one, are of a kind."""
    layer = CELLS[cell](2, UNITS, rng=rng)
    first = [square(kind, UNITS, rng) for _ in range(layer.blocks)]
    layer.params["weight_hh_l0"][...] = to_device(np.concatenate(first))
    return Classifier(layer, 2, rng=rng)


def measure(cell, kind, lag, rate, seed):
    model = started(cell, kind, np.random.default_rng([2, seed]))
    rng = np.random.default_rng([1, seed])
    learn_recall(model, Adam(model.params, rate), lag, UPDATES, rng)
    return judged(model, lambda rng: recall_task(lag, 1000, rng), seed)
