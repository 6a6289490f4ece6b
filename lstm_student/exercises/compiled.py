"""Exercises of *Compiled for this processor*."""

from __future__ import annotations

import math

import numpy as np

from lstm_student.exercise import Exercise

HALF_LN2 = math.log(2) / 2


def fewest(bits, r=HALF_LN2, more=1):
    """Return the smallest N whose remainder, with (N + more)! below, is under 2**-bits."""
    N = 1
    while r**N / math.factorial(N + more) * math.exp(r) >= 2.0**-bits:
        N += 1
    return N


def best(registers, needed=lambda R, V: R * V + V + 1, worth=lambda R, V: R * V / (R + V)):
    """Return the pair with the largest worth among those that fit."""
    shapes = [(R, V) for R in range(1, registers) for V in range(1, registers)]
    fit = [shape for shape in shapes if needed(*shape) <= registers]
    return max(fit, key=lambda shape: worth(*shape))


def tiles(answer):
    """Return the tiles for 16 and for 32 registers."""
    found = []
    for registers in (16, 32):
        R, V = answer(registers)
        found.append((int(R), int(V)))
    return found


def judged(found):
    """Say of tiles that are not known whether they fit."""
    for (R, V), registers in zip(found, (16, 32)):
        if (needed := R * V + V + 1) > registers:
            return f"{(R, V)} needs {needed} registers, there are {registers}"
    return "both fit, but another tile makes more multiplications a load"


def called_twice(back):
    """Return dz and total after two calls; the total is not zero before."""
    d, h = np.random.default_rng(3).uniform(-1, 1, (2, 40)).astype(np.float32)
    dz, total = np.zeros_like(d), np.ones_like(d)
    for _ in range(2):
        back(d, h, dz, total)
    return dz, total


def step(slope):
    """Return a plain RNN's step back with a slope of its own."""

    def back(d, h, dz, total):
        dz[:] = d * slope(h)
        total += dz

    return back


def forgets(d, h, dz, total):
    dz[:] = total[:] = d * (1 - h * h)


def piles_up(d, h, dz, total):
    dz += d * (1 - h * h)
    total += dz


EXERCISES = {
    1: Exercise(
        "that a series is cut where its remainder falls below half a unit",
        lambda terms: [int(terms(bits)) for bits in (11, 24, 53)],
        right=fewest,
        wrong=[
            (
                lambda bits: bits // 4,
                "the factorial makes each term worth more digits than the last",
            ),
            (
                lambda bits: fewest(bits, more=0),
                "the first term that is left out has (N + 1)! below it",
            ),
            (
                lambda bits: fewest(bits, r=2 * HALF_LN2),
                "r is what is left to the nearest multiple: it is at most half of ln 2",
            ),
            (lambda bits: fewest(bits) - 1, "the last N that is not enough, not the first that is"),
        ],
        explain=lambda found: f"for 11, 24 and 53 bits it gives {found}: try the remainder at each",
    ),
    2: Exercise(
        "that a tile is bounded by its registers and judged by its loads",
        tiles,
        right=best,
        wrong=[
            (
                lambda registers: best(registers, needed=lambda R, V: R * V),
                "the sums alone fit; the vectors of the panel and the factor need a place too",
            ),
            (
                lambda registers: best(registers)[::-1] if registers == 16 else best(registers),
                "R and V are exchanged: V vectors stay in registers, the left side is one number",
            ),
            (
                lambda registers: best(registers, worth=lambda R, V: R * V),
                "the most sums, but compare multiplications a load",
            ),
            (
                lambda registers: (registers // 4, 4),
                "these do not fit: count sums, vectors of the panel, and one factor",
            ),
        ],
        explain=judged,
    ),
    3: Exercise(
        "that a step back takes the slope from the value, and adds to the bias' sum",
        called_twice,
        right=step(lambda h: 1 - h * h),
        wrong=[
            (forgets, "dz is right; total is to be added to, other steps are in it"),
            (piles_up, "dz is of this step alone: fill it, do not add to it"),
            (step(lambda h: 1 - h), "the slope of tanh from its value has a square in it"),
            (step(lambda h: 1 - np.tanh(h) ** 2), "h is a tanh already, no further one is needed"),
            (step(lambda h: h * (1 - h)), "that is the slope of a sigmoid"),
        ],
        explain=lambda found: "dz is not the gradient before the tanh: try one unit by hand",
        rtol=1e-5,
    ),
}
