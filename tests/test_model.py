"""The model: its two layers joined."""

import numpy as np
import pytest

import lstm
from naive import central_differences


def test_it_is_the_layer_and_the_readout_in_a_row():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    y, (h, c) = model(x)
    hidden, state = model.recurrent(x)
    np.testing.assert_array_equal(y, model.linear(hidden))
    np.testing.assert_array_equal((h, c), state)
    assert y.shape == (5, 4, 1)


def test_parameters_are_joined_under_the_layers_names_and_are_the_arrays_themselves():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    assert list(model.params) == [
        "recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "recurrent.bias_l0",
        "linear.weight", "linear.bias",
    ]  # fmt: skip
    assert model.params["linear.bias"] is model.linear.params["bias"]
    assert sum(p.size for p in model.params.values()) == 4 * 3 * (2 + 3 + 1) + 3 + 1


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_every_gradient_against_central_differences(kind):
    rng = np.random.default_rng(0)
    model = lstm.Regressor(kind(2, 3, rng=rng, dtype=np.float64), 2, rng=rng)
    x, target = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))

    def loss():
        return ((model(x)[0] - target) ** 2).mean()

    _, dy = lstm.mean_squared_error(model(x)[0], target)
    dx, _ = model.backward(dy)
    for got, array in zip((dx, *model.grads.values()), (x, *model.params.values())):
        expected = central_differences(loss, array)
        assert abs(got - expected).max() < 1e-6 * abs(expected).max()


def test_the_same_seed_gives_the_same_model_and_the_readout_shares_no_draws():
    a, b = (lstm.LSTMRegressor(3, 3, 3, rng=5).params for _ in range(2))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    readout = a["linear.weight"].ravel()
    assert not np.isin(readout, a["recurrent.weight_ih_l0"]).any()


def test_backward_before_forward_and_a_bad_readout():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    with pytest.raises(RuntimeError, match="^Linear has made no forward pass yet"):
        model.backward(np.zeros((1, 1, 1)))
    with pytest.raises(ValueError, match="^Linear expected output_size of at least 1, got 0$"):
        lstm.LSTMRegressor(2, 3, 0)
