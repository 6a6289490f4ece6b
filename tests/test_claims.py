"""Claims: their verdicts follow from stored results, and other results give other verdicts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from experiments import claims
from experiments.sweep import GRIDS, ROOT, Row, read

MADE = [(name, claim) for name in GRIDS for claim in getattr(import_module(f"experiments.{name}"), "CLAIMS", ())]
each_claim = pytest.mark.parametrize(("name", "claim"), MADE, ids=[claim.text for _, claim in MADE])


def rows_of(name: str) -> list[Row]:
    return read(ROOT / import_module(f"experiments.{name}").FILE)[1]


def others(name: str, rows: list[Row]) -> Iterator[list[Row]]:
    """Yield tables in which every result rises with one parameter of the cells, or falls with it."""
    parameters = import_module(f"experiments.{name}").cells(rows)[0]
    results = [column for column in rows[0] if column not in parameters and column != "seconds"]
    for parameter in parameters:
        kinds = list(dict.fromkeys(row[parameter] for row in rows))
        order = sorted(range(len(rows)), key=lambda k: kinds.index(rows[k][parameter]))
        for places in (order, order[::-1]):
            table = [dict(row) for row in rows]
            for result in results:
                ranked = sorted((row[result] for row in rows), key=lambda v: float(v or "inf"))
                for place, value in zip(places, ranked):
                    table[place][result] = value
            yield table


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((True, True), "holds"), ((True, False), "holds in part"), ((False, False), "does not hold")],
)
def test_a_verdict_is_that_of_its_comparisons(parts: tuple[bool, ...], expected: str) -> None:
    assert claims.verdict(parts) == expected


def test_a_claim_of_nothing_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="^verdict expected at least one comparison, got none$"):
        claims.verdict(())
    with pytest.raises(LookupError, match=r"^no row of the table has {'lag': '3'}$"):
        claims.values([{"lag": "2", "loss": "1.0"}], "loss", lag=3)


def test_a_difference_needs_more_than_a_median() -> None:
    a = np.array([1.0, 2, 3, 4, 5])
    assert claims.below(a, a + 10) and not claims.below(a + 10, a)
    assert not claims.below(a, a + 1.5) and not claims.below(a, a)
    assert not claims.below(a[:4], a[:4] + 10)  # four seeds cannot carry it


def test_the_spread_is_median_and_quartiles() -> None:
    assert claims.spread(np.array([0.1234, 0.2, 0.3, 0.41, 5])) == "0.30 (0.20 to 0.41)"
    assert claims.spread(np.array([1234.0, 1234]), 3) == "1230 (1230 to 1230)"
    assert [claims.rounded(x) for x in (0.0, 99.4, 99.6, 1e-5, -0.5)] == ["0.0", "99", "100", "1.0e-05", "-0.50"]


def test_the_best_of_a_search_is_the_lowest_median() -> None:
    rows = [
        {"cell": cell, "rate": rate, "loss": str(loss)}
        for cell, rate, losses in (("a", "0.1", (3, 3, 0)), ("a", "0.2", (2, 2, 9)), ("b", "0.1", (1, 1, 1)), ("b", "0.2", (4, 4, 4)))
        for loss in losses
    ]
    assert claims.best(rows, "loss", "rate", cell="a") == "0.2"
    assert claims.best(rows, "loss", "rate", cell="b") == "0.1"


@each_claim
def test_other_results_would_decide_otherwise(name: str, claim: claims.Claim) -> None:
    rows = rows_of(name)
    found = claim.judge(rows)
    assert any(claim.judge(table).parts != found.parts for table in others(name, rows))
    assert len(found.parts) > 0 and re.search(r"\d", found.figures)


@each_claim
def test_a_claim_rests_on_five_seeds(name: str, claim: claims.Claim) -> None:
    assert len({row["seed"] for row in rows_of(name) if "seed" in row}) >= 5


@each_claim
def test_a_claim_has_a_source_and_a_place(name: str, claim: claims.Claim) -> None:
    bibliography = (ROOT / "book/references.bib").read_text()
    assert claim.source == "seed" or f"{{{claim.source}," in bibliography
    page, _, label = claim.page.partition("#")
    cells: list[dict[str, Any]] = json.loads((ROOT / f"book/{page}.ipynb").read_text())["cells"]
    assert any(f"({label})=" in "".join(cell["source"]) for cell in cells)
