"""Healthy runs: tasks A, on which the thresholds were chosen, tasks B, and others beside.

Each function takes a seed and returns a run that nothing is wrong with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lstm
from faults import HiddenDropout, plain_updates, two_pieces
from lstm.rehearsal import Run


def adam(model: Any, rate: float = 3e-3) -> Any:
    return lstm.Adam(model.params, rate)


def shuffle(seed: int) -> np.random.Generator:
    return np.random.default_rng(1000 + seed)


# --- tasks A ----------------------------------------------------------------------------------


def waves(seed: int, count: int = 48, steps: int = 30) -> Run:
    """Forecast the next value of sines with noise, each of its own period and phase."""
    rng = np.random.default_rng(seed)
    angle = np.arange(steps + 1)[:, None] * rng.uniform(0.2, 0.6, count) + rng.uniform(0, 6.28, count)
    s = (np.sin(angle) + 0.05 * rng.normal(size=angle.shape))[..., None].astype(np.float32)
    model = lstm.LSTMRegressor(1, 12, 1, rng=seed)
    return Run(model, s[:-1], s[1:], adam(model), batch_size=8, rng=shuffle(seed))


def oscillation(rng: np.random.Generator, length: int, count: int, a: float, b: float) -> Any:
    """Return series s[t] = a s[t-1] + b s[t-2] + noise, (length, count), of deviation 1."""
    s = rng.normal(size=(length + 100, count))
    for t in range(2, len(s)):
        s[t] += a * s[t - 1] + b * s[t - 2]
    return s[100:] / s[100:].std()


def split(values: Any, length: int, window: int) -> tuple[Any, Any]:
    """Return windows of a training and a validation part, scaled by the training part."""
    own, later = values[:length], values[length:]
    parts = [(part - own.mean()) / own.std() for part in (own, later)]
    return tuple(lstm.windows(p.astype(np.float32), window) for p in parts)


def series(seed: int) -> Run:
    """Forecast a noisy oscillation from windows of 20 values."""
    values = oscillation(np.random.default_rng(seed), 260, 1, 1.6, -0.9)[:, 0] * 3 + 5
    train, later = split(values + 0.01 * np.arange(260), 200, 20)
    model = lstm.LSTMRegressor(1, 12, 1, rng=seed)
    return Run(model, *train, adam(model), batch_size=16, rng=shuffle(seed), validation=later)


def recall(seed: int, lag: int = 40, steps: int = 60, hidden: int = 12) -> Run:
    """Say at every step what the input was many steps ago."""
    x = np.random.default_rng(seed).normal(size=(steps, 32, 1)).astype(np.float32)
    y = np.concatenate([np.zeros_like(x[:lag]), x[: steps - lag]])
    model = lstm.LSTMRegressor(1, hidden, 1, forget_bias=float(np.log(lag)), rng=seed)
    return Run(model, x, y, adam(model), batch_size=8, rng=shuffle(seed))


def noisy_tones(seed: int, count: int, steps: int) -> Any:
    """Return sines of three periods, (steps, count, 1), their lengths and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    angle = np.arange(steps)[:, None] * np.array([0.3, 0.7, 1.2])[labels] + rng.uniform(0, 6.28, count)
    x = (np.sin(angle) + 0.2 * rng.normal(size=angle.shape))[..., None].astype(np.float32)
    lengths = rng.integers(steps // 2, steps + 1, count)
    x[np.arange(steps)[:, None] >= lengths] = 0
    return x, lengths, labels


def labels(seed: int) -> Run:
    """Tell apart sines of three periods, of different lengths."""
    x, lengths, y = noisy_tones(seed, 48, 24)
    model = lstm.LSTMClassifier(1, 12, 3, rng=seed)
    return Run(model, x, y, adam(model, 5e-3), batch_size=12, rng=shuffle(seed),
               lengths=lengths, loss=lstm.cross_entropy)  # fmt: skip


def ends(seed: int) -> Run:
    """Forecast sines that end at different steps."""
    x, lengths, _ = noisy_tones(seed, 48, 25)
    lengths = np.maximum(lengths - 1, 1)
    y = x[1:].copy()
    y[np.arange(24)[:, None] >= lengths] = 0
    x = x[:-1].copy()
    x[np.arange(24)[:, None] >= lengths] = 0
    model = lstm.LSTMRegressor(1, 12, 1, rng=seed)
    return Run(model, x, y, adam(model), batch_size=12, rng=shuffle(seed), lengths=lengths)


# --- tasks B ------------------------------------------------------------------------------------


def springs(seed: int) -> Run:
    """Forecast noisy oscillations, two values at a time, with another size and optimizer."""
    rng = np.random.default_rng(500 + seed)
    s = np.stack([oscillation(rng, 46, 40, 1.7, -0.85) for _ in range(2)], -1).astype(np.float32)
    model = lstm.LSTMRegressor(2, 16, 2, rng=seed)
    return Run(model, s[:-1], s[1:], adam(model, 2e-3), batch_size=10, rng=shuffle(seed))


def spots(seed: int) -> Run:
    """Forecast the sunspots from windows of 24 years."""
    train, later = split(lstm.sunspots()[1], 220, 24)
    model = lstm.LSTMRegressor(1, 16, 1, rng=seed)
    return Run(model, *train, adam(model, 1e-3), batch_size=20, rng=shuffle(seed), validation=later)


def echoes(seed: int) -> Run:
    """Recall, with another lag, length and size."""
    return recall(500 + seed, lag=32, steps=50, hidden=16)


def vowels(seed: int) -> Run:
    """Tell nine speakers apart by a vowel."""
    train, _ = lstm.japanese_vowels()
    model = lstm.LSTMClassifier(12, 16, 9, rng=seed)
    return Run(model, train.x, train.labels, adam(model, 5e-3), batch_size=30, rng=shuffle(seed),
               lengths=train.lengths, loss=lstm.cross_entropy)  # fmt: skip


def spoken(seed: int) -> Run:
    """Forecast the next step of a vowel, twelve values, in sequences of different length."""
    (x, lengths, _), _ = lstm.japanese_vowels()
    model = lstm.LSTMRegressor(12, 12, 12, rng=seed)
    x, lengths = x[:, ::3], lengths[::3] - 1
    y = x[1:] * (np.arange(len(x) - 1)[:, None, None] < lengths[:, None])
    return Run(model, x[:-1], y, adam(model), batch_size=15, rng=shuffle(seed), lengths=lengths)


Maker = Callable[[int], Run]
TASKS: dict[str, dict[str, Maker]] = {
    "A": {"waves": waves, "series": series, "recall": recall, "labels": labels, "ends": ends},
    "B": {"waves": springs, "series": spots, "recall": echoes, "labels": vowels, "ends": spoken},
}


# --- other healthy runs ---------------------------------------------------------------------------


def variant(maker: Maker, recurrent: Callable[[int], Any], optimizer: Any = adam, **options: Any) -> Maker:
    """Return a maker whose model has another recurrent layer, and its training other options."""

    def make(seed: int) -> Run:
        run = maker(seed)
        size = run.model.linear.output_size
        kind = type(run.model).__mro__[1]  # Regressor or Classifier
        model = kind(recurrent(seed), size, rng=seed)
        made = {k: v(seed) if callable(v) and k == "rng" else v for k, v in options.items()}
        return Run(**vars(run) | {"model": model, "optimizer": optimizer(model)} | made)

    return make


def trained(maker: Maker, updates: int) -> Maker:
    """Return a maker whose training is already under way."""

    def make(seed: int) -> Run:
        run = maker(seed)
        plain_updates(run, updates)
        return run

    return make


def sine(seed: int) -> Run:
    """The seed's task and training."""
    (x, y), _ = lstm.sine_task()
    model = lstm.LSTMRegressor(1, 20, 1, rng=seed)
    return Run(model, x, y, adam(model, 1e-3), bptt_length=10)


def stateful_sine(seed: int) -> Run:
    """The same, as a stateful layer over consecutive windows."""
    (x, y), _ = lstm.sine_task()
    x, y = (np.ascontiguousarray(a.reshape(100, 10, 1).swapaxes(0, 1)) for a in (x, y))
    model = lstm.LSTMRegressor(1, 20, 1, stateful=True, rng=seed)
    return Run(model, x, y, adam(model, 1e-3), batch_size=1)


def dropped(seed: int) -> Run:
    """Dropout that the model knows of."""
    run = springs(seed)
    model = HiddenDropout(run.model.recurrent, 2, True, seed)
    return Run(**vars(run) | {"model": model, "optimizer": adam(model)})


def pieces(seed: int) -> Run:
    """A step of its own that goes through each sequence in two pieces."""
    return Run(**vars(springs(seed)) | {"step": two_pieces})


def sgd(rate: float) -> Any:
    return lambda model: lstm.SGD(model.params, rate)


OTHERS: dict[str, Maker] = {
    "sine": sine,
    "stateful sine": stateful_sine,
    "two pieces": pieces,
    "dropout": dropped,
    "GRU": variant(springs, lambda s: lstm.GRU(2, 16, rng=s)),
    "RNN": variant(springs, lambda s: lstm.RNN(2, 16, rng=s)),
    "two layers, dropout": variant(springs, lambda s: lstm.LSTM(2, 10, num_layers=2, dropout=0.2, rng=s)),
    "both directions": variant(vowels, lambda s: lstm.LSTM(12, 8, bidirectional=True, rng=s)),
    "GRU, vowels": variant(vowels, lambda s: lstm.GRU(12, 16, rng=s), clip_norm=1.0),
    "peepholes": variant(spots, lambda s: lstm.PeepholeLSTM(1, 12, rng=s)),
    "coupled": variant(spots, lambda s: lstm.CoupledLSTM(1, 12, rng=s)),
    "large": variant(springs, lambda s: lstm.LSTM(2, 64, rng=s)),
    "small": variant(spots, lambda s: lstm.LSTM(1, 4, rng=s)),
    "SGD": variant(springs, lambda s: lstm.LSTM(2, 16, rng=s), sgd(0.1)),
    "SGD, clipped": variant(spots, lambda s: lstm.LSTM(1, 16, rng=s), sgd(0.3), clip_norm=0.5),
    "momentum": variant(springs, lambda s: lstm.LSTM(2, 16, rng=s), lambda m: lstm.Momentum(m.params, 0.03)),
    "RMSprop": variant(spots, lambda s: lstm.LSTM(1, 16, rng=s), lambda m: lstm.RMSprop(m.params, 1e-3)),
    "AdamW, cosine": variant(vowels, lambda s: lstm.LSTM(12, 24, rng=s), lambda m: lstm.AdamW(m.params, 1e-2),
                             schedule=lstm.cosine(1e-2, 30, warmup=3)),
    "decay an epoch": variant(springs, lambda s: lstm.LSTM(2, 16, rng=s), schedule=lstm.warmup_exponential(5e-3, 0.9)),
    "no forget bias, short lag": variant(springs, lambda s: lstm.LSTM(2, 16, forget_bias=0.0, rng=s)),
    "all in one batch": variant(springs, lambda s: lstm.LSTM(2, 16, rng=s), batch_size=None, rng=None),
    "float64": variant(springs, lambda s: lstm.LSTM(2, 16, rng=s, dtype=np.float64)),
    "springs under way": trained(springs, 300),
    "spots under way": trained(spots, 300),
    "vowels under way": trained(vowels, 150),
    "recall of 12 steps": lambda seed: recall(700 + seed, lag=12, steps=30),
}  # fmt: skip
HEALTHY: dict[str, Maker] = {maker.__name__: maker for maker in TASKS["B"].values()} | OTHERS

# Faults that can be planted milder: the task of set B, and the strengths, the mildest first.
STRENGTHS = {
    "weights too large": ("waves", ("2", "3", "4", "5", "6", "8", "16")),
    "weights too small": ("waves", ("0.5", "0.2", "0.1", "0.05", "0.02", "0.01")),
    "memory too short": ("recall", ("3", "2", "1", "0.5", "0", "-1")),
    "rate too high": ("waves", ("3", "10", "30", "100", "300", "1000")),
    "rate too low": ("waves", ("0.1", "0.03", "0.01", "0.003", "0.001", "0.0003")),
    "rate decays within an epoch": ("waves", ("0.99", "0.97", "0.95", "0.9", "0.8")),
    "clipping turns the gradient": ("waves", ("0.3", "0.1", "0.03", "0.01", "0.001")),
}


def ending_series(seed: int) -> Run:
    """Forecast sines with a model that has learned to."""
    return trained(waves, 300)(seed)
