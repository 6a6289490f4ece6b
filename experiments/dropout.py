"""Sunspots, two layers: the losses by the dropout between them, on the years to choose by."""

from __future__ import annotations

import numpy as np

from lstm import Adam, LSTMRegressor, evaluate, fit, sunspots, windows

FILE = "book/debugging/tuning_dropout.csv"


def cells(rows):
    return [
        {"hidden": hidden, "dropout": p, "seed": seed}
        for hidden in (8, 32) for p in (0.0, 0.2, 0.5) for seed in range(8)
    ]  # fmt: skip


def years():
    """Return windows of the years to 1850, to fit, and of those to 1920, to choose by."""
    year, numbers = sunspots()
    root = np.sqrt(numbers).astype("f4")
    root = (root - root[year <= 1850].mean()) / root[year <= 1850].std()
    return windows(root[year <= 1850], 30), windows(root[(year > 1820) & (year <= 1920)], 30)


def measure(hidden, dropout, seed):
    to_fit, to_choose = years()
    model = LSTMRegressor(1, hidden, 1, num_layers=2, dropout=dropout, rng=seed)
    chosen = []
    fit(model, *to_fit, Adam(model.params, 3e-3), epochs=80, batch_size=32,
        rng=np.random.default_rng(seed),
        callbacks=[lambda *_: chosen.append(evaluate(model, *to_choose)) or False])
    return {"fitted": evaluate(model, *to_fit), "last": chosen[-1], "lowest": min(chosen),
            "epoch": chosen.index(min(chosen)) + 1}
