"""Recall: a sign is shown once, and asked for a lag later, with noise in between."""

from __future__ import annotations

import numpy as np

from lstm import cross_entropy, fit, get_array_module, to_device, to_numpy
from lstm.checks import check_size
from lstm.data import Split
from lstm.tasks import check_draw

NOISE = 0.3  # standard deviation, where a sign is -1 or 1
PAUSE = 10  # steps between a question and the next sign are fewer than these


def recall_task(lag, count, rng):
    """Return sequences that begin with a sign, and the sign of each as a class.

    Parameters
    ----------
    lag, count : steps of noise after the sign, at least 1, and B

    Returns
    -------
    x : (lag + 1, B, 2), the sign, -1 or 1, and the noise; else 0
    y : (B,), 0 or 1
    """
    check_draw("recall_task", rng, lag=(lag, 1), count=(count, 1))
    x, y = np.zeros((lag + 1, count, 2), np.float32), rng.integers(0, 2, count)
    x[0, :, 0] = 2 * y - 1
    x[1:, :, 1] = rng.normal(0.0, NOISE, (lag, count))
    return Split(x, y)


def recall_stream(steps, count, lag, rng, mixed=False):
    """Return streams in which signs are shown and asked for, again and again.

    Noise is read at every step. After a question come 0 to 9 steps, and then the next
    sign: at any time there is one to be kept, or none.

    Parameters
    ----------
    steps, count : T and B
    lag : steps from a sign to its question, at least 1
    mixed : draw each lag from 1 to ``lag``

    Returns
    -------
    x : (T, B, 3), the sign, -1 or 1, or 0; the noise; 1 where the last sign is asked for
    y : (T, B), its class, 0 or 1, and -1 at the steps without a question
    """
    check_draw("recall_stream", rng, steps=(steps, 1), count=(count, 1), lag=(lag, 1))
    x, y = np.zeros((steps, count, 3), np.float32), np.full((steps, count), -1)
    x[:, :, 1] = rng.normal(0.0, NOISE, (steps, count))
    for b in range(count):
        shown = rng.integers(PAUSE)
        while (asked := shown + (rng.integers(1, lag + 1) if mixed else lag)) < steps:
            y[asked, b] = rng.integers(2)
            x[shown, b, 0], x[asked, b, 2] = 2 * y[asked, b] - 1, 1
            shown = asked + 1 + rng.integers(PAUSE)
    return Split(x, y)


def cut(sequences, length):
    """Return sequences (T, B, ...) cut into pieces: (length, pieces * B, ...).

    The pieces stand in the order of time: first piece of all sequences, then the second.
    """
    T, B = sequences.shape[:2]
    check_size("cut", "length", length)
    if T % length:
        raise ValueError(f"cut expected length as a divisor of {T} steps, got {length}")
    pieces = sequences.reshape(T // length, length, B, *sequences.shape[2:])
    return pieces.swapaxes(0, 1).reshape(length, -1, *sequences.shape[2:])


def asked_loss(logits, labels):
    """Return the cross-entropy at the steps with a question, and its gradient.

    Parameters
    ----------
    logits, labels : (T, B, K), and (T, B), -1 where nothing is asked; without any question
        the loss and its gradient are zero
    """
    where, dlogits = labels >= 0, get_array_module(logits).zeros_like(logits)
    if not where.any():
        return 0.0, dlogits
    loss, dlogits[where] = cross_entropy(logits[where], labels[where])
    return loss, dlogits


def wrong(model, x, y):
    """Return the share of wrong answers, at the steps or for the sequences with a label."""
    logits, asked = to_numpy(model(to_device(x))[0]), y >= 0
    return float((logits.argmax(-1) != y)[asked].mean())


def judged(model, draw, seed):
    """Return the share of wrong answers on two new draws: to choose a rate by, to report."""
    kinds = {"validation": 3, "wrong": 4}
    return {kind: wrong(model, *draw(np.random.default_rng([k, seed]))) for kind, k in kinds.items()}


def learn_recall(model, optimizer, lag, updates, rng, clip=1.0, batch=16):
    """Train a classifier once on as many sequences as the updates take; return its `History`."""
    x, y = recall_task(lag, batch * updates, rng)
    return fit(model, to_device(x), to_device(y), optimizer, epochs=1, batch_size=batch,
               loss=cross_entropy, clip_norm=clip)
