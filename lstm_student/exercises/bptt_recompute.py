"""Exercises of *Keep little, run again*."""

from __future__ import annotations

import math
from functools import cache

from lstm_student.exercise import Exercise

UNIT = 512 * 64 * 4 / 2**30  # one array (H, B) of float32, in GiB
BUDGETS = ((1600, 700), (1600, 11_000), (1600, 250), (100, 100), (100, 1000), (9, 60), (9, 22.6))
SIZES = [(T, c) for T in (1, 2, 5, 9, 12) for c in (1, 2, 3, 5)]


def logarithms(answer):
    """Return the logarithms of three positive numbers."""
    numbers = [float(number) for number in answer]
    if len(numbers) != 3 or not min(numbers) > 0:
        raise ValueError(f"expected three numbers above 0, got {answer}")
    return [math.log(number) for number in numbers]


def which(found):
    """Name the first of three sizes that is not right."""
    right = logarithms((70_000 * UNIT, 748 * UNIT, 53))
    names = ("with all kept", "with the best k", "of that k")
    pairs = zip(found, right, names)
    return "the number " + next(name for a, b, name in pairs if abs(a - b) > 0.05) + " is not right"


def fits(T, memory):
    """Return all k that a memory has room for."""
    return [k for k in range(1, T + 1) if 2 * T / k + 7 * k <= memory]


def upper(T, memory):
    """Return the upper root of 7 k² - memory k + 2 T, rounded down."""
    inside = memory**2 - 56 * T
    return None if inside < 0 else int((memory + math.sqrt(inside)) / 14)


def chosen(function):
    """Return the k that a function chooses for each budget."""
    found = [function(T, memory) for T, memory in BUDGETS]
    return [None if k is None else float(k) for k in found]


def disagreeing(found):
    """Name the first budget whose k is not right."""
    T, memory, k = next(
        (T, memory, k)
        for (T, memory), k in zip(BUDGETS, found)
        if k != max(fits(T, memory), default=None)
    )
    return f"T = {T}, memory {memory}: {k if k is None else f'{k:g}'} is not the k wanted"


def numbers(function):
    """Return a function's values for several lengths and numbers of places."""
    return [float(function(T, c)) for T, c in SIZES]


@cache
def fewest(T, c, mistake=None):
    """Return the fewest steps; with a mistake as the exercise's wrong answers make it."""
    if T <= 1:
        return 0
    if c == 1:
        return T * (T - 1) // 2
    places = c - 1 if mistake == "place lost" else c
    middles = [T // 2] if mistake == "middle" else range(1, T)
    return min(
        (0 if mistake == "not counted" else j)
        + fewest(T - j, c - 1, mistake)
        + fewest(j, places, mistake)
        for j in middles
    )


def first_of(found):
    """Say for which size a count is wrong, and in which direction."""
    T, c, k = next((T, c, k) for (T, c), k in zip(SIZES, found) if k != fewest(T, c))
    side = "more than are needed" if k > fewest(T, c) else "fewer than will do"
    return f"T = {T}, c = {c}: {k:g} steps are {side}"


def pair(answer):
    """Return two numbers."""
    first, second = answer
    return float(first), float(second)


EXERCISES = {
    1: Exercise(
        "what a cache takes in bytes, and what the best distance of kept states leaves",
        logarithms,
        right=(70_000 * UNIT, 2 * math.sqrt(14 * 10_000) * UNIT, math.sqrt(2 / 7 * 10_000)),
        wrong=[
            (
                (70_000 * UNIT, 900 * UNIT, 100),
                "the root of T is close to the best k, and not it: s and m count too",
            ),
            (
                (140_000 * UNIT, 1497 * UNIT, 53.5),
                "twice too much: how many bytes is a number in float32?",
            ),
            (
                (70_000 * UNIT / 64, 748 * UNIT / 64, 53.5),
                "this is for one sequence: the batch has 64",
            ),
            (
                (70_000 * UNIT * 1.0737, 748 * UNIT * 1.0737, 53.5),
                "these are units of 10^9 bytes; asked for are those of 2^30",
            ),
            (
                (10_000 * UNIT, 748 * UNIT, 53.5),
                "the cache holds more than one array for each step: what is m?",
            ),
        ],
        explain=which,
        rtol=0.015,
    ),
    2: Exercise(
        "that the least time needs the largest distance that a memory has room for",
        chosen,
        right=lambda T, memory: max(fits(T, memory), default=None),
        wrong=[
            (
                lambda T, memory: round(math.sqrt(2 / 7 * T)),
                "this takes the least memory; what is wanted is the least time that fits",
            ),
            (
                lambda T, memory: min(fits(T, memory), default=None),
                "this fits, and runs the most steps again: how many for a small k?",
            ),
            (upper, "right where it is not above T, and a whole number lies between the roots"),
            (
                lambda T, memory: int(memory / 7),
                "the kept states, 2T/k of them, take a part of the memory too",
            ),
        ],
        explain=disagreeing,
    ),
    3: Exercise(
        "that places given up are used again, by a recursion over the first kept state",
        numbers,
        right=fewest,
        wrong=[
            (
                lambda T, c: T * (T - 1) // 2,
                "this uses one place, whatever c is: what can a second one hold?",
            ),
            (
                lambda T, c: fewest(T, c, "place lost"),
                "more than needed: a place is free again once the way back has passed it",
            ),
            (
                lambda T, c: fewest(T, c, "not counted"),
                "too few: the steps up to a state that is kept are run forward as well",
            ),
            (
                lambda T, c: fewest(T, c, "middle"),
                "the middle is not the best place for a state: both sides have different places",
            ),
        ],
        explain=first_of,
    ),
    4: Exercise(
        "that length grows with the memory, or with its square, and what limits the second",
        pair,
        right=(2, 4),
        wrong=[
            ((2, math.sqrt(2)), "the root is that of the memory for a length; turn it around"),
            ((2, 2), "the first is right; with gaps the memory does not grow as T itself"),
            ((4, 2), "the two are exchanged: with all kept the memory is m T"),
        ],
        explain=lambda found: "put twice the memory into m T, and into 2 sqrt(s m T)",
    ),
}
