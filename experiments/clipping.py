"""Waves: the loss by optimizer, rate and the largest norm that clipping leaves."""

from __future__ import annotations

from .tasks import OPTIMIZERS
from .waves import learn

FILE = "book/debugging/tuning_clipping.csv"


def cells(rows):
    rates = {"SGD": (0.3, 1.0, 3.0, 10.0), "Adam": (0.03, 0.3)}
    return [
        {"optimizer": name, "rate": rate, "clip": clip, "seed": seed}
        for name in rates for rate in rates[name]
        for clip in (None, 1.0, 0.3, 0.1, 0.03) for seed in range(6)
    ]  # fmt: skip


def measure(optimizer, rate, clip, seed):
    return learn(optimizer=OPTIMIZERS[optimizer], rate=rate, clip=clip, seed=seed)
