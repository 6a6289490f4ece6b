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
