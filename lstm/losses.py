"""Losses: each returns its value and the gradient with respect to the prediction."""

from __future__ import annotations

import numpy as np

from .backend import Array, get_array_module


def mean_squared_error(y: Array, target: Array) -> tuple[Array, Array]:
    """Mean over all entries of (y - target)**2, and its gradient.

    Parameters
    ----------
    y, target : arrays of one shape

    Returns
    -------
    loss : scalar of y's dtype
    dy : array of y's shape, 2 (y - target) / size

    Raises
    ------
    ValueError
        If the shapes differ: (T, 1, 1) against (T, 1) would broadcast to (T, T, 1),
        every step compared with every other.
    """
    if y.shape != target.shape:
        raise ValueError(
            f"mean_squared_error expected target of y's shape {y.shape}, got {target.shape}"
        )
    difference = y - target
    return (difference * difference).mean(), difference * (2.0 / y.size)


def check_labels(logits: Array, labels: Array) -> Array:
    """Refuse labels that cannot belong to logits; return whether one is no class, ().

    Parameters
    ----------
    logits, labels : as in `cross_entropy`
    """
    xp, classes = get_array_module(logits, labels), logits.shape[-1]
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy expected labels of an integer dtype, got {labels.dtype}"
        )
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy expected labels of shape {logits.shape[:-1]}, "
            f"got {labels.shape}"
        )
    outside: Array = ((labels < 0) | (labels >= classes)).any()
    if xp is np and outside:  # on a GPU the question would wait for an answer
        raise ValueError(
            f"cross_entropy expected labels from 0 to {classes - 1}, "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    return outside


def cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Mean negative log-probability of the labels under softmax(logits), and its gradient.

    Parameters
    ----------
    logits : (..., K)
    labels : (...) whole numbers from 0 to K - 1

    Returns
    -------
    loss : scalar of the logits' dtype, in nats; on a GPU NaN if a label is outside
    dlogits : (..., K), (softmax(logits) - one_hot(labels)) / number of labels

    Raises
    ------
    TypeError, ValueError
        If the labels are no whole numbers, outside 0 to K - 1, or of another shape.
    """
    outside, xp = check_labels(logits, labels), get_array_module(logits)
    shifted = logits - logits.max(-1, keepdims=True)  # exp cannot overflow
    probabilities = xp.exp(shifted)
    sums = probabilities.sum(-1, keepdims=True)
    probabilities /= sums
    one_hot = labels[..., None] == xp.arange(logits.shape[-1])
    log_p = xp.take_along_axis(shifted - xp.log(sums), labels[..., None], -1)
    loss = -log_p.mean()
    if xp is not np:
        xp.copyto(loss, xp.nan, where=outside)
    return loss, (probabilities - one_hot) * (1.0 / labels.size)
