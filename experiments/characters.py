"""A model of text, character by character: two cells of about equal size, and a larger LSTM."""

from __future__ import annotations

import math

import numpy as np

from lstm import (
    GRU,
    LSTM,
    RNN,
    Adam,
    Embedding,
    Linear,
    Sequential,
    characters,
    cosine,
    cross_entropy,
    fit,
    to_device,
    to_numpy,
)
from lstm.checkpoints import EarlyStopping

from .characters_claims import CLAIMS as CLAIMS
from .ngrams import PACKERS, packed, witten_bell
from .tracking import PROPERTIES, properties, scores

FILE = "book/evidence/characters.csv"
EPOCHS, VECTOR, ORDERS = 12, 32, 8
CELLS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
RESULTS = (
    *(f"after_{k}" for k in range(1, EPOCHS + 1)), "best_epoch", "training", "validation", "test",
    *(f"{name}_{of}" for name in PROPERTIES for of in ("unit", "random", "all")),
)  # fmt: skip
text = characters()


def cells(rows):
    def runs(cell, units, rate, epochs, seeds):
        return [{"cell": cell, "units": units, "rate": rate, "epochs": epochs, "seed": seed}
                for seed in seeds]  # fmt: skip

    def chosen(cell, units):
        tried = [row for row in rows if (row["cell"], row["units"], row["epochs"])
                 == (cell, str(units), "3")]  # fmt: skip
        best = min(tried, key=lambda row: float(row["validation"]), default=None)
        return best["rate"] if len(tried) == 4 else None

    found = [c for order in range(1, ORDERS + 1) for c in runs("n-gram", order, None, None, [0])]
    found += [c for name in PACKERS for c in runs(name, None, None, None, [0])]
    kinds = (("LSTM", 128), ("LSTM", 64), ("RNN", 122))
    found += [c for cell, units in kinds for rate in (0.005, 0.01, 0.02, 0.04)
              for c in runs(cell, units, rate, 3, [100])]  # fmt: skip
    found += runs("LSTM", 128, None, 0, range(5))
    for cell, units in kinds:
        if rate := chosen(cell, units):
            found += runs(cell, units, rate, EPOCHS, range(5))
    return found


def character_model(cell, units, seed):
    rng, count = np.random.default_rng(seed), len(text.symbols)
    return Sequential(embedding=Embedding(count, VECTOR, rng=rng),
                      recurrent=CELLS[cell](VECTOR, units, rng=rng),
                      readout=Linear(units, count, rng=rng))


def streams(tokens, count):
    """Cut a text into pieces side by side: x and the characters that follow, (T, count) each."""
    length = (len(tokens) - 1) // count
    x, y = (tokens[k : k + length * count].reshape(count, length).T for k in (0, 1))
    return to_device(np.ascontiguousarray(x)), to_device(np.ascontiguousarray(y))


def learn(model, rate, epochs):
    """Train with the state carried through 16 streams, and cut after 50 characters."""
    return fit(model, *streams(text.train, 16), Adam(model.params, rate), epochs=epochs,
               bptt_length=50, clip_norm=1.0, loss=cross_entropy, schedule=cosine(rate, epochs),
               validation=streams(text.validation, 8), callbacks=[EarlyStopping(epochs)])


def read(model, tokens, count=1, stretch=1000):
    """Read a text; return bits a character, and the states (n, H): c of an LSTM, else h."""
    x, y = streams(tokens, count)
    state, nats, states = None, 0.0, []
    for start in range(0, len(x), stretch):
        part = slice(start, start + stretch)
        logits, state = model(x[part], state)
        nats += float(cross_entropy(logits, y[part])[0]) * len(x[part])
        trace = model.layers["recurrent"].trace()
        states.append(to_numpy(trace.c if "c" in trace._fields else trace.h))
    found = np.concatenate(states).transpose(1, 0, 2).reshape(x.size, -1)
    return nats / len(x) / math.log(2), found


def baseline(cell, units):
    """Return bits a character on the test of an n-gram model or of a packer."""
    if cell in PACKERS:
        before, after = ("".join(text.symbols[k] for k in part) for part in (text.train, text.test))
        return packed(PACKERS[cell], before, after)
    return witten_bell(text.train, text.test, len(text.symbols), ORDERS)[units - 1]


def measure(cell, units, rate, epochs, seed):
    found = dict.fromkeys(RESULTS, math.nan)
    if rate is None and epochs is None:
        return found | {"test": f"{baseline(cell, units):.4f}"}
    model = character_model(cell, units, seed)
    if epochs:
        history = learn(model, float(rate), epochs)
        bits = np.array(history.validation_loss) / math.log(2)
        found |= {f"after_{k}": f"{b:.4f}" for k, b in enumerate(bits, 1)}
        found["best_epoch"] = int(bits.argmin()) + 1
        found["training"] = f"{history.loss[-1] / math.log(2):.4f}"
    there, then = (properties("".join(text.symbols[k] for k in part)) for part in text[1:3])
    (validation, known), (test, fresh) = read(model, text.validation, 8), read(model, text.test)
    found |= {"validation": f"{validation:.4f}", "test": f"{test:.4f}"}
    rng = np.random.default_rng([7, seed])
    return found | scores(known, fresh, there[: len(known)], then[: len(fresh)], rng)
