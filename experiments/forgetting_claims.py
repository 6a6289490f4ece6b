"""What the tables on the forget gate say of published claims.

The grids are imported when a claim is judged, so that a word in a claim is no new source of a
table.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from .claims import Claim, Finding, below, spread
from .search import results

LONG = (50, 100, 200)


def numbers(name, rows, result, **side):
    """Return a result of one side at its chosen rate, one number a seed."""
    grid = import_module(f"experiments.{name}")
    return np.array(results(rows, result, side, grid.RATES, grid.score, grid.FEW))


def updates(rows, bias, lag):
    return numbers("forget_bias", rows, "updates", bias=bias, lag=lag)


def near_one(rows):
    grid = import_module("experiments.forget_bias")
    found = {lag: updates(rows, "1", lag) for lag in grid.LAGS}
    told = "; ".join(f"lag {lag}: {spread(u)}" for lag, u in found.items())
    return Finding(f"updates until 98% are right, at most {grid.UPDATES}: {told}",
                   tuple(bool(np.median(u) < grid.UPDATES) for u in found.values()))


def one_or_zero(rows):
    lags = import_module("experiments.forget_bias").LAGS
    pairs = {lag: (updates(rows, "1", lag), updates(rows, "0", lag)) for lag in lags}
    told = "; ".join(f"lag {lag}: {spread(a)}, with 0 {spread(b)}"
                     for lag, (a, b) in pairs.items())
    return Finding(f"updates with bias 1 {told}", tuple(below(a, b) for a, b in pairs.values()))


def chrono(rows):
    sides = {lag: [updates(rows, bias, lag) for bias in ("chrono", "1", "5")] for lag in LONG}
    told = "; ".join(f"lag {lag}: {', '.join(spread(u) for u in found)}"
                     for lag, found in sides.items())
    parts = [below(first, other) for first, *others in sides.values() for other in others]
    return Finding(f"updates with chrono, 1 and 5, {told}", tuple(parts))


def breaks_down(rows):
    none, gate = ({name: numbers("continual", rows, name, kind=kind)
                   for name in ("cell_100", "cell_2000", "late")} for kind in ("none", "forget gate"))
    recall = int((none["late"] > 0.9).sum())
    return Finding(
        f"largest |c| after 100 symbols {spread(none['cell_100'])}, after 2000 "
        f"{spread(none['cell_2000'], 3)}, with the gate {spread(gate['cell_2000'])}; recalled "
        f"{spread(none['late'])}, with the gate {spread(gate['late'])}; "
        f"more than 9 of 10 without it in {recall} of {len(none['late'])} runs",
        (recall == 0, below(none["cell_100"], none["cell_2000"]), below(gate["cell_2000"], none["cell_2000"]),
         below(none["late"], gate["late"])),
    )


def solves(rows):
    late, free = (numbers("continual", rows, name, kind="forget gate")
                  for name in ("late", "faultless"))
    return Finding(f"recalled {spread(late)}; streams without a fault {spread(free)}",
                   (bool(np.median(late) > 0.99), bool(np.median(free) > 0.99)))


def resets(rows):
    strings, stream = (numbers("continual", rows, name, kind="none, resets")
                       for name in ("strings", "late"))
    return Finding(f"recalled in strings from zero {spread(strings)}, in a stream {spread(stream)}",
                   (bool(np.median(strings) > 0.99), below(stream, strings)))


def beyond(rows):
    cells = ("forget gate", "peepholes", "none")
    found = {cell: numbers("counting", rows, "reach", cell=cell) for cell in cells}
    told = "; ".join(f"{cell}: {spread(n)}, at best {n.max():.0f}" for cell, n in found.items())
    return Finding(f"right up to n, {told}", tuple(bool(np.median(n) >= 100) for n in found.values()))


def whole(rows, cell):
    """Return the reach of all runs that the search made for a cell, each rate with as many."""
    few = import_module("experiments.counting").FEW
    return np.array([float(row["reach"]) for row in rows
                     if row["cell"] == cell and int(row["seed"]) < few])


def peepholes(rows):
    cells = ("forget gate", "peepholes")
    plain, seen = (numbers("counting", rows, "reach", cell=cell) for cell in cells)
    every, all_seen = (whole(rows, cell) for cell in cells)
    return Finding(
        f"right up to n {spread(seen)}, without {spread(plain)}; over all rates "
        f"{spread(all_seen)}, without {spread(every)}", (below(plain, seen), below(every, all_seen)),
    )


PAGE = "evidence/forgetting"
BIAS = [
    Claim("A forget bias near one is a good start, at lags of 10 to 200", "seed",
          f"{PAGE}#evidence-forget-bias", near_one),
    Claim("A forget bias of 1 learns faster than one of 0, at lags of 10 to 200",
          "jozefowicz2015", f"{PAGE}#evidence-forget-bias", one_or_zero,
          "A bias of 1 closes the gap between LSTM and GRU, on tasks without a set lag. Here both "
          "biases fail where the lag is long."),
    Claim("At long lags, biases drawn for the lag (chrono) learn faster than 1, and than 5",
          "tallec2018", f"{PAGE}#evidence-forget-bias", chrono,
          "Chrono biases greatly improve the learning of long lags, on copy and adding tasks."),
]  # fmt: skip
STREAM = [
    Claim("In a stream without resets the cell of an LSTM without a forget gate grows, and it fails",
          "gers2000", f"{PAGE}#evidence-forget-stream", breaks_down,
          "The standard LSTM fails on the continual task, as its state may grow without end. Ours "
          "are trained on streams with their state carried on; some learn to take back what one "
          "cell has written."),
    Claim("An LSTM with a forget gate solves the continual embedded Reber grammar", "gers2000",
          f"{PAGE}#evidence-forget-stream", solves,
          "It solves the task, though not in every run. Ours learns with Adam and whole gradients "
          "in windows of 40 symbols."),
    Claim("An LSTM without a forget gate solves the task where its state is reset, and there alone",
          "gers2000", f"{PAGE}#evidence-forget-stream", resets),
]  # fmt: skip
COUNTING = [
    Claim("Trained on a^n b^n with n up to 10, an LSTM is right up to n of 100 or more",
          "gers2001", f"{PAGE}#evidence-forget-count", beyond,
          "With peepholes and a forget gate up to 118 on average and 1000 at best, as known to us; "
          "trained string by string."),
    Claim("With peepholes an LSTM counts further", "gers2000recurrent",
          f"{PAGE}#evidence-forget-count", peepholes),
]  # fmt: skip
