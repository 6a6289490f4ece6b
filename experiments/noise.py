"""The seed's sine with noise: a line and recurrent networks above the floor."""

from __future__ import annotations

import numpy as np

from lstm import GRU, LSTM, RNN, Regressor, noisy_sine_task, sine_task, to_device
from lstm.data import Split

from .series_claims import NOISE as CLAIMS  # noqa: F401
from .sides import line_side, network_error, stopped

FILE = "book/evidence/noise.csv"
ORDERS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80)  # and as many stops for a network
STOPS = range(10, 101, 10)
FIRST = 100  # what is read before is not scored
RATES = (0.001, 0.003, 0.01)
CELLS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}


def cells(rows):
    sides = [("last value", None), ("line", None), *(("LSTM", rate) for rate in RATES)]
    others = [(cell, rate) for cell in ("GRU", "RNN") for rate in RATES]
    return [
        {"model": model, "noise": noise, "rate": rate, "seed": seed}
        for noise in (0.0, 0.1, 0.2, 0.3, 0.5)
        for model, rate in (sides + others if noise == 0.3 else sides) for seed in range(5)
    ]  # fmt: skip


def draws(noise, seed):
    """Return a noisy sine to train on, another to choose on, ten noisy cosines to test."""
    parts = [noisy_sine_task(noise, np.random.default_rng([k, seed])) for k in range(12)]
    test = Split(*(np.concatenate(a, 1) for a in zip(*(part[1] for part in parts[2:]))))
    return parts[0][0], parts[1][0], test


def floor_of(test):
    """Return the error of the wave itself on the noise that was drawn."""
    return float(np.mean((test.y - sine_task()[1].y)[FIRST:] ** 2))


def train_on_noise(cell, rate, seed, train, validation, units=20, stops=STOPS):
    """Train as the seed did, by updates every ten steps; return the model, epochs, error."""
    rng = np.random.default_rng([12, seed])
    options = {"forget_bias": 1.0} if cell == "LSTM" else {}
    model = Regressor(CELLS[cell](1, units, rng=rng, **options), 1, rng=rng)
    x, y = map(to_device, validation)
    epochs, error = stopped(model, [*map(to_device, train)], rate, stops,
                            lambda model: network_error(model, x, y, FIRST), bptt_length=10)
    return model, epochs, error


def measure(model, noise, rate, seed):
    train, validation, test = draws(noise, seed)
    if model in CELLS:
        net, chosen, error = train_on_noise(model, rate, seed, train, validation)
        tested = network_error(net, *map(to_device, test), FIRST)
    else:
        tested, error, chosen = line_side(model, train, validation, test, ORDERS, FIRST)
    floor = floor_of(test)
    return {"floor": floor, "test": tested, "validation": error, "chosen": chosen}
