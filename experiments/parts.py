"""Which part of the LSTM matters: nine kinds on three tasks, each kind with a rate of its own.

Three rates by three seeds; the rate with the lowest median error on validation data gets ten
other seeds, and those alone are compared, by their errors on test data.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import (
    Adam,
    Classifier,
    Embedding,
    Linear,
    Sequential,
    adding_task,
    continual_reber,
    cross_entropy,
    fit,
    japanese_vowels,
    mean_squared_error,
    to_device,
    to_numpy,
)
from lstm.data import Labelled
from lstm.stack import past_end

from . import ablations
from .parts_claims import CLAIMS as CLAIMS

FILE = "book/evidence/parts.csv"
RATES = (0.01, 0.03, 0.1)
SEARCH, FINAL = range(3), range(3, 13)  # seeds that choose a rate, and seeds that are compared
FAILED = 1.0  # the error of a run that ends in NaN or infinity


def cells(rows):
    from .claims import best  # here: that module makes no result

    found, searched = [], [row for row in rows if int(row["seed"]) in SEARCH]
    for side in ({"task": task, "kind": kind} for task in TASKS for kind in ablations.KINDS):
        search = [side | {"rate": rate, "seed": seed} for rate in RATES for seed in SEARCH]
        found += search
        if sum(side.items() <= row.items() for row in searched) == len(search):
            rate = float(best(searched, "validation", "rate", **side))
            found += [side | {"rate": rate, "seed": seed} for seed in FINAL]
    return found


def draw(*key):
    """Return a generator of a key, so that each use has draws of its own."""
    return np.random.default_rng(key)


def cell_of(kind, inputs, units, seed):
    """Return a layer; with one seed all kinds begin with the same numbers."""
    return ablations.KINDS[kind](inputs, units, rng=draw(0, seed))


def learn(model, x, y, rate, seed, **options):
    """Train a model as on every task: Adam, batches of 32, clipping at a norm of 1."""
    fit(model, to_device(x), to_device(y), Adam(model.params, rate), batch_size=32,
        clip_norm=1.0, rng=draw(2, seed), **options)  # fmt: skip


def one_number(y, target):
    """Mean squared error of a single output (B, 1) and targets (B,), and its gradient."""
    loss, dy = mean_squared_error(y[:, 0], target)
    return loss, dy[:, None]


def adding(kind, rate, seed, steps=30, updates=600):
    """Return the mean squared errors of the sum; always guessing 1 has 1/6."""
    model = Classifier(cell_of(kind, 2, 16, seed), 1, rng=draw(1, seed))
    x, y = adding_task(steps, 32 * updates, draw(3, seed))
    learn(model, x, y, rate, seed, epochs=1, loss=one_number)
    errors = []
    for part in range(2):
        x, y = adding_task(steps, 1000, draw(4, part))
        sums = to_numpy(model(to_device(x))[0])[:, 0]
        errors.append(float(((sums - y) ** 2).mean()))
    return errors


@cache
def streams(part, steps, count):
    """Return streams of the continual Reber grammar, the same for all runs."""
    return continual_reber(steps, count, draw(5, part))


def divergence(logits, legal):
    """Return how far a prediction is from the grammar's own, in nats a step.

    The grammar gives each symbol that may follow the same probability, so this is the mean of
    log(1 / count) - log q over these symbols, the Kullback-Leibler divergence, at least 0.

    Parameters
    ----------
    logits, legal : (T, B, K)
    """
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    count = legal.sum(-1)
    return float((-np.log(count) - np.where(legal, logs, 0.0).sum(-1) / count).mean())


def stream(kind, rate, seed, epochs=45):
    """Return divergences from the grammar, on streams more than three times as long."""
    own = draw(1, seed)
    model = Sequential(embedding=Embedding(7, 4, rng=own), recurrent=cell_of(kind, 4, 12, seed),
                       readout=Linear(12, 7, rng=own))  # fmt: skip
    known = streams(0, 60, 256).tokens
    learn(model, known[:-1], known[1:], rate, seed, epochs=epochs, loss=cross_entropy)
    others = [streams(1, 200, 50), streams(2, 200, 100)]
    logits = [to_numpy(model(to_device(part.tokens))[0]) for part in others]
    return [divergence(found, part.legal) for found, part in zip(logits, others)]


@cache
def utterances():
    """Return 180 utterances to learn from, 90 to choose by, and the 370 of the test set."""
    train, test = japanese_vowels()
    held = np.arange(len(train.labels)) % 3 == 2
    parts = [Labelled(train.x[:, k], train.lengths[k], train.labels[k]) for k in (~held, held)]
    past = [past_end(part.lengths, len(part.x)) for part in (*parts, test)]
    steps = parts[0].x[~past[0]]
    found = []
    for part, beyond in zip((*parts, test), past):
        x = ((part.x - steps.mean(0)) / steps.std(0)).astype(np.float32)
        x[beyond] = 0.0
        found.append(part._replace(x=x))
    return found


def vowels(kind, rate, seed, epochs=15):
    """Return the shares of utterances that are given to a wrong speaker of nine."""
    known, *others = utterances()
    model = Classifier(cell_of(kind, 12, 16, seed), 9, rng=draw(1, seed))
    learn(model, known.x, known.labels, rate, seed, epochs=epochs, lengths=known.lengths,
          loss=cross_entropy)  # fmt: skip
    logits = [to_numpy(model(to_device(part.x), None, part.lengths)[0]) for part in others]
    return [float((y.argmax(1) != part.labels).mean()) for y, part in zip(logits, others)]


TASKS = {"adding": adding, "stream": stream, "vowels": vowels}


def measure(task, kind, rate, seed):
    try:
        with np.errstate(all="ignore"):
            validation, test = TASKS[task](kind, rate, seed)
    except FloatingPointError:
        validation = test = FAILED
    finite = np.isfinite([validation, test]).all()
    return {"validation": validation if finite else FAILED, "test": test if finite else FAILED}
