"""Recall: clipping by norm or none, for an LSTM and a plain RNN, with SGD and Adam."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, RNN, SGD, Adam, Classifier

from .choices_claims import CLIPPED as CLAIMS  # noqa: F401
from .recall import judged, learn_recall, recall_task

FILE = "book/evidence/choices_clipped.csv"

LAG, UNITS, UPDATES = 50, 16, 300
UNREACHED = 1e9  # a norm that clips nothing, and is recorded
CELLS = {"LSTM": LSTM, "RNN": RNN}
OPTIMIZERS = {"SGD": SGD, "Adam": Adam}
RATES = {"SGD": (0.1, 0.3, 1.0, 3.0, 10.0), "Adam": (0.003, 0.01, 0.03, 0.1)}


def cells(rows):
    return [
        {"cell": cell, "optimizer": name, "rate": rate, "clip": clip, "seed": seed}
        for seed in range(10) for cell in CELLS for name in RATES for rate in RATES[name]
        for clip in (None, 1.0, 0.1) if name == "SGD" or seed < 6
    ]  # fmt: skip


def measure(cell, optimizer, rate, clip, seed):
    """Return errors, whether training broke off, and the largest norm before clipping."""
    rng = np.random.default_rng([2, seed])
    model = Classifier(CELLS[cell](2, UNITS, rng=rng), 2, rng=rng)
    steps, rng = OPTIMIZERS[optimizer](model.params, rate), np.random.default_rng([1, seed])
    found = {"diverged": 0, "norm": None}
    try:
        history = learn_recall(model, steps, LAG, UPDATES, rng, clip or UNREACHED)
        found["norm"] = history.grad_norm[0]
    except FloatingPointError:
        found["diverged"] = 1
    return judged(model, lambda rng: recall_task(LAG, 1000, rng), seed) | found
