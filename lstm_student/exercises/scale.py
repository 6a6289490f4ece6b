"""Exercises of *The size of the weights*."""

from __future__ import annotations

import numpy as np

from lstm import to_numpy
from lstm.initializers import chrono_bias, lecun_normal, lstm_bias
from lstm_student.exercise import Exercise

UNITS = 40


def logistic(x):
    return 1 / (1 + np.exp(-x))


def logit(f):
    return np.log(f / (1 - f))


def uniform(answer):
    """Return the mean square of sums of 5, 50 and 500 terms, and the share as a number."""
    limit, share = answer
    return [float(limit(n)) ** 2 / 3 * n for n in (5, 50, 500)], float(share)


def logarithms(answer):
    """Return the logarithms of two positive numbers."""
    numbers = [float(number) for number in answer]
    if len(numbers) != 2 or not min(numbers) > 0:
        raise ValueError(f"expected two numbers above 0, got {answer}")
    return [float(np.log(number)) for number in numbers]


def kept_per_hour(rescale):
    """Return what is kept per hour over what was, for four biases and two rates."""
    kept = [
        float(logistic(float(rescale(b, k)))) ** k / logistic(b)
        for b in (0.0, 1.0, 2.0, 4.0)
        for k in (2, 4)
    ]
    return np.array(kept)


def steps_of(answer):
    """Return a step, or None, for each of W, U and b."""
    if not isinstance(answer, dict) or set(answer) != {"W", "U", "b"}:
        raise ValueError(f"expected a dict with the keys W, U and b, got {answer!r}")
    return {name: None if step is None else int(step) for name, step in answer.items()}


def run(W, U, b, x, c):
    """Return the cell and its Jacobian with respect to the first cell after some steps."""
    H = len(c)
    h, Jh, Jc = np.zeros(H), np.zeros((H, H)), np.eye(H)
    for x_t in x:
        z, Jz = (W @ x_t + U @ h + b).reshape(4, H, 1), (U @ Jh).reshape(4, H, H)
        i, f, o = (logistic(z[k]) for k in (0, 1, 3))
        g, old = np.tanh(z[2]), c[:, None]
        Jc = f * Jc + old * f * (1 - f) * Jz[1] + g * i * (1 - i) * Jz[0] + i * (1 - g * g) * Jz[2]
        c = (f * old + i * g)[:, 0]
        t = np.tanh(c)[:, None]
        Jh, h = t * o * (1 - o) * Jz[3] + o * (1 - t * t) * Jc, (o * t)[:, 0]
    return c, Jc


def fate(answer):
    """Say what becomes of the gradient and of the cells in 100 steps, from three draws."""
    draw_weights, draw_bias = answer
    runs = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        W = lecun_normal((4 * UNITS, 10), rng)
        U = np.asarray(to_numpy(draw_weights((4 * UNITS, UNITS), rng)), float)
        b = np.asarray(to_numpy(draw_bias(rng)), float)
        if U.shape != (4 * UNITS, UNITS) or b.shape != (4 * UNITS,):
            raise ValueError(
                f"expected weights {(4 * UNITS, UNITS)} and a bias {(4 * UNITS,)}, "
                f"got {U.shape} and {b.shape}"
            )
        x, first = rng.normal(size=(100, 10)), 0.5 * rng.normal(size=UNITS)
        c, J = run(W, U, b, x, first)
        runs.append((np.sqrt(np.mean(c * c)), np.sqrt((J * J).sum() / UNITS)))
    size, gradient = np.median(runs, axis=0)
    grown = "cells grown" if size >= 2 else "cells small"
    return ("stays" if 0.5 < gradient < 2 else "vanishes" if gradient <= 0.5 else "grows"), grown


EXERCISES = {
    1: Exercise(
        "the variance of an even distribution, and that PyTorch's own start is smaller",
        uniform,
        right=(lambda n: np.sqrt(3 / n), 1 / 3),
        wrong=[
            (
                (lambda n: np.sqrt(1 / n), 1),
                "a is the largest weight; its variance is smaller than a squared",
            ),
            (
                (lambda n: np.sqrt(12 / n), 1 / 12),
                "a²/12 is the variance on a range of width a; how wide is this one?",
            ),
            (
                (lambda n: np.sqrt(3 / n), 1 / np.sqrt(3)),
                "a(n) is right; this share is that of the sizes, not of the mean squares",
            ),
            ((lambda n: 3 / n, 1 / 3), "the share is right; 3/n is the square of the limit"),
        ],
        explain=lambda found: (
            f"a sum of 5 such terms has {found[0][0]:.2g} times the mean square of one term"
            if not np.allclose(found[0], 1)
            else "a(n) is right, the share is not: what is the variance for a = 1/sqrt(H)?"
        ),
    ),
    2: Exercise(
        "that a sum's size depends on the terms that are not zero",
        logarithms,
        right=(1, 1000**-0.5),
        wrong=[
            (
                (1000**-0.5, 1),
                "this is the rule for 1000 terms of size 1: how many of these are not 0?",
            ),
            ((1, 1 / 1000), "s is right; 1/1000 is the mean square, and its root the size"),
            (
                (1000**0.5, 1000**-0.5),
                "the mean square of x is 1/1000, but the sum over 1000 columns is not",
            ),
        ],
        explain=lambda found: (
            "s is right, the size is not: put 1/sqrt(1000) for s"
            if abs(found[0]) < 0.1
            else f"with this s the pre-activations have the size {np.exp(found[0]):.2g}"
        ),
        rtol=0.1,
    ),
    3: Exercise(
        "that a gate is taken to a power when steps are made shorter",
        kept_per_hour,
        right=lambda b, k: logit(logistic(b) ** (1 / k)),
        wrong=[
            (
                lambda b, k: b + np.log(k),
                "right in the limit of a large bias; "
                "how much does it keep per hour at a bias of 0?",
            ),
            (lambda b, k: k * b, "a bias of 0 stays 0 this way: what is left after k halvings?"),
            (
                lambda b, k: logistic(b) ** (1 / k),
                "that is the new gate; asked for is the bias that the sigmoid takes",
            ),
            (
                lambda b, k: logit(logistic(b) / k),
                "k steps multiply their gates, so the gate is not divided by k",
            ),
            (
                lambda b, k: logit(logistic(b) ** k),
                "this forgets faster: more steps an hour have to forget less each",
            ),
        ],
        explain=lambda found: f"per hour {found[1]:.2g} times as much is kept for b = 0, k = 4",
    ),
    4: Exercise(
        "through which weights, and when, units that start alike are parted",
        steps_of,
        right={"W": 1, "U": 2, "b": 1},
        wrong=[
            ({"W": 1, "U": 1, "b": 1}, "what does U multiply at the first step?"),
            (
                {"W": 1, "U": None, "b": 1},
                "equal hidden states times different rows: are the sums equal?",
            ),
            ({"W": 1, "U": 2, "b": None}, "units with biases of their own add different numbers"),
            ({"W": 2, "U": 2, "b": 2}, "two of the three act before there is a hidden state"),
        ],
    ),
    5: Exercise(
        "that gates which forget slowly must write slowly, for a gradient that stays",
        fate,
        right=(lecun_normal, lambda rng: chrono_bias(UNITS, 1000, rng)),
        wrong=[
            (
                (lecun_normal, lambda rng: lstm_bias(UNITS, 1.0)),
                "the gradient vanishes: by how much do the forget gates shrink it in 100 steps?",
            ),
            (
                (lecun_normal, lambda rng: lstm_bias(UNITS, 8.0)),
                "nothing is forgotten and much is written: both gradient and cells grow",
            ),
            (
                (lambda shape, rng: np.zeros(shape), lambda rng: lstm_bias(UNITS, 8.0)),
                "the gradient stays, but the cells add up their input: which gate lets it in?",
            ),
        ],
        explain=lambda found: f"the gradient {found[0]}, {found[1]}",
    ),
}
