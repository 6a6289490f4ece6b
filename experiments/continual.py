"""Streams of the embedded Reber grammar, with and without a forget gate."""

from __future__ import annotations

import numpy as np

from lstm import (
    LSTM,
    Adam,
    Regressor,
    continual_reber,
    cross_entropy,
    embedded_reber,
    evaluate,
    fit,
    one_hot,
    to_device,
    to_numpy,
)

from .forgetting_claims import STREAM as CLAIMS  # noqa: F401
from .held import HeldLSTM
from .search import searched

FILE = "book/evidence/continual.csv"
KINDS = ("forget gate", "none", "none, resets")
RATES = (0.003, 0.01, 0.03, 0.1)
UNITS, STREAMS, STEPS, EPOCHS = 12, 16, 4000, 8
FEW, MANY = 5, 10


def cells(rows):
    return searched(rows, [{"kind": kind} for kind in KINDS], RATES, score, FEW, MANY)


def score(row):
    """By which a rate is chosen: the loss on streams, or strings, that are kept for it."""
    return float(row["valid"])


def pairs(part):
    """Input, a column for each symbol, and target, the next symbol."""
    return to_device(one_hot(part.tokens[:-1], 7)), to_device(part.tokens[1:])


def train(kind, rate, seed, epochs=EPOCHS):
    """A model that has learned from streams, their state carried on, or from single strings."""
    rng = np.random.default_rng([0, seed])
    cell = LSTM if kind == "forget gate" else HeldLSTM
    model = Regressor(cell(7, UNITS, rng=rng), 7, rng=rng)
    options = {"epochs": epochs, "clip_norm": 1.0, "loss": cross_entropy}
    if kind == "none, resets":
        part = embedded_reber(3200, rng)
        options |= {"lengths": part.lengths - 1, "batch_size": 32, "rng": rng}
    else:
        part = continual_reber(STEPS + 1, STREAMS, rng)
        options |= {"bptt_length": 40}
    fit(model, *pairs(part), Adam(model.params, rate), **options)
    return model


def recalls(logits, tokens):
    """For each string's end, an E behind a T or P: its step, and whether that T or P was told."""
    step, b = np.nonzero((tokens[2:] == 6) & ((tokens[1:-1] == 1) | (tokens[1:-1] == 2)))
    told = tokens[step + 1, b]
    return step, logits[step, b, told] > logits[step, b, 3 - told]


def follow(model, part):
    """Steps whose legal symbols are above all others, (T, B); the recalls; sizes of cells."""
    logits, legal = to_numpy(model(pairs(part)[0])[0]), part.legal[:-1]
    right = np.where(legal, logits, np.inf).min(-1) > np.where(legal, -np.inf, logits).max(-1)
    cells = abs(to_numpy(model.recurrent.trace().c)).max(-1)
    return right, recalls(logits, part.tokens), cells


def measure(kind, rate, seed):
    model, rng = train(kind, rate, seed), np.random.default_rng(3)
    valid = embedded_reber(300, rng) if kind == "none, resets" else continual_reber(501, 8, rng)
    right, (step, told), cells = follow(model, continual_reber(2001, 16, np.random.default_rng(1)))
    strings = embedded_reber(500, np.random.default_rng(2))
    found = {
        "valid": evaluate(model, *pairs(valid), cross_entropy, valid.lengths - 1),
        "right": right.mean(), "faultless": right[1000:].all(0).mean(),
        "early": told[step < 200].mean(), "late": told[step >= 1000].mean(),
        "cell_100": np.median(cells[99]), "cell_2000": np.median(cells[-1]),
        "strings": follow(model, strings)[1][1].mean(),
    }
    return {name: float(value) for name, value in found.items()}
