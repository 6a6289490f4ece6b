"""Exercises of *Tasks: what a memory is asked for*."""

from __future__ import annotations

import math

import numpy as np

from lstm import copy_task
from lstm.data import Split
from lstm_student.exercise import Exercise

# --- a delay ---------------------------------------------------------------------------------


def whole(answer):
    """Return a whole number."""
    number = float(answer)
    if not number.is_integer():
        raise ValueError(f"expected a whole number of steps, got {answer}")
    return int(number)


def by_clock(delay):
    return 10 * math.log(8) / (delay + 20)


# --- a task ----------------------------------------------------------------------------------


def drawn(task):
    """Return what holds of 50 sequences of a task with a delay of 30 steps."""
    x, y = (np.asarray(part) for part in task(30, 50, np.random.default_rng(1)))
    if x.shape != (50, 50) or y.shape != (50, 50):
        raise ValueError(f"expected tokens (T + 20, B), (50, 50), got {x.shape} and {y.shape}")
    first, last = x[:10], y[-10:]
    return {
        "x begins with symbols": bool((first < 8).all() and len(np.unique(first)) == 8),
        "then blanks and the request": bool(
            (x[10:] == 8 + (np.arange(10, 50) == 39)[:, None]).all()
        ),
        "y is blank until the last ten steps": bool((y[:-10] == 8).all()),
        "symbols are asked for": bool((last < 8).all()),
        "each sequence gets its own symbols": bool((np.sort(first, 0) == np.sort(last, 0)).all()),
        "in their order": bool((first == last).all()),
        "in reverse order": bool((first[::-1] == last).all()),
    }


def answered(change):
    """Return a task that is the copy task with other targets, or another input."""

    def task(delay, count, rng):
        x, y = copy_task(delay, count, rng)
        return change(x, y)

    return task


def last_ten(rows):
    """Return a task whose last ten targets are rows of the input."""

    def change(x, y):
        y[-10:] = rows(x)
        return Split(x, y)

    return answered(change)


def unlike(found):
    """Say what does not hold of a task."""
    needed = [name for name in found if name != "in their order"]
    return f"not so: {next((name for name in needed if not found[name]), 'in reverse order alone')}"


# --- bits ------------------------------------------------------------------------------------

ORDER_5 = 2.1537  # bits a character of the page's best table on the test text


def against_order_5(answer):
    """Say how many bits a character are, beside those of order 5."""
    bits = float(answer)
    if not 0 < bits < math.inf:
        raise ValueError(f"expected bits a character, a number above 0, got {bits}")
    if bits < 1:
        return "below one bit"
    if abs(bits - ORDER_5) < 0.02:
        return "as many"
    return "fewer" if bits < ORDER_5 else "more"


EXERCISES = {
    1: Exercise(
        "that the score of the best constant guess is the variance of the target",
        float,
        right=1 / 36,
        wrong=[
            (1 / 4, "that is the guess's score if the sum of the three is asked for"),
            (1 / 12, "that is the variance of one number; a mean of several varies less"),
            (1 / 108, "the variances of the three add up before the sum is divided"),
            (1 / 6, "that is the deviation; a squared error is asked for"),
            (1 / 2, "that is what the best guess says; asked for is its loss"),
        ],
        explain=lambda score: f"{score:.4f} is not it: what is the variance of the sum of three?",
        rtol=5e-4,
    ),
    2: Exercise(
        "that the score of a guess is a function of the delay, in the unit of the loss",
        whole,
        right=396,
        wrong=[
            (395, "rounded the wrong way: at this T the guess still scores above 0.05"),
            (416, "that is the number of all steps, of which the delay is only a part"),
            (580, "a symbol of eight is 3 bits; the loss is in nats"),
            (22, "that is one symbol's worth: how many are asked for?"),
            (1614, "that is for the guess that sees the present token alone and has no clock"),
        ],
        explain=lambda delay: (
            f"at T = {delay} the guess still scores {by_clock(delay):.4f}"
            if -20 < delay < 396
            else "at a smaller T, too, the guess is that good"
        ),
    ),
    3: Exercise(
        "that a task is an input with a target, and a reversal one of time alone",
        drawn,
        right=last_ten(lambda x: x[9::-1]),
        wrong=[
            (copy_task, "that is the copy task itself"),
            (
                last_ten(lambda x: x[:10, ::-1]),
                "the sequences of the batch are exchanged, and each is in its old order",
            ),
            (
                last_ten(lambda x: x[10:0:-1]),
                "one step off: the first symbol is missing, and there is a blank in its place",
            ),
            (
                answered(lambda x, y: Split(x, y[::-1].copy())),
                "all targets are turned around, so the symbols are due before they are read",
            ),
            (
                answered(lambda x, y: Split(x[::-1].copy(), y)),
                "the whole input is turned around, so the request comes before the symbols",
            ),
        ],
        explain=unlike,
    ),
    4: Exercise(
        "that a table is chosen without the text that it is judged by",
        against_order_5,
        right=2.03,
        wrong=[
            (0.9, "below one bit, where xz needs 1.8: has the test text been counted?"),
            (ORDER_5, "that is as many as the page's order 5 has"),
            (2.29, "that is more than order 5 has: what did the validation text say of it?"),
        ],
    ),
}
