"""Exercises of *Speed and devices*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise


def whole(H):
    """Return a number of units, rounded; the two around the crossing count as one."""
    if not float(H) > 0:
        raise ValueError(f"expected a positive number of units, got {H}")
    return 250 if 249 <= float(H) <= 250 else round(float(H))


def crossing(H):
    """Say how far apart the two times of a step are."""
    requests, operations = 10e-6, 8 * H * (H + 1) / 5e10
    return f"at H = {H} the requests take {requests / operations:.2g} times the operations' time"


def weights(answer):
    """Return the gradient of U that an answer makes of five random steps, (8, 2)."""
    draw = np.random.default_rng(1)
    return answer(draw.normal(size=(5, 8, 3)), draw.normal(size=(5, 2, 3)))


def step_by_step(dz, h):
    return sum(dz[t] @ h[t].T for t in range(len(dz)))


def prices(fit):
    """Return the prices that are fitted to exact times, in us and in 10^10 a second."""
    requests, operations = np.array([2e3, 2e3, 8e3]), np.array([1e6, 1e9, 5e8])
    a, r = fit(requests, operations, 2e-6 * requests + operations / 3e10)
    return 1e6 * float(a), float(r) / 1e10


def least_squares(requests, operations, times):
    rows = np.column_stack([requests, operations])
    a, each = np.linalg.lstsq(rows / times[:, None], np.ones(len(times)), rcond=None)[0]
    return a, 1 / each


EXERCISES = {
    1: Exercise(
        "that a small network pays for requests, and where operations take over",
        whole,
        right=250,
        wrong=[
            (353, "only multiplications were counted: each comes with an addition"),
            (500, "that is one gate's product: a step has four gates"),
            (79, "that is one request a step: there are ten"),
            (62500, "that is H (H + 1), not H"),
        ],
        explain=crossing,
    ),
    2: Exercise(
        "that a sum of products over steps is one product of wider matrices",
        weights,
        right=step_by_step,
        wrong=[
            (
                lambda dz, h: dz.transpose(1, 0, 2).reshape(8, -1) @ h.reshape(-1, 2),
                "right shape: does column k of one belong to the step and sequence of row k?",
            ),
            (
                lambda dz, h: step_by_step(dz, h).T,
                "transposed: the gradient has the shape of U, rows first",
            ),
            (
                lambda dz, h: step_by_step(dz, h) / len(dz),
                "divided by the number of steps: is it a mean that is asked for?",
            ),
            (
                lambda dz, h: step_by_step(dz[1:], h[:-1]),
                "shifted by a step: h[t] is already the state that step t starts from",
            ),
        ],
        explain=lambda found: f"not the sum over steps: its shape is {np.shape(found)}",
    ),
    3: Exercise(
        "that both prices are in every measurement, so they are fitted together",
        prices,
        right=least_squares,
        wrong=[
            (
                lambda n, m, t: (np.mean(t / n), np.mean(m / t)),
                "each quotient charges the whole time to one of the two terms",
            ),
            (
                lambda n, m, t: (least_squares(n, m, t)[0], 1 / least_squares(n, m, t)[1]),
                "a is right; r counts operations a second, not seconds an operation",
            ),
            (
                lambda n, m, t: least_squares(n, m, t)[::-1],
                "both are found, in the other order: a comes first",
            ),
            (
                lambda n, m, t: (t[0] / n[0], m[1] / t[1]),
                "one measurement for each price: neither is free of the other term",
            ),
        ],
        explain=lambda found: (
            f"a should be 2e-06 and r 3e+10, not {found[0]:.2g}e-06 and {found[1]:.2g}e+10"
        ),
    ),
}
