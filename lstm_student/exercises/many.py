"""Exercises of *Many cores, many experiments*."""

from __future__ import annotations

import heapq
import math

import numpy as np

from lstm_student.exercise import Exercise

CLUSTERS = (2, 50, 2e10, 3e9), (8, 90, 1e10, 1e8), (64, 22, 1e13, 1e10)  # n, T, r, beta


def smallest(n, T, r, beta):
    return math.ceil(12 * (n - 1) * r / beta / T)


def speedup(B, n, T, r, beta):
    """Return the speed-up of n ranks over n, with a and alpha zero."""
    return 1 / (1 + 4 * (n - 1) * r / (3 * T * B * beta))


def enough(found):
    """Say of batches that are not known which of them is too small or too large."""
    for B, (n, T, r, beta) in zip(found, CLUSTERS):
        if (share := speedup(max(B, 1), n, T, r, beta)) < 0.9:
            return f"{n} ranks: with {B:g} sequences the speed-up is {share:.2f} n"
        if B > smallest(n, T, r, beta):
            return f"{n} ranks: {B - 1:g} sequences are enough"
    return "the batch is a whole number of sequences"


def sums_and_sent(ring):
    """Return what the ranks have after an all-reduce, and what each has sent, for some sizes."""
    found = []
    for n in (2, 3, 5):
        arrays = [np.random.default_rng(k).normal(size=6 * n) for k in range(n)]
        sums, sent = ring([a.copy() for a in arrays])
        found += [np.array(sums, float), float(sent)]
    return found


def around(arrays, rounds=2, adds_on=False):
    """Pass parts round a ring: once to add them up, once more to hand on the sums."""
    n = len(arrays)
    parts = [np.split(a, n) for a in arrays]
    for step in range(rounds * (n - 1)):
        adding = step < n - 1
        first = 0 if adding else 1
        which = [(k + first - step % (n - 1)) % n for k in range(n)]
        messages = [parts[k][which[k]].copy() for k in range(n)]
        for k, message in enumerate(messages):
            target = parts[(k + 1) % n][which[k]]
            target[...] = target + message if adding or adds_on else message
    return [np.concatenate(part) for part in parts], rounds * (n - 1) * len(arrays[0]) // n


def whole_arrays(arrays, sent):
    return [sum(arrays)] * len(arrays), sent * len(arrays[0])


def fairness(balanced):
    """Return whether each sequence has one rank, how sizes differ, and how far steps do."""
    draw, spread, largest = np.random.default_rng(3), 0, 0.0
    for n in (2, 4, 7):
        ends = draw.integers(1, 200, 61) if n < 7 else np.r_[200, np.arange(1, 60)]
        parts = [[int(k) for k in part] for part in balanced(ends, n)]
        if len(parts) != n or sorted(k for part in parts for k in part) != list(range(len(ends))):
            return {"each once": False}
        sizes = [len(part) for part in parts]
        spread = max(spread, max(sizes) - min(sizes))
        if n == 4:
            largest = max(ends[part].sum() for part in parts) / (ends.sum() / n)
    reach = ("near", 1.03), ("close", 1.12), ("loose", 1.4), ("far", math.inf)
    steps = next(name for name, bound in reach if largest <= bound)
    return {"each once": True, "sizes": spread <= 1, "steps": steps}


def unfair(found):
    """Name what is not met."""
    if not found["each once"]:
        return "not each sequence has one rank: a part is a list of sequence numbers"
    if not found["sizes"]:
        return "sizes differ by more than one"
    return f"sizes are right; the largest share of steps is {found['steps']} to the mean, not near"


def dealt(order, n):
    return [order[k::n].tolist() for k in range(n)]


def back_and_forth(lengths, n):
    order, places = np.argsort(lengths)[::-1], np.arange(len(lengths)) % (2 * n)
    rank = np.where(places < n, places, 2 * n - 1 - places)
    return [order[rank == k].tolist() for k in range(n)]


def lightest(lengths, n):
    """Give the longest that is left to the rank with the fewest steps."""
    ranks = [(0, k, []) for k in range(n)]
    for number in np.argsort(lengths)[::-1].tolist():
        steps, k, mine = heapq.heappop(ranks)
        heapq.heappush(ranks, (steps + int(lengths[number]), k, [*mine, number]))
    return [mine for _, _, mine in ranks]


EXERCISES = {
    1: Exercise(
        "that the share of time lost to sharing does not depend on the model",
        lambda smallest: [float(smallest(*cluster)) for cluster in CLUSTERS],
        right=smallest,
        wrong=[
            (
                lambda n, T, r, beta: math.ceil(12 * n * r / beta / T),
                "one rank alone sends nothing: n - 1 parts go round, not n",
            ),
            (
                lambda n, T, r, beta: math.ceil(40 / 3 * (n - 1) * r / beta / T),
                "1/(1 + q) is 0.9 where q is a ninth, not a tenth",
            ),
            (
                lambda n, T, r, beta: math.ceil(12 * (n - 1) * r / beta),
                "that is T B: each sequence brings T steps",
            ),
            (
                lambda n, T, r, beta: math.ceil(4 / 3 * (n - 1) * r / beta / T),
                "there the sum takes as long as the work: the speed-up is n/2",
            ),
        ],
        explain=enough,
    ),
    2: Exercise(
        "that a ring reduces and then hands on, in parts, and what each rank sends",
        sums_and_sent,
        right=around,
        wrong=[
            (
                lambda arrays: whole_arrays(arrays, len(arrays)),
                "the sums are right, but a rank sends whole arrays: send parts",
            ),
            (
                lambda arrays: whole_arrays(arrays, len(arrays) - 1),
                "each rank sends all of its array to every other: that grows with n",
            ),
            (
                lambda arrays: around(arrays, rounds=1),
                "each rank has the sum of one part: the second half is missing",
            ),
            (
                lambda arrays: around(arrays, adds_on=True),
                "in the second half a finished part is added again: it replaces",
            ),
        ],
        explain=lambda found: (
            "two ranks: not both have the sum"
            if not np.allclose(found[0], found[0][0])
            else f"two ranks: a rank sent {found[1]:.0f} entries in place of 12"
        ),
    ),
    3: Exercise(
        "that equal numbers of sequences are not equal work, and how to deal out both",
        fairness,
        right=back_and_forth,
        wrong=[
            (
                lambda lengths, n: dealt(np.arange(len(lengths)), n),
                "each rank has as many sequences, not as many steps: look at the lengths",
            ),
            (
                lambda lengths, n: [a.tolist() for a in np.array_split(np.argsort(lengths), n)],
                "all the longest are on one rank",
            ),
            (
                lambda lengths, n: dealt(np.argsort(lengths)[::-1], n),
                "in every round the first rank gets the longest: what makes up for it?",
            ),
            (lightest, "steps are shared well, but sizes differ by more than one"),
            (
                lambda lengths, n: dealt(np.argsort(lengths)[::-1][:8], n),
                "some sequences have no rank, or two",
            ),
        ],
        explain=unfair,
    ),
}
