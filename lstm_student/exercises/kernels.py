"""Exercises of *One launch a step*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise

SIZES = (3, 2, 4), (128, 1, 128), (7, 43, 128)  # H, B, p
POINTS = (1, 1.0, 1e12), (1e9, 1e-9, 1.0), (1000, 1e-3, 1e6)  # n, a, beta


def spare(H, B, p):
    """Count the threads without an entry, one by one."""
    return sum(k >= H * B for k in range(p * (H * B // p + 1)))


def after_a_run(run):
    """Return the states that a kernel leaves, and whether it wrote behind its array."""
    memory, size = np.repeat([[7.0], [5.0], [0.5]], 400, axis=1), 9 * 31  # a mixture is no 7
    memory[:, :size] = np.random.default_rng(2).normal(size=(3, size))
    run(*(row[:size].reshape(9, 31) for row in memory))
    return {"state": memory[0, :size].copy(), "behind": bool((memory[0, size:] != 7.0).any())}


def mixing(mixture, behind=0):
    """Return a run that fills the new state with a mixture, and some numbers behind it."""

    def run(new, old, keep):
        new[...] = mixture(new, old, keep)
        if behind:
            new.base[0, new.size : new.size + behind] = 0.0

    return run


def mixed(new, old, keep):
    return keep * old + (1 - keep) * new


def gain(n, a, beta):
    return (9 * a + 46 * n / beta) / (a + 12 * n / beta)


EXERCISES = {
    1: Exercise(
        "that the threads of a launch are whole blocks, one of which may be idle",
        lambda idle: [float(idle(*size)) for size in SIZES],
        right=spare,
        wrong=[
            (
                lambda H, B, p: -H * B % p,
                "where p divides the entries, the package starts a block more than it needs",
            ),
            (lambda H, B, p: H * B % p, "these threads of the last block do have an entry"),
            (lambda H, B, p: H * B // p + 1, "that is the number of blocks"),
            (lambda H, B, p: p * (H * B // p + 1), "that is the number of all threads"),
        ],
        explain=lambda found: f"for 6 entries in blocks of 4 it gives {found[0]:g}: count them",
    ),
    2: Exercise(
        "that a kernel has a bound, writes its own entry, and weighs two states rightly",
        after_a_run,
        right=mixing(mixed),
        wrong=[
            (
                mixing(lambda new, old, keep: mixed(old, new, keep)),
                "the shares are exchanged: keep is the share of the old state",
            ),
            (mixing(mixed, behind=105), "it writes behind the array: where is ENTRY?"),
            (
                mixing(lambda new, old, keep: keep * old + new),
                "the two shares add up to 1: the new state has its share too",
            ),
            (lambda new, old, keep: None, "the new state is as it was: it is to be overwritten"),
        ],
        explain=lambda found: (
            "it writes behind the array, and the numbers differ"
            if found["behind"]
            else "the bound holds, the numbers differ"
        ),
    ),
    3: Exercise(
        "that the gain of one launch lies between the ratios of requests and of numbers moved",
        lambda gain: [float(gain(*point)) for point in POINTS],
        right=gain,
        wrong=[
            (lambda n, a, beta: 9.0, "for a large state the numbers that move are the time"),
            (lambda n, a, beta: 46 / 12, "for a small state the requests are the time"),
            (lambda *given: 1 / gain(*given), "upside down: how many times faster is the new one?"),
            (
                lambda n, a, beta: (9 + 46 / 12) / 2,
                "the ratio depends on the size: it is no mean of its two ends",
            ),
            (
                lambda n, a, beta: (9 * a + 46 * n / beta) / (a + 46 * n / beta),
                "one kernel moves fewer numbers as well: what is read and written once?",
            ),
        ],
        explain=lambda found: (
            f"for a small, a large and a middle state it gives "
            f"{', '.join(f'{value:.3g}' for value in found)}"
        ),
        rtol=1e-4,
    ),
}
