"""What the papers say of their tasks, judged by the table of `published`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .claims import Claim, Finding, rounded, under, values
from .sweep import Row

PEER = "schmidhuberproblems"


def middle(numbers: np.ndarray, digits: int = 3) -> str:
    """Return the median and the quartiles as text; "never" where a run did not get there."""
    found = np.quantile(numbers, [0.25, 0.5, 0.75], method="inverted_cdf")
    low, median, high = (rounded(q, digits) if np.isfinite(q) else "never" for q in found)
    return f"{median} ({low} to {high})"


def of_task(rows: list[Row], task: str, result: str = "sequences") -> np.ndarray:
    """Return a result of a task's final runs, one number a seed."""
    return values(rows, result, task=task, stage="final")


def reached(numbers: np.ndarray) -> str:
    """Return how many runs got there, as text."""
    return f"{np.isfinite(numbers).sum()} of {len(numbers)} runs"


def within(task: str, published: int) -> Callable[[list[Row]], Finding]:
    """Return the judge of a claim that a task takes so many sequences."""
    def judge(rows: list[Row]) -> Finding:
        found = of_task(rows, task)
        text = f"{reached(found)}, {middle(found)} sequences"
        return Finding(text, (bool(np.isfinite(found).all()), under(found, published)))

    return judge


def baseline(rows: list[Row]) -> Finding:
    """The number lies among the samples' squared errors, or it does not."""
    found = of_task(rows, "guess", "loss")
    text = f"{len(found)} samples, {found.min():.3f} to {found.max():.3f}; 1/6 = 0.1667"
    return Finding(text, (bool(found.min() <= 0.1767 <= found.max()),))


def peer_reber(rows: list[Row]) -> Finding:
    """Fewer sequences, and fewer seconds."""
    shown, seconds = (of_task(rows, "Reber", name) for name in ("sequences", "until"))
    text = f"{reached(shown)}, {middle(shown)} sequences, {middle(seconds, 2)} s"
    return Finding(text, (under(shown, 4750), under(seconds, 2.5)))


HERE = "evidence/published#published-"
CLAIMS = [
    Claim("An LSTM solves the adding problem of 1997 at T = 100 within 74,000 sequences",
          "hochreiter1997", f"{HERE}sequences", within("adding, 1997", 74_000),
          "74,000 sequences, one at a time, without a forget gate and without Adam"),
    Claim("An LSTM tells the order of two symbols within 31,390 sequences",
          "hochreiter1997", f"{HERE}sequences", within("order of two", 31_390),
          "31,390 for two symbols and four classes; often quoted for three"),
    Claim("An LSTM tells the order of three symbols within 571,100 sequences",
          "hochreiter1997", f"{HERE}sequences", within("order of three", 571_100),
          "571,100 for three symbols and eight classes"),
    Claim("An LSTM learns the embedded Reber grammar within 8,440 strings",
          "hochreiter1997", f"{HERE}sequences", within("Reber", 8_440),
          "8,440, the mean of the successful trials of the best network"),
    Claim("The guess 1 scores 0.1767 on the adding problem",
          "le2015", f"{HERE}guess", baseline, "0.1767; the variance is 1/6"),
    Claim("An LSTM in pure NumPy learns the embedded Reber grammar in 4,750 strings and 2.5 s",
          PEER, f"{HERE}seconds", peer_reber,
          "median 4,750 of ten seeds; 2.5 s for one; without a forget gate, judged by 200 strings"),
]
