"""Three tasks under one call: the sine, noisy waves, and spoken vowels."""

from __future__ import annotations

import numpy as np

from lstm import (
    SGD,
    Adam,
    LSTMClassifier,
    LSTMRegressor,
    Momentum,
    RMSprop,
    cross_entropy,
    japanese_vowels,
    sine_task,
)

from .waves import waves

OPTIMIZERS = {"SGD": SGD, "Momentum": Momentum, "RMSprop": RMSprop, "Adam": Adam}


def task(name, seed):
    """Return a new model, x and y to train it, and the options of `fit`."""
    if name == "sine":
        model = LSTMRegressor(1, 20, 1, forget_bias=1.0, rng=seed)
        return model, *sine_task()[0], {"bptt_length": 10}
    rng = np.random.default_rng(seed)
    if name == "waves":
        train = waves(256, 30, np.random.default_rng([1, seed]))
        model = LSTMRegressor(1, 16, 1, forget_bias=1.0, rng=seed)
        return model, *train, {"batch_size": 16, "rng": rng}
    x, lengths, labels = japanese_vowels()[0]
    options = {"batch_size": 30, "lengths": lengths, "loss": cross_entropy, "rng": rng}
    return LSTMClassifier(12, 16, 9, pool="mean", rng=seed), x, labels, options
