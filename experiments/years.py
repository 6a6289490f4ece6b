"""Sunspot numbers, one year ahead: a line and recurrent networks, with seeds."""

from __future__ import annotations

import numpy as np

from lstm import (
    GRU,
    LSTM,
    RNN,
    Regressor,
    mean_squared_error,
    sunspots,
    to_device,
    to_numpy,
    windows,
)

from .series_claims import YEARS as CLAIMS  # noqa: F401
from .sides import lagged, stopped

FILE = "book/evidence/years.csv"
WINDOW = 22  # two cycles
FITTED, CHOSEN = 1850, 1920  # last years to fit to, and to choose on; the rest is the test
CELLS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
STOPS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80)
RATES = (0.003, 0.01, 0.03)
years, numbers = sunspots()
origins = np.arange(WINDOW - 1, len(years) - 1)  # a forecast is made in each of these years


def cells(rows):
    sides = [(cell, rate, seed) for cell in CELLS for rate in RATES for seed in range(10)]
    fixed = [("last value", None, None), ("line", None, None)]
    return [{"model": m, "rate": rate, "seed": seed} for m, rate, seed in [*fixed, *sides]]


def error(roots, first, end):
    """Return the RMSE, in sunspots, of forecast roots over the years first to end."""
    said = (years[origins + 1] >= first) & (years[origins + 1] <= end)
    wrong = np.maximum(roots, 0) ** 2 - numbers[origins + 1]
    return float(np.mean(wrong[said] ** 2) ** 0.5)


def line(order, end):
    """Return forecast roots of a line on the last roots, fitted to the years up to end."""
    roots = np.sqrt(numbers)
    rows, known = lagged(roots[:-1], order, WINDOW - 1), years[origins + 1] <= end
    return rows @ np.linalg.lstsq(rows[known], roots[origins + 1][known], rcond=None)[0]


def last_step(y, target):
    """Return the squared error of the last step of a window, and its gradient."""
    loss, dy_last = mean_squared_error(y[-1], target[-1])
    dy = 0 * y
    dy[-1] = dy_last
    return loss, dy


def network(cell, rate, seed, end, stops, judge):
    """Train on windows that end by a year; return forecast roots, epochs, what `judge` said."""
    rng, roots = np.random.default_rng(seed), np.sqrt(numbers)
    model = Regressor(CELLS[cell](1, 8, rng=rng, dtype=np.float64), 1, rng=rng)
    past = roots[years <= end]
    scaled = (roots - past.mean()) / past.std()
    shown = to_device(windows(scaled, WINDOW).x)

    def forecast(model):
        return to_numpy(model(shown)[0])[-1, :, 0] * past.std() + past.mean()

    data = [*map(to_device, windows(scaled[years <= end], WINDOW))]
    epochs, said = stopped(model, data, rate, stops, lambda model: judge(forecast(model)),
                           batch_size=80, loss=last_step, rng=rng)
    return forecast(model), epochs, said


def chosen_on(roots):
    """Return the error on the years between those that are fitted to and the test."""
    return error(roots, FITTED + 1, CHOSEN)


def measure(model, rate, seed):
    if model in CELLS:
        _, chosen, said = network(model, rate, seed, FITTED, STOPS, chosen_on)
        roots, _, _ = network(model, rate, seed, CHOSEN, [chosen], chosen_on)
    elif model == "line":
        said, chosen = min((chosen_on(line(p, FITTED)), p) for p in range(1, WINDOW + 1))
        roots = line(chosen, CHOSEN)
    else:
        roots, chosen = np.sqrt(numbers[origins]), 1
        said = chosen_on(roots)
    tests = {"test": error(roots, CHOSEN + 1, years[-1]), "validation": said}
    return tests | {"chosen": chosen}
