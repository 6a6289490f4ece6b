"""Exercises of *Tuning, measured*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise


def whole(answer):
    """Return a number of seeds as an int."""
    if int(answer) != answer or answer < 1:
        raise ValueError(f"expected a whole number of seeds, got {answer!r}")
    return int(answer)


def too_many_or_few(n):
    """Say what a unanimous result of so many seeds is worth."""
    p = 2.0 ** (1 - n)
    return f"{n} unanimous seeds give p = {p:.2g}" + (", and fewer would do" if p < 0.01 else "")


def clipped(threshold):
    """Return the share of updates that is clipped where a tenth, a half, a quarter is asked."""
    norms = np.random.default_rng(0).lognormal(-2, 1, 1000)
    return [
        float((norms > float(threshold(norms.copy(), share))).mean()) for share in (0.1, 0.5, 0.25)
    ]


def seconds(passes, batch):
    """Return the time of passes over 64 sequences, a microsecond a step and sequence."""
    return passes * sum(20.0 + batch for _ in range(64 // batch))


def longer(passes):
    """Say how much longer so many passes take."""
    ratio = seconds(passes, 64) / seconds(12, 8)
    return f"{passes:g} passes of 64 take {ratio:.2f} times as long as 12 of 8"


def tuned(answer):
    """Return whether a loss and the epochs that it cost are within the limits."""
    loss, epochs = map(float, answer)
    if not 0 <= epochs < np.inf or np.isnan(loss):
        raise ValueError(f"expected a loss and a number of epochs, got {answer}")
    return {"low": loss < 0.08, "paid for": epochs <= 40, "possible": loss > 0.03}


EXERCISES = {
    1: Exercise(
        "that a unanimous result is worth what its number of seeds makes of it, on both sides",
        whole,
        right=8,
        wrong=[
            (7, "seven heads alone have 1/128; seven tails would have been reported too"),
            (6, "six are enough for 0.05, not for 0.01"),
            (9, "nine are enough, and more than are needed"),
            (100, "p halves with each seed; it does not fall like one over their number"),
        ],
        explain=too_many_or_few,
    ),
    2: Exercise(
        "that a threshold is a quantile of the norms, and which one",
        clipped,
        right=lambda norms, share: np.quantile(norms, 1 - share),
        wrong=[
            (
                lambda norms, share: np.quantile(norms, share),
                "this share is left alone, and all the others are clipped",
            ),
            (
                lambda norms, share: share * norms.max(),
                "a share of the largest norm says nothing of how many norms are above it",
            ),
            (
                lambda norms, share: (1 - share) * norms.max(),
                "near the largest norm there are few others: count updates, not lengths",
            ),
            (
                lambda norms, share: norms.mean() / share,
                "the mean knows nothing of how the norms are spread",
            ),
        ],
        explain=lambda found: (
            f"asked for 10%, 50% and 25%, clipped are "
            f"{', '.join(f'{share:.0%}' for share in found)}"
        ),
        rtol=0.002,
    ),
    3: Exercise(
        "that a pass of a large batch is cheaper by its fewer calls, and by no more",
        float,
        right=32,
        wrong=[
            (96, "96 passes make as many updates, and each of those takes longer"),
            (12, "as many passes take less time: there are fewer steps of the time loop"),
            (4, "that is by the time of an update; a pass of 64 has an eighth of the updates"),
            (4.5, "the time of a pass falls with the batch, so there are more passes, not fewer"),
        ],
        explain=longer,
        rtol=0.01,
    ),
    4: Exercise(
        "that a budget is shared between the search for a rate and the training at it",
        tuned,
        right=(0.07, 40),
        wrong=[
            ((0.09, 40), "the epochs are kept to, the loss is not low enough"),
            ((0.07, 60), "the loss is low enough, the epochs are too many: count the range test's"),
            ((0.09, 60), "neither is the loss low enough nor are the epochs kept to"),
            ((0.001, 40), "lower than any model of this page: is it the loss on new waves?"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
