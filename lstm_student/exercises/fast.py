"""Exercises of *From naive to fast*."""

from __future__ import annotations

import math

import numpy as np

from lstm.gates import gate_scale, lstm_step
from lstm.recurrence import features_first, pack, stack_inputs
from lstm_student.exercise import Exercise

CASES = (5, 128, 64), (10, 20, 1), (12, 512, 256), (0.4, 2, 1)  # corner, H, I
LOG = [("matmul", 8e6, 1e4), ("add", 1e4, 4e6), ("tanh", 0, 0)]
PRICES = 1e-4, 1e10, 1e10


class Counted(np.ndarray):
    """An array that counts calls of NumPy with it, and assignments into it."""

    calls = 0

    def __array_ufunc__(self, function, method, *inputs, out=(), **options):
        Counted.calls += 1
        bare = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in inputs]
        into = {"out": tuple(np.asarray(a) for a in out)} if out else {}
        return np.asarray(getattr(function, method)(*bare, **into, **options)).view(Counted)

    def __setitem__(self, index, value):
        Counted.calls += 1
        super().__setitem__(index, value)


def batches(smallest):
    """Return the batches of all cases, whole numbers or None."""
    return [None if (B := smallest(*case)) is None else float(B) for case in CASES]


def one_by_one(corner, H, I):
    """Try all batches."""
    K = H + I + 1
    for B in range(1, 2000):
        if 8 * H * K * B >= corner * 4 * (4 * H * K + K * B + 4 * H * B):
            return B
    return None


def numbers_only(corner, H, I):
    return one_by_one(corner / 4, H, I)


def everywhere(corner, H, I):
    K = H + I + 1
    return math.ceil(16 * corner * H * K / (8 * H * K - 4 * corner * (K + 4 * H)))


def outputs_and_calls(program):
    """Return what a program computes in float64, and its calls a step."""
    draw, (T, B, I, H) = np.random.default_rng(0), (20, 2, 3, 4)
    shapes = (T, B, I), (4 * H, I), (4 * H, H), (4 * H,)
    x, *weights = (draw.normal(size=shape) for shape in shapes)
    y, counts = np.asarray(program(x.copy(), *(w.copy() for w in weights))), []
    for steps in (10, T):
        Counted.calls = 0
        program(*(a.copy().view(Counted) for a in (x[:steps], *weights)))
        counts.append(Counted.calls)
    return y, (counts[1] - counts[0]) / (T - 10)


def scaled(rows, bias):
    """Return a program of nine calls a step, the weights' and the bias' blocks times factors."""

    def program(x, W, U, b):
        (T, B, I), H = x.shape, U.shape[1]
        factor, rest = gate_scale(np.empty_like(x, shape=(4, H, B)))
        a, a_bias = (np.repeat(blocks, H) for blocks in (rows, bias))
        P = pack(a[:, None] * W, a[:, None] * U, a_bias * b, np.empty((4 * H, H + I + 1)))
        h, c = np.zeros((B, H)), np.zeros_like(x, shape=(H, B))
        seen = stack_inputs(x, h, np.empty_like(x, shape=(T + 1, H + I + 1, B)))
        z = np.empty_like(x, shape=(4, H, B))
        for t in range(T):
            h = seen[t + 1, :H]
            np.matmul(P, seen[t], out=z.reshape(4 * H, B))
            np.tanh(z, out=z)
            np.multiply(z, factor, out=z)
            np.add(z, rest, out=z)
            i, f, g, o = z
            np.multiply(f, c, out=c)
            np.multiply(i, g, out=h)
            np.add(c, h, out=c)
            np.tanh(c, out=h)
            np.multiply(h, o, out=h)
        return features_first(seen[1:, :H])

    return program


def ten_calls(x, W, U, b):
    """The step of the package after the product."""
    (T, B, I), H = x.shape, U.shape[1]
    P = pack(W, U, b, np.empty((4 * H, H + I + 1)))
    seen = stack_inputs(x, np.zeros((B, H)), np.empty_like(x, shape=(T + 1, H + I + 1, B)))
    z, c = np.empty_like(x, shape=(4, H, B)), np.zeros_like(x, shape=(H, B))
    factor, tanh_c = gate_scale(z), np.empty_like(c)
    for t in range(T):
        np.matmul(P, seen[t], out=z.reshape(4 * H, B))
        lstm_step(z, c, seen[t + 1, :H], c, tanh_c, factor)
    return features_first(seen[1:, :H])


def of_sums(log, a, r, omega):
    _, m, q = zip(*log)
    parts = np.array([a * len(log), sum(m) / r, sum(q) / omega])
    return parts / parts.sum()


def of_calls(log, a, r, omega, total=None):
    """Share out each call's longer time."""
    both = [(m / r, q / omega) for _, m, q in log]
    parts = np.array(
        [
            a * len(log),
            sum(m for m, q in both if m > q),
            sum(q for m, q in both if m <= q),
        ]
    )
    return parts / (total or parts.sum())


HALF = 0.5, 0.5, 1.0, 0.5
EXERCISES = {
    1: Exercise(
        "that intensity grows with the batch, and has a bound that the matrix sets",
        batches,
        right=one_by_one,
        wrong=[
            (
                lambda corner, H, I: math.ceil(2 * corner),
                "B/2 leaves out the bytes of the columns and of the results",
            ),
            (numbers_only, "operations a number, not a byte: a float32 has four bytes"),
            (
                everywhere,
                "with a small matrix no batch reaches some corners: the intensity has a bound",
            ),
            (
                lambda *case: None if one_by_one(*case) is None else one_by_one(*case) - 1,
                "one sequence too few: round up, the corner has to be reached",
            ),
        ],
        explain=lambda found: f"not yet: for corner, H, I = {CASES[0]} it gives {found[0]}",
    ),
    2: Exercise(
        "that a factor of every step's product can be moved into the weights, and where it may not",
        outputs_and_calls,
        right=scaled(HALF, HALF),
        wrong=[
            (
                ten_calls,
                "the numbers are right, with ten calls: one of them can be made before the loop",
            ),
            (
                scaled((0.5,) * 4, (0.5,) * 4),
                "nine calls, but the candidate's block was halved as well",
            ),
            (
                scaled(HALF, (1.0,) * 4),
                "nine calls, but the bias is a part of the pre-activation too",
            ),
        ],
        explain=lambda found: (
            f"{found[1]:.0f} calls a step, and the numbers are not all right"
            if found[1] <= 9
            else f"{found[1]:.0f} calls a step; nine are asked for"
        ),
    ),
    3: Exercise(
        "that each call waits for the slower of arithmetic and memory, by itself",
        lambda shares: np.asarray(shares(LOG, *PRICES), float),
        right=of_calls,
        wrong=[
            (of_sums, "a call's shorter time counts for nothing: it passes during the longer one"),
            (
                lambda *given: of_calls(*given, total=1.0),
                "these are seconds: the shares should add up to 1",
            ),
            (
                lambda *given: of_calls(*given)[[0, 2, 1]],
                "arithmetic and memory are exchanged: which of m/r and q/omega is larger?",
            ),
            (
                lambda log, *prices: of_calls(log[:2], *prices),
                "a call that computes and moves nothing has its price as well",
            ),
        ],
        explain=lambda found: f"not {np.round(found, 3)}: follow the three calls one by one",
    ),
}
