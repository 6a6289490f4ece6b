"""Tuning: what a learning rate does to a model, measured before a long training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .backend import Array, Module
from .checks import check_positive
from .optim import Adam, Optimizer, Params
from .training import History, fit


def rate_range_test(
    model: Module, x: Array, y: Array, rates: Sequence[float], *,
    optimizer: Callable[[Params, float], Optimizer] = Adam, **options: Any,
) -> Array:
    """Train a copy of a model for one epoch at each of some rising rates.

    Parameters
    ----------
    model : stays as it is, its generators included
    x, y : as in `training.fit`; a part of the data will do where an epoch is long
    rates : learning rates above 0, each higher than the one before
    optimizer : makes one from parameters and a rate
    **options : those of `training.fit` that are not about epochs, rates or callbacks

    Returns
    -------
    losses : (len(rates),) mean loss of each epoch; infinite from the first rate on at which
        the loss was not finite

    Raises
    ------
    ValueError
        If the rates do not rise, or as `training.fit` does.

    References
    ----------
    Smith (2017), with an epoch for each rate where he has one update.
    """
    rates = [check_positive("rate_range_test", "rates", float(rate)) for rate in rates]
    if not rates or rates != sorted(set(rates)):
        raise ValueError(f"rate_range_test expected rates that rise, got {rates}")
    trial, history = copy.deepcopy(model), History()
    steps, losses = optimizer(trial.params, rates[0]), np.full(len(rates), math.inf)
    with suppress(FloatingPointError), np.errstate(all="ignore"):  # to diverge is the end
        fit(trial, x, y, steps, epochs=len(rates), schedule=rates.__getitem__,
            history=history, **options)
    losses[: len(history.loss)] = history.loss
    return losses


def rate_before_rise(rates: Sequence[float], losses: Array, rise: float = 1.5) -> float:
    """Return the rate with the lowest loss before the losses first rise.

    Parameters
    ----------
    rates, losses : of a `rate_range_test`
    rise : a loss above this many times the lowest so far is one that has risen, above 1

    Raises
    ------
    ValueError
        If the first loss is not finite: there is no rate low enough in the test.
    """
    losses = np.asarray(losses, float)
    if not 1 < rise < math.inf:
        raise ValueError(
            f"rate_before_rise expected rise above 1 and finite, got {rise!r}"
        )
    if losses.shape != (len(rates),) or not losses.size or not np.isfinite(losses[0]):
        raise ValueError(
            "rate_before_rise expected a loss for each rate, the first one finite, "
            f"got {losses.tolist()} for {len(rates)} rates"
        )
    lowest = np.minimum.accumulate(losses)
    risen = np.flatnonzero(~(losses <= rise * lowest))  # NaN has risen too
    end = risen[0] if len(risen) else len(losses)
    return float(rates[int(np.argmin(losses[:end]))])
