"""Waves: the loss by schedule, epochs of warm-up, and rate."""

from __future__ import annotations

from .waves import SCHEDULES, learn

FILE = "book/debugging/tuning_schedules.csv"


def cells(rows):
    return [
        {"schedule": name, "warmup": warmup, "rate": rate, "seed": seed}
        for name in SCHEDULES for warmup in (0, 2) for rate in (0.01, 0.03, 0.1, 0.3)
        for seed in range(8)
    ]  # fmt: skip


def measure(schedule, warmup, rate, seed):
    return learn(schedule=schedule, warmup=warmup, rate=rate, seed=seed)
