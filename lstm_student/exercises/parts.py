"""Exercises of *Which part of the LSTM matters*."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from lstm import to_numpy
from lstm.gates import sigmoid
from lstm_student.exercise import Exercise


def factor(answer):
    """Return dc / dz_i of 50 units by an answer."""
    z, g, c_prev = np.random.default_rng(7).normal(size=(3, 50))
    found = np.asarray(to_numpy(answer(sigmoid(z), g, c_prev)), float)
    if found.shape != (50,):
        raise ValueError(f"expected a factor for each of 50 units, got shape {found.shape}")
    return found


def differences(i, g, c_prev):
    """Return dc / dz_i by central differences of c."""
    z = np.log(i / (1 - i))

    def c(z):
        return sigmoid(z) * g + (1 - sigmoid(z)) * c_prev

    return (c(z + 1e-5) - c(z - 1e-5)) / 2e-5


def rounded(answer):
    """Return the share of studies to two digits and the level to four."""
    share, level = answer
    return round(float(share), 2), round(float(level), 4)


def stepped(z, c_prev, coupled=True, plain_in=False, plain_out=True, same=False):
    """One step without peepholes, with parts taken away; same couples as i = f."""
    i, f, o = sigmoid(z[[0, 1, 3]])
    i = (f if same else 1 - f) if coupled else i
    c = f * c_prev + i * (z[2] if plain_in else np.tanh(z[2]))
    return c, o * (c if plain_out else np.tanh(c))


def removed(step):
    """Return how many of the three parts a step lacks, or what it makes if it is none of them."""
    rng = np.random.default_rng(8)
    z, c_prev = rng.normal(size=(4, 50)), rng.normal(size=50)
    c, h = step(z.copy(), c_prev.copy())
    found = np.array([to_numpy(c), to_numpy(h)], float)
    if found.shape != (2, 50):
        raise ValueError(f"expected c and h of 50 units each, got {found.shape[1:]}")
    for change in product((False, True), repeat=3):
        if np.allclose(found, stepped(z, c_prev, *change)):
            return sum(change)
    return found


EXERCISES = {
    1: Exercise(
        "that kinds of equal size are unequal in parameters, which grow with the square of H",
        int,
        right=19,
        wrong=[
            (18, "near, but one unit more comes nearer: compute both counts"),
            (21, "4/3 of the units is too many: the recurrent weights grow with their square"),
            (16, "with equal units the held block is missing: 944 numbers that do something"),
        ],
        explain=lambda H: (
            f"{H} units have {3 * H * (H + 3) + 2 * H} numbers that do something, V has 1264"
        ),
    ),
    2: Exercise(
        "that one coupled gate acts on both terms of the cell",
        factor,
        right=differences,
        wrong=[
            (
                lambda i, g, c_prev: (c_prev - g) * i * (1 - i),
                "the sign is wrong: i takes from the old cell what it gives to g",
            ),
            (
                lambda i, g, c_prev: g * i * (1 - i),
                "the new part is right, but the old cell's share depends on z as well",
            ),
            (
                lambda i, g, c_prev: g - c_prev,
                "that is the derivative by the gate; asked for is that by its sum",
            ),
            (
                lambda i, g, c_prev: (g - c_prev) * (1 - i**2),
                "1 - i² is the slope of a tanh, and the gate is a sigmoid",
            ),
        ],
        explain=lambda found: "differs from central differences of c by the gate's sum",
    ),
    3: Exercise(
        "that many comparisons at one level find something by chance, and what level allows for it",
        rounded,
        right=(1 - 0.99**24, 1 - 0.95 ** (1 / 24)),
        wrong=[
            ((0.24, 0.0021), "a sum of chances counts studies with two finds twice"),
            ((0.99**24, 0.0021), "that is the share of studies that find nothing"),
            ((1 - 0.99**24, 0.05), "0.05 at each comparison: at least one of 24 is likelier"),
            ((0.01, 0.0021), "0.01 is the chance in one comparison, and there are 24"),
            ((1 - 0.99**24, 0.05**24), "that is the level at which all 24 would be found at once"),
        ],
        explain=lambda found: (
            f"with the level {found[1]} one study in {1 / (1 - (1 - found[1]) ** 24):.1f} finds "
            "something; is the share at 0.01 right?"
            if 0 < found[1] < 1
            else "a level is a probability, above 0 and below 1"
        ),
    ),
    4: Exercise(
        "what each removed part changes in a step, when two are removed together",
        removed,
        right=stepped,
        wrong=[
            (
                partial(stepped, plain_out=False),
                "one part is gone, and all else is as it was: take two away",
            ),
            (
                partial(stepped, plain_in=True),
                "all three parts are gone: leave one in its place",
            ),
            (
                partial(stepped, coupled=False, plain_out=False),
                "that is the LSTM with all its parts",
            ),
            (
                partial(stepped, same=True),
                "i is f here: what is kept and what is written have to add up to 1",
            ),
        ],
        explain=lambda found: "something else has changed: compare with the naive version above",
    ),
}
