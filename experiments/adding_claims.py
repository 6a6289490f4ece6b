"""What is said of adding over long lags, judged by the table of `adding`."""

from __future__ import annotations

import numpy as np

from .claims import Claim, Finding, below, values
from .published_claims import HERE, PEER, middle, reached
from .sweep import Row

LENGTHS = (50, 100, 200, 400)


def of_length(rows: list[Row], steps: int, result: str, start: str = "closed") -> np.ndarray:
    """Return a result of the final runs of a length and a start, one number a seed."""
    return values(rows, result, steps=steps, start=start, stage="final")


def lengths(rows: list[Row]) -> Finding:
    """All runs of each length come below 0.01, which is 6% of the guess's loss."""
    found = {steps: of_length(rows, steps, "sequences_hundredth") for steps in LENGTHS}
    text = "; ".join(f"T = {steps}: {reached(n)}, {middle(n)}" for steps, n in found.items())
    return Finding(f"sequences to 0.01 at {text}", tuple(
        bool(np.isfinite(numbers).all()) for numbers in found.values()))


def closed(rows: list[Row]) -> Finding:
    """Fewer sequences with closed gates, at both lengths."""
    parts, texts = [], []
    for steps in (50, 100):
        one, other = (of_length(rows, steps, "sequences_hundredth", start)
                      for start in ("closed", "open"))
        parts.append(below(one, other))
        texts.append(f"T = {steps}: {middle(one)} against {middle(other)}")
    return Finding(f"sequences to 0.01 at {'; '.join(texts)}", tuple(parts))


def seconds(rows: list[Row]) -> Finding:
    """Every run gets there, and the median takes less than the seconds."""
    found = of_length(rows, 100, "until_fine", "signed")
    text = f"{reached(found)}, {middle(found, 2)} s"
    return Finding(text, (bool(np.isfinite(found).all()), bool(np.median(found) < 39)))


CLAIMS = [
    Claim("An LSTM learns long lags: the adding problem at T = 50, 100, 200 and 400",
          "hochreiter1997", f"{HERE}lengths", lengths,
          "in the form of 1997 at T = 100, 500 and 1000"),
    Claim("Gates that begin by the lag, with biases log T and -log T, need fewer sequences",
          "tallec2018", f"{HERE}lengths", closed,
          "there the bias is drawn, the log of a uniform number up to T"),
    Claim("An LSTM in pure NumPy adds at T = 100 to an error of 8e-4 within 39 s",
          PEER, f"{HERE}seconds", seconds,
          "39 s for 8000 updates to 7e-4 on an Apple laptop; numbers from -1 to 1, as here"),
]
