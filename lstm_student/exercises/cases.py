"""Exercises of *Two cases, with the wrong turns*."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import RNN, Regressor, mean_squared_error, sine_task
from lstm.recurrence import rnn_backward
from lstm_student.exercise import Exercise


class Detached(RNN):
    """A plain RNN whose state is detached after each step."""

    @staticmethod
    def run_backward(dy, dstate, cache, weight_ih, weight_hh, bias, workspace):
        cut = 0 * weight_hh
        return rnn_backward(dy, dstate, cache, weight_ih, cut, bias, workspace)


def levels(answer):
    """Return three losses as numbers."""
    nothing, copying, multiple = answer
    return float(nothing), float(copying), float(multiple)


def first_wrong(found):
    right = {"nothing": 4.0, "copying": 3.2, "the multiple": 2.56}
    name = next(n for n, level in zip(right, found) if not abs(level - right[n]) < 1e-6)
    return f"that of {name} is not right: multiply its square out, and take means"


def cosines(function):
    """Return the cosines of a right gradient with itself, of the block's with it, and back."""
    pairs = ((RNN, RNN), (Detached, RNN), (RNN, Detached))
    return tuple(float(function(a, b)) for a, b in pairs)


@cache
def gradients(kind):
    """Return the gradients of the block on the first ten steps of the sine."""
    (x, y), _ = sine_task(np.float64)
    recurrent = kind(1, 20, rng=0, dtype=np.float64, device="cpu")
    model = Regressor(recurrent, 1, rng=100)
    out, _ = model(x[:10])
    model.backward(mean_squared_error(out, y[:10])[1])
    return model.grads


def of_gradients(names, divide=np.linalg.norm):
    """Return a function of two kinds: the product of their gradients over what divides it."""

    def cosine(kind_a, kind_b):
        a, b = (
            np.concatenate([g.ravel() for k, g in gradients(kind).items() if names in k])
            for kind in (kind_a, kind_b)
        )
        return float(a @ b / (divide(a) * divide(b)))

    return cosine


@cache
def tables():
    """Return inputs (T, B, I): Tuesday's, mended, Monday's, other units, few long, few short."""
    rng, s = np.random.default_rng(5), np.zeros(700)
    for t in range(2, 700):
        s[t] = 1.5 * s[t - 1] - 0.8 * s[t - 2] + rng.normal(scale=0.33)
    windows = np.lib.stride_tricks.sliding_window_view(s[100:], 24)
    shuffled = windows[rng.permutation(len(windows))][..., None]
    long = s[100:].reshape(4, 150).T[..., None]
    mended = shuffled.swapaxes(0, 1)
    return shuffled, mended, windows[..., None], 500 + 100 * mended, long, mended[:, 12:24]


def alarms(function):
    """Return which tables a function takes for series."""
    return tuple(bool(function(x.copy())) for x in tables())


def alike(x):
    return ((x[1:] - x[:-1]) ** 2).mean() < 0.9 * 2 * x.var()


EXERCISES = {
    1: Exercise(
        "that the levels of a loss follow from the variance and from one correlation",
        levels,
        right=(4.0, 3.2, 2.56),
        wrong=[
            ((1.0, 0.8, 0.64), "those are the levels for a variance of 1; here it is 4"),
            ((2.0, 1.6, 1.28), "times the deviation: a squared error grows with its square"),
            ((4.0, 0.8, 0.64), "the last two are of a variance of 1, the first is not"),
            ((4.0, 1.6, 2.56), "a difference has two squares in it: the copy costs more"),
            ((4.0, 3.2, 1.6), "1 - rho is half of what copying costs; what does rho s cost?"),
        ],
        explain=first_wrong,
    ),
    2: Exercise(
        "that a wrong gradient may have a part of the right direction, and is a wrong one",
        cosines,
        right=of_gradients("weight_hh"),
        wrong=[
            (lambda a, b: 1.0, "two gradients in one direction would differ in length alone"),
            (
                of_gradients("weight_hh", divide=lambda g: 1.0),
                "a product of gradients; a cosine is divided by both of their lengths",
            ),
            (
                of_gradients("weight_ih"),
                "those are the weights of the input; asked are those of the hidden state",
            ),
            (of_gradients(""), "over all parameters: asked are the recurrent weights alone"),
            (
                of_gradients("weight_hh", divide=lambda g: g @ g),
                "divided by the squares of the lengths: with itself it is not 1",
            ),
        ],
        explain=lambda found: (
            f"of a gradient with itself it is {found[0]:.2f}, not 1"
            if abs(found[0] - 1) > 1e-6
            else f"for the block it is not {found[1]:.2f}: of ten steps, from the first draw?"
        ),
    ),
    3: Exercise(
        "that the data alone show which axis is time, whatever their shape and units",
        alarms,
        right=alike,
        wrong=[
            (lambda x: True, "an alarm that never sounds: what is Tuesday's first axis?"),
            (
                lambda x: len(x) < x.shape[1],
                "the shape tells nothing: a few long sequences are series, too",
            ),
            (
                lambda x: len(x) > x.shape[1],
                "more steps than sequences are no sign of a series: Tuesday's have that",
            ),
            (
                lambda x: ((x[1:] - x[:-1]) ** 2).mean() < 0.9,
                "a fixed limit: the same series in other units is judged otherwise",
            ),
            (
                lambda x: ((x[:, 1:] - x[:, :-1]) ** 2).mean() < 0.9 * 2 * x.var(),
                "neighbors were taken along the second axis, which is that of the batch",
            ),
        ],
        explain=lambda found: (
            "Tuesday's, mended, Monday's, other units, four long, twelve short: it says "
            + ", ".join(str(one) for one in found)
        ),
    ),
}
