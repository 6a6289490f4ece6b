"""What the data of a training tells before anything is computed with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .backend import Array, to_numpy
from .rehearsal import Run


class DataFacts(NamedTuple):
    """What the arrays alone tell."""

    finite: bool
    center: float  # largest size of a feature's mean over its standard deviation
    spread: float  # largest standard deviation of a feature
    rough_time: float  # mean square of differences over twice the variance: 1 for noise
    rough_batch: float  # the same from sequence to sequence
    match_time: float  # largest correlation of y with x of the same or an earlier step
    lag: int  # how many steps earlier; -1 if unknown
    match_batch: float  # the same from sequence to sequence
    copied: float  # share of targets that equal an input of the same step
    padded: float  # share of steps that look like padding and are not marked by lengths
    leaked: float  # how far training data is from mean 0 and deviation 1; 0 if not joint


def roughness(x: Array, axis: int) -> float:
    """Return the mean square of differences along an axis over twice the variance.

    1 for values drawn one by one, next to 0 for a curve that was sampled often.
    """
    x = x - x.mean((0, 1))
    if x.shape[axis] < 2 or not (x * x).sum() > 0:
        return 1.0
    steps = np.diff(x, axis=axis)
    return float((steps * steps).mean() / (2.0 * (x * x).mean()))


def correlation(a: Array, b: Array) -> float:
    """Return the size of two arrays' correlation, 0 where one is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return abs(float((a * b).sum())) / scale if scale > 0 else 0.0


def strongest(found: list[tuple[float, int]]) -> tuple[float, int]:
    """Return the largest correlation and its lag, -1 if half the lag gives half of it."""
    best, lag = max(found, key=lambda pair: (round(pair[0], 6), -pair[1]))
    near = max((size for size, k in found if 2 * k < lag), default=0.0)
    return best, lag if near < 0.5 * best else -1


def best_lag(x: Array, y: Array, axis: int) -> tuple[float, int]:
    """Return the largest correlation of y with x of k places before, and this k.

    Parameters
    ----------
    x, y : (T, B, I) and (T, B, O)
    axis : 0 to look back in time, 1 to look at the sequences before
    """
    x, y = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
    return strongest([
        (correlation(x[: len(x) - k, :, i], y[k:, :, o]), k)
        for k in range(max(1, len(x) - 1))
        for i in range(x.shape[2]) for o in range(y.shape[2])
    ])


def label_lag(x: Array, labels: Array) -> tuple[float, int]:
    """Return the largest correlation of a label with x, and how far it is from the end."""
    return strongest([
        (correlation(x[t, :, i], (labels == label).astype(float)), len(x) - 1 - t)
        for t in range(len(x)) for i in range(x.shape[2]) for label in np.unique(labels)[:4]
    ])


def padding(x: Array) -> float:
    """Return the share of steps that are zeros up to the end, in sequences that differ.

    0 if all sequences end alike.
    """
    used = (x != 0).any(2)
    ends = np.where(used.any(0), len(x) - used[::-1].argmax(0), 0)
    return float((len(x) - ends).mean() / len(x)) if len(set(ends)) > 1 else 0.0


def series_of(x: Array, y: Array) -> Array:
    """Return the values of a series once each, if x holds its overlapping windows."""
    overlapping = x.shape[1] > 1 and np.array_equal(x[1:, :-1], x[:-1, 1:])
    values = np.concatenate([x[0], x[1:, -1]]) if overlapping else x.reshape(-1, x.shape[2])
    follows = y.ndim == 3 and x.shape[2] == 1 and (overlapping or x.shape[1] == 1)
    return np.concatenate([values, y[-1, -1:, :1]]) if follows else values


def leak(x: Array, y: Array, seen: tuple[Array, Array]) -> float:
    """Return how far the training data is from mean 0, deviation 1, if both sets together
    have them to four digits; else 0.
    """
    own = series_of(x, y)
    later = series_of(*(to_numpy(a) for a in seen[:2]))
    both = np.concatenate([own, later]).astype(np.float64)

    def distance(a: Array) -> float:
        stds = a.std(0), a.std(0, ddof=1)
        return float(max(abs(a.mean(0)).max(), min(abs(s - 1).max() for s in stds)))

    def range_distance(a: Array) -> float:
        return float(max(abs(a.min(0)).max(), abs(a.max(0) - 1).max()))

    pairs = [(measure(own), measure(both)) for measure in (distance, range_distance)]
    return max((train for train, joint in pairs if joint < 1e-4), default=0.0)


def data_facts(run: Run) -> DataFacts:
    """Look at the arrays of a run."""
    x, y = (to_numpy(a).astype(np.float64) for a in (run.x, run.y))
    ends = None if run.lengths is None else to_numpy(run.lengths)
    if ends is not None:
        x = np.where(np.arange(len(x))[:, None, None] < ends[:, None], x, 0.0)
    finite = bool(np.isfinite(x).all() and np.isfinite(y).all())
    std = x.std((0, 1))
    center = abs(x.mean((0, 1))) / np.maximum(std, 1e-12)
    shortest = x if ends is None else x[: ends.min()]
    match_time, lag, match_batch, copied = 0.0, -1, 0.0, 0.0
    if y.ndim == 3:
        match_time, lag = best_lag(x, y, 0)
        match_batch, _ = best_lag(x, y, 1) if x.shape[1] > 2 else (0.0, 0)
        same = (x[:, :, :, None] == y[:, :, None]).mean((0, 1))  # (I, O)
        copied = float(same.max(0).mean())
    elif ends is None and y.ndim == 1:
        match_time, lag = label_lag(x, y)
    return DataFacts(
        finite, float(center.max()), float(std.max()),
        roughness(shortest, 0), roughness(shortest, 1),
        match_time, lag, match_batch, copied,
        padding(x) if ends is None else 0.0,
        leak(x, y, run.validation) if run.validation is not None else 0.0,
    )
