"""Waves: the loss by hidden size and rate."""

from __future__ import annotations

from .waves import learn

FILE = "book/debugging/tuning_hidden.csv"


def cells(rows):
    return [
        {"hidden": hidden, "rate": rate, "seed": seed}
        for hidden in (2, 4, 8, 16, 32, 64) for rate in (0.01, 0.03, 0.1) for seed in range(6)
    ]  # fmt: skip


def measure(hidden, rate, seed):
    return learn(hidden=hidden, rate=rate, seed=seed)
