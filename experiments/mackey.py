"""The Mackey-Glass series, 84 steps ahead: lines, a window's network, an LSTM."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import LSTM, RNN, Linear, Regressor, Sequential, mackey_glass, to_device
from lstm.data import Split

from .series_claims import MACKEY as CLAIMS  # noqa: F401
from .sides import lagged, line_side, network_error, stopped

FILE = "book/evidence/mackey.csv"
AHEAD, FIRST, SEEDS = 84, 100, 10
PARTS = (3000, 600, 600)  # steps to train on, to choose on, to test on
STRETCH = sum(PARTS) + 3 * AHEAD
ORDERS = (1, 2, 4, 8, 12, 16, 24, 32, 64, 100)  # and as many stops for a network
STOPS = range(20, 201, 20)
RATES = (0.003, 0.01, 0.03)
NETWORKS = {  # values of a window, None for the LSTM, and epochs for each of the LSTM's
    "LSTM": (None, 1), "window of 4": (4, 1), "window of 4, longer": (4, 4),
    "window of 17": (17, 1), "window of 17, longer": (17, 4),
}  # fmt: skip


def cells(rows):
    sides = [("last value", None), ("line", None)]
    sides += [(net, rate) for net in NETWORKS for rate in RATES]
    return [
        {"model": model, "rate": rate, "seed": seed}
        for model, rate in sides for seed in range(SEEDS)
    ]


@cache
def long_series():
    """Return one long series, of which each seed has a stretch of its own."""
    return mackey_glass(200 + SEEDS * STRETCH)


def stretch(seed):
    """Return what to train on, to choose on and to test on; no target is in a later part.

    The values are scaled by the mean and the deviation of the first part.
    """
    start, found = 200 + seed * STRETCH, []
    for steps in PARTS:
        x = long_series()[start : start + steps + AHEAD]
        found.append(Split(x[:steps, None, None], x[AHEAD:, None, None]))
        start += steps + AHEAD
    mean, deviation = found[0].x.mean(), found[0].x.std()
    return [Split((x - mean) / deviation, (y - mean) / deviation) for x, y in found]


def pieces(part, count):
    """Cut a part into pieces side by side, (steps, count, 1)."""
    return [a.reshape(count, -1, 1).swapaxes(0, 1).astype(np.float32) for a in part]


def window(part, width):
    """Return x(t), x(t - 6), x(t - 12) and so on as one step of many sequences."""
    x = lagged(part.x, width, gap=6)[:, :width]
    return Split(x[None].astype(np.float32), part.y[None, 6 * (width - 1) :, 0].astype(np.float32))


def seen(model, part, first=0):
    """Return x and y as a network reads them, and how many steps are not to be scored.

    The LSTM reads the steps before `first`, and a window reaches back over some of them.
    """
    width, _ = NETWORKS[model]
    if width is None:
        return *map(to_device, pieces(part, 1)), first
    start = max(first - 6 * (width - 1), 0)
    return *map(to_device, window(Split(part.x[start:], part.y[start:]), width)), 0


def train_ahead(model, rate, seed, train, validation, stops=STOPS):
    """Train with six updates an epoch of 500 targets each; return the model and its stop."""
    rng, (width, times) = np.random.default_rng([1, seed]), NETWORKS[model]
    if width is None:
        net = Regressor(LSTM(1, 20, forget_bias=1.0, rng=rng), 1, rng=rng)
        data, options = [*map(to_device, pieces(train, 10))], {"bptt_length": 50}
    else:  # an RNN that reads one step is a hidden layer of tanh
        net = Sequential(hidden=RNN(width, 20, rng=rng), readout=Linear(20, 1, rng=rng))
        data, options = seen(model, train)[:2], {"batch_size": 500, "rng": rng}
    asked, stops = seen(model, validation, FIRST), [times * epochs for epochs in stops]
    return net, *stopped(net, data, rate, stops, lambda net: network_error(net, *asked), **options)


def measure(model, rate, seed):
    train, validation, test = stretch(seed)
    if model in NETWORKS:
        net, chosen, error = train_ahead(model, rate, seed, train, validation)
        tested = network_error(net, *seen(model, test, FIRST))
    else:
        tested, error, chosen = line_side(model, train, validation, test, ORDERS, FIRST)
    scale = test.y[FIRST:].std(), validation.y[FIRST:].std()
    return {"test": tested**0.5 / scale[0], "validation": error**0.5 / scale[1], "chosen": chosen}
