"""The strings a^n b^n: trained on n from 1 to 10, right up to which n."""

from __future__ import annotations

from functools import partial

import numpy as np

from lstm import (
    LSTM,
    Adam,
    PeepholeLSTM,
    Regressor,
    counting_task,
    evaluate,
    fit,
    mean_squared_error,
    one_hot,
    to_device,
    to_numpy,
)
from lstm.stack import past_end

from .forgetting_claims import COUNTING as CLAIMS  # noqa: F401
from .held import HeldLSTM
from .search import searched

FILE = "book/evidence/counting.csv"
CELLS = {"forget gate": LSTM, "forget bias 5": partial(LSTM, forget_bias=5.0),
         "peepholes": PeepholeLSTM, "none": HeldLSTM}
RATES = (0.003, 0.01, 0.03, 0.1)
UNITS, EPOCHS, LONGEST = 4, 1500, 1000
FEW, MANY = 5, 10


def cells(rows):
    return searched(rows, [{"cell": cell} for cell in CELLS], RATES, score, FEW, MANY)


def score(row):
    """By which a rate is chosen: the loss on n from 11 to 20."""
    return float(row["valid"])


def counter(cell, seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return Regressor(CELLS[cell](4, UNITS, rng=rng, dtype=dtype), 4, rng=rng)


def inputs(part):
    """Input, target and lengths: a column for each symbol, and 1 for each that may follow."""
    x, y = one_hot(part.tokens[:-1], 4), part.legal[:-1].astype(np.float32)
    return to_device(x), to_device(y), part.lengths - 1


def reach(model, longest=LONGEST):
    """The largest n up to which every string is right: each output on its side of a half."""
    first, last = 1, 20
    while first <= longest:
        part = counting_task(range(first, min(last, longest) + 1))
        x, _, ends = inputs(part)
        said = to_numpy(model(x, None, ends)[0]) > 0.5
        right = ((said == part.legal[:-1]).all(-1) | past_end(ends, len(said))).all(0)
        if not right.all():
            return first - 1 + int(right.argmin())
        first, last = last + 1, 2 * last
    return longest


def measure(cell, rate, seed):
    model = counter(cell, seed)
    x, y, ends = inputs(counting_task(range(1, 11)))
    loss = fit(model, x, y, Adam(model.params, rate), epochs=EPOCHS, lengths=ends,
               clip_norm=1.0).loss[-1]
    x, y, ends = inputs(counting_task(range(11, 21)))
    valid = evaluate(model, x, y, mean_squared_error, ends)
    return {"loss": loss, "valid": valid, "reach": reach(model)}
