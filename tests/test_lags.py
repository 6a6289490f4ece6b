"""The grids on lags: the task, equal sizes, gradients by states, and which rate is chosen."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from experiments import lags, ranking
from experiments.sweep import texts
from lstm import Classifier, cross_entropy
from lstm.numerical import numerical_gradient

each_kind = pytest.mark.parametrize("kind", lags.KINDS)


def draw(lag: int, count: int, seed: int = 0) -> Any:
    return lags.recall_task(lag, count, np.random.default_rng(seed))


def size(model: Any) -> int:
    return sum(p.size for p in model.params.values())


def test_the_first_symbol_is_asked_for_and_says_nothing_later() -> None:
    x, labels = draw(7, 400)
    assert x.shape == (8, 400, 8) and labels.shape == (400,)
    assert ((x == 1).sum(-1) == 1).all() and ((x == 0).sum(-1) == 7).all()
    tokens = x.argmax(-1)
    assert np.array_equal(tokens[0], labels) and set(labels) == {0, 1, 2, 3}
    assert set(tokens[1:].ravel()) == {4, 5, 6, 7}
    counts = np.zeros((4, 4))
    np.add.at(counts, (labels, tokens[3] - 4), 1)
    assert abs(counts / 400 - 1 / 16).max() < 5 * (15 / 16**2 / 400) ** 0.5
    assert np.array_equal(draw(7, 400)[0], x) and not np.array_equal(draw(7, 400, 1)[0], x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, np.random.default_rng(0)), "recall_task expected lag of at least 1, got 0"),
        ((3, 0, np.random.default_rng(0)), "recall_task expected count of at least 1, got 0"),
        ((3, 3, 5), "recall_task expected rng as a numpy.random.Generator, got 5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        lags.recall_task(*arguments)


def test_the_kinds_have_the_same_number_of_parameters() -> None:
    for sizes in (
        [size(lags.network(kind, "default", 10, 0)) for kind in lags.KINDS],
        [size(ranking.regressor(kind, 0)) for kind in ranking.KINDS],
    ):
        assert max(sizes) < 1.02 * min(sizes)
    assert [size(lags.network(kind, "open", 10, 0)) for kind in lags.KINDS] == [1684, 1695, 1668]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_an_open_gate_keeps_a_share_that_a_lag_leaves(kind: str) -> None:
    plain, opened = (lags.network(kind, start, 50, 3).params for start in ("default", "open"))
    H, bias = lags.HIDDEN[kind], "recurrent.bias_l0"
    gate = 1 / (1 + np.exp(-opened[bias][H : 2 * H]))
    assert np.allclose(gate, 50 / 51)
    if kind == "LSTM":
        assert np.allclose(1 / (1 + np.exp(-opened[bias][:H])), 1 / 51)
        half = lags.network(kind, "forget", 50, 3).params[bias]
        assert np.array_equal(half[H:], opened[bias][H:]) and not half[:H].any()
    opened[bias][: 2 * H] = plain[bias][: 2 * H]
    assert all(np.array_equal(plain[name], opened[name]) for name in plain)


def test_an_open_plain_network_turns_its_state() -> None:
    U = lags.network("RNN", "open", 50, 3, np.float64).params["recurrent.weight_hh_l0"]
    assert np.allclose(U @ U.T, np.eye(len(U)))


def loss_from(model: Classifier, rest: Any, state: Any, labels: Any) -> float:
    """The loss as a function of a state before the last steps, or of the last state."""
    if len(rest):
        return float(cross_entropy(model(rest, state)[0], labels)[0])
    h = state[0] if isinstance(state, tuple) else state
    return float(cross_entropy(model.linear(h)[0], labels)[0])


@each_kind
def test_gradients_by_states_are_those_of_central_differences(kind: str) -> None:
    model = lags.network(kind, "default", 5, 1, np.float64)
    x, labels = draw(5, 3)
    x = x.astype(float)
    found = lags.state_gradients(model, x, labels)
    assert found.shape == (6,)
    for t in range(6):
        _, state = model.recurrent(x[: t + 1])
        parts = state if isinstance(state, tuple) else (state,)
        total = 0.0
        for part in parts:
            gradient = numerical_gradient(
                lambda t=t, state=state: loss_from(model, x[t + 1 :], state, labels), part
            )
            total += float((gradient**2).sum())
        assert found[t] == pytest.approx(total**0.5, rel=1e-6)


@each_kind
def test_the_copy_in_double_is_the_same_model(kind: str) -> None:
    model = lags.network(kind, "open", 4, 2)
    copy, (x, _) = lags.in_double(model), draw(4, 5)
    logits = copy(x.astype(float))[0]
    assert logits.dtype == np.float64 and np.allclose(logits, model(x)[0], atol=1e-6)


def test_reach_is_a_share_of_what_the_last_state_gets() -> None:
    model, rng = lags.network("GRU", "open", 20, 0), np.random.default_rng(4)
    shares = lags.reach(model, 20, rng)
    x, labels = draw(20, lags.BATCH, 4)
    norms = lags.state_gradients(lags.in_double(model), x.astype(float), labels)
    assert np.allclose(shares, norms[[18, 16, 14, 12, 10, 8, 6, 4, 2, 0]] / norms[-1])


def test_training_learns_a_short_lag() -> None:
    _, right = lags.learn("RNN", "default", 3, 0.01, 0, updates=60)
    assert right.shape == (60,) and right[:5].mean() < 0.7 and right[-20:].mean() > 0.95


@pytest.mark.parametrize(
    ("right", "needed"),
    [([1.0] * 30, 20), ([0.0] * 10 + [1.0] * 25, 29), ([0.9] * 30, 31), ([0.95] * 30, 20)],
)
def test_updates_that_were_needed(right: list[float], needed: int) -> None:
    assert lags.updates_needed(np.array(right)) == needed


def test_epochs_that_were_needed() -> None:
    assert [ranking.epochs_needed([3, 2, 1], at) for at in (4, 2.5, 2, 1)] == [1, 2, 3, 4]


@pytest.mark.parametrize("grid", [lags, ranking])
def test_the_search_alone_chooses_the_rate(grid: Any) -> None:
    first = grid.cells([])
    assert {cell["part"] for cell in first if cell.get("task") != "sine"} == {"search"}
    loss = {0.003: 2.0, 0.01: 1.0, 0.03: 3.0, 0.001: 0.0}
    rows = [texts(cell | {"choice": loss[cell["rate"]] + cell["seed"]}) for cell in first]
    later = grid.cells(rows)[len(first) :]
    assert {(cell["rate"], cell["part"]) for cell in later} == {(0.01, "final")}
    searched = {cell["seed"] for cell in first if cell["part"] == "search"}
    assert not searched & {cell["seed"] for cell in later}
    assert len({cell["seed"] for cell in later}) >= 5
