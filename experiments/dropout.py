"""Sunspots, two layers: dropout between them, or zoneout, by the years that are to choose."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, Adam, Regressor, ZoneoutLSTM, evaluate, fit, sunspots, windows

FILE = "book/debugging/tuning_dropout.csv"


def cells(rows):
    kinds = [("none", 0.0), ("dropout", 0.2), ("dropout", 0.5), ("zoneout", 0.2), ("zoneout", 0.5)]
    return [{"kind": kind, "p": p, "seed": seed} for kind, p in kinds for seed in range(8)]


def years():
    """Return windows of the years to 1850, to fit, and of 1851 to 1920, to choose by."""
    year, numbers = sunspots()
    root = np.sqrt(numbers).astype("f4")
    root = (root - root[year <= 1850].mean()) / root[year <= 1850].std()
    return windows(root[year <= 1850], 30), windows(root[(year > 1850) & (year <= 1920)], 30)


def network(kind, p, seed):
    """Return a model of two layers of 32 units."""
    if kind == "zoneout":
        layer = ZoneoutLSTM(1, 32, num_layers=2, zoneout_h=0.05, zoneout_c=p, rng=seed)
    else:
        layer = LSTM(1, 32, num_layers=2, dropout=p, rng=seed)
    return Regressor(layer, 1, rng=seed)


def measure(kind, p, seed):
    model, (to_fit, to_choose), chosen = network(kind, p, seed), years(), []
    fit(model, *to_fit, Adam(model.params, 3e-3), epochs=80, batch_size=32,
        rng=np.random.default_rng(seed),
        callbacks=[lambda *_: chosen.append(evaluate(model, *to_choose)) or False])
    return {"fitted": evaluate(model, *to_fit), "last": chosen[-1], "lowest": min(chosen),
            "epoch": chosen.index(min(chosen)) + 1}
