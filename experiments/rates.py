"""Waves and vowels: the last loss by optimizer and highest rate of a cosine."""

from __future__ import annotations

import math

import numpy as np

from lstm import cosine, fit

from .tasks import OPTIMIZERS, task

FILE = "book/debugging/tuning_rates.csv"


def cells(rows):
    rates = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1e0, 3e0)
    cases = [("waves", name) for name in ("SGD", "Momentum", "Adam")]
    cases += [("vowels", name) for name in ("SGD", "Adam")]
    return [
        {"name": name, "optimizer": optimizer, "rate": rate, "seed": seed}
        for name, optimizer in cases for rate in rates for seed in range(6)
    ]  # fmt: skip


def measure(name, optimizer, rate, seed):
    model, x, y, options = task(name, seed)
    try:
        with np.errstate(all="ignore"):
            losses = fit(model, x, y, OPTIMIZERS[optimizer](model.params, rate), epochs=20,
                         schedule=cosine(rate, 20), **options).loss
    except FloatingPointError:
        losses = [math.inf]
    return {"last_loss": losses[-1]}
