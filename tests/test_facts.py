"""What `diagnose` measures, against other ways to compute it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import lstm
from lstm import datafacts, findings, modelfacts, stepfacts
from lstm.diagnostics import gate_blocks
from lstm.rehearsal import batches_of, flat, rehearse
from patients import HEALTHY, TASKS, ending_series, oscillation


def naive_roughness(x: np.ndarray, axis: int) -> float:
    x = np.moveaxis(x, axis, 0)
    pairs = [(x[k + 1, b, i] - x[k, b, i]) ** 2 for k in range(len(x) - 1)
             for b in range(x.shape[1]) for i in range(x.shape[2])]  # fmt: skip
    spread = [(x[..., i] - x[..., i].mean()) ** 2 for i in range(x.shape[2])]
    return float(np.mean(pairs) / 2 / np.mean(spread))


def test_roughness() -> None:
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).cumsum(0)
    for axis in (0, 1):
        assert datafacts.roughness(x, axis) == pytest.approx(naive_roughness(x, axis))
    assert datafacts.roughness(np.ones((4, 3, 1)), 0) == 1.0
    assert datafacts.roughness(np.ones((1, 3, 1)), 0) == 1.0


def test_correlation() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    assert datafacts.correlation(a, b) == pytest.approx(abs(np.corrcoef(a, b)[0, 1]))
    assert datafacts.correlation(a, -2 * a) == pytest.approx(1.0)
    assert datafacts.correlation(a, np.ones(30)) == 0.0


def test_lags() -> None:
    x = np.random.default_rng(0).normal(size=(25, 40, 2))
    assert datafacts.best_lag(x[7:], x[:-7, :, 1:], 0) == (pytest.approx(1.0), 7)
    assert datafacts.best_lag(x[:, 3:], x[:, :-3], 1)[1] == 3
    sine = np.sin(0.5 * np.arange(60))[:, None, None] * np.ones((1, 3, 1))
    assert datafacts.best_lag(sine[:-1], sine[1:], 0)[1] in (-1, 0)  # not a period later
    labels = (x[4, :, 0] > 0).astype(int)
    assert datafacts.label_lag(np.tile(x, (1, 5, 1)), np.tile(labels, 5))[1] == 25 - 1 - 4


def test_padding() -> None:
    x, lengths = lstm.pad([np.ones((n, 2)) for n in (5, 3, 4, 5)])
    assert datafacts.padding(x) == pytest.approx(1 - lengths.mean() / 5)
    assert datafacts.padding(np.ones((4, 3, 2))) == 0.0
    assert datafacts.padding(np.ones((4, 3, 2)) * np.array([1, 1, 0, 0])[:, None, None]) == 0.0


@pytest.mark.parametrize("window", [1, 6, 20])
def test_a_series_is_put_together_from_its_windows(window: int) -> None:
    series = np.random.default_rng(0).normal(size=50)
    x, y = lstm.windows(series, window)
    found = datafacts.series_of(x, y)[:, 0]
    np.testing.assert_array_equal(found[:50], series[: len(found)])
    assert len(found) >= 49


def test_leaks_of_both_kinds_and_none() -> None:
    s = oscillation(np.random.default_rng(1), 200, 1, 1.5, -0.8)[:, 0] + 0.02 * np.arange(200)
    for scale in (lambda a, b: (a - b.mean()) / b.std(), lambda a, b: (a - b.mean()) / b.std(ddof=1),
                  lambda a, b: (a - b.min()) / np.ptp(b)):  # fmt: skip
        for known, leaks in ((s, True), (s[:140], False)):
            own, later = (lstm.windows(scale(part, known), 10) for part in (s[:140], s[140:]))
            assert (datafacts.leak(*own, later) > findings.LEAKED) is leaks


def test_continuing_batches() -> None:
    run = HEALTHY["stateful sine"](0)
    assert modelfacts.continues(run) == pytest.approx(1.0, abs=0.01)
    assert modelfacts.continues(TASKS["A"]["waves"](0)) < 0.4
    assert modelfacts.continues(TASKS["A"]["labels"](0)) == 0.0
    assert np.isnan(modelfacts.continues(TASKS["A"]["recall"](0)))  # noise: nobody can tell


def test_blocks_in_another_order() -> None:
    model = lstm.LSTMRegressor(1, 3, 1, num_layers=2, rng=0)
    before = {name: p.copy() for name, p in model.params.items()}
    moved = modelfacts.reordered(model, (3, 0, 1, 2)).params
    for name, p in before.items():
        np.testing.assert_array_equal(model.params[name], p)
        if name.startswith("recurrent"):
            p = np.concatenate([p[9:], p[:3], p[3:6], p[6:9]])  # the last block comes first
        np.testing.assert_array_equal(moved[name], p)


def test_the_best_order_undoes_a_permutation() -> None:
    run = ending_series(0)
    assert modelfacts.best_order(run)[0] == "ifgo"
    for order in ((1, 0, 2, 3), (3, 0, 1, 2)):
        moved = replace(run, model=modelfacts.reordered(run.model, order))
        found, gain, apart, trivial = modelfacts.best_order(moved)
        undone = [order.index("ifgo".index(k)) for k in "ifgo"]
        assert found == "".join("ifgo"[k] for k in undone)
        assert gain < 1 and apart < 1 and trivial < 1


def test_a_rehearsal_is_what_fit_does() -> None:
    run = replace(TASKS["A"]["waves"](0), clip_norm=0.5, schedule=lstm.warmup_exponential(4e-3, 0.8))
    seen = rehearse(run, 12)  # two epochs of six updates
    trained = run.copy()
    history = lstm.fit(
        trained.model, run.x, run.y, trained.optimizer, epochs=2, batch_size=8, clip_norm=0.5,
        schedule=run.schedule, rng=trained.rng,
    )  # fmt: skip
    losses, rates = ([getattr(u, k) for u in seen.updates] for k in ("loss", "rate"))
    assert [np.mean(losses[:6]), np.mean(losses[6:])] == pytest.approx(history.loss)
    assert [rates[0], rates[6]] == history.learning_rate
    assert max(u.norm for u in seen.updates[:6]) == pytest.approx(history.grad_norm[0])
    assert max(u.given for u in seen.updates) == pytest.approx(0.5)
    assert seen.updates[3].cosine == pytest.approx(1.0)
    assert rehearse(run, 3, factor=0.1).updates[0].rate == pytest.approx(0.1 * rates[0])


def test_a_rehearsal_with_carried_state_is_what_fit_does() -> None:
    run = HEALTHY["sine"](0)
    trained = run.copy()
    history = lstm.fit(trained.model, run.x, run.y, trained.optimizer, epochs=1, bptt_length=10)
    assert np.mean([u.loss for u in rehearse(run, 100).updates]) == pytest.approx(history.loss[0])


def test_a_rehearsal_ends_where_the_loss_does() -> None:
    run = TASKS["A"]["waves"](0)

    def loss(y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, dy = lstm.mean_squared_error(y, target)
        return value * np.where(value < 0.45, np.nan, 1.0), dy

    seen = rehearse(replace(run, loss=loss), 20)
    assert 0 < len(seen.updates) < 20
    assert re.match(rf"update {len(seen.updates) + 1}: the loss became nan", seen.broken)


def test_slopes_and_mismatches() -> None:
    rng = np.random.default_rng(0)
    p = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    before = flat(p)
    grads = {name: np.cos(a) for name, a in p.items()}
    ways = stepfacts.directions(p, 3)

    def loss() -> float:
        return float(sum(np.sin(a).sum() for a in p.values()))

    assert stepfacts.slope(loss, p, ways[0]) == pytest.approx(stepfacts.along(grads, ways[0]), rel=1e-7)
    assert stepfacts.mismatch(loss, p, grads, ways) < 1e-7
    assert stepfacts.mismatch(loss, p, {k: -g for k, g in grads.items()}, ways) == pytest.approx(2)
    np.testing.assert_allclose(flat(p), before, rtol=1e-12)
    again = stepfacts.unflat(before, p)
    assert all(np.allclose(again[name], p[name]) for name in p)


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.CoupledLSTM, lstm.PeepholeLSTM])
def test_gradients_of_right_layers_are_right(kind: type) -> None:
    model = lstm.Regressor(kind(1, 5, rng=0), 1, rng=0)
    run = TASKS["A"]["waves"](0)
    facts = stepfacts.gradient_facts(replace(run, model=model, optimizer=lstm.SGD(model.params)))
    assert max(facts.alone, facts.joined, facts.step, *facts.gates.values()) < 1e-6


@pytest.mark.parametrize("gate", range(4))
def test_the_wrong_gate_is_told(gate: int) -> None:
    from lstm.gates import lstm_step_backward
    from lstm.recurrence import lstm_backward

    def step(dh: np.ndarray, dc: np.ndarray, dz: np.ndarray, *rest: np.ndarray) -> None:
        lstm_step_backward(dh, dc, dz, *rest)
        dz[gate] *= 1.1

    layer = lstm.LSTM(2, 4, num_layers=2, rng=0, dtype=np.float64)
    layer.run_backward = lambda *arguments: lstm_backward(*arguments, step=step)
    errors = stepfacts.gate_errors(layer, np.random.default_rng(0))
    assert [k for k, error in errors.items() if error > findings.WRONG] == ["ifgo"[gate]]


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.CoupledLSTM])
def test_units_that_are_held(kind: type) -> None:
    layer = kind(1, 4, rng=0)
    letters = next(iter(gate_blocks(layer).values()))
    bias = np.zeros((layer.blocks, 4))
    bias[[k for k, gate in enumerate(letters) if gate not in "gn"]] = [5.0, -5.0, 2.9, 0.0]
    assert modelfacts.held_by_bias(layer, bias.ravel()) == 0.5
    bias[0, :2] = 0.0
    assert modelfacts.held_by_bias(layer, bias.ravel()) == 0.0


def test_first_changes_of_optimizers() -> None:
    run = TASKS["A"]["waves"](0)
    batch = next(batches_of(run.copy()))
    for betas, used in (((0.9, 0.999), 0), ((0.5, 0.9), 30)):
        optimizer = lstm.Adam(run.model.params, 1e-3, betas)
        optimizer.steps = used
        found = stepfacts.first_change(replace(run, optimizer=optimizer), batch)
        assert found == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(stepfacts.first_change(replace(run, optimizer=lstm.SGD(run.model.params)), batch))
