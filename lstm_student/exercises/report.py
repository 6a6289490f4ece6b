"""Exercises of *Measured: the package beside others*."""

from __future__ import annotations

import math
import statistics

import numpy as np

from lstm_student.exercise import Exercise

ROUNDS = (  # value: seconds; one outlier in each, and no last doubling
    {1: [1.0, 1.1, 9.0], 2: [2.0, 2.1, 2.2], 4: [7.0, 7.1, 7.2], 8: [15.0, 15.1, 15.2]},
    {10: [0.1, 0.1, 0.1], 20: [0.4, 0.5, 0.6], 40: [1.0, 1.1, 30.0], 80: [3.0, 3.1, 3.2]},
)
PARTS = {"products": 0.5, "point-wise": 0.3, "copies": 0.04, "the rest": 0.16}
CASES = (1.2, 1.5, 0.95), (0.5, 0.6, 0.95), (0.5, 1.4, 0.95), (0.95, 1.2, 0.95), (0.9, 1.0, 0.95)


def means(mean):
    """Return the means of two lists of ratios."""
    return float(mean([0.5, 1.0, 4.0])), float(mean([2.0, 8.0]))


def doublings(rounds, middle=statistics.median, how=lambda after, before: after / before):
    """Return what each doubling costs, by the value that it starts from."""
    time = {n: middle(found) for n, found in rounds.items()}
    return {n: how(time[2 * n], time[n]) for n in time if 2 * n in time}


def largest(costs):
    return max(costs, key=costs.get)


def steepest(rounds, **how):
    return largest(doublings(rounds, **how))


def told(steepest):
    """Say of values that are not known whether they were doubled."""
    for n, rounds in zip(steepest, ROUNDS):
        if n not in rounds or 2 * n not in rounds:
            return f"{n:g} was not doubled: the values are {', '.join(map(str, rounds))}"
    return "another doubling takes a larger factor, by medians"


def gains(without):
    """Return how many times faster a pass would be without each part."""
    return {part: float(without(dict(PARTS), part)) for part in PARTS}


def reason(ratio, ceiling, goal):
    if ratio >= goal:
        return "holds"
    return "products" if ceiling < goal else "rest"


EXERCISES = {
    1: Exercise(
        "that only a geometric mean of ratios does not depend on which program is the numerator",
        means,
        right=statistics.geometric_mean,
        wrong=[
            (statistics.mean, "exchange the programs: by this mean each is slower than the other"),
            (statistics.median, "of an even number of ratios it is an arithmetic mean of two"),
            (statistics.harmonic_mean, "exchange the programs: each is faster than the other"),
            (math.prod, "a product without its root is no mean: it may leave the ratios' range"),
            (
                lambda ratios: float(np.mean(np.log(ratios))),
                "the mean of the logarithms is still a logarithm",
            ),
        ],
        explain=lambda found: f"for 0.5, 1 and 4 it gives {found[0]:.3g}: exchange the programs",
    ),
    2: Exercise(
        "that growth is a factor between medians, named by where it starts",
        lambda steepest: [
            float(steepest({n: list(r) for n, r in rounds.items()})) for rounds in ROUNDS
        ],
        right=steepest,
        wrong=[
            (lambda rounds: max(rounds), "the last value was not doubled"),
            (lambda rounds: 2 * steepest(rounds), "that is where the doubling ends"),
            (
                lambda rounds: steepest(rounds, how=lambda after, before: after - before),
                "the largest difference in seconds is not the largest factor",
            ),
            (
                lambda rounds: steepest(rounds, middle=statistics.mean),
                "one slow round decides a mean: take medians",
            ),
        ],
        explain=told,
    ),
    3: Exercise(
        "that a part's share bounds what can be gained by making it faster",
        gains,
        right=lambda parts, part: 1 / (1 - parts[part]),
        wrong=[
            (
                lambda parts, part: 1 + parts[part],
                "a share of the old time is a larger share of what is left",
            ),
            (lambda parts, part: 1 - parts[part], "that is the time that is left"),
            (lambda parts, part: 1 / parts[part], "that is the gain if only this part took time"),
        ],
        explain=lambda found: f"not {found['point-wise']:.3f} for a share of 0.3: what is left?",
    ),
    4: Exercise(
        "that a ceiling below the goal bars it, whatever is done about the rest",
        lambda reason: [reason(*case) for case in CASES],
        right=reason,
        wrong=[
            (
                lambda ratio, ceiling, goal: "products" if ceiling < goal else "rest",
                "a goal that is reached needs no reason",
            ),
            (
                lambda ratio, ceiling, goal: "holds" if ceiling >= goal else "products",
                "the ceiling is what could be reached, not what was measured",
            ),
            (
                lambda ratio, ceiling, goal: {"rest": "products", "products": "rest"}.get(
                    found := reason(ratio, ceiling, goal), found
                ),
                "exchanged: below which number does no work on the rest help?",
            ),
            (
                lambda ratio, ceiling, goal: (
                    "holds" if ratio >= goal else "products" if ratio > 0.8 * ceiling else "rest"
                ),
                "to be near the ceiling is not to be barred by it: compare it with the goal",
            ),
        ],
        explain=lambda found: f"not yet: {', '.join(map(str, found))}",
    ),
}
