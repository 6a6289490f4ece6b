"""The baselines of a character model, against counts by hand."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from experiments.ngrams import PACKERS, packed, witten_bell


def slow(train, order, count):
    """The same model as a function of a context and a character, in whole numbers."""
    # Every order counts at the places where the longest has its full context.
    grams = [Counter(tuple(train[t - n + 1 : t + 1]) for t in range(order - 1, len(train)))
             for n in range(1, order + 1)]  # fmt: skip

    def probability(context, character):
        p = Fraction(1, count)
        for n in range(1, order + 1):
            seen = context[len(context) - n + 1 :] if n > 1 else ()
            after = {gram[-1]: k for gram, k in grams[n - 1].items() if gram[:-1] == seen}
            if after:
                p = (after.get(character, 0) + len(after) * p) / (sum(after.values()) + len(after))
        return p

    return probability


@pytest.mark.parametrize("order", [1, 2, 3])
def test_n_grams_agree_with_slow_counts_and_are_probabilities(order):
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 3, 60) ** 2, rng.integers(0, 3, 40) ** 2
    bits = witten_bell(train, test, 6, order)
    assert len(bits) == order
    model = slow(train.tolist(), order, 6)
    contexts = [tuple(test[t - order + 1 : t].tolist()) for t in range(order - 1, len(test))]
    expected = [-math.log2(model(c, k)) for c, k in zip(contexts, test[order - 1 :].tolist())]
    assert bits[-1] == pytest.approx(np.mean(expected), rel=1e-12)
    for context in {*contexts, (5,) * (order - 1)}:
        assert sum(model(context, k) for k in range(6)) == 1


def test_a_larger_order_sees_more_on_text_that_repeats():
    train = np.tile([0, 1, 0, 2], 100)
    bits = witten_bell(train, train[:80], 3, 3)
    assert bits[0] > 1.4 and 0.4 < bits[1] < 0.7 and bits[2] < 0.05


@pytest.mark.parametrize("name", PACKERS)
def test_what_a_text_adds_to_a_packed_file(name):
    noise = "".join(chr(65 + k) for k in np.random.default_rng(0).integers(0, 16, 4000))
    assert packed(PACKERS[name], "", noise) == pytest.approx(4, abs=0.6)  # four bits a symbol
    assert packed(PACKERS[name], noise, noise) < 0.2
