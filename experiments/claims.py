"""Claims about LSTMs: each is judged by stored results, and its verdict follows from them.

A grid that measures a claim lists it in CLAIMS. `judge` takes the rows of the grid's table and
returns the figures and the comparisons that the claim consists of; no verdict is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, mannwhitneyu

from .sweep import GRIDS, ROOT, Row, read

ALPHA = 0.01  # a difference is one below this p; five seeds against five can reach 0.008


class Finding(NamedTuple):
    """Figures, as text with spread, and for each comparison of a claim whether it came out so."""

    figures: str
    parts: tuple[bool, ...]


class Claim(NamedTuple):
    """What is said, by whom (a key of the bibliography, or "seed"), and what decides it.

    `page` is the page and the label of the section that measured it: "evidence/lags#by-lag".
    `published` is what the source reports, and why ours differs if it does.
    """

    text: str
    source: str
    page: str
    judge: Callable[[list[Row]], Finding]
    published: str = ""


def verdict(parts: Sequence[bool]) -> str:
    """Return "holds", "holds in part" or "does not hold": all, some or none of the comparisons."""
    if not parts:
        raise ValueError("verdict expected at least one comparison, got none")
    return "holds" if all(parts) else "holds in part" if any(parts) else "does not hold"


def values(rows: list[Row], result: str, **where: object) -> np.ndarray:
    """Return a result of the rows whose cell has these parameters, one number a seed.

    Raises
    ------
    LookupError
        If no row has them, which would make a claim of nothing.
    """
    wanted = {name: str(value) for name, value in where.items()}
    found = [float(row[result]) for row in rows if wanted.items() <= row.items()]
    if not found:
        raise LookupError(f"no row of the table has {wanted}")
    return np.array(found)


def rounded(number: float, digits: int = 2) -> str:
    """Return a number with so many significant digits, large ones without an exponent."""
    value = float(f"{number:.{digits}g}")
    return f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}"


def spread(numbers: np.ndarray, digits: int = 2) -> str:
    """Return the median and the quartiles as text, with so many significant digits."""
    low, middle, high = (rounded(q, digits) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
    return f"{middle} ({low} to {high})"


def below(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether a is smaller than b: by its median, and by the Mann-Whitney test, two-sided."""
    p = mannwhitneyu(a, b, method="exact" if len({*a, *b}) == len(a) + len(b) else "auto").pvalue
    return bool(np.median(a) < np.median(b) and p < ALPHA)


def under(numbers: np.ndarray, constant: float) -> bool:
    """Say whether numbers lie below what has no spread: most of them, and by the sign test."""
    fewer = int((numbers < constant).sum())
    return bool(2 * fewer > len(numbers) and binomtest(fewer, len(numbers)).pvalue < ALPHA)


def best(rows: list[Row], result: str, over: str, **where: object) -> str:
    """Return the value of a tuned parameter with the lowest median of a result.

    Every side of a comparison gets the same values to choose from, and the same seeds.
    """
    tried = {row[over] for row in rows}
    return min(sorted(tried), key=lambda v: np.median(values(rows, result, **where, **{over: v})))


def judged() -> Iterator[tuple[str, Claim, Finding]]:
    """Yield each claim with the grid that measures it and what its stored results say."""
    for name in GRIDS:
        grid = import_module(f"experiments.{name}")
        for claim in getattr(grid, "CLAIMS", ()):
            yield name, claim, claim.judge(read(ROOT / grid.FILE)[1])
