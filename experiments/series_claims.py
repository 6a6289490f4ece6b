"""What is said of LSTMs on series, and the comparisons in stored tables that decide it."""

from __future__ import annotations

import numpy as np

from .claims import Claim, Finding, below, best, spread, under, values
from .sweep import Row

LEVELS = (0.1, 0.2, 0.3, 0.5)  # of noise that has a floor
LAST, LINE = "last value", "line"


def of(rows: list[Row], model: str, result: str = "test", **where: object) -> np.ndarray:
    """Return a result of a model at the rate whose median error on validation is lowest."""
    own = [row for row in rows if row["model"] == model]
    return values(own, result, rate=best(own, "validation", "rate", **where), **where)


def over_floor(rows: list[Row], model: str, noise: float) -> np.ndarray:
    """Return the loss of a model over that of the wave itself on the same noise."""
    with np.errstate(divide="ignore"):
        return of(rows, model, noise=noise) / of(rows, model, "floor", noise=noise)


def listed(found: dict[str, np.ndarray], digits: int = 2) -> str:
    """Return names with medians and quartiles, as text."""
    return "; ".join(f"{name} {spread(numbers, digits)}" for name, numbers in found.items())


def robust(rows: list[Row]) -> Finding:
    found = {m: [over_floor(rows, m, n) for n in LEVELS] for m in ("LSTM", LINE, LAST)}
    parts = [below(a, b) for m in (LAST, LINE) for a, b in zip(found["LSTM"], found[m])]
    parts.append(not below(found["LSTM"][0], found["LSTM"][-1]))
    ends = {f"{m} at {LEVELS[k]}": found[m][k] for k in (0, -1) for m in found}
    return Finding(f"loss over the floor: {listed(ends, 3)}", tuple(parts))


def precise(rows: list[Row]) -> Finding:
    found = {m: of(rows, m, noise=0.0) for m in ("LSTM", LAST, LINE)}
    parts = tuple(below(found["LSTM"], found[m]) for m in (LAST, LINE))
    return Finding(f"loss without noise: {listed(found)}", parts)


def ranked(rows: list[Row]) -> Finding:
    found = {m: over_floor(rows, m, 0.3) for m in ("RNN", "GRU", "LSTM")}
    pairs = ("GRU", "RNN"), ("LSTM", "GRU"), ("LSTM", "RNN")
    parts = tuple(below(found[a], found[b]) for a, b in pairs)
    return Finding(f"loss over the floor at noise 0.3: {listed(found, 3)}", parts)


def chaotic(rows: list[Row]) -> Finding:
    found = {m: of(rows, m) for m in ("LSTM", LAST, LINE)}
    parts = tuple(below(found["LSTM"], found[m]) for m in (LAST, LINE))
    return Finding(f"NRMSE 84 steps ahead: {listed(found)}", parts)


def window_enough(rows: list[Row]) -> Finding:
    windows = [f"window of {width}{time}" for width in (4, 17) for time in ("", ", longer")]
    found = {m: of(rows, m) for m in ("LSTM", *windows)}
    parts = tuple(not below(found["LSTM"], found[m]) for m in windows)
    return Finding(f"NRMSE 84 steps ahead: {listed(found)}", parts)


def yearly(rows: list[Row]) -> Finding:
    found = {m: of(rows, m) for m in ("LSTM", "GRU", "RNN", LAST, LINE)}
    parts = tuple(under(found["LSTM"], float(found[m][0])) for m in (LAST, LINE))
    return Finding(f"RMSE a year ahead, 1921 to 2008: {listed(found, 3)}", parts)


def by_row(rows: list[Row]) -> Finding:
    found = {m: of(rows, m) for m in ("LSTM 32", "LSTM 8", LINE, "hidden 32")}
    parts = tuple(below(found[m], found[LINE]) for m in ("LSTM 32", "LSTM 8"))
    parts += (below(found["LSTM 32"], found["hidden 32"]),)
    return Finding(f"share of test digits that are wrong: {listed(found)}", parts)


PAGE = "evidence/series#series"
NOISE = [
    Claim("An LSTM is robust to noise: on the noisy sine it beats the last value and a line, "
          "and comes no further from the floor as the noise grows",
          "seed", f"{PAGE}-noise", robust, ""),
    Claim("An LSTM predicts the sine with high precision: it beats the last value and a line",
          "seed", f"{PAGE}-noise", precise, ""),
    Claim("On the noisy sine an RNN is worse than a GRU, and a GRU worse than an LSTM",
          "seed", f"{PAGE}-noise", ranked,
          "no figure for noise; the losses of its LSTM and its RNN are those of one network"),
]  # fmt: skip
MACKEY = [
    Claim("High precision, asked of a chaotic series: an LSTM beats the last value and a line",
          "seed", f"{PAGE}-mackey", chaotic, ""),
    Claim("For the Mackey-Glass series a network on a window is enough: an LSTM is no better",
          "gers2001windows", f"{PAGE}-mackey", window_enough,
          "that what an LSTM has over windows of fixed size does not carry over to this series; "
          "ours learns from the whole gradient over 50 steps, and all sides have the same rates"),
]  # fmt: skip
YEARS = [
    Claim("High precision, asked of yearly sunspot numbers: an LSTM beats the last value "
          "and a line",
          "seed", f"{PAGE}-years", yearly, ""),
]  # fmt: skip
DIGITS = [
    Claim("High precision, asked of digits read row by row: an LSTM beats what sees all pixels "
          "at once, softmax regression and a hidden layer of as many units",
          "seed", f"{PAGE}-digits", by_row, ""),
]  # fmt: skip
