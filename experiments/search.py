"""An equal search for each side of a comparison: all rates by a few seeds, the best by many."""

from __future__ import annotations


def chosen(rows, side, rates, score, few):
    """Return the rate with the lowest middle score of a few seeds; None before all are there.

    Parameters
    ----------
    rows : of a table, with columns for the side's parameters, rate and seed
    side : dict of a side's parameters
    rates : what each side is given to choose from
    score : of a row; any values that can be compared
    few : seeds 0 to few - 1 decide, an odd number
    """
    if few % 2 == 0:
        raise ValueError(f"chosen expected few as an odd number, got {few}")
    wanted, scores = {name: str(value) for name, value in side.items()}, {r: [] for r in rates}
    for row in rows:
        if wanted.items() <= row.items() and int(row["seed"]) < few:
            scores[float(row["rate"])].append(score(row))
    if any(len(found) < few for found in scores.values()):
        return None
    return min(rates, key=lambda rate: sorted(scores[rate])[few // 2])


def searched(rows, sides, rates, score, few, many):
    """Return the cells: each side with each rate and a few seeds, its best rate with many."""
    return [
        {**side, "rate": rate, "seed": seed}
        for side in sides for best in [chosen(rows, side, rates, score, few)] for rate in rates
        for seed in range(many if rate == best else few)
    ]  # fmt: skip


def results(rows, name, side, rates, score, few):
    """Return a result of a side at its chosen rate, one number a seed."""
    rate = chosen(rows, side, rates, score, few)
    wanted = {key: str(value) for key, value in {**side, "rate": rate}.items()}
    return [float(row[name]) for row in rows if wanted.items() <= row.items()]
