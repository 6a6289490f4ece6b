"""What is said of RNN, GRU and LSTM, judged by the tables of `lags` and `ranking`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .claims import Claim, Finding, below, spread, values

LAGS, STARTS, ORDER = (10, 20, 50, 100, 200), ("default", "open"), ("RNN", "GRU", "LSTM")


def final(rows, result, **where):
    """Return a result of the seeds that chose no rate."""
    return values(rows, result, part="final", **where)


def each(rows, result, digits=2, **where):
    """Return the medians and quartiles of the three kinds, as text."""
    return ", ".join(
        f"{kind} {spread(final(rows, result, kind=kind, **where), digits)}" for kind in ORDER
    )


def memory(rows):
    """The LSTM above the plain RNN, at each long lag and from either start."""
    sides = [{"lag": lag, "start": start} for lag in (50, 100, 200) for start in STARTS]
    parts = [below(*(final(rows, "accuracy", kind=kind, **side) for kind in ("RNN", "LSTM")))
             for side in sides]  # fmt: skip
    shown = "; ".join(
        f"lag 100, {start}: {each(rows, 'accuracy', lag=100, start=start)}" for start in STARTS
    )
    return Finding(f"accuracy at {shown}", tuple(parts))


def ranked_by_recall(rows):
    """RNN below GRU, and GRU below LSTM, at each long lag and from either start."""
    parts = []
    for lag in (50, 100, 200):
        for start in STARTS:
            found = [final(rows, "accuracy", kind=k, lag=lag, start=start) for k in ORDER]
            parts += [below(a, b) for a, b in pairwise(found)]
    shown = each(rows, "accuracy", lag=200, start="open")
    figures = f"{sum(parts)} of {len(parts)} steps of the ranking at lags of 50 to 200; "
    return Finding(f"{figures}accuracy at lag 200, open: {shown}", tuple(parts))


def fast(rows):
    """The LSTM with fewer updates than each other kind, at lags that all of them learn."""
    parts, shown = [], []
    for lag in (10, 20):
        for start in STARTS:
            found = {k: final(rows, "needed", kind=k, lag=lag, start=start) for k in ORDER}
            parts += [below(found["LSTM"], found[other]) for other in ORDER[:2]]
        shown.append(f"lag {lag}, default: {each(rows, 'needed', lag=lag, start='default')}")
    return Finding(f"updates to an accuracy of 0.95 at {'; '.join(shown)}", tuple(parts))


def vanishing(rows):
    """Before training: the RNN's gradient below 1e-6 in the median, and below the others'."""
    parts = []
    for lag in (100, 200):
        for start in STARTS:
            plain, *gated = (final(rows, "before_100", kind=kind, lag=lag, start=start)
                             for kind in ORDER)  # fmt: skip
            parts += [bool(np.median(plain) < 1e-6), *(below(plain, other) for other in gated)]
    shown = "; ".join(
        f"{start}: {each(rows, 'before_100', lag=100, start=start)}" for start in STARTS
    )
    return Finding(f"gradient 100 steps back, over the last state's, {shown}", tuple(parts))


def harder(rows):
    """The plain RNN at each long lag below itself at the shortest, and at the longest below 50."""
    found = {lag: final(rows, "accuracy", kind="RNN", start="default", lag=lag) for lag in LAGS}
    parts = [below(found[lag], found[10]) for lag in (50, 100, 200)]
    shown = ", ".join(f"{lag}: {spread(found[lag])}" for lag in LAGS)
    return Finding(
        f"accuracy of the plain RNN by lag, {shown}", (*parts, below(found[200], found[50]))
    )


def no_gap(rows):
    """The LSTM, forget bias 1, in the median not behind the GRU at the lags that both learn."""
    parts, shown = [], []
    for lag in (10, 20):
        (gru, lstm), (slow, fast) = (
            [final(rows, result, kind=kind, start="default", lag=lag) for kind in ("GRU", "LSTM")]
            for result in ("accuracy", "needed")
        )
        parts += [bool(np.median(lstm) >= np.median(gru)), bool(np.median(fast) <= np.median(slow))]
        shown.append(f"lag {lag}: GRU {spread(slow)}, LSTM {spread(fast)}")
    return Finding(f"updates to an accuracy of 0.95 at {'; '.join(shown)}", tuple(parts))


def ranked_by_loss(rows):
    """LSTM below GRU below RNN in loss, on the sine and on the waves."""
    parts, shown = [], []
    for task in ("sine", "waves"):
        found = [final(rows, "loss", kind=kind, task=task) for kind in ORDER]
        parts += [below(b, a) for a, b in pairwise(found)]
        shown.append(f"{task}: {each(rows, 'loss', task=task)}")
    return Finding(f"test loss on the {'; the '.join(shown)}", tuple(parts))


def soon(rows):
    """The LSTM in fewer epochs than each other kind to a loss, on the sine and on the waves."""
    parts, shown = [], []
    for task in ("sine", "waves"):
        found = {kind: final(rows, "needed", kind=kind, task=task) for kind in ORDER}
        parts += [below(found["LSTM"], found[other]) for other in ORDER[:2]]
        shown.append(f"{task}: {each(rows, 'needed', task=task)}")
    return Finding(f"epochs to the task's loss, {'; '.join(shown)}", tuple(parts))


def comparable(rows):
    """Both gated kinds below the RNN in loss on the waves, and neither below the other."""
    plain, gru, lstm = (final(rows, "loss", kind=kind, task="waves") for kind in ORDER)
    parts = below(gru, plain), below(lstm, plain), not below(gru, lstm), not below(lstm, gru)
    return Finding(f"test loss on the waves: {each(rows, 'loss', 3, task='waves')}", parts)


BY_LAG, SPEED, GRADIENT, OTHERS = (
    f"evidence/lags#lags-{name}" for name in ("by-lag", "speed", "gradient", "others")
)
LEARNT = "with gates that start open over the lag GRU and LSTM learn, from the default they do not"
CLAIMS = [
    Claim("An LSTM keeps what a plain RNN forgets: it has long-range memory", "seed", BY_LAG,
          memory, f"no number; here the start decides: {LEARNT}"),
    Claim("RNN < GRU < LSTM, in recall over long lags", "seed", BY_LAG, ranked_by_recall,
          "no number; here GRU and LSTM are alike, and the RNN's place depends on the start"),
    Claim("An LSTM converges fast, in recall over short lags", "seed", SPEED, fast, "no number"),
    Claim("In a plain RNN the gradient vanishes over time, in gated cells less so",
          "hochreiter1991", GRADIENT, vanishing,
          "a factor for each step, by theory; a gate that starts at a half is one, too"),
    Claim("The longer the lag, the less a plain RNN learns by gradient descent", "bengio1994",
          BY_LAG, harder, "ever fewer successes, on other tasks; here some saturate, and recall"),
    Claim("A forget bias of 1 closes the gap between LSTM and GRU", "jozefowicz2015", SPEED,
          no_gap, "on arithmetic, XML and language modelling; here over lags of 10 and 20 steps"),
]  # fmt: skip
RANKING = [
    Claim("RNN < GRU < LSTM, where little memory is asked for", "seed", OTHERS, ranked_by_loss,
          "no number"),
    Claim("An LSTM converges fast, where little memory is asked for", "seed", OTHERS, soon,
          "no number"),
    Claim("Gated cells do better than plain ones, and GRU and LSTM about alike", "chung2014",
          OTHERS, comparable, "on music and speech, at about equal numbers of parameters"),
]  # fmt: skip
