"""Exercises of *What truncation, clipping and the first weights cost*."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from lstm import LSTM, Classifier, to_device, to_numpy
from lstm.initializers import orthogonal
from lstm_student.exercise import Exercise


def thousandths(share):
    """Return a share to three digits."""
    return round(float(share), 3)


def pairs(stream):
    """Return the lags of a stream from 6 to 12, and whether labels and marks are right."""
    x, y = (np.asarray(to_numpy(a)) for a in stream(400, 8, 6, 12, np.random.default_rng(0)))
    if x.shape != (400, 8, 3) or y.shape != (400, 8):
        raise ValueError(f"expected x (400, 8, 3) and y (400, 8), got {x.shape} and {y.shape}")
    lags, labels = set(), []
    for b in range(8):
        for asked in np.flatnonzero(y[:, b] >= 0):
            signs = np.flatnonzero(x[: asked + 1, b, 0])
            if not len(signs):
                raise ValueError(f"expected a sign before each question, got none at step {asked}")
            lags.add(int(asked - signs[-1]))
            labels.append(x[signs[-1], b, 0] == 2 * y[asked, b] - 1)
    return {
        "lags": sorted(lags),
        "labels are the last sign": all(labels),
        "marks are where labels are": bool(((x[:, :, 2] == 1) == (y >= 0)).all()),
    }


def between(steps, count, low, high, rng, last=1, turned=False, marked=1):
    """Return a stream with lags from low to high - 1 + last."""
    x, y = np.zeros((steps, count, 3), np.float32), np.full((steps, count), -1)
    x[:, :, 1] = rng.normal(0.0, 0.3, (steps, count))
    for b in range(count):
        shown = rng.integers(10)
        while (asked := shown + rng.integers(low, high + last)) < steps:
            y[asked, b] = sign = rng.integers(2)
            x[shown, b, 0] = 1 - 2 * sign if turned else 2 * sign - 1
            x[asked, b, 2] = marked
            shown = asked + 1 + rng.integers(10)
    return x, y


@cache
def middle():
    """Return the median spectral radius of weights (16, 16) uniform between -1 and 1."""
    U = np.random.default_rng(5).uniform(-1, 1, (200, 16, 16))
    return float(np.median(abs(np.linalg.eigvals(U)).max(-1)))


def near_one(bound):
    """Return 1 for a bound whose median radius is near 1, else that radius."""
    radius = float(bound) * middle()
    return 1.0 if abs(radius - 1) < 0.07 else radius


def kept(start):
    """Return whether a start leaves U as it was, and what its gates do over 120 steps."""
    model = start(np.random.default_rng(2))
    U = to_numpy(model.params["recurrent.weight_hh_l0"]).astype(float)
    if U.shape != (64, 16):
        raise ValueError(f"expected recurrent weights (64, 16), got {U.shape}")
    lengths = np.linalg.svd(U.reshape(4, 16, 16), compute_uv=False)
    gaussian = abs(U.std() - 0.25) < 0.03 and (lengths[:, 0] > 2 * lengths[:, -1]).all()
    x = np.zeros((121, 8, 2), np.float32)
    x[0, :, 0], x[1:, :, 1] = 1, np.random.default_rng(3).normal(0.0, 0.3, (120, 8))
    model.recurrent(to_device(x))
    trace = model.recurrent.trace()
    i, f = to_numpy(trace.i), to_numpy(trace.f).astype(float)
    return {
        "U is Gaussian": bool(gaussian),
        "a tenth is kept for 120 steps": bool(np.median(f[1:].prod(0)) > 0.1),
        "input gates are open": bool(i.mean() > 0.9),
    }


def started(rng, forget_bias=1.0, block=None, turns=False):
    """Return the page's classifier with this bias; 5 in a block of the biases; orthogonal U."""
    layer = LSTM(2, 16, forget_bias=forget_bias, rng=rng)
    if block is not None:
        layer.params["bias_l0"][16 * block : 16 * block + 16] = 5.0
    if turns:
        blocks = [orthogonal((16, 16), rng) for _ in range(4)]
        layer.params["weight_hh_l0"][...] = to_device(np.concatenate(blocks))
    return Classifier(layer, 2, rng=rng)


EXERCISES = {
    1: Exercise(
        "that the share of pairs in a window is a mean over lags, most of which have none",
        thousandths,
        right=4.5 / 32,
        wrong=[
            (9 / 32, "that is the share of lags below ten: not all their pairs are in one window"),
            (0.5, "that is the mean over the lags below ten; the others count as well"),
            (10 / 32, "that is the window over the longest lag: a pair needs both ends in it"),
            (5.5 / 32, "one step off: a lag of l has 10 - l places in a window, not 11 - l"),
            (0.0, "that is the share for the lag 32 alone"),
        ],
        explain=lambda share: "add up the shares of the single lags, and divide by their number",
    ),
    2: Exercise(
        "what makes a stream of pairs: both ends of the lags, a label, and a mark at its step",
        pairs,
        right=between,
        wrong=[
            (
                lambda steps, count, low, high, rng: between(steps, count, 1, high, rng),
                "the lags begin at 1: the short ones are still among them",
            ),
            (
                partial(between, last=0),
                "the longest lag is missing: which end does the generator leave out?",
            ),
            (
                partial(between, turned=True),
                "each label names the other sign: 1 is the class of the sign 1",
            ),
            (
                partial(between, marked=0),
                "nothing marks the step of a question: a network could not know it",
            ),
            (
                lambda steps, count, low, high, rng: between(steps, count, high, high, rng),
                "all lags are the longest one: draw one anew for every pair",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
    3: Exercise(
        "that a uniform's bound follows from the variance that a radius of 1 asks for",
        near_one,
        right=(3 / 16) ** 0.5,
        wrong=[
            (
                16**-0.5,
                "that is PyTorch's bound: the deviation of a uniform is less than its bound",
            ),
            (3 / 16, "that is the square of a bound: the variance has the square of a length"),
            (3**0.5, "that fits a single unit: a sum over more units asks for less"),
            ((12 / 16) ** 0.5, "12 belongs to the whole width, which is twice the bound"),
        ],
        explain=lambda radius: f"the radius is {radius:.2f} in the middle",
    ),
    4: Exercise(
        "that the forget gate's bias keeps the cell, whatever goes through the weights U",
        kept,
        right=partial(started, forget_bias=5.0),
        wrong=[
            (started, "the package's own start: after 120 steps nothing is left of the cell"),
            (
                partial(started, turns=True),
                "that changes U; leave it, and change what keeps the cell",
            ),
            (
                partial(started, block=0),
                "this opens the input gates: they let in, they do not keep",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
