"""Exercises of *Two identical losses*."""

from __future__ import annotations

import numpy as np

from lstm import to_numpy
from lstm_student.exercise import Exercise

STEP = 4 * np.pi / 1000  # of the task's 1001 points
NOTHING = 2 * np.sin(STEP / 2) ** 2  # the loss of predicting the last value there
K = 2 * np.cos(0.3)


def three(answer):
    """Return p, q and r as numbers."""
    p, q, r = answer
    return float(p), float(q), float(r)


def error_around_one(found):
    """Say how far a forecast of three values is off on a sine that is raised by 1."""
    wave = 1 + np.sin(0.3 * np.arange(60))
    forecast = found[0] * wave[2:-1] + found[1] * wave[1:-2] + found[2] * wave[:-3]
    return f"on a sine around the level 1 this errs by up to {abs(forecast - wave[3:]).max():.2g}"


def gradient_of(function):
    """Return a gradient at a random prediction of shape (5, 3, 2)."""
    y, target = np.random.default_rng(2).normal(size=(2, 5, 3, 2))
    given = np.asarray(to_numpy(function(y, target)), float)
    if given.shape != y.shape:
        raise ValueError(f"expected a gradient of y's shape {y.shape}, got {given.shape}")
    return given


def entry_by_entry(y, target):
    return 2 * (y - target) / y.size


def noisy_wave(seed):
    """Return the task's sine, twenty times as long, with noise."""
    noise = np.random.default_rng(seed).normal(size=20001)
    return np.sin(STEP * np.arange(20001)) + 0.05 * noise


def noisy_loss(coefficients):
    """Return the loss of a linear forecast of the noisy sine."""
    wave = noisy_wave(3)
    forecast = np.convolve(wave[:-1], coefficients, mode="valid")
    return float(np.mean((forecast - wave[len(coefficients) :]) ** 2))


def fitted(n):
    """Return the coefficients of n past values by least squares, the present value first."""
    wave = noisy_wave(4)
    rows = np.lib.stride_tricks.sliding_window_view(wave[:-1], n)[:, ::-1]
    return np.linalg.lstsq(rows, wave[n:], rcond=None)[0]


def noisy_kind(answer):
    """Return what sort of forecast of the noisy sine a list of coefficients is."""
    coefficients = np.asarray(to_numpy(answer), float)
    if coefficients.ndim != 1 or not 0 < coefficients.size <= 2000:
        raise ValueError(f"expected a list of 1 to 2000 numbers, got {coefficients.shape}")
    if not np.isfinite(coefficients).all():
        raise ValueError("expected numbers, got some that are not finite")
    share = noisy_loss(coefficients) / noisy_loss([1.0])
    if share <= 0.6:
        return "reached"
    if share < 0.95:
        return "below doing nothing"
    if noisy_loss(coefficients[::-1]) / noisy_loss([1.0]) <= 0.6:
        return "oldest first"
    return "noise multiplied" if coefficients @ coefficients > 1 else "late"


EXERCISES = {
    1: Exercise(
        "that the loss of predicting the last value grows with the square of the step",
        lambda answer: float(answer) / NOTHING,
        right=4 * NOTHING,
        wrong=[
            (2 * NOTHING, "the step doubles; how does the loss depend on the step?"),
            (NOTHING, "this is the loss for 1001 points: what happens to the step d?"),
            (NOTHING / 4, "fewer points over the same two periods lie further apart, not closer"),
            (8 * NOTHING, "twice too large: a squared cosine is one half on average"),
        ],
        explain=lambda found: (
            f"{found:.2g} times the loss of 1001 points: by what factor does d change?"
        ),
        rtol=0.02,
    ),
    2: Exercise(
        "that an unknown level drops out of differences and costs one more past value",
        three,
        right=(1 + K, -(1 + K), 1),
        wrong=[
            ((K, -1, 0), "this holds around the level 0 alone: apply it to differences"),
            ((K, -(1 + K), 1), "this predicts the difference; x_t has to be added to it"),
            ((1, -(1 + K), 1 + K), "in the wrong order: p belongs to the latest value"),
            ((1 + K, 1 + K, 1), "the sum of p, q and r has to be 1: mind the signs"),
        ],
        explain=error_around_one,
    ),
    3: Exercise(
        "that a mean's gradient is divided by the number of all entries",
        gradient_of,
        right=entry_by_entry,
        wrong=[
            (
                lambda y, target: 2 * (y - target) / len(y),
                "divided by the time steps alone: over what is the mean taken?",
            ),
            (
                lambda y, target: (y - target) / y.size,
                "half of the gradient: what does the square leave when it is differentiated?",
            ),
            (
                lambda y, target: 2 * (y - target),
                "the gradient of the sum of the squares; the loss is their mean",
            ),
            (
                lambda y, target: 2 * (target - y) / y.size,
                "of the wrong sign: this points to where the loss falls",
            ),
        ],
    ),
    4: Exercise(
        "that a longer memory pays where there is noise, and an exact formula does not",
        noisy_kind,
        right=fitted(50),
        wrong=[
            (
                [2 * np.cos(STEP), -1],
                "large coefficients of both signs multiply the noise: add up their squares",
            ),
            (fitted(2), "better than doing nothing; more past values average more noise away"),
            (fitted(50)[::-1], "the oldest value comes first here; the present one has to"),
            (
                np.full(50, 1 / 50),
                "a plain mean lags behind the wave: let the coefficients follow its slope",
            ),
        ],
        explain=lambda found: "as good as doing nothing, no better: use more of the past",
    ),
}
