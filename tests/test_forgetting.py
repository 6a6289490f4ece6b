"""The experiments on the forget gate: their tasks, their judgments and their searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import continual, counting, forget_bias, search
from lstm.data import SYMBOLS, Strings


def rows(**losses: Any) -> list[dict[str, str]]:
    return [
        {"cell": "a", "rate": name[1:].replace("_", "."), "seed": str(seed), "loss": str(loss)}
        for name, found in losses.items() for seed, loss in enumerate(found)
    ]  # fmt: skip


def loss(row: dict[str, str]) -> float:
    return float(row["loss"])


SIDE, RATES = {"cell": "a"}, (0.1, 0.2)


def test_the_middle_of_the_first_seeds_chooses_a_rate() -> None:
    table = rows(r0_1=[1, 9, 9, 0, 0], r0_2=[5, 5, 5])
    assert search.chosen(table, SIDE, RATES, loss, 3) == 0.2
    assert search.chosen(table, SIDE, RATES, loss, 1) == 0.1
    assert search.results(table, "loss", SIDE, RATES, loss, 1) == [1, 9, 9, 0, 0]


def test_nothing_is_chosen_before_all_are_there() -> None:
    table = rows(r0_1=[1, 1, 1], r0_2=[5, 5])
    assert search.chosen(table, SIDE, RATES, loss, 3) is None
    assert len(search.searched(table, [SIDE], RATES, loss, 3, 8)) == 6
    cells = search.searched(rows(r0_1=[1, 1, 1], r0_2=[5, 5, 5]), [SIDE], RATES, loss, 3, 8)
    assert [(c["rate"], c["seed"]) for c in cells] == [(0.1, k) for k in range(8)] + [(0.2, k) for k in range(3)]


def test_an_even_number_of_seeds_has_no_middle() -> None:
    with pytest.raises(ValueError, match="^chosen expected few as an odd number, got 4$"):
        search.chosen([], SIDE, RATES, loss, 4)


def test_the_first_biases_are_those_that_are_asked_for() -> None:
    gates = {
        bias: 1 / (1 + np.exp(-forget_bias.classifier(bias, 50, 0).params["recurrent.bias_l0"]))
        for bias in forget_bias.BIASES
    }
    H = forget_bias.UNITS
    for bias, expected in (("0", 0.5), ("1", 0.731), ("2", 0.881), ("5", 0.993), ("no gate", 1)):
        np.testing.assert_allclose(gates[bias][H : 2 * H], expected, atol=1e-3)
    spans = 1 / (1 - gates["chrono"][H : 2 * H])
    assert 2 < spans.min() < 20 and 30 < spans.max() < 51
    np.testing.assert_allclose(gates["chrono"][:H], 1 / spans, rtol=1e-4)


def test_an_update_is_counted_until_validation_is_right() -> None:
    found = forget_bias.measure("1", 3, 0.03, 0, updates=200)
    assert found["updates"] < 200 and found["valid"] >= 0.98 and found["test"] > 0.9
    assert forget_bias.measure("1", 3, 1e-9, 0, updates=40)["updates"] == 40


def test_a_recall_is_judged_where_a_string_ends() -> None:
    text = "BTBTXSETEBPBPVVEPEBT"  # two strings, and the beginning of a third
    tokens = np.array([[SYMBOLS.index(symbol)] for symbol in text])
    logits = np.zeros((len(text) - 1, 1, 7))
    step, told = continual.recalls(logits + [0, 1, 0, 0, 0, 0, 0], tokens)
    assert [text[t + 1] for t in step] == ["T", "P"] and told.tolist() == [True, False]
    step, told = continual.recalls(logits + [9, 0, 1, 0, 0, 0, 0], tokens)
    assert told.tolist() == [False, True]


class Told:
    """A model that says what it was made with."""

    def __init__(self, y: Any) -> None:
        self.y = y

    def __call__(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        return self.y(x), None


def right_up_to(n: int) -> Any:
    """Outputs of a counter that is right up to n, and then waits one letter too long."""

    def y(x: Any) -> Any:
        tokens = np.asarray(x).argmax(-1)
        a, b = (tokens == 2).cumsum(0), (tokens == 3).cumsum(0)
        end = (b > 0) & (b >= a + (a > n))
        said = np.zeros(x.shape)
        said[..., 1] = end
        said[..., 2] = b == 0
        said[..., 3] = (a > 0) & ~end
        return said

    return y


@pytest.mark.parametrize("n", [0, 1, 19, 20, 21, 60, 85])
def test_reach_is_the_last_n_before_the_first_fault(n: int) -> None:
    assert counting.reach(Told(right_up_to(n)), 90) == n
    assert counting.reach(Told(right_up_to(n)), 60) == min(n, 60)


def test_a_stream_is_followed_step_by_step() -> None:
    model = continual.train("forget gate", 0.01, 0, epochs=0 + 1)
    stream = continual.continual_reber(80, 2, np.random.default_rng(4))
    right, (step, told), cells = continual.follow(model, stream)
    assert right.shape == cells.shape == (79, 2) and len(step) == len(told) > 4
    assert isinstance(stream, Strings) and (cells >= 0).all() and 0.1 < right.mean() <= 1
