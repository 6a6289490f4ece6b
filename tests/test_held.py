"""An LSTM with a gate held open is an LSTM without that gate, and stays one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive
from experiments.held import BLOCKS, HeldLSTM
from lstm import LSTM, Adam
from lstm.backend import Array

T, B, I, H = 6, 3, 2, 4
each_gate = pytest.mark.parametrize("held", BLOCKS)


def without(held: str, x: Array, weight_ih: Array, weight_hh: Array, bias: Array) -> Array:
    """Return y (T, B, H) of the equations without a gate, row by row, from states of zero."""
    W, U, b = weight_ih.reshape(4, H, I), weight_hh.reshape(4, H, H), bias.reshape(4, H)
    y = np.zeros((T, B, H))
    for row in range(B):
        h, c = np.zeros(H), np.zeros(H)
        for t in range(T):
            a = {name: W[k] @ x[t, row] + U[k] @ h + b[k] for k, name in enumerate("ifgo")}
            gate = {name: naive.sigmoid(a[name]) for name in "ifo"}
            written, kept = np.tanh(a["g"]), c
            written = written if held == "i" else gate["i"] * written
            kept = kept if held == "f" else gate["f"] * kept
            c = kept + written
            h = np.tanh(c) if held == "o" else gate["o"] * np.tanh(c)
            y[t, row] = h
    return y


def made(held: str, **options: Any) -> tuple[HeldLSTM, Array, Array]:
    rng = np.random.default_rng(5)
    layer = HeldLSTM(I, H, held=held, rng=rng, dtype=np.float64, device="cpu", **options)
    return layer, rng.normal(size=(T, B, I)), rng.normal(size=(T, B, H))


def rows_of(held: str) -> slice:
    return slice(BLOCKS[held] * H, (BLOCKS[held] + 1) * H)


@each_gate
def test_it_computes_what_an_lstm_without_the_gate_does(held: str) -> None:
    layer, x, _ = made(held)
    y, _ = layer(x)
    np.testing.assert_allclose(y, without(held, x, *layer.params.values()), rtol=0, atol=1e-13)
    assert (getattr(layer.trace(), held) == 1).all()


@each_gate
def test_its_gradients_are_those_without_the_gate(held: str) -> None:
    layer, x, dy = made(held)
    layer(x)
    dx, _ = layer.backward(dy)
    found = {**layer.grads, "x": dx}
    arrays = {name: a.copy() for name, a in layer.params.items()}

    def loss() -> float:
        return float((dy * without(held, x, *arrays.values())).sum())

    for name, array in {**arrays, "x": x}.items():
        expected = naive.central_differences(loss, array)
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-8, err_msg=name)


@each_gate
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_leaves_the_gate_open(held: str, dtype: Any) -> None:
    layer = HeldLSTM(I, H, held=held, num_layers=2, rng=1, dtype=dtype, device="cpu")
    before = {name: a.copy() for name, a in layer.params.items()}
    x = np.random.default_rng(2).normal(size=(T, B, I)).astype(dtype)
    optimizer = Adam(layer.params, 0.1)
    for _ in range(20):
        y, _ = layer(x)
        layer.backward(y - 1)
        optimizer.step(layer.grads)
    rows = rows_of(held)
    for name, a in layer.params.items():
        assert (a[rows] == before[name][rows]).all() and not (layer.grads[name][rows]).any()
        assert (np.delete(a, np.r_[rows], 0) != np.delete(before[name], np.r_[rows], 0)).any()
    layer(x)
    assert all((getattr(trace, held) == 1).all() for trace in layer.traces().values())


@each_gate
def test_all_other_weights_are_those_of_the_whole_lstm(held: str) -> None:
    layer, whole = HeldLSTM(I, H, held=held, rng=3), LSTM(I, H, rng=3)
    rest = np.delete(np.arange(4 * H), np.r_[rows_of(held)])
    for name, a in whole.params.items():
        assert (layer.params[name][rest] == a[rest]).all()


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"^HeldLSTM expected held as one of .*, got 'g'$"):
        HeldLSTM(I, H, held="g")
    with pytest.raises(ValueError, match="^HeldLSTM expected bias=True, got False"):
        HeldLSTM(I, H, bias=False)
