"""Exercises of *The method: an order of examination*."""

from __future__ import annotations

import math

import numpy as np

from lstm import LSTM, RNN, Regressor, mean_squared_error, to_device, to_numpy
from lstm.backend import device_of
from lstm.sanity import Batch, sanity_check
from lstm.stack import past_end
from lstm.training import loss_to_ends
from lstm_student.exercise import Exercise

COSTS = (math.log(9), 13.0, math.log(2), -0.9 * math.log(0.9) - 0.1 * math.log(0.1))


def four(answer):
    """Return four losses as numbers."""
    a, b, c, d = answer
    return tuple(map(float, (a, b, c, d)))


def off(found):
    """Name the losses that are not right."""
    wrong = [k for k, x, y in zip("abcd", found, COSTS) if not abs(x - y) <= 0.01]
    return f"not right: {', '.join(wrong)}"


def numbers(n):
    """Return noise (8, 3, n)."""
    return np.random.default_rng(n).normal(size=(8, 3, n))


def planted(kind=Regressor):
    """Return a model with two inputs and one output, of a kind that may be faulty."""
    layer = LSTM(2, 8, rng=0, dtype=np.float64, device="cpu")
    return kind(layer, 1, rng=1)


class ReadsOn(Regressor):
    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x, state)


class MeanOverTime(Regressor):
    """Take off the mean over all steps, those past the ends too."""

    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x - x.mean(0, keepdims=True), state, lengths)


def padding(check_padding):
    """Return what a check of padding says of three models, and whether it changed the data."""
    found = {"data changed": False}
    for name, kind in (("right", Regressor), ("reads on", ReadsOn), ("mean", MeanOverTime)):
        batch = Batch(numbers(2), numbers(1), np.array([8, 3, 5]))
        model = planted(kind)
        before = [a.copy() for a in (batch.x, batch.y, *model.params.values())]
        found[name] = bool(check_padding(model, batch, mean_squared_error))
        after = (batch.x, batch.y, *model.params.values())
        found["data changed"] |= any((a != b).any() for a, b in zip(before, after))
    return found


def what_changes(model, batch, loss):
    """Return loss, last states and gradients, before and after the padding is replaced."""

    def measured(x, y):
        out, state = model(x, None, batch.lengths)
        value, dy = loss_to_ends(loss, out, y, batch.lengths)
        model.backward(dy)
        return [value], [*state], [*model.grads.values()]

    x, y, past = batch.x.copy(), batch.y.copy(), past_end(batch.lengths, len(batch.x))
    x[past], y[past] = 7.0, 7.0
    return measured(batch.x, batch.y), measured(x, y)


def alike(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second))


def padding_is_ignored(model, batch, loss):
    return all(alike(*pair) for pair in zip(*what_changes(model, batch, loss)))


def loss_alone(model, batch, loss):
    (before, *_), (after, *_) = what_changes(model, batch, loss)
    return alike(before, after)


def everything_replaced(model, batch, loss):
    other = batch._replace(x=batch.x + 1.0, y=batch.y + 1.0)
    values = [
        loss_to_ends(loss, model(b.x, None, b.lengths)[0], b.y, b.lengths)[0]
        for b in (batch, other)
    ]
    return values[0] == values[1]


def in_place(model, batch, loss):
    answer = padding_is_ignored(model, batch, loss)
    batch.x[past_end(batch.lengths, len(batch.x))] = 7.0
    return answer


def unseen(model):
    """Return which checks see what is wrong with a model, if anything is."""
    device = device_of(model.params["linear.weight"])
    x, y = (to_device(numbers(n), device) for n in (2, 1))
    own, right = to_numpy(model(x)[0]), planted()(numbers(2))[0]
    if own.shape != right.shape:
        raise ValueError(f"expected outputs {right.shape} for inputs {x.shape}, got {own.shape}")
    if np.allclose(own, right, rtol=1e-9, atol=0):
        return {"differs": False, "seen by": []}
    for steps in (1, 100):  # the trainings take most of the time, and only the last two look
        options = {"loss": mean_squared_error, "rng": np.random.default_rng(0), "steps": steps}
        failed = [k for k, c in sanity_check(model, x, y, **options).items() if c.passed is False]
        seen = failed if steps > 1 else [k for k in failed if k not in ("overfit", "input")]
        if seen:
            break
    return {"differs": True, "seen by": seen}


class IgnoresState(Regressor):
    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x, None, lengths)


class ReadsBackward(Regressor):
    def __call__(self, x, state=None, lengths=None):
        y, state = super().__call__(x[::-1], state, lengths)
        return y[::-1], state

    def backward(self, dy, dstate=None):
        dx, dstate = super().backward(dy[::-1], dstate)
        return dx[::-1], dstate


class ScaledForward(Regressor):
    def __call__(self, x, state=None, lengths=None):
        return super().__call__(0.1 * x, state, lengths)


EXERCISES = {
    1: Exercise(
        "that the losses of zeros and of the best constant are known before any training",
        four,
        right=COSTS,
        wrong=[
            ((COSTS[0], 4, *COSTS[2:]), "b: that is what the best constant costs, not zeros"),
            ((COSTS[0], 11, *COSTS[2:]), "b: 2 is the standard deviation; the variance is asked"),
            ((COSTS[0], 9, *COSTS[2:]), "b: the targets also scatter around their mean"),
            ((math.log2(9), *COSTS[1:]), "a: that is in bits; the loss takes natural logarithms"),
            ((*COSTS[:2], COSTS[3], COSTS[3]), "c: zeros know nothing of how often a label comes"),
            ((*COSTS[:3], -math.log(0.9)), "d: the labels of the second class cost something too"),
        ],
        explain=off,
        rtol=0.005,
    ),
    2: Exercise(
        "that padding is looked for in all that a pass returns, not in the loss alone",
        padding,
        right=padding_is_ignored,
        wrong=[
            (loss_alone, "a model that reads on past the ends is passed: its loss is right"),
            (
                lambda model, batch, loss: True,
                "even a model whose outputs see the padding is passed",
            ),
            (everything_replaced, "a right model is refused: what lies before an end must stay"),
            (in_place, "the data were changed: work on copies"),
        ],
        explain=lambda found: f"passed should be the right model alone: {found}",
    ),
    3: Exercise(
        "that the checks ask whether a model is right, not whether it suits the task",
        unseen,
        right=Regressor(RNN(2, 8, rng=0, dtype=np.float64, device="cpu"), 1, rng=1),
        wrong=[
            (planted(IgnoresState), "from zeros its outputs are those of the right model"),
            (planted(ReadsBackward), "seen: it looks ahead, and cannot be continued from a state"),
            (planted(ScaledForward), "seen: its gradients are not those of what it computes"),
        ],
        explain=lambda found: f"seen by {', '.join(found['seen by'])}",
    ),
}
