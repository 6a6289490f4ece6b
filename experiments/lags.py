"""Recall over a lag: a plain RNN, a GRU and an LSTM with the same number of parameters."""

from __future__ import annotations

import math

import numpy as np

from lstm import (
    GRU,
    LSTM,
    RNN,
    Adam,
    Classifier,
    clip_grad_norm,
    cross_entropy,
    to_device,
    to_numpy,
)
from lstm.backend import to_floats
from lstm.data import Split
from lstm.initializers import orthogonal
from lstm.tasks import check_draw, one_hot

from .lags_claims import CLAIMS as CLAIMS  # apart: no judgment changes a result of the table

FILE = "book/evidence/lags.csv"
KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
HIDDEN = {"RNN": 35, "GRU": 19, "LSTM": 16}  # 1684, 1695 and 1668 parameters
NAMED, FILLERS = 4, 4  # symbols that are asked for, and symbols that stand between
UPDATES, BATCH, RECENT = 400, 32, 20
PERCENTS = range(10, 101, 10)  # of the way back, where the gradient is measured


def cells(rows):
    """A search with three seeds for each side; six others with the rate that it chose.

    Runs over the longest lag are dear: there a side takes the rate of its search at half of it.
    """
    from .claims import best  # here: that module makes no result

    starts = [(start, kind) for start in ("default", "open") for kind in KINDS]
    sides = [{"kind": kind, "start": start, "lag": lag} for lag in (10, 20, 50, 100, 200)
             for start, kind in (*starts, ("forget", "LSTM"))]  # fmt: skip
    found = [side | {"rate": rate, "part": "search", "seed": seed} for side in sides
             for rate in (0.003, 0.01, 0.03) for seed in range(3) if side["lag"] < 200]  # fmt: skip
    searched = [row for row in rows if row["part"] == "search"]
    if len(searched) == len(found):
        for side in sides:
            like = side | {"lag": min(side["lag"], 100)}
            side |= {"rate": float(best(searched, "choice", "rate", **like)), "part": "final"}
        found += [side | {"seed": k} for side in sides for k in range(10, 16) if side["lag"] < 200]
        found += [side | {"seed": k} for k in range(10, 16) for side in sides if side["lag"] == 200]
    return found


def recall_task(lag, count, rng):
    """Return one-hot symbols (lag + 1, B, 8); the first, one of four, is the label (B,)."""
    check_draw("recall_task", rng, lag=(lag, 1), count=(count, 1))
    tokens = rng.integers(NAMED, NAMED + FILLERS, (lag + 1, count))
    tokens[0] = rng.integers(0, NAMED, count)
    return Split(one_hot(tokens, NAMED + FILLERS), tokens[0].copy())


def network(kind, start, lag, seed, dtype=np.float32):
    """Return a classifier: as the package starts it, open over a lag, or half of that.

    An open gate keeps lag / (lag + 1) of a state and lets the rest in: z of a GRU does both, an
    LSTM has f and i. In the start "forget" its f alone is open.
    """
    rng, H = np.random.default_rng(seed), HIDDEN[kind]
    layer = KINDS[kind](NAMED + FILLERS, H, rng=rng, dtype=dtype)
    if start != "default" and kind == "RNN":
        layer.params["weight_hh_l0"][...] = to_device(orthogonal((H, H), rng))
    elif start != "default":  # the second block of rows is f, and in a GRU z
        layer.params["bias_l0"][H : 2 * H] = math.log(lag)
    if start == "open" and kind == "LSTM":  # the first is i
        layer.params["bias_l0"][:H] = -math.log(lag)
    return Classifier(layer, NAMED, rng=rng)


def update(model, optimizer, x, labels):
    """Make one update; return the share of labels that were right before it."""
    logits, _ = model(to_device(x))
    _, dlogits = cross_entropy(logits, to_device(labels))
    model.backward(dlogits)
    grads = model.grads
    clip_grad_norm(grads, 1.0)
    optimizer.step(grads)
    return (to_numpy(logits).argmax(-1) == labels).mean()


def learn(kind, start, lag, rate, seed, updates=UPDATES):
    """Train on new sequences at every update; return the model, and each update's accuracy."""
    model, rng = network(kind, start, lag, seed), np.random.default_rng([1, seed])
    optimizer = Adam(model.params, rate)
    right = [update(model, optimizer, *recall_task(lag, BATCH, rng)) for _ in range(updates)]
    return model, np.array(right)


def updates_needed(right, accuracy=0.95):
    """Return the updates until the mean of 20 in a row reached an accuracy.

    It is one more than there were where it never did.
    """
    means = np.convolve(right, np.full(RECENT, 1 / RECENT), "valid")
    reached = np.flatnonzero(means >= accuracy - 1e-9)
    return int(reached[0]) + RECENT if len(reached) else len(right) + 1


def in_double(model):
    """Return a copy of a classifier in float64, in which 1e-30 has a square, too."""
    layer = model.recurrent
    same = type(layer)(layer.input_size, layer.hidden_size, dtype=np.float64)
    copy = Classifier(same, model.linear.output_size)
    for name, parameter in copy.params.items():
        parameter[...] = model.params[name]
    return copy


def state_gradients(model, x, labels):
    """Return norms (T,) of the loss's gradient by the state after each step.

    The state is h, and in an LSTM h and c. The way back is gone in single steps: each is run
    again from the state before it, and hands its gradient to the step before.
    """
    layer, states, state = model.recurrent, [], None
    for step in x:
        states.append(state)
        y, state = layer(step[None], state)
    _, dlogits = cross_entropy(model.linear(y)[0], labels)
    dy, dstate = model.linear.backward(dlogits[None]), None
    squares = [(dy * dy).sum()]  # the loss reads the last state through h alone
    for t in range(len(x) - 1, 0, -1):
        layer(x[t : t + 1], states[t])
        _, dstate = layer.backward(dy, dstate)
        dy = 0 * dy
        parts = dstate if isinstance(dstate, tuple) else (dstate,)
        squares.append(sum((part * part).sum() for part in parts))
    return np.array(to_floats(*squares[::-1])) ** 0.5


def reach(model, lag, rng):
    """Return the norms after each tenth of the way back, over that of the last state."""
    x, labels = recall_task(lag, BATCH, rng)
    norms = state_gradients(in_double(model), to_device(x.astype(float)), to_device(labels))
    return [norms[lag - round(lag * percent / 100)] / norms[-1] for percent in PERCENTS]


def measure(kind, start, lag, rate, part, seed):
    model, right = learn(kind, start, lag, rate, seed)
    x, labels = recall_task(lag, 1000, np.random.default_rng([2, seed]))
    logits = to_numpy(model(to_device(x))[0])
    choice = float(cross_entropy(logits[:500], labels[:500])[0])  # the other half is the test
    accuracy = float((logits[500:].argmax(-1) == labels[500:]).mean())
    found = {"needed": updates_needed(right), "choice": choice, "accuracy": accuracy}
    for name, judged in (("before", network(kind, start, lag, seed)), ("after", model)):
        norms = reach(judged, lag, np.random.default_rng([3, seed]))
        found |= {f"{name}_{p}": float(norm) for p, norm in zip(PERCENTS, norms)}
    return found
