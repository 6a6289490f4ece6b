"""Tasks that ask for little memory: a plain RNN, a GRU and an LSTM of one size, in parameters."""

from __future__ import annotations

import numpy as np

from lstm import GRU, LSTM, RNN, Adam, Regressor, evaluate, fit, sine_task

from .lags_claims import RANKING  # apart: see lags
from .waves import waves

FILE = "book/evidence/ranking.csv"
CLAIMS = RANKING
KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
HIDDEN = {"RNN": 41, "GRU": 23, "LSTM": 20}  # 1805, 1772 and 1781 parameters
LEARNED = {"sine": 0.01, "waves": 0.08}  # losses that count as learned


def cells(rows):
    """The sine at the seed's own rate; the waves with a search for a rate, then other seeds."""
    from .claims import best  # here: that module makes no result

    found = [{"task": "waves", "kind": kind, "rate": rate, "part": "search", "seed": seed}
             for kind in KINDS for rate in (0.003, 0.01, 0.03) for seed in range(3)]  # fmt: skip
    found += [{"task": "sine", "kind": kind, "rate": 0.001, "part": "final", "seed": seed}
              for kind in KINDS for seed in range(10, 18)]  # fmt: skip
    searched = [row for row in rows if row["part"] == "search"]
    if len(searched) == 27:
        for kind in KINDS:
            rate = float(best(searched, "choice", "rate", kind=kind))
            found += [{"task": "waves", "kind": kind, "rate": rate, "part": "final", "seed": seed}
                      for seed in range(10, 20)]  # fmt: skip
    return found


def regressor(kind, seed):
    rng = np.random.default_rng(seed)
    return Regressor(KINDS[kind](1, HIDDEN[kind], rng=rng), 1, rng=rng)


def epochs_needed(losses, learned):
    """Return the first epoch with a mean loss below one; one more than all if there is none."""
    below = np.flatnonzero(np.array(losses) < learned)
    return int(below[0]) + 1 if len(below) else len(losses) + 1


def measure(task, kind, rate, part, seed):
    model = regressor(kind, seed)
    optimizer = Adam(model.params, rate)
    if task == "sine":
        train, test = sine_task()
        choice, options = test, {"epochs": 100, "bptt_length": 10}  # no choice is made here
    else:
        train, choice, test = (waves(n, 30, np.random.default_rng([k, seed]))
                               for k, n in ((1, 256), (2, 256), (3, 512)))  # fmt: skip
        options = {"epochs": 20, "batch_size": 16, "clip_norm": 1.0,
                   "rng": np.random.default_rng([4, seed])}  # fmt: skip
    history = fit(model, *train, optimizer, **options)
    return {"needed": epochs_needed(history.loss, LEARNED[task]),
            "choice": evaluate(model, *choice), "loss": evaluate(model, *test)}  # fmt: skip
