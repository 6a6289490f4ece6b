"""What the grids on truncation, clipping and first weights decide."""

from __future__ import annotations

import numpy as np

from .claims import Claim, Finding, below, best, spread, values

PAGE = "evidence/choices#choices-"


def errors(rows, **given):
    """Return the errors of one side of a comparison at the rate that validation chooses."""
    where = {name: str(value) for name, value in given.items()}
    side = [row for row in rows if where.items() <= row.items()]
    return values(side, "wrong", rate=best(side, "validation", "rate"))


def learned(numbers):
    """Say whether most runs are wrong in less than 5% of the cases."""
    return bool(np.median(numbers) < 0.05)


def beyond_the_window(rows):
    """Windows longer than a lag against shorter ones, for fixed lags and for mixed ones."""
    pairs = [(8, 5, 20), (16, 10, 40)]
    parts, figures = [], []
    for way in ("carried", "mixed"):
        for lag, short, long in pairs:
            a, b = (errors(rows, way=way, lag=lag, window=w) for w in (long, short))
            parts.append(below(a, b))
            figures.append(f"{way}, lag {lag}: {spread(b)} in windows of {short}, {spread(a)} of {long}")
    return Finding("wrong, " + "; ".join(figures), tuple(parts))


def ten_steps(rows):
    """Windows of ten against a memory that none of these windows can teach: fixed, reset."""
    parts, figures = [], []
    for way in ("carried", "mixed"):
        for lag in (16, 32):
            found = errors(rows, way=way, lag=lag, window=10)
            guess = errors(rows, way="reset", lag=lag, window=10)
            parts.append(below(found, guess) and learned(found))
            figures.append(f"{way}, lag {lag}: {spread(found)}")
    return Finding("wrong in windows of ten, " + "; ".join(figures), tuple(parts))


def carried_state(rows):
    """State carried against reset, in windows longer than the lag."""
    parts, figures = [], []
    for lag, window in ((8, 10), (8, 20), (16, 40)):
        a, b = (errors(rows, way=way, lag=lag, window=window) for way in ("carried", "reset"))
        parts.append(below(a, b))
        figures.append(f"lag {lag}, windows of {window}: {spread(a)} carried, {spread(b)} reset")
    return Finding("wrong, " + "; ".join(figures), tuple(parts))


def clipping_helps(rows):
    """Clipping at 0.1 against none for each cell and optimizer, each at its best rate."""
    parts, figures = [], []
    for cell in ("RNN", "LSTM"):
        for optimizer in ("SGD", "Adam"):
            a, b = (errors(rows, cell=cell, optimizer=optimizer, clip=c) for c in ("0.1", ""))
            parts.append(below(a, b))
            figures.append(f"{cell}, {optimizer}: {spread(b)} without, {spread(a)} at 0.1")
    return Finding("wrong, " + "; ".join(figures), tuple(parts))


def clipping_at_high_rates(rows):
    """Plain RNNs under gradient descent at each of the two highest rates."""
    parts, figures = [], []
    for rate in ("3.0", "10.0"):
        where = {"cell": "RNN", "optimizer": "SGD", "rate": rate}
        a, b = (values(rows, "wrong", clip=c, **where) for c in ("0.1", ""))
        parts.append(below(a, b))
        figures.append(f"rate {rate}: {spread(b)} without, {spread(a)} at 0.1")
    return Finding("wrong, " + "; ".join(figures), tuple(parts))


def orthogonal_start(rows):
    """Orthogonal first weights against Gaussian ones of three sizes, by cell and lag."""
    parts, figures = [], []
    for cell in ("RNN", "LSTM"):
        for lag in (60, 120):
            a = errors(rows, cell=cell, lag=lag, kind="orthogonal")
            texts = [f"{cell}, lag {lag}: {spread(a)}"]
            for size in ("0.5", "1", "1.5"):
                b = errors(rows, cell=cell, lag=lag, kind=f"gaussian {size}")
                parts.append(below(a, b))
                texts.append(f"Gaussian {size} {spread(b)}")
            figures.append(", ".join(texts))
    return Finding("wrong, orthogonal first, " + "; ".join(figures), tuple(parts))


def identity_start(rows):
    """A plain RNN that starts from the identity: learned, and no LSTM of two starts ahead."""
    parts, figures = [], []
    for lag in (60, 120):
        plain = errors(rows, cell="RNN", lag=lag, kind="identity")
        for kind in ("gaussian 1", "identity"):
            other = errors(rows, cell="LSTM", lag=lag, kind=kind)
            parts.append(learned(plain) and not below(other, plain))
            figures.append(f"lag {lag}: RNN {spread(plain)}, LSTM from {kind} {spread(other)}")
    return Finding("wrong, " + "; ".join(figures), tuple(parts))


TRUNCATION = [
    Claim(
        "Truncation favours short lags: one that is longer than the window is not learned",
        "tallec2017", f"{PAGE}truncation", beyond_the_window,
        "The paper shows that the truncated gradient is biased toward what is near, and gives no "
        "figure for this task. Where shorter lags occur beside the long one, ours goes beyond it.",
    ),
    Claim(
        "An LSTM that is trained in windows of ten steps has a long memory",
        "seed", f"{PAGE}truncation", ten_steps,
        "No figure. The source trains in windows of ten, on a sine that asks for two values.",
    ),
    Claim(
        "The state has to be carried from window to window",
        "seed", f"{PAGE}truncation", carried_state,
        "No figure. Our test is one stream without a cut, whatever the training was.",
    ),
]
CLIPPED = [
    Claim(
        "Clipping the norm lets a plain RNN be trained where its gradient explodes",
        "pascanu2013", f"{PAGE}clipping", clipping_at_high_rates,
        "The paper reports that clipping raises the share of plain networks that solve temporal "
        "order. Ours has another task, and two rates chosen because they are the highest.",
    ),
    Claim(
        "Gradients of a recurrent network are to be clipped",
        "seed", f"{PAGE}clipping", clipping_helps,
        "No figure. The source multiplies into a copy, so that nothing is clipped.",
    ),
]
ORTHOGONAL = [
    Claim(
        "Orthogonal first weights learn what is further back than Gaussian ones",
        "saxe2014", f"{PAGE}first-weights", orthogonal_start,
        "The paper is about deep linear networks, in which the time to learn then does not grow "
        "with depth. Ours have a tanh, or gates, and the same matrix at each step.",
    ),
    Claim(
        "A plain network that starts from the identity does as well as an LSTM",
        "le2015", f"{PAGE}first-weights", identity_start,
        "The paper's units are rectified, ours are tanh. It calls its results comparable with an "
        "LSTM's, on other tasks.",
    ),
]
