"""The point-wise functions against their definitions and central differences."""

import numpy as np
import pytest

from lstm import gates
from naive import sigmoid


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_the_logistic_function(dtype):
    x = np.linspace(-30, 30, 601).astype(dtype)
    got = gates.sigmoid(x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, sigmoid(x.astype(np.float64)), atol=np.finfo(dtype).eps)


def test_sigmoid_neither_warns_nor_leaves_its_range_at_extremes():
    with np.errstate(all="raise"):
        got = gates.sigmoid(np.array([-np.inf, -1e30, 0.0, 1e30, np.inf], np.float32))
    assert got.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    "function, derivative", [(gates.sigmoid, gates.sigmoid_grad), (np.tanh, gates.tanh_grad)]
)
def test_derivatives_match_central_differences(function, derivative):
    x, step = np.linspace(-4, 4, 41), 1e-5
    expected = (function(x + step) - function(x - step)) / (2 * step)
    np.testing.assert_allclose(derivative(function(x)), expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (2**12, 2), (2**12, 3)])
def test_activate_makes_three_sigmoids_and_a_tanh(rng, shape):
    z = rng.normal(size=(4, *shape))
    i, f, g, o = gates.activate(z.copy(), gates.gate_scale(z))
    for got, expected in zip((i, f, g, o), (sigmoid(z[0]), sigmoid(z[1]), np.tanh(z[2]), sigmoid(z[3]))):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1,), (5,), (5, 3)])
def test_lstm_step_is_the_six_equations(rng, shape):
    z, c_prev = rng.normal(size=(4, *shape)), rng.normal(size=shape)
    expected_c = sigmoid(z[1]) * c_prev + sigmoid(z[0]) * np.tanh(z[2])
    expected_h = sigmoid(z[3]) * np.tanh(expected_c)
    h, c, tanh_c = (np.empty(shape) for _ in range(3))
    gates.lstm_step(z, c_prev, h, c, tanh_c, gates.gate_scale(z))
    np.testing.assert_allclose(c, expected_c, rtol=1e-12)
    np.testing.assert_allclose(tanh_c, np.tanh(expected_c), rtol=1e-12)
    np.testing.assert_allclose(h, expected_h, rtol=1e-12)


def lstm_outputs(z, c_prev):
    h, c, tanh_c = (np.empty_like(c_prev) for _ in range(3))
    z = z.copy()
    gates.lstm_step(z, c_prev, h, c, tanh_c, gates.gate_scale(z))
    return z, h, c, tanh_c


def test_lstm_step_backward_matches_central_differences(rng):
    z, c_prev = rng.normal(size=(4, 5, 3)), rng.normal(size=(5, 3))
    dh, dc = rng.normal(size=(2, 5, 3))
    activated, _, _, tanh_c = lstm_outputs(z, c_prev)
    dz, dh_dc = np.empty_like(z), np.empty_like(c_prev)
    gates.lstm_partials(activated, c_prev, tanh_c, dz, dh_dc)
    dc_prev = dc.copy()
    gates.lstm_step_backward(dh, dc_prev, dz, dh_dc, activated[1])
    from naive import central_differences

    def loss():
        _, h, c, _ = lstm_outputs(z, c_prev)
        return (h * dh).sum() + (c * dc).sum()

    np.testing.assert_allclose(dz, central_differences(loss, z), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(dc_prev, central_differences(loss, c_prev), rtol=1e-6, atol=1e-9)


def test_gru_step_is_its_equations(rng):
    z, zh_n, h_prev = rng.normal(size=(3, 4, 2)), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    r, update = sigmoid(z[0]), sigmoid(z[1])
    n = np.tanh(z[2] + r * zh_n)
    h = np.empty((4, 2))
    gates.gru_step(z, zh_n, h_prev, h, gates.gate_scale(z, gates.GRU_SCALE))
    np.testing.assert_allclose(z, np.stack([r, update, n]), rtol=1e-12)
    np.testing.assert_allclose(h, (1 - update) * n + update * h_prev, rtol=1e-12)
