"""The embedded Reber grammar: the memory of an LSTM and of two plain RNNs at three rates."""

from __future__ import annotations

import numpy as np

from lstm import (
    LSTM,
    RNN,
    Adam,
    Embedding,
    Linear,
    Sequential,
    cross_entropy,
    embedded_reber,
    fit,
    to_device,
    to_numpy,
)
from lstm.data import SYMBOLS, Strings
from lstm.stack import past_end

FILE = "book/practice/grammar_grid.csv"


def cells(rows):
    return [
        {"cell": cell, "units": units, "rate": rate, "seed": seed}
        for cell, units in (("LSTM", 12), ("RNN", 12), ("RNN", 24))
        for rate in (0.003, 0.01, 0.03) for seed in range(10)
    ]  # fmt: skip


def words(part):
    """The strings of a set, as text."""
    return ["".join(SYMBOLS[k] for k in part.tokens[:n, b])
            for b, n in enumerate(part.lengths)]


def some(part, columns):
    """A set with some of its strings."""
    return Strings(part.tokens[:, columns], part.lengths[columns], part.legal[:, columns])


known = embedded_reber(256, np.random.default_rng(1))
fresh = embedded_reber(2000, np.random.default_rng(2))
seen = set(words(known))
new = some(fresh, np.array([word not in seen for word in words(fresh)]))

CELLS = {"LSTM": LSTM, "RNN": RNN}


def language_model(cell, units, seed, dtype=np.float32):
    rng, options = np.random.default_rng(seed), {"dtype": dtype}
    return Sequential(embedding=Embedding(7, 4, rng=rng, **options),
                      recurrent=cell(4, units, rng=rng, **options),
                      readout=Linear(units, 7, rng=rng, **options))


def learn(model, part, epochs, optimizer, rng, history=None):
    x, y = to_device(part.tokens[:-1]), to_device(part.tokens[1:])
    return fit(model, x, y, optimizer, epochs=epochs, batch_size=32, clip_norm=1.0, rng=rng,
               lengths=part.lengths - 1, loss=cross_entropy, history=history)


def logits_of(model, part):
    return to_numpy(model(to_device(part.tokens[:-1]), None, part.lengths - 1)[0])


def judge(logits, part):
    """Shares of a set's strings that are right, and whose second symbol is remembered."""
    legal, ends = part.legal[: len(logits)], part.lengths - 1
    least = np.where(legal, logits, np.inf).min(-1)
    most = np.where(legal, -np.inf, logits).max(-1)
    right = ((least > most) | past_end(ends, len(logits))).all(0)
    before, string, second = ends - 2, np.arange(len(ends)), part.tokens[1]
    remembered = logits[before, string, second] > logits[before, string, 3 - second]
    return right.mean(), remembered.mean()


def measure(cell, units, rate, seed):
    model, found, history = language_model(CELLS[cell], units, seed), {}, None
    optimizer, rng = Adam(model.params, rate), np.random.default_rng(seed)
    for epochs in range(20, 201, 20):
        history = learn(model, known, epochs, optimizer, rng, history)
        found[f"epoch_{epochs}"] = judge(logits_of(model, new), new)[1]
    return found
