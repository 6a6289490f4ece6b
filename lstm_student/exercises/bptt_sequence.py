"""Exercises of *Through time*."""

from __future__ import annotations

import numpy as np

from lstm import to_numpy
from lstm.initializers import lecun_normal, orthogonal
from lstm.recurrence import lstm_backward, lstm_forward
from lstm_student.exercise import Exercise

NAMES = ("dx", "dh0", "dc0", "dW", "dU", "db")
I, H, B, T = 4, 64, 8, 101  # of the network that is to reach back


def pair(answer):
    """Return two numbers."""
    first, second = answer
    return float(first), float(second)


def two_by_two(answer):
    """Return a matrix (2, 2)."""
    matrix = np.asarray(answer, float)
    if matrix.shape != (2, 2):
        raise ValueError(f"expected two lists of two numbers, got the shape {matrix.shape}")
    return matrix


def problem():
    """Return x, state, dy, dstate and weights of seven steps, three sequences, four units."""
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(7, 3, 2)), rng.normal(size=(7, 3, 4))
    state, dstate = (tuple(rng.normal(size=(2, 3, 4))) for _ in range(2))
    weights = rng.normal(size=(16, 2)), rng.normal(size=(16, 4)), rng.normal(size=16)
    return x, state, dy, dstate, weights


def flat(gradients):
    """Return the six gradients by name."""
    dx, dstate, dweights = gradients
    return dict(zip(NAMES, (dx, *dstate, *dweights), strict=True))


def pieces(function):
    """Return whether the pieces were short, and which gradients are right."""
    longest = 0

    def watched(x, *rest):
        nonlocal longest
        longest = max(longest, len(x))
        return lstm_forward(x, *rest)

    x, state, dy, dstate, weights = problem()
    found = flat(function(watched, x, state, dy, dstate, weights, 3))
    x, state, dy, dstate, weights = problem()
    cache = lstm_forward(x, state, *weights)[2]
    right = flat(lstm_backward(dy, dstate, cache, *weights))
    equal = {
        name: bool(np.shape(found[name]) == a.shape and np.allclose(found[name], a, rtol=1e-9))
        for name, a in right.items()
    }
    end = bool(np.allclose(found["dx"][6:], right["dx"][6:], rtol=1e-9))  # of the last piece
    return {"short": longest <= 3, "end": end} | equal


def in_pieces(forward, x, state, dy, dstate, weights, length, mistake=None):
    """Go back piece by piece; with a mistake as the exercise's wrong answers make it."""
    starts, states = range(0, len(x), length), []
    for start in starts:
        states.append(state)
        state = forward(x[start : start + length], state, *weights)[1]
    if mistake == "state":
        states = [states[0]] * len(states)
    dx, total = np.empty_like(x), [np.zeros_like(w) for w in weights]
    for start, first in zip(reversed(starts), reversed(states)):
        piece = slice(start, start + length)
        cache = forward(x[piece], first, *weights)[2]
        dx[piece], dstate, dweights = lstm_backward(dy[piece], dstate, cache, *weights)
        total = [d + (0 if mistake == "sum" else t) for t, d in zip(total, dweights)]
        if mistake == "carry":
            dstate = tuple(0 * d for d in dstate)
    return dx, dstate, total


def missing(found):
    """Name the first thing that is wrong with a gradient in pieces."""
    if not found["short"]:
        return "the gradients may be right, but a forward pass had more than 3 steps"
    wrong = [name for name in NAMES if not found[name]]
    return f"not those of the whole sequence: {', '.join(wrong)}"


def norms(W, U, b, seed):
    """Return the norm of dx at every step of a plain RNN, for a loss at the last step."""
    rng = np.random.default_rng(seed)
    x, dh = rng.normal(size=(T, B, I)), rng.normal(size=(B, H))
    h = [np.zeros((B, H))]
    for x_t in x:
        h.append(np.tanh(x_t @ W.T + h[-1] @ U.T + b))
    found = []
    for h_t in reversed(h[1:]):
        dz = dh * (1 - h_t * h_t)
        found.append(np.linalg.norm(dz @ W))
        dh = dz @ U
    return found


def fate(answer):
    """Say what becomes of a gradient in 100 steps, and what keeps it from arriving."""
    W, U, b = (np.asarray(to_numpy(a), float) for a in answer)
    if (W.shape, U.shape, b.shape) != ((H, I), (H, H), (H,)):
        raise ValueError(
            f"expected shapes {(H, I)}, {(H, H)} and {(H,)}, got {W.shape}, {U.shape}, {b.shape}"
        )
    runs = [norms(W, U, b, seed) for seed in range(3)]
    if not min(run[0] for run in runs) > 0:
        return "no input"
    shares = [run[-1] / run[0] for run in runs]
    if min(shares) > 0.01 and max(shares) < 100:
        return "reaches back"
    if max(shares) >= 100:
        return "explodes"
    keeps = np.allclose(U.T @ U, np.eye(H), atol=1e-6)
    return "vanishes, though U keeps lengths" if keeps else "vanishes"


def plain(input_scale, recurrent):
    """Return the weights of a plain RNN."""
    rng = np.random.default_rng(4)
    return input_scale * lecun_normal((H, I), rng), recurrent((H, H), rng), np.zeros(H)


def thrice(shape, rng):
    return 3 * lecun_normal(shape, rng)


EXERCISES = {
    1: Exercise(
        "that a gradient goes back by factors and a weight's gradient is a sum over steps",
        pair,
        right=(1 / 8, 12),
        wrong=[
            (
                (1 / 8, 6),
                "dh_1 is right; dw has a term for each step that reads w, not for the last alone",
            ),
            ((1 / 8, 10), "dh_1 is right; in dw each dh_t meets the state before its step"),
            ((1 / 16, 12), "dw is right; how many factors w lie between h_1 and h_4?"),
            ((1.875, 32), "the loss is h_4 alone here: it reads no other state"),
            ((1 / 4, 8), "mind the number of steps: how many lie between h_1 and h_4?"),
        ],
        explain=lambda found: (
            "dh_1 is right, dw is not: write all four of its terms down"
            if abs(found[0] - 1 / 8) < 1e-6
            else "dh_1 is not right: go back from dh_4 = 1, a step at a time"
        ),
    ),
    2: Exercise(
        "how paths are counted on a graph, and that nodes do not multiply as paths do",
        two_by_two,
        right=[[7, 6], [3, 3]],
        wrong=[
            ([[4, 1], [3, 1]], "this is the LSTM without peepholes: add their arrows"),
            (
                [[1, 2], [3, 3]],
                "the first row counts from b_t; put in what b_t is of the step before",
            ),
            ([[4, 3], [3, 3]], "o_t reads c_t as well: two roads lead from h_t to c_t"),
            ([[7, 4], [3, 2]], "the cell's direct way back is still there, beside the peepholes"),
            ([[4, 4], [3, 3]], "o_t sees the new cell, c_t, not the one before"),
        ],
        explain=lambda matrix: (
            f"from h_1 this counts {matrix[0].sum():g} paths, from c_1 {matrix[1].sum():g}: "
            "draw one step and count"
        ),
    ),
    3: Exercise(
        "that states can be made again, and that a cut needs the state's gradient",
        pieces,
        right=in_pieces,
        wrong=[
            (
                lambda *a: in_pieces(*a, mistake="carry"),
                "a piece sends nothing to the one before it: what does its first state get?",
            ),
            (
                lambda *a: in_pieces(*a[:-1], 7),
                "right, but run in one go: a forward pass had more than 3 steps",
            ),
            (
                lambda *a: in_pieces(*a, mistake="sum"),
                "only one piece is counted in dW, dU and db: all pieces read the weights",
            ),
            (
                lambda *a: in_pieces(*a, mistake="state"),
                "each piece starts from the first state: which one was there when it ran first?",
            ),
        ],
        explain=missing,
    ),
    4: Exercise(
        "what keeps a plain RNN's gradient alive, and what that costs",
        fate,
        right=plain(0.02, orthogonal),
        wrong=[
            (
                plain(1.0, orthogonal),
                "U keeps lengths, and the gradient vanishes: what does 1 - h² do to it?",
            ),
            (
                plain(1.0, lecun_normal),
                "the gradient vanishes: which matrices shorten no vector?",
            ),
            (plain(1.0, thrice), "the gradient explodes: each step makes it longer"),
            (
                (np.zeros((H, I)), np.eye(H), np.zeros(H)),
                "no input is read, so no gradient arrives at one",
            ),
        ],
        explain=lambda found: f"the gradient {found}",
    ),
}
