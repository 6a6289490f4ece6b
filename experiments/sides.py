"""The two sides of a comparison on series: lines by least squares, and networks that stop in time.

Both choose on the same validation data: a line its order, a network the epoch to stop at.
"""

from __future__ import annotations

import numpy as np

from lstm import Adam, fit, to_numpy


def lagged(x, order, first=0, gap=1):
    """Return the last values up to each step and a 1, (n, order + 1).

    Parameters
    ----------
    x : (T,) a series, or (T, B, 1), whose rows come step by step
    order : how many values, the newest first
    first : leaves out the steps before it; those without so many values are out anyway
    gap : steps from each value to the one before
    """
    steps = x.reshape(len(x), -1).astype(float)
    reach = gap * (order - 1)
    if order < 1 or gap < 1 or reach >= len(x):
        raise ValueError(
            f"lagged expected order and gap of at least 1 within {len(x)} steps, "
            f"got {order} and {gap}"
        )
    start = max(first, reach)
    rows = [steps[start - gap * k : len(x) - gap * k] for k in range(order)]
    return np.stack([*rows, np.ones_like(rows[0])], -1).reshape(-1, order + 1)


def fitted(x, y, order):
    """Return the weights of a line, that of the newest value first and the constant last."""
    return np.linalg.lstsq(lagged(x, order), y[order - 1 :].ravel(), rcond=None)[0]


def line_error(line, x, y, first=0):
    """Return the mean squared error of a line from a step on."""
    order = len(line) - 1
    target = y[max(first, order - 1) :].ravel()
    return float(np.mean((lagged(x, order, first) @ line - target) ** 2))


def chosen_line(train, validation, orders, first):
    """Return the line of the order that has the least error on validation from a step on."""
    lines = [fitted(*train, order) for order in orders]
    return min(lines, key=lambda line: line_error(line, *validation, first))


def line_side(model, train, validation, test, orders, first):
    """Return errors on test and on validation, and the order, of the "line" or the "last value"."""
    last = [1.0, 0.0]
    line = chosen_line(train, validation, orders, first) if model == "line" else last
    tested, error = (line_error(line, *part, first) for part in (test, validation))
    return tested, error, len(line) - 1


def network_error(model, x, y, first=0):
    """Return the mean squared error of a network that reads x from zeros, from a step on."""
    said, _ = model(x)
    return float(np.mean((to_numpy(said) - to_numpy(y))[first:] ** 2))


def stopped(model, data, rate, stops, judge, **options):
    """Train by Adam and leave the weights of the stop that `judge` finds best.

    Parameters
    ----------
    data : x and y for `fit`, which gets the options too
    stops : epochs, smallest first, after which `judge` is asked
    judge : returns an error of the model on validation data

    Returns
    -------
    epochs, error : of the best stop, the earlier of two that are equal
    """
    optimizer, history, found = Adam(model.params, rate), None, []
    for epochs in stops:
        history = fit(model, *data, optimizer, epochs=epochs, history=history, clip_norm=1.0,
                      **options)
        kept = {name: p.copy() for name, p in model.params.items()}
        found.append((judge(model), epochs, kept))
    error, epochs, weights = min(found, key=lambda stop: stop[:2])
    for name, p in model.params.items():
        p[...] = weights[name]
    return epochs, error
