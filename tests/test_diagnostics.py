"""The instruments, on known answers and on planted faults."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import lstm
from lstm import diagnostics as d


def test_half_life():
    np.testing.assert_allclose(d.half_life(np.array([0.5, 0.25, 0.5**0.1])), [1, 0.5, 10])
    f = 0.731
    assert f ** d.half_life(f) == pytest.approx(0.5)


def some_layer(kind=lstm.LSTM):
    rng = np.random.default_rng(0)
    layer = kind(3, 4, rng=rng, dtype=np.float64)
    state = tuple(rng.normal(size=(1, 2, 4)) for _ in layer.state_names)
    return layer, rng.normal(size=(5, 2, 3)), state if len(state) > 1 else state[0], rng


def test_norms_and_verdicts():
    grads = {
        "zero": np.zeros(3), "small": np.full(4, 4e-7), "fine": np.array([3.0, -4.0]),
        "large": np.array([0.0, -101.0]), "nan": np.array([np.nan, 1.0]),
    }  # fmt: skip
    norms = d.gradient_norms(grads)
    assert norms["fine"] == 5.0 and norms["small"] == pytest.approx(8e-7)
    assert d.judge_gradients(grads) == {
        "zero": "vanishing", "small": "vanishing", "fine": "healthy",
        "large": "exploding", "nan": "exploding",
    }  # fmt: skip
    assert d.judge_gradients({"a": np.ones(1)}, smallest_norm=2.0) == {"a": "vanishing"}
    assert d.judge_gradients({"a": np.ones(1)}, largest_entry=0.5) == {"a": "exploding"}


def test_norms_over_time():
    dx = np.zeros((3, 2, 2))
    dx[1] = [[3.0, 0.0], [0.0, 4.0]]
    assert d.norms_over_time(dx).tolist() == [0.0, 5.0, 0.0]


def test_statistics_of_a_trace():
    layer, x, _, _ = some_layer()
    layer(x)
    trace, found = layer.trace(), d.statistics(layer.trace())
    assert list(found) == ["i", "f", "g", "o", "c", "h"]
    assert found["c"] == pytest.approx(
        (trace.c.mean(), np.sqrt(((trace.c - trace.c.mean()) ** 2).mean()), np.sort(trace.c, None)[0], np.sort(trace.c, None)[-1])
    )  # fmt: skip


@pytest.mark.parametrize(
    "scale, verdict", [(1e-3, "vanishing"), (1.0, "healthy"), (4.0, "exploding")]
)
def test_the_seeds_two_tests_on_networks_that_are_what_they_are_called(scale, verdict):
    layer = lstm.RNN(2, 16, rng=0, dtype=np.float64)
    layer.params["weight_hh_l0"] *= scale
    y, _ = layer(np.full((20, 4, 2), 1e-12))  # so small that every tanh is linear
    dy = np.zeros_like(y)
    dy[-1] = 1.0
    dx, _ = layer.backward(dy)
    assert d.judge_gradients({"first step": dx[0]}) == {"first step": verdict}


def test_traces_of_any_model_are_its_layers_traces():
    layer = lstm.GRU(2, 3, num_layers=2, bidirectional=True, rng=0)
    model, x = lstm.Regressor(layer, 1, rng=0), np.ones((5, 2, 2), np.float32)
    model(x)
    found = d.traces(model)
    assert list(found) == [f"recurrent.{run}" for run in ("l0", "l0_reverse", "l1", "l1_reverse")]
    for name, trace in found.items():
        expected = layer.trace(name.removeprefix("recurrent."))
        assert all(np.array_equal(a, b) for a, b in zip(trace, expected, strict=True))
    assert list(d.traces(layer)) == [f"GRU.{run}" for run in layer.runs]
    with pytest.raises(RuntimeError, match="no forward pass"):
        d.traces(lstm.LSTMRegressor(1, 2, 1))


CELLS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU]


def after_a_pass(kind, **options):
    layer = kind(3, 4, rng=0, dtype=np.float64, **options)
    rng = np.random.default_rng(1)
    y, _ = layer(rng.normal(size=(5, 2, 3)))
    layer.backward(rng.normal(size=y.shape))
    return layer


def test_the_gates_to_which_rows_belong():
    assert d.gate_blocks(lstm.LSTM(1, 2)) == dict.fromkeys(("weight_ih_l0", "weight_hh_l0", "bias_l0"), "ifgo")
    assert d.gate_blocks(lstm.RNN(1, 2))["bias_l0"] == "h"
    gru = d.gate_blocks(lstm.Regressor(lstm.GRU(1, 2, bidirectional=True), 1))
    assert gru["recurrent.weight_hh_l0_reverse"] == "rzn" and gru["recurrent.bias_hn_l0"] == "n"
    assert "linear.weight" not in gru
    assert d.gate_blocks(lstm.PeepholeLSTM(1, 2))["weight_peephole_l0"] == "ifo"
    assert d.gate_blocks(lstm.CoupledLSTM(1, 2))["weight_ih_l0"] == "fgo"


@pytest.mark.parametrize("kind", CELLS)
def test_the_norms_of_gates_add_up_to_the_norms_of_parameters(kind):
    layer = after_a_pass(kind, num_layers=2)
    by_gate, whole = d.gate_norms(layer), d.gradient_norms(layer.grads)
    assert list(by_gate) == list(layer.params)
    for name, norms in by_gate.items():
        assert sum(n**2 for n in norms.values()) == pytest.approx(whole[name] ** 2)
    rows = layer.grads["weight_hh_l1"][:4]
    assert next(iter(by_gate["weight_hh_l1"].values())) == pytest.approx(np.linalg.norm(rows))


def test_the_norms_of_weights_by_gate():
    layer = lstm.LSTM(1, 2, rng=0, dtype=np.float64)
    layer.params["bias_l0"][:] = [3, 4, 0, 0, 1, 0, 0, 0]
    norms = d.gate_norms(layer, layer.params)
    assert norms["bias_l0"] == {"i": 5.0, "f": 0.0, "g": 1.0, "o": 0.0}


@pytest.mark.parametrize("norms, verdict", [
    ([1e-3, 1e-2, 1e-1], "healthy"), ([1e-8, 1e-4, 1.0], "vanishing"), ([1e-8, 1e-4, 1e-1], "vanishing"),
    ([2e3, 1.0, 1.0], "exploding"), ([1e-20, 1e-19, 1e-18], "healthy"), ([1e20, 1e18, 1e16], "exploding"),
    ([0.0, 0.0, 0.0], "vanishing"), ([np.nan, 1.0, 1.0], "exploding"), ([1.0, 2e3, 1.0], "exploding"),
])  # fmt: skip
def test_the_verdict_by_ratios_does_not_see_the_scale(norms, verdict):
    for scale in (1.0, 1e-7, 1e7):
        assert d.judge_norms(scale * np.array(norms)) == verdict
    assert d.judge_norms(np.array([1.0, 1.0, 0.0])) == "exploding"
    assert d.judge_norms(np.array([0.1, 1.0]), lost=0.2) == "vanishing"
    assert d.judge_norms(np.array([3.0, 1.0]), grown=2.0) == "exploding"


def test_update_ratios():
    before = {"a": np.array([3.0, 4.0]), "b": np.zeros(2), "c": np.zeros(2)}
    after = {"a": np.array([3.0, 4.5]), "b": np.array([0.0, 1.0]), "c": np.zeros(2)}
    assert d.update_ratios(before, after) == {"a": pytest.approx(0.1), "b": np.inf, "c": 0.0}


@pytest.mark.parametrize("kind", [lstm.SGD, lstm.Adam, lstm.Momentum])
def test_updates_are_recorded_inside_and_nothing_is_left_behind(kind):
    def trained(watch):
        model = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64)
        x, optimizer = np.random.default_rng(0).normal(size=(6, 2, 1)), kind(model.params, 0.1)
        before = {name: p.copy() for name, p in model.params.items()}
        if not watch:
            lstm.fit(model, x, -x, optimizer, epochs=3)
            return model, {}, before
        with d.recorded_updates(optimizer) as ratios:
            lstm.fit(model, x, -x, optimizer, epochs=1)
            after_one = d.update_ratios(before, model.params)
            lstm.fit(model, x, -x, optimizer, epochs=1)
        assert "step" not in vars(optimizer)
        lstm.fit(model, x, -x, optimizer, epochs=1)
        return model, ratios, after_one

    model, ratios, after_one = trained(watch=True)
    assert {name: r[0] for name, r in ratios.items()} == pytest.approx(after_one)
    assert {len(r) for r in ratios.values()} == {2}
    for name, p in trained(watch=False)[0].params.items():
        np.testing.assert_array_equal(model.params[name], p)


def test_updates_of_sgd_are_the_gradient_times_the_rate():
    params = {"p": np.array([3.0, 4.0])}
    optimizer = lstm.SGD(params, 0.1)
    with pytest.raises(ValueError), d.recorded_updates(optimizer) as ratios:
        optimizer.step({"p": np.array([0.0, 5.0])})
        optimizer.step({"q": np.zeros(1)})
    assert ratios == {"p": [pytest.approx(0.1)]} and "step" not in vars(optimizer)


class Made(NamedTuple):
    f: Any
    g: Any
    c: Any
    h: Any


def made(f, g=None, c=None, h=None):
    rest = (0.3 * np.random.default_rng(0).normal(size=f.shape) for _ in range(3))
    return Made(f, *(r if a is None else a for a, r in zip((g, c, h), rest)))


def test_saturation_counts_the_ends():
    f = np.tile([0.04, 0.06, 0.94, 0.96], (5, 2, 1))
    g = np.tile([-0.91, -0.89, 0.89, 0.89], (5, 2, 1))
    assert d.saturation(made(f, g)) == {"f": (0.25, 0.25), "g": (0.25, 0.0)}
    assert d.saturation(made(f, g), low=0.1, high=0.9) == {"f": (0.5, 0.5), "g": (0.5, 0.5)}
    assert d.saturation(lstm.layers.RNNTrace(g)) == {"h": (0.25, 0.0)}


def test_a_candidate_is_saturated_where_a_gate_of_the_same_slope_is():
    z = np.linspace(-4, 4, 801).reshape(-1, 1, 1)
    gate, candidate = 1 / (1 + np.exp(-z)), np.tanh(z / 2)  # one slope at every z, up to a factor 2
    found = d.saturation(made(gate, candidate))
    assert found["f"] == pytest.approx(found["g"], abs=1e-3) and 0.1 < found["f"].low < 0.2


def test_the_half_life_of_a_cell_by_unit():
    f = np.tile([0.5, 0.5**0.1, 1.0, 0.0], (6, 2, 1))
    found = d.cell_half_life(made(f))
    np.testing.assert_allclose(found[:3], [1.0, 10.0, np.inf], rtol=1e-12)
    assert found[3] < 0.01
    alternating = np.where(np.arange(6) % 2, 0.8, 0.2)[:, None, None]  # the product counts, not the mean
    assert 0.5 ** (6 / d.cell_half_life(made(alternating))[0]) == pytest.approx(0.2**3 * 0.8**3)
    gru = lstm.GRU(3, 4, rng=0, dtype=np.float64)
    gru(np.zeros((5, 2, 3)))
    expected = np.log(0.5) / np.log(gru.trace().z).mean((0, 1))
    np.testing.assert_allclose(d.cell_half_life(gru.trace()), expected)
    with pytest.raises(ValueError, match=r"^cell_half_life expected a trace with a gate f or z, got \('h',\)$"):
        d.cell_half_life(lstm.layers.RNNTrace(f))


def test_dead_units_are_those_that_stand_still():
    h = np.random.default_rng(0).normal(size=(30, 4, 5))
    h[:, :, 1] = 0.7
    h[:, :, 3] *= 1e-3
    h[:, :, 4] = [0.0, 1.0, 0.0, 1.0]  # still in time, not from sequence to sequence
    found = d.dead_units(made(np.full(h.shape, 0.5), h=h))
    assert found["h"].tolist() == [1, 3] and found["f"].tolist() == [0, 1, 2, 3, 4]
    assert d.dead_units(made(h, h=h), smallest=1e-6)["h"].tolist() == [1]


def test_drift_is_seen_unit_by_unit():
    rng = np.random.default_rng(0)
    still = rng.normal(size=(400, 8, 2))
    slope = np.linspace(0, 10, 400)[:, None, None] * np.array([1.0, -1.0])  # cancels over units
    found = d.drift(made(still, g=still + slope, c=still * np.linspace(1, 9, 400)[:, None, None], h=0 * still))
    assert found["f"].mean < 0.1 and found["f"].std == pytest.approx(1.0, abs=0.05)
    spread = np.sqrt(1 + 100 / 12)
    assert found["g"].mean == pytest.approx(7.5 / spread, rel=0.02)
    assert found["c"].std == pytest.approx(8 / 2, rel=0.05) and found["h"] == (0.0, 1.0)
    appears = np.concatenate([np.zeros((4, 2, 1)), rng.normal(size=(4, 2, 1))])
    assert d.drift(made(still[:8, :2, :1], h=appears))["h"].std == np.inf


def test_what_lies_past_the_ends_is_left_out():
    layer, x = lstm.LSTM(3, 4, rng=0, dtype=np.float64), np.random.default_rng(0).normal(size=(9, 2, 3))
    layer(x, None, [9, 2])
    cut = d.before_ends(layer.trace(), [9, 2])
    assert cut.f.shape == (11, 1, 4) and type(cut) is type(layer.trace()) and cut.f.max() < 1
    layer(x[:, :1])
    alone = layer.trace().f[:, 0]
    layer(x[:2, 1:])
    both = np.concatenate([alone, layer.trace().f[:, 0]])
    np.testing.assert_allclose(np.sort(cut.f[:, 0], 0), np.sort(both, 0))


@pytest.mark.parametrize("kind", CELLS)
def test_a_step_as_a_table_adds_up(kind):
    layer = after_a_pass(kind)
    layer(np.random.default_rng(2).normal(size=(5, 2, 3)))
    trace = layer.trace()
    lines = [line.split() for line in d.step_table(trace, 3, sequence=1).split("\n")]
    assert len(lines) == 5 and [row[0] for row in lines[1:]] == ["0", "1", "2", "3"]
    columns = dict(zip(lines[0], np.array(lines[1:], float).T))
    assert [k for k in columns if k not in ("unit", "kept", "written")] == list(trace._fields)
    for name, a in trace._asdict().items():
        np.testing.assert_allclose(columns[name], a[3, 1], atol=6e-4)
    if kind is not lstm.RNN:
        state, keeps = ("c", "f") if "c" in columns else ("h", "z")
        before, gate = (getattr(trace, k) for k in (state, keeps))
        np.testing.assert_allclose(columns["kept"], before[2, 1] * gate[3, 1], atol=6e-4)
        np.testing.assert_allclose(columns["kept"] + columns["written"], columns[state], atol=2e-3)
    assert len(d.step_table(trace, 0, units=2).split("\n")) == 3


def test_trivial_losses_of_numbers():
    x, y = np.array([[[1.0]], [[2.0]], [[4.0]]]), np.array([[[2.0]], [[4.0]], [[0.0]]])
    found = d.trivial_losses(x, y)
    assert found == pytest.approx({"mean": 8 / 3, "last target": (4 + 16) / 2, "last input": (1 + 4 + 16) / 3})
    assert set(d.trivial_losses(np.ones((3, 1, 2)), y)) == {"mean", "last target"}
    assert set(d.trivial_losses(x[:1], y[:1])) == {"mean", "last input"}


def test_trivial_losses_stop_at_the_ends():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2, 1)), rng.normal(size=(6, 2, 1))
    valid = np.concatenate([y[:, 0], y[:3, 1]])
    expected = {
        "mean": valid.var(),
        "last target": np.concatenate([np.diff(y[:, 0], axis=0), np.diff(y[:3, 1], axis=0)]).__pow__(2).mean(),
        "last input": (np.concatenate([x[:, 0], x[:3, 1]]) - valid).__pow__(2).mean(),
    }  # fmt: skip
    y[3:, 1] = np.nan
    assert d.trivial_losses(x, y, lengths=[6, 3]) == pytest.approx(expected)


def test_trivial_losses_of_labels_are_entropies():
    labels = np.array([0, 0, 0, 2])
    found = d.trivial_losses(np.zeros((5, 4, 2)), labels, lstm.cross_entropy)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found == pytest.approx({"frequencies": entropy, "uniform": np.log(3)})
    steps = np.array([[0, 1], [0, 9], [0, 9]])
    found = d.trivial_losses(np.zeros((3, 2, 1)), steps, lstm.cross_entropy, lengths=[3, 1])
    assert found == pytest.approx({"frequencies": entropy, "uniform": np.log(2)})
