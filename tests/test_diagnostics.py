"""The instruments, on known answers and on planted faults."""

import numpy as np
import pytest

import lstm
from lstm import diagnostics as d


def test_half_life():
    np.testing.assert_allclose(d.half_life(np.array([0.5, 0.25, 0.5**0.1])), [1, 0.5, 10])
    f = 0.731
    assert f ** d.half_life(f) == pytest.approx(0.5)


def test_numerical_gradient_of_a_cubic_and_its_array_put_back():
    a = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = a.copy()
    got = d.numerical_gradient(lambda: (a**3).sum(), a)
    np.testing.assert_allclose(got, 3 * a**2, rtol=1e-8)
    np.testing.assert_array_equal(a, before)


def test_relative_error():
    assert d.relative_error(np.array([1.0, 10.0]), np.array([1.0, 8.0])) == pytest.approx(0.2)
    assert d.relative_error(np.zeros(2), np.zeros(2)) == 0.0
    assert d.relative_error(np.zeros(2), np.array([0.0, 1e-9])) == 1.0


def some_layer(kind=lstm.LSTM):
    rng = np.random.default_rng(0)
    layer = kind(3, 4, rng=rng, dtype=np.float64)
    state = tuple(rng.normal(size=(1, 2, 4)) for _ in layer.state_names)
    return layer, rng.normal(size=(5, 2, 3)), state if len(state) > 1 else state[0], rng


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_gradient_check_passes_right_layers_and_covers_everything(kind):
    layer, x, state, rng = some_layer(kind)
    errors = d.gradient_check(layer, x, state, rng=rng)
    assert set(errors) == {"x", *layer.params, *(f"state[{k}]" for k in range(len(layer.state_names)))}
    assert max(errors.values()) < 1e-6


def test_gradient_check_names_the_faulty_parameter_alone():
    layer, x, state, rng = some_layer()

    def faulty(*arguments):
        dx, dstate, (dW, dU, db) = type(layer).run_backward(*arguments)
        return dx, dstate, (dW, dU * np.repeat([1, 1, 1, 1.01], 4)[:, None], db)

    layer.run_backward = faulty
    errors = d.gradient_check(layer, x, state, rng=rng)
    assert {name for name, error in errors.items() if error > 1e-6} == {"weight_hh_l0"}


def test_gradient_check_refuses_float32():
    layer = lstm.LSTM(1, 2, rng=0)
    with pytest.raises(TypeError, match="^gradient_check expected weight_ih_l0 in float64, got float32$"):
        d.gradient_check(layer, np.ones((2, 1, 1)), rng=np.random.default_rng(0))


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
