"""Waves: the loss by length and batch, for equal passes and for about equal time."""

from __future__ import annotations

from .waves import learn

FILE = "book/debugging/tuning_sizes.csv"


def cells(rows):
    # The larger counts of passes take about the time of 12 passes with a batch of 8.
    passes = {8: (12,), 16: (12, 22), 32: (12, 34), 64: (12, 48)}
    return [
        {"steps": steps, "batch": batch, "passes": count, "rate": rate, "seed": seed}
        for steps in (5, 30, 100) for batch, counts in passes.items() for count in counts
        for rate in (0.03, 0.1) for seed in range(6)
    ]  # fmt: skip


def measure(steps, batch, passes, rate, seed):
    return learn(steps=steps, batch=batch, passes=passes, rate=rate, seed=seed)
