"""Recall in a stream: the lag against the window of truncated BPTT, three ways to train."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, Adam, Linear, Sequential, fit, to_device

from .choices_claims import TRUNCATION as CLAIMS  # noqa: F401
from .recall import asked_loss, cut, judged, recall_stream

FILE = "book/evidence/choices_truncation.csv"

UNITS, UPDATES, READ = 8, 600, 640  # READ: steps of all streams together in an update
WAYS = ("carried", "reset", "mixed")  # state carried, reset; carried, with all lags up to one


def cells(rows):
    return [
        {"way": way, "lag": lag, "window": window, "rate": rate, "seed": seed}
        for seed in range(6) for way in WAYS for lag in (8, 16, 32)
        for window in (5, 10, 20, 40) for rate in (0.01, 0.03)
    ]  # fmt: skip


def train(way, lag, window, rate, seed, updates=UPDATES):
    """Train on streams that are read once, with an update for each window; return the model."""
    if way not in WAYS:
        raise ValueError(f"train expected way as one of {WAYS}, got {way!r}")
    count, rng = READ // window, np.random.default_rng([1, seed])
    x, y = recall_stream(updates * window, count, lag, rng, mixed=way == "mixed")
    if way == "reset":
        x, y = cut(x, window), cut(y, window)
    rng = np.random.default_rng([2, seed])
    model = Sequential(recurrent=LSTM(3, UNITS, forget_bias=1.0, rng=rng),
                       readout=Linear(UNITS, 2, rng=rng))
    fit(model, to_device(x), to_device(y), Adam(model.params, rate), epochs=1,
        bptt_length=window, batch_size=count, loss=asked_loss, clip_norm=1.0)
    return model


def measure(way, lag, window, rate, seed):
    model = train(way, lag, window, rate, seed)
    return judged(model, lambda rng: recall_stream(600, 64, lag, rng), seed)
