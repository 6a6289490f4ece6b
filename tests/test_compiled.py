"""The compiled runs of the extra `fast`: NumPy's numbers, and nothing changed when off."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `fast` is not installed")

import lstm
from lstm import compiled, recurrence, stack

SIZES = [(1, 1, 1, 1), (7, 3, 2, 5), (12, 9, 17, 33), (10, 1, 1, 20), (30, 26, 3, 40)]
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def fast(request, monkeypatch):
    """Switch the compiled runs on, the work shared out at every size."""
    monkeypatch.setattr(compiled.config, "NUMBA_NUM_THREADS", request.param)
    monkeypatch.setattr(compiled, "ENOUGH", 1)
    compiled.use_fast()
    yield
    compiled.use_fast(False)


def everything(layer, x, dy, lengths):
    """Return outputs, states and all gradients of a layer by name."""
    y, state = layer(x, lengths=lengths)
    dx, dstate = layer.backward(dy, dstate=state)
    return {"y": y, "dx": dx, **dict(zip("hc", state)), **dict(zip(("dh", "dc"), dstate)),
            **{name: grad.copy() for name, grad in layer.grads.items()}}  # fmt: skip


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_layer_gives_numpys_numbers(fast, size, dtype, options, ragged):
    (T, B, I, H), rng = size, np.random.default_rng(0)
    layer = lstm.LSTM(I, H, rng=rng, dtype=dtype, **options)
    x = rng.normal(size=(T, B, I)).astype(dtype)
    dy = rng.normal(size=(T, B, H * (2 if options else 1))).astype(dtype)
    lengths = rng.integers(1, T + 1, B) if ragged else None
    ours = everything(layer, x, dy, lengths)
    compiled.use_fast(False)
    for name, expected in everything(layer, x, dy, lengths).items():
        error = np.abs(ours[name] - expected).max() / max(np.abs(expected).max(), 1e-30)
        assert ours[name].dtype == dtype and error <= TOLERANCE[dtype], name


@pytest.mark.parametrize(("dtype", "units"), [("float32", 3), ("float64", 3)])
def test_tanh_is_right_to_a_few_units(dtype, units):
    x = np.concatenate([np.linspace(-25, 25, 40_001), np.geomspace(1e-20, 1, 4_001)]).astype(dtype)
    found = np.empty_like(x)

    @compiled.njit
    def fill(x, out):
        for k in range(x.size):
            out[k] = compiled.tanh(x[k])

    fill(x, found)
    exact = np.tanh(x.astype(np.longdouble))
    assert (np.abs(found - exact) <= units * np.spacing(np.abs(exact).astype(dtype))).all()


def test_what_is_no_number_stays_none(fast):
    layer, x = lstm.LSTM(2, 3, rng=0), np.zeros((4, 2, 2), np.float32)
    x[1, 0, 0] = np.nan
    y, _ = layer(x)
    assert np.isnan(y[1:, 0]).all() and np.isfinite(y[:, 1]).all()


def test_off_means_the_functions_themselves():
    compiled.use_fast()
    assert stack.for_device(recurrence.lstm_forward, np.zeros(1)) is compiled.fast_forward
    compiled.use_fast(False)
    assert stack.for_device(recurrence.lstm_forward, np.zeros(1)) is recurrence.lstm_forward
