"""Exercises of *What else a cell can be*."""

from __future__ import annotations

import numpy as np

from lstm.gates import activate
from lstm.recurrence import lstm_forward
from lstm_student.exercise import Exercise

RNG = np.random.default_rng(6)
W, U, B, X = (RNG.normal(size=size) for size in ((9, 2), (9, 3), 9, (5, 4, 2)))
H0, C0 = RNG.normal(size=(2, 4, 3))


def sigma(a):
    return 1 / (1 + np.exp(-a))


def naive():
    """Run the cell without an output gate one sequence after the other; return c and h."""
    cells, shown = np.empty((5, 4, 3)), np.empty((5, 4, 3))
    for row in range(4):
        h, c = H0[row], C0[row]
        for t in range(5):
            z_i, z_f, z_g = np.split(W @ X[t, row] + U @ h + B, 3)
            c = sigma(z_f) * c + sigma(z_i) * np.tanh(z_g)
            h = np.tanh(c)
            cells[t, row], shown[t, row] = c, h
    return cells, shown


def no_output_gate(answer):
    """Return the differences of a step, run by the package's loop, from the naive cell."""
    step, scale = answer
    y, _, cache = lstm_forward(X, (H0.copy(), C0.copy()), W, U, B, step=step, scale=scale)
    cells, shown = naive()
    return {
        "first cell": cache.c[1].T - cells[0],
        "first h": y[0] - shown[0],
        "tanh_c": cache.tanh_c[0].T - np.tanh(cells[0]),
        "h": y - shown,
    }


def first_wrong(found):
    name = next(name for name, away in found.items() if not np.allclose(away, 0, atol=1e-6))
    return f"{name} is the first that is not right"


def step_with(squash=np.tanh, order=(0, 1, 2), keep=True):
    """Return a step without an output gate, with possible slips."""

    def step(z, c_prev, h, c, tanh_c, scale):
        gates = activate(z, scale)
        i, f, g = (gates[k] for k in order)
        c[...] = f * c_prev + i * g
        tanh_c[...] = np.tanh(c) if keep else 0.0
        h[...] = squash(c)

    return step


LAST = (0.5, 0.5, 1.0)
EXERCISES = {
    1: Exercise(
        "that a cell's parameters follow from its blocks, and that U grows with the square",
        float,
        right=38,
        wrong=[
            (37, "this is 142 parameters away: one unit more comes closer"),
            (43, "that makes the rows as many; but a row is longer with more units"),
            (32, "with 32 units, a block less leaves a quarter of the parameters out"),
            (24, "fewer blocks leave room for more units, not for fewer"),
        ],
        explain=lambda n: f"{n:g} units make {3 * n * (n + 9):g} parameters, the LSTM has 5248",
    ),
    2: Exercise(
        "that the loop asks for a point-wise step, and what that step has to fill",
        no_output_gate,
        right=(step_with(), LAST),
        wrong=[
            (
                (step_with(), (0.5, 0.5, 0.5)),
                "the first cell is wrong: which of the three blocks is a tanh?",
            ),
            (
                (step_with(order=(1, 0, 2)), LAST),
                "the first cell is wrong: the input and the forget gate are exchanged",
            ),
            (
                (step_with(squash=lambda c: c), LAST),
                "the cell is right; what it shows is to be squashed",
            ),
            (
                (step_with(keep=False), LAST),
                "the outputs are right; tanh_c, which the way back needs, is not filled",
            ),
        ],
        explain=first_wrong,
    ),
    3: Exercise(
        "that an outcome can say something only if chance would seldom bring it about",
        float,
        right=4,
        wrong=[
            (3, "two of 20 orders are so one-sided, which is a tenth"),
            (5, "this is enough, but fewer are enough too"),
            (6, "that is for runs in pairs; here every run meets every other"),
            (25, "that counts pairs of runs; asked for is the number of runs of each cell"),
        ],
        explain=lambda n: (
            f"fewer than {n:g} are enough" if n > 4 else f"{n:g} are not enough: count the orders"
        ),
    ),
    4: Exercise(
        "that staying by chance adds to what the forget gate keeps",
        float,
        right=2 * 0.5**0.1 - 1,
        wrong=[
            (0.5**0.1, "a unit that does not stay still keeps the forget gate's share"),
            (0.5, "this leaves 0.056 after 10 steps: the factor 0.75 to the tenth power"),
            (2 - 2 * 0.5**0.1, "that is the probability that a unit does not stay"),
        ],
        explain=lambda share: (
            f"after 10 steps {(0.5 + share / 2) ** 10:.3f} of the cell is left, not one half"
        ),
        rtol=0.005,
    ),
}
