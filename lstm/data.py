"""Data of the book: the sine task, the sunspot series, windows over a series, batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .backend import Array
from .checks import check_shape, check_size


class Split(NamedTuple):
    """Inputs and targets, each (T, B, features)."""

    x: Array
    y: Array


def sine_task(dtype: type = np.float32) -> tuple[Split, Split]:
    """Return the sine task: from each point of a sine, predict the next.

    Two periods, 0 to 4 pi, at 1001 evenly spaced points: x holds points 0 to 999 and y
    points 1 to 1000, each (1000, 1, 1). The test set is the cosine at the same points.

    Returns
    -------
    train, test : `Split`
    """
    angle = np.linspace(0.0, 4.0 * np.pi, 1001).reshape(-1, 1, 1)
    sine: Array = np.sin(angle).astype(dtype)
    cosine: Array = np.cos(angle).astype(dtype)
    return Split(sine[:-1], sine[1:]), Split(cosine[:-1], cosine[1:])


def sunspots() -> tuple[Array, Array]:
    """Return the yearly mean sunspot numbers, 1700 to 2008: years (309,), numbers (309,).

    The series was taken from statsmodels, whose source is the U.S. National Geophysical
    Data Center (now NOAA NCEI); it is in the public domain.
    """
    from importlib import resources  # here: it would double the time of `import lstm`

    with (resources.files(__package__) / "sunspots.csv").open() as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    return table[:, 0].astype(int), table[:, 1]


def windows(series: Array, length: int, horizon: int = 1) -> Split:
    """Cut a series into all its windows, with the values that follow each step as targets.

    Parameters
    ----------
    series : (n,) one value a step, n at least length + horizon
    length : T, steps in a window
    horizon : how many values ahead are the targets of each step

    Returns
    -------
    x : (length, windows, 1), x[t, k, 0] = series[k + t]
    y : (length, windows, horizon), y[t, k, j] = series[k + t + 1 + j]
    """
    check_shape("windows", "series", series, {"time": None})
    check_size("windows", "length", length)
    check_size("windows", "horizon", horizon)
    count = len(series) - length - horizon + 1
    if count < 1:
        raise ValueError(
            f"windows expected a series of at least length + horizon = {length + horizon} "
            f"values, got {len(series)}"
        )
    step, window = np.arange(length)[:, None, None], np.arange(count)[:, None]
    return Split(series[step + window], series[step + window + 1 + np.arange(horizon)])


def batches(
    count: int, size: int, rng: np.random.Generator | None = None
) -> Iterator[Array]:
    """Yield the indices 0 to count - 1 in groups of a size (the last may be smaller).

    Parameters
    ----------
    rng : shuffles the indices first; None keeps their order
    """
    check_size("batches", "size", size)
    order = np.arange(count) if rng is None else rng.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]
