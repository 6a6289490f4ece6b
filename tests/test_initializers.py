"""Initial weights against the property that defines each."""

import numpy as np
import pytest

from lstm import initializers as init


@pytest.mark.parametrize(
    "draw, variance",
    [
        (init.lecun_normal, lambda fan_out, fan_in: 1 / fan_in),
        (init.glorot_normal, lambda fan_out, fan_in: 2 / (fan_in + fan_out)),
        (init.he_normal, lambda fan_out, fan_in: 2 / fan_in),
    ],
)
@pytest.mark.parametrize("shape", [(400, 100), (100, 400)])
def test_variance(draw, variance, shape):
    weights = draw(shape, np.random.default_rng(0))
    assert weights.shape == shape
    spread = (2 / weights.size) ** 0.5  # relative standard error of a Gaussian's variance
    assert abs(weights.var() / variance(*shape) - 1) < 5 * spread
    assert abs(weights.mean()) < 5 * (variance(*shape) / weights.size) ** 0.5


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (1, 4)])
def test_orthogonal(shape):
    q = init.orthogonal(shape, np.random.default_rng(0))
    assert q.shape == shape
    product = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_uniform_in_sign():
    rng = np.random.default_rng(0)
    corners = [init.orthogonal((3, 3), rng)[0, 0] > 0 for _ in range(400)]
    assert abs(np.mean(corners) - 0.5) < 5 * 0.5 / 400**0.5


def test_lstm_bias_opens_the_forget_gate_alone():
    assert init.lstm_bias(2, 1.5).tolist() == [0, 0, 1.5, 1.5, 0, 0, 0, 0]


def test_chrono_gates_have_the_time_scales_of_the_lag():
    bias = init.chrono_bias(20000, 50, np.random.default_rng(0)).reshape(4, -1)
    i, f = 1 / (1 + np.exp(-bias[0])), 1 / (1 + np.exp(-bias[1]))
    np.testing.assert_allclose(i, 1 - f, rtol=1e-9)
    scale = 1 / (1 - f)  # steps that a unit holds its cell: uniform between 2 and 50
    assert scale.min() >= 2 and scale.max() <= 50
    assert abs(scale.mean() - 26) < 5 * (48 / 12**0.5) / 20000**0.5
    assert not bias[2:].any()


def test_chrono_refuses_a_lag_without_room():
    with pytest.raises(ValueError, match="^chrono_bias expected longest_lag above 2, got 2$"):
        init.chrono_bias(4, 2, np.random.default_rng(0))
