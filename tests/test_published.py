"""The published tasks: what is drawn, when a run ends, and what is said of its numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from experiments import adding, online, published
from experiments.claims import under
from experiments.online import TASKS, close, opened, sure, two_symbols, updates
from experiments.published_claims import middle
from lstm.tasks import ORDER


def text_of(part: Any, b: int) -> str:
    return "".join(ORDER[k] for k in part.x[: part.lengths[b], b])


def test_two_symbols_stand_at_their_places_and_are_the_class() -> None:
    part = two_symbols(400, np.random.default_rng(1))
    places: tuple[set[int], set[int]] = (set(), set())
    for b in range(400):
        text = text_of(part, b)
        assert text[0] == "E" and text[-1] == "B" and 100 <= len(text) <= 110
        assert set(text[1:-1]) <= set("abcdXY") and not part.x[len(text) :, b].any()
        first, second = (t for t, symbol in enumerate(text) if symbol in "XY")
        assert ["XX", "XY", "YX", "YY"][part.labels[b]] == text[first] + text[second]
        places[0].add(first)
        places[1].add(second)
    assert places == (set(range(10, 21)), set(range(50, 61)))
    assert (np.bincount(part.labels) > 60).all()


def test_the_guesses_are_those_of_the_draws() -> None:
    for name in ("adding, 1997", "adding, -1 to 1", "adding 50"):
        _, y, _ = TASKS[name].draw(40_000, np.random.default_rng(2))
        assert y.var() == pytest.approx(TASKS[name].guess, rel=0.03)
    for name in ("order of two", "order of three"):
        _, y, _ = TASKS[name].draw(8000, np.random.default_rng(2))
        p = np.bincount(y) / len(y)
        assert -(p * np.log(p)).sum() == pytest.approx(TASKS[name].guess, rel=0.01)


def test_both_signs_are_the_modern_form_doubled_and_shifted() -> None:
    x, y, _ = TASKS["adding 100"].draw(5, np.random.default_rng(3))
    twice, sums, _ = TASKS["adding, -1 to 1"].draw(5, np.random.default_rng(3))
    np.testing.assert_allclose(twice[:, :, 0], 2 * x[:, :, 0] - 1, atol=1e-6)
    np.testing.assert_allclose(sums, 2 * y - 2, atol=1e-6)
    np.testing.assert_allclose(sums[:, 0], (twice[:, :, 0] * twice[:, :, 1]).sum(0), atol=1e-6)


def test_what_is_right() -> None:
    assert close(np.array([[0.5], [0.5]]), np.array([[0.53], [0.55]])).tolist() == [True, False]
    for p, right in ((0.71, True), (0.69, False)):
        logits = np.log([[p, 1 - p, 1e-9]])
        assert sure(logits, np.array([0])).tolist() == [right]
        assert not sure(logits, np.array([1]))[0]
    steps = np.array([[[1.0, 0], [1, 0]], [[0, 1], [1, 0]]])  # (T, B, K)
    assert online.throughout(steps, np.array([[0, 0], [1, 1]])).tolist() == [True, False]


def test_the_input_gate_alone_is_closed() -> None:
    task = TASKS["order of two"]
    model, plain = opened(task, 3, 5, 4.0, -2.0), task.model(8, 3, 4, forget_bias=4.0, rng=5)
    bias = model.params["recurrent.bias_l0"]
    assert bias.tolist() == [-2.0] * 3 + [4.0] * 3 + [0.0] * 6
    bias[:3] = plain.params["recurrent.bias_l0"][:3]
    assert all((model.params[k] == plain.params[k]).all() for k in plain.params)


def test_a_batch_is_judged_before_it_is_learned_from() -> None:
    task = TASKS["adding 50"]
    model, same = (opened(task, 4, 0, 1.0, 0.0) for _ in range(2))
    (shown, loss, right), *_ = updates(task, model, 8, 0.05, 6, 16)
    x, y, _ = task.draw(8, np.random.default_rng([7, 6]))
    prediction, _ = same(x)
    assert shown == 8 and loss == pytest.approx(float(((prediction - y) ** 2).mean()))
    assert right.tolist() == close(prediction, y).tolist()
    changed = model.params["linear.weight"] != same.params["linear.weight"]
    assert changed.any()


def test_the_rate_is_halved_after_so_many_sequences() -> None:
    task, steps = TASKS["parity"], []
    for halved in (math.inf, 16):
        model = opened(task, 2, 0, 1.0, 0.0)
        before = None
        for shown, _, _ in updates(task, model, 8, 1e-3, 0, 24, halved):
            bias = model.params["linear.bias"].copy()
            if shown == 24:
                steps.append(abs(bias - before).max())
            before = bias
    assert steps[1] == pytest.approx(steps[0] / 2, rel=1e-3)


def run_of(monkeypatch: pytest.MonkeyPatch, task: str, losses: Any, right: Any) -> Any:
    """Measure a run that is not trained, but says these losses and judgments."""
    batch = published.SETTINGS[task].batch
    steps = [(batch * (k + 1), v, r) for k, (v, r) in enumerate(zip(losses, right))]
    monkeypatch.setattr(published, "start_run", lambda *_: (iter(steps), None))
    return published.measure(task, "final", 0.01, 0)


def test_a_run_ends_when_2000_in_a_row_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    ok, late = np.ones(16, bool), np.ones(16, bool)
    late[3] = False  # of this batch the last twelve count
    found = run_of(monkeypatch, "parity", [0.5] * 200, [ok] * 20 + [late] + [ok] * 179)
    assert found["sequences"] == 16 * 21 + 16 * math.ceil((2000 - 12) / 16)
    never = run_of(monkeypatch, "parity", [0.5] * 200, ([ok] * 100 + [late]) * 2)
    assert never["sequences"] == never["until"] == math.inf and never["loss"] == 0.5


def test_a_run_with_a_goal_is_judged_by_its_last_2000_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no, last = np.zeros(32, bool), 2000 // 32
    losses = [8e-3] * last + [0.0] * 200  # the mean is below 8e-4 with less than 10% at 8e-3
    found = run_of(monkeypatch, "adding, -1 to 1", losses, [no] * len(losses))
    left = math.ceil(last * 0.1) - 1
    assert found["sequences"] == 32 * (2 * last - left)
    early = run_of(monkeypatch, "adding, -1 to 1", [0.0] * (last - 1), [no] * last)
    assert early["sequences"] == math.inf


def test_a_curve_has_no_point_past_the_end_of_a_run() -> None:
    found = published.curve([1.0, 3.0, 5.0, 5.0, 9.0], 2)
    assert len(found) == published.POINTS
    assert [found[f"at_{k}"] for k in (1, 2, 3)] == [2.0, 5.0, None]


def test_the_rate_is_that_of_fewest_sequences_and_else_of_the_lowest_loss() -> None:
    def rows(*runs: tuple[float, float, float]) -> list[dict[str, str]]:
        return [dict(zip(("rate", "sequences", "loss"), map(str, run))) for run in runs]

    inf = math.inf
    some = rows((0.005, 900, 0.1), (0.01, 700, 0.2), (0.02, inf, 0.0))
    assert published.chosen(some) == 0.01
    none = rows((0.005, inf, 0.3), (0.01, inf, 0.2), (0.02, inf, 0.4))
    assert published.chosen(none) == 0.01


def test_no_final_run_before_its_search_is_complete() -> None:
    assert {c["task"] for c in published.cells([]) if c["stage"] == "final"} == {
        "adding, -1 to 1", "guess"}  # fmt: skip


def test_closed_gates_keep_a_share_over_the_lag() -> None:
    forget, enter = adding.gates(200, "closed")
    share = (1 / (1 + math.exp(-forget))) ** 200
    assert share == pytest.approx(math.exp(-1), rel=0.01) and enter == -forget
    assert adding.gates(100, "signed") == adding.gates(100, "closed")
    assert adding.gates(100, "open") == (3.0, 0.0)


def test_a_length_says_when_it_came_below_each_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    last = 2000 // 32
    losses = [0.1] * 10 + [0.005] * last + [0.0] * last
    steps = [(32 * (k + 1), v, np.ones(32, bool)) for k, v in enumerate(losses)]
    monkeypatch.setattr(adding, "updates", lambda *_: iter(steps))
    monkeypatch.setattr(adding, "curve", lambda *_: {})
    found = adding.measure(50, "closed", "final", 0.01, 0)
    high = math.floor(last * (0.01 - 0.005) / (0.1 - 0.005))  # so many of 0.1 may be left
    assert found["sequences_hundredth"] == 32 * (10 + last - high)
    assert found["sequences_fine"] == 32 * (10 + 2 * last - math.floor(last * 8e-4 / 0.005))
    monkeypatch.setattr(adding, "updates", lambda *_: iter(steps[: last + 5]))
    assert adding.measure(50, "closed", "final", 0.01, 0)["until_fine"] == math.inf


def test_the_rate_of_a_start_is_searched_before_its_lengths() -> None:
    first = adding.cells([])
    assert {cell["stage"] for cell in first} == {"search"} and len(first) == 18
    rows = [{k: str(v) for k, v in cell.items()} | {"loss": str(abs(cell["rate"] - 0.01))}
            for cell in first]
    final = [cell for cell in adding.cells(rows) if cell["stage"] == "final"]
    assert len(final) == 35 and {cell["rate"] for cell in final} == {0.01}


def test_what_lies_under_a_constant_is_carried_by_a_sign_test() -> None:
    assert under(np.arange(10.0), 20.0) and not under(np.arange(10.0) + 30, 20.0)
    assert not under(np.arange(5.0), 20.0)  # five runs cannot carry it
    assert not under(np.array([1.0] * 8 + [math.inf] * 2), 20.0)
    assert middle(np.array([1.0, 2, 3, math.inf, math.inf])) == "3.00 (2.00 to never)"
