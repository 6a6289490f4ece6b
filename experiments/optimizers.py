"""The sine task by eleven recipes of optimizer, schedule and clipping, each with a search.

Nine rates by three seeds each; the rate with the lowest middle loss gets five seeds more.
"""

from __future__ import annotations

import math

import numpy as np

from lstm import (
    SGD,
    Adam,
    AdamW,
    LSTMRegressor,
    Momentum,
    Plateau,
    RMSprop,
    cosine,
    fit,
    sine_task,
    warmup_exponential,
)

FILE = "book/bptt/optimizers_grid.csv"

train, _ = sine_task()


def nesterov(params, rate):
    return Momentum(params, rate, nesterov=True)


OPTIMIZERS = {"SGD": SGD, "Momentum": Momentum, "Nesterov": nesterov,
              "RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}
SCHEDULES = {"constant": lambda rate: warmup_exponential(rate, 1.0),
             "decay": lambda rate: warmup_exponential(rate, 0.95),
             "cosine": lambda rate: cosine(rate, 100)}


NAMES = ("optimizer", "schedule", "clip", "rate", "seed")
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1e0)


def cells(rows):
    recipes = [(name, "cosine", None) for name in OPTIMIZERS]
    recipes += [("Adam", name, None) for name in ("constant", "decay", "plateau")]
    recipes += [("SGD", "cosine", 0.1), ("Momentum", "cosine", 0.1)]
    return [
        dict(zip(NAMES, (*recipe, rate, seed)))
        for recipe in recipes for chosen in [best_rate(rows, *recipe)] for rate in RATES
        for seed in range(8 if rate == chosen else 3)
    ]  # fmt: skip


def best_rate(rows, optimizer, schedule, clip):
    """Return the rate with the lowest middle loss of three seeds, None before all are there."""
    recipe, losses = [optimizer, schedule, str(clip or "")], {rate: [] for rate in RATES}
    for row in rows:
        if [row[name] for name in NAMES[:3]] == recipe and int(row["seed"]) < 3:
            losses[float(row["rate"])].append(float(row["last_loss"]))
    complete = all(len(found) == 3 for found in losses.values())
    return min(RATES, key=lambda rate: sorted(losses[rate])[1]) if complete else None


def learn(optimizer, schedule, clip, rate, seed, epochs=100):
    model = LSTMRegressor(1, 20, 1, forget_bias=1.0, rng=seed)
    fixed = SCHEDULES[schedule](rate) if schedule in SCHEDULES else None
    watching = [Plateau(factor=0.3, patience=5)] if schedule == "plateau" else []
    return fit(model, *train, OPTIMIZERS[optimizer](model.params, rate), epochs=epochs,
               bptt_length=10, clip_norm=clip, schedule=fixed, callbacks=watching).loss


def measure(optimizer, schedule, clip, rate, seed):
    with np.errstate(all="ignore"):
        try:
            return {"last_loss": learn(optimizer, schedule, clip, rate, seed)[-1]}
        except FloatingPointError:
            return {"last_loss": math.inf}
