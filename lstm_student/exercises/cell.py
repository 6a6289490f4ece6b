"""Exercises of *A cell that remembers*."""

from __future__ import annotations

import warnings

import numpy as np

from lstm.gates import sigmoid
from lstm_student.exercise import Exercise


def pair(answer):
    """Return a value and a slope as numbers."""
    value, slope = answer
    return float(value), float(slope)


def held(gates):
    """Return what a cell holds at each step of five sequences, (5, 50)."""
    rng, cells = np.random.default_rng(1), []
    for _ in range(5):
        x, mark = rng.normal(size=50), rng.integers(0, 2, size=50)
        i, f, g = (np.broadcast_to(gate, 50) for gate in gates(x, mark))
        c = [0.0]
        for t in range(50):
            c.append(f[t] * c[-1] + i[t] * g[t])
        cells.append(c[1:])
    return np.array(cells)


def tail(function):
    """Return whether a float32 sigmoid warns, keeps the dtype, and is right in its tail."""
    x = np.linspace(-80, 80, 1601).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = function(x)
        function(np.array([-1e4, 1e4], np.float32))
    error = abs(value / exact - 1)
    return {
        "warns": bool(caught),
        "dtype": str(value.dtype),
        "right above -10": bool(error[x > -10].max() < 1e-3),
        "right in the tail": bool(error.max() < 1e-5),
    }


def naive(x):
    return 1 / (1 + np.exp(-x))


def two_sided(x):
    e = np.exp(-abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


EXERCISES = {
    1: Exercise(
        "that a value and a slope of the sigmoid are found without a calculator",
        pair,
        right=(0.1, 0.09),
        wrong=[
            ((0.9, 0.09), "that is the value at +ln 9: mind the two signs in exp(-x)"),
            ((0.1, 0.99), "the value is right; 1 - t² is the slope of the tanh"),
            ((0.1, -0.09), "the value is right; the sigmoid rises, so its slope is not negative"),
            ((1 / 9, 8 / 81), "exp(-x) is right; the sigmoid divides by one more than that"),
        ],
        explain=lambda found: (
            "the value is right, the slope is not: it follows from the value"
            if abs(found[0] - 0.1) < 1e-6
            else "the value is not right: what is exp(-x) at x = -ln 9?"
        ),
    ),
    2: Exercise(
        "that a half-life leads to a gate, and the gate to a bias",
        float,
        right=-np.log(2 ** (1 / 100) - 1),
        wrong=[
            (2 ** (-1 / 100), "that is the gate; asked for is the bias that the sigmoid takes"),
            (
                np.log(2 ** (1 / 100) - 1),
                "of the wrong sign: this gate lets nearly nothing through",
            ),
            (np.log(99), "a gate of 0.99 comes close, but its half-life is not 100 steps"),
        ],
        explain=lambda bias: f"after 100 steps {naive(bias) ** 100:.3g} is left, not one half",
    ),
    3: Exercise(
        (
            "that a forget gate closes where an input gate opens, for a cell that replaces "
            "what it holds"
        ),
        held,
        right=lambda x, mark: (mark, 1 - mark, x),
        wrong=[
            (
                lambda x, mark: (mark, np.ones(50), x),
                "marked numbers are added up: what was held before is never erased",
            ),
            (
                lambda x, mark: (mark, np.zeros(50), x),
                "a marked number is gone one step later: what must the forget gate do then?",
            ),
            (
                lambda x, mark: (1 - mark, mark, x),
                "this holds the last number whose mark was 0: which mark is to write?",
            ),
            (
                lambda x, mark: (np.ones(50), 1 - mark, x),
                "unmarked numbers get in too: the input gate has to keep them out",
            ),
        ],
        explain=lambda found: "not the last marked number: follow one mark through by hand",
    ),
    4: Exercise(
        (
            "that an error can be small absolutely and large relatively, and what a choice of"
            " form does to it"
        ),
        tail,
        right=two_sided,
        wrong=[
            (naive, "exp(-x) overflows far to the left: can its exponent be kept below 0?"),
            (sigmoid, "near 1 the tanh form is exact; in the left tail it rounds the rest away"),
            (
                lambda x: np.exp(-np.logaddexp(0, -x.astype(np.float64))),
                "exact, but in float64: the dtype of the input is to be kept",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
