"""Exercises of *Sequences of different length*."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import to_device, to_numpy
from lstm.backend import get_array_module
from lstm.data import Labelled, japanese_vowels
from lstm.model import LSTMClassifier
from lstm.stack import past_end
from lstm_student.exercise import Exercise

POOLED = np.array([2, 5, 3])  # lengths


def pooling(answer):
    """Return the two tables of weights."""
    found = {name: np.asarray(answer[name], float) for name in ("mean", "last")}
    for name, weights in found.items():
        if weights.shape != (3, 2):
            raise ValueError(
                f"expected {name} with a row a step, of shape (3, 2), got {weights.shape}"
            )
    return found


def about_weights(found):
    for name, weights in found.items():
        if not np.allclose(weights.sum(0), 1):
            return f"{name}: the weights add up to {weights.sum(0).round(2)}, not to 1 and 1"
    return "the weights add up to 1, but one of them is at the wrong step"


def states(low):
    """Return what a layer gives for POOLED, all states negative or of either sign."""
    rng = np.random.default_rng(1)
    y = -1 - rng.random((5, 3, 4)) if low else rng.normal(size=(5, 3, 4))
    y[past_end(POOLED, 5)] = 0.0
    return y


def largest(max_pool):
    """Return the differences of pooled vectors from the largest values, one at a time."""
    away = {}
    for name, low in (("of either sign", False), ("all negative", True)):
        y = states(low)
        got = to_numpy(max_pool(to_device(y), to_device(POOLED)))
        if got.shape != (3, 4):
            raise ValueError(f"expected one vector a sequence, (3, 4), got {got.shape}")
        expected = np.array([y[:n, b].max(0) for b, n in enumerate(POOLED)])
        away[name] = np.nan_to_num(got - expected, posinf=1e9, neginf=-1e9)
    return away


def about_largest(away):
    names = [name for name in away if not np.allclose(away[name], 0, atol=1e-6)]
    return f"some values differ where the states are {names[0]}"


@cache
def listener():
    """Return a model and utterances that it labels right when it has heard five steps.

    The numbers past the ends are NaN, which shows whether they are read.
    """
    rng = np.random.default_rng(0)
    model = LSTMClassifier(2, 6, 9, rng=rng, dtype=np.float64, device="cpu")
    for p in model.params.values():
        p[...] = 2 * rng.normal(size=p.shape)
    x, lengths = rng.normal(size=(12, 40, 2)), rng.integers(1, 13, size=40)
    x[past_end(lengths, 12)] = np.nan
    logits, _ = model(x, None, np.minimum(lengths, 5))
    return model, Labelled(x, lengths, logits.argmax(1))


def accuracy(model, part, lengths):
    return float((model(part.x, None, lengths)[0].argmax(1) == part.labels).mean())


def after(heard):
    """Return the accuracy of the listener after some numbers of steps."""
    return [float(heard(*listener(), steps)) for steps in (2, 5, 8)]


def alone(model, part, steps):
    """Return the accuracy of a model that hears each utterance alone, cut by hand."""
    cut = [part.x[: min(n, steps), b : b + 1] for b, n in enumerate(part.lengths)]
    heard = np.array([model(x)[0].argmax() for x in cut])
    return (heard == part.labels).mean()


def grouped(buckets):
    """Return what holds of the groups of the training utterances."""
    lengths = japanese_vowels()[0].lengths
    groups, again = (
        [[int(k) for k in group] for group in buckets(lengths, 30, np.random.default_rng(seed))]
        for seed in (0, 1)
    )
    work = sum(len(group) * lengths[group].max() for group in groups)
    return {
        "each utterance once": sorted(sum(groups, [])) == list(range(270)),
        "no group above the size": max(map(len, groups)) <= 30,
        "another order at each epoch": groups != again,
        "less than 6% padding": bool(1 - lengths.sum() / work < 0.06),
    }


def shuffled(order, rng, size):
    groups = [order[k : k + size] for k in range(0, len(order), size)]
    return [groups[k] for k in rng.permutation(len(groups))]


def by_length(lengths, rng):
    order = rng.permutation(len(lengths))
    return order[np.argsort(lengths[order], kind="stable")]


def max_pool(y, lengths):
    xp = get_array_module(y)
    return xp.where(past_end(lengths, len(y))[..., None], -np.inf, y).max(0)


THIRD = 1 / 3
MEAN, FIRST = [[1, THIRD], [0, THIRD], [0, THIRD]], [[1, 1], [0, 0], [0, 0]]
EXERCISES = {
    1: Exercise(
        "that weights are zero past an end, and that a reverse direction ends at step 1",
        pooling,
        right={"mean": MEAN, "last": FIRST},
        wrong=[
            (
                {"mean": [[THIRD, THIRD]] * 3, "last": FIRST},
                "the mean of the first takes in its padding: divide by its own length",
            ),
            (
                {"mean": [[THIRD, THIRD], [0, THIRD], [0, THIRD]], "last": FIRST},
                "the first has one step only: its weights add up to a third, not to 1",
            ),
            (
                {"mean": MEAN, "last": [[1, 0], [0, 0], [0, 1]]},
                "this is for the forward direction: where is the last step when going backward?",
            ),
            (
                {"mean": [[1, 1], [0, 1], [0, 1]], "last": FIRST},
                "this makes a sum over the steps, not a mean",
            ),
        ],
        explain=about_weights,
    ),
    2: Exercise(
        "that zero is not neutral for every way to pool",
        largest,
        right=max_pool,
        wrong=[
            (lambda y, lengths: y.max(0), "the padding's zero won where all states are negative"),
            (
                lambda y, lengths: abs(y).max(0),
                "this is the largest size: a large negative value is not the largest value",
            ),
            (
                lambda y, lengths: y.sum(0) / lengths[:, None],
                "this is the mean of the steps",
            ),
            (
                lambda y, lengths: y[0],
                "this is the first step's state, not the largest value of each unit",
            ),
        ],
        explain=about_largest,
    ),
    3: Exercise(
        "that lengths say what is heard, and that a short utterance stays as short as it is",
        after,
        right=alone,
        wrong=[
            (
                lambda model, part, steps: accuracy(model, part, part.lengths),
                "that is the accuracy on whole utterances",
            ),
            (
                lambda model, part, steps: accuracy(model, part, np.full(40, steps)),
                "an utterance that is shorter is read past its end",
            ),
            (
                lambda model, part, steps: accuracy(
                    model, part, np.minimum(part.lengths, steps - 1)
                ),
                "one step too few is heard: a length is a number of steps, not a place",
            ),
        ],
        explain=lambda found: "not what the first steps of each utterance, cut by hand, give",
    ),
    4: Exercise(
        "that padding can be saved, and that the order of training is to stay random",
        grouped,
        right=lambda lengths, size, rng: shuffled(by_length(lengths, rng), rng, size),
        wrong=[
            (
                lambda lengths, size, rng: shuffled(rng.permutation(len(lengths)), rng, size),
                "groups by chance: a third of the steps would still be padding",
            ),
            (
                lambda lengths, size, rng: np.split(
                    np.argsort(lengths, kind="stable"), range(size, len(lengths), size)
                ),
                "every epoch would have the same groups in the same order",
            ),
            (
                lambda lengths, size, rng: shuffled(by_length(lengths, rng)[size:], rng, size),
                "some utterance is missing, or comes twice",
            ),
            (
                lambda lengths, size, rng: [
                    rng.permutation(np.flatnonzero(lengths == n)) for n in set(lengths)
                ],
                "no padding at all, but groups of one length grow above the size",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
