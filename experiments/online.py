"""Tasks whose sequences are each seen once: what is predicted before an update is new."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lstm import (
    Adam,
    LSTMClassifier,
    LSTMRegressor,
    adding_task,
    adding_task_1997,
    copy_task,
    cross_entropy,
    mean_squared_error,
    one_hot,
    parity_task,
    temporal_order_task,
    to_device,
    to_numpy,
)
from lstm.data import Labelled
from lstm.tasks import ORDER
from lstm.training import clip


class Task(NamedTuple):
    """What is drawn: x, y and lengths or None; sizes; and which predictions are right.

    `guess` is the loss of a predictor that knows nothing of the sequence.
    """

    draw: Callable[..., Any]
    inputs: int
    outputs: int
    right: Callable[..., Any]
    guess: float
    model: Callable[..., Any] = LSTMClassifier


def two_symbols(count, rng):
    """Temporal order with an X or Y at two places: four classes, experiment 6a of the paper.

    The places are steps 10 to 20 and 50 to 60; all else is as in `temporal_order_task`.
    """
    lengths, each = rng.integers(100, 111, count), np.arange(count)
    x = rng.integers(2, 6, (lengths.max(), count))
    x *= np.arange(len(x))[:, None] < lengths
    x[0], x[lengths - 1, each] = ORDER.index("E"), ORDER.index("B")
    kinds = rng.integers(0, 2, (2, count))
    for kind, start in zip(kinds, (10, 50)):
        x[rng.integers(start, start + 11, count), each] = ORDER.index("X") + kind
    return Labelled(x, lengths, np.array([2, 1]) @ kinds)


def close(prediction, y):
    """Say of each sequence whether its number is right to 0.04."""
    return abs(prediction - y)[:, 0] < 0.04


def sure(logits, y):
    """Say of each sequence whether its class has a probability above 0.7, others below 0.3."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return np.take_along_axis(p, y[:, None], -1)[:, 0] > 0.7


def throughout(logits, y):
    """Say of each sequence whether at every step the target has the largest logit."""
    return (logits.argmax(-1) == y).all(0)


def sums(steps, both_signs=False):
    """Return the draw of the modern adding task, with numbers from 0, or from -1, to 1."""
    def draw(count, rng):
        x, y = adding_task(steps, count, rng)
        if both_signs:
            x[:, :, 0], y = 2 * x[:, :, 0] - 1, 2 * y - 2
        return x, y[:, None], None

    return draw


def sums_1997(count, rng):
    x, lengths, y = adding_task_1997(100, count, rng)
    return x, y[:, None].astype(x.dtype), lengths


def order(source):
    """Return the draw of a temporal order with one-hot symbols."""
    def draw(count, rng):
        x, lengths, y = source(count, rng)
        return one_hot(x, len(ORDER)), y, lengths

    return draw


def copies(count, rng):
    x, y = copy_task(5, count, rng)
    return one_hot(x, 10), y, None


def parities(count, rng):
    x, y = parity_task(10, count, rng)
    return x, y, None


TASKS = {
    "adding, 1997": Task(sums_1997, 2, 1, close, (1.9 - 0.9 / 49) / 48),
    "order of two": Task(order(two_symbols), 8, 4, sure, math.log(4)),
    "order of three": Task(order(temporal_order_task), 8, 8, sure, math.log(8)),
    "parity": Task(parities, 1, 2, throughout, math.log(2), LSTMRegressor),
    "copy": Task(copies, 10, 10, throughout, 10 * math.log(8) / 25, LSTMRegressor),
    "adding, -1 to 1": Task(sums(100, both_signs=True), 2, 1, close, 2 / 3),
} | {f"adding {steps}": Task(sums(steps), 2, 1, close, 1 / 6) for steps in (50, 100, 200, 400)}


def opened(task, units, seed, forget, enter):
    """Return a new model whose forget and input gates begin with these biases."""
    model = task.model(task.inputs, units, task.outputs, forget_bias=forget, rng=seed)
    model.params["recurrent.bias_l0"][:units] = enter  # the first block is the input gate's
    return model


def updates(task, model, batch, rate, seed, most, halved=math.inf):
    """Train a model on new sequences, a batch an update, with Adam and gradients clipped to 1.

    Parameters
    ----------
    halved : number of sequences after which the rate is half of what it was

    Yields
    ------
    shown, loss, right : sequences so far; what the batch was before it was learned from
    """
    rng, optimizer = np.random.default_rng([7, seed]), Adam(model.params, rate)
    loss = mean_squared_error if task.outputs == 1 else cross_entropy
    for shown in range(batch, most + 1, batch):
        x, y, lengths = task.draw(batch, rng)
        prediction, _ = model(to_device(x), None, lengths)
        value, dy = loss(prediction, to_device(y))
        model.backward(dy)
        grads = model.grads
        clip(grads, 1.0, None)
        optimizer.learning_rate = rate * 0.5 ** ((shown - batch) // halved)
        optimizer.step(grads)
        yield shown, float(value), task.right(to_numpy(prediction), y)


def unseen(task, model, seed, count=2560):
    """Return the loss on so many other new sequences, and how many of them are wrong."""
    x, y, lengths = task.draw(count, np.random.default_rng([8, seed]))
    prediction = to_numpy(model(to_device(x), None, lengths)[0])
    loss = mean_squared_error if task.outputs == 1 else cross_entropy
    return float(loss(prediction, y)[0]), int((~task.right(prediction, y)).sum())
