"""Weights from and to Keras, against results of Keras 3 stored by tests/data/make_keras.py."""

from pathlib import Path

import numpy as np
import pytest

import lstm
from lstm.keras import from_keras, to_keras

STORED = np.load(Path(__file__).parent / "data" / "keras.npz", allow_pickle=False)
KINDS = {
    "LSTM": lstm.LSTM, "LSTM no bias": lstm.LSTM, "GRU": lstm.GRU,
    "GRU reset first": lstm.ResetFirstGRU, "SimpleRNN": lstm.RNN,
    "LSTM both": lstm.LSTM, "GRU both": lstm.GRU,
}  # fmt: skip


def stored(name):
    prefix = f"{name}."
    case = {k.removeprefix(prefix): STORED[k] for k in STORED if k.startswith(prefix)}
    weights = [case[k] for k in sorted(case) if k.startswith("weight")]
    states = [case[k] for k in sorted(case) if k.startswith("state")]
    return case["x"], case["y"], states, weights


def loaded(name):
    *_, weights = stored(name)
    return from_keras(weights, name.split()[0], reset_after="reset first" not in name)


@pytest.mark.parametrize("name", KINDS)
def test_the_layer_computes_what_keras_did(name):
    x, y, states, _ = stored(name)
    layer = loaded(name)
    assert type(layer) is KINDS[name] and layer.batch_first
    got, state = layer(x)
    np.testing.assert_allclose(got, y, rtol=1e-4, atol=2e-6)
    parts = state if isinstance(state, tuple) else (state,)
    flat = [part[d] for d in range(layer.directions) for part in parts]  # Keras: by direction
    for a, b in zip(flat, states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", KINDS)
def test_out_again_computes_the_same(name):
    x, y, _, weights = stored(name)
    back = to_keras(loaded(name))
    assert [w.shape for w in back] == [w.shape for w in weights]
    for k in (0, 1):
        np.testing.assert_array_equal(back[k], weights[k])
    again = from_keras(back, name.split()[0], reset_after="reset first" not in name)
    np.testing.assert_allclose(again(x)[0], y, rtol=1e-4, atol=2e-6)


def test_what_does_not_fit_is_refused():
    *_, weights = stored("LSTM")
    with pytest.raises(ValueError, match=r"expected kind as one of \['LSTM', 'GRU', 'SimpleRNN'\], got 'Dense'"):
        from_keras(weights, "Dense")
    with pytest.raises(ValueError, match="expected 2 or 3 arrays, or 4 or 6 for two directions, got 1"):
        from_keras(weights[:1])
    message = (
        r"^from_keras expected arrays \[\(4, 15\), \(5, 15\), \(15,\)\] of a ResetFirstGRU, "
        r"got \[\(4, 20\), \(5, 20\), \(20,\)\]$"
    )
    with pytest.raises(ValueError, match=message):
        from_keras(weights, "GRU", reset_after=False)
    with pytest.raises(ValueError, match="expected num_layers=1, got 2"):
        to_keras(lstm.LSTM(2, 3, num_layers=2))
    with pytest.raises(TypeError, match="expected an LSTM, GRU or RNN, got CoupledLSTM"):
        to_keras(lstm.CoupledLSTM(2, 3))
