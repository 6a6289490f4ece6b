"""What a unit follows: properties of a text, and how well one number tells each of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

PROPERTIES = ("quotes", "brackets", "column", "indentation")


def properties(text):
    """Return what holds after each character, (n, 4): in quotes, in brackets, the number of
    characters since the last line began, and of spaces that it began with.

    An empty line ends what was left open.
    """
    rows, quote, depth, column, indent = [], 0, 0, 0, 0
    for before, character in zip("\n" + text, text):
        if before == character == "\n":
            quote = depth = 0
        quote ^= character == '"'
        depth = max(0, depth + (character in "([{") - (character in ")]}"))
        indent = 0 if character == "\n" else indent + (character == " " and indent == column)
        column = 0 if character == "\n" else column + 1
        rows.append((quote, depth > 0, column, indent))
    return np.array(rows, int)


def agreement(ranks, wanted):
    """Return how well each column of numbers tells a property (n,), from -1 to 1.

    For a property of two values it is 2 AUC - 1, where AUC is the share of pairs, one place
    with and one without, that the numbers put in the right order; else Spearman's rank
    correlation.

    ranks : of the numbers, each column by itself, (n, m)
    """
    levels = np.unique(wanted)
    if len(levels) == 2:
        there = wanted == levels[1]
        return 2 * (ranks[there].mean(0) - ranks[~there].mean(0)) / len(ranks)
    place = rankdata(wanted) - (len(ranks) + 1) / 2
    spread = ranks.std(0) * place.std()
    return place @ ranks / len(ranks) / np.where(spread > 0, spread, 1)


def best(known, fresh, wanted_known, wanted_fresh):
    """Choose the column that tells a property best; return its number and its score on others.

    known, fresh : ranks (n, m) of the numbers on which column and sign are chosen; numbers
    """
    scores = agreement(known, wanted_known)
    k = int(abs(scores).argmax())
    there = agreement(rankdata(fresh[:, [k]], axis=0), wanted_fresh)[0]
    return k, float(np.sign(scores[k]) * there)


def fitted(known, wanted):
    """Return weights (m, p) whose sums of columns come closest to properties (n, p)."""
    columns = (known - known.mean(0)).astype(float)
    squares = columns.T @ columns + 1e-3 * np.eye(columns.shape[1])
    return np.linalg.solve(squares, columns.T @ (wanted - wanted.mean(0)))


def scores(known, fresh, wanted_known, wanted_fresh, rng):
    """Return for each property how well three kinds of numbers tell it on the test part.

    The best unit, the best of as many random directions, and the sum of all units with the
    weights of least squares: each is chosen on the validation part.

    known, fresh : states (n, m) after the characters of the validation part and of the test
    wanted_known, wanted_fresh : their `properties`
    """
    known, fresh = np.tanh(known), np.tanh(fresh)
    turn = rng.normal(size=(known.shape[1],) * 2) / (known.std(0)[:, None] + 1e-6)
    turn = turn.astype(known.dtype)
    numbers = {"unit": (known, fresh), "random": (known @ turn, fresh @ turn)}
    ranks = {of: rankdata(there, axis=0) for of, (there, _) in numbers.items()}
    weights, found = fitted(known, wanted_known), {}
    for k, (name, there, then) in enumerate(zip(PROPERTIES, wanted_known.T, wanted_fresh.T)):
        for of in numbers:
            found[f"{name}_{of}"] = best(ranks[of], numbers[of][1], there, then)[1]
        sums = rankdata(fresh @ weights[:, [k]], axis=0)
        found[f"{name}_all"] = float(agreement(sums, then)[0])
    return {name: f"{score:.4f}" for name, score in found.items()}
