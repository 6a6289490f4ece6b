"""Layers through the kernels, on the stand-in for CuPy: NumPy's numbers, and what a step asks for."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest

import lstm
import strict_cupy
from lstm import kernels

FUSED = [lstm.LSTM, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.GRU, lstm.RNN, lstm.ReluRNN]


@pytest.fixture
def cupy(monkeypatch):
    module = strict_cupy.StrictCuPy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def passes(kind, dtype, device, lengths=None, T=23, **options):
    """Return everything that a layer gives, forward and backward, with no weight at zero."""
    rng = np.random.default_rng(0)
    on = partial(lstm.to_device, device=device)
    layer = kind(3, 7, rng=0, dtype=dtype, device=device, **options)
    for name in sorted(layer.params):
        shape = layer.params[name].shape
        layer.params[name] = on(rng.normal(0, 0.4, shape).astype(dtype))
    x, n = rng.normal(size=(T, 5, 3)), layer.directions * 7
    y, state = layer(on(x), None, lengths)
    dy = rng.normal(size=(T, 5, n))
    both = state if isinstance(state, tuple) else (state,)
    dstate = tuple(on(rng.normal(size=s.shape).astype(dtype)) for s in both)
    dx, back = layer.backward(on(dy), dstate if len(dstate) > 1 else dstate[0])
    back = back if isinstance(back, tuple) else (back,)
    found = {"y": y, "dx": dx} | layer.grads
    found |= {f"state {k}": s for k, s in enumerate((*both, *back))}
    found |= {f"{run} {k}": a for run, trace in layer.traces().items() for k, a in enumerate(trace)}
    return {name: lstm.to_numpy(a) for name, a in found.items()}


@pytest.mark.parametrize("lengths", [None, [23, 1, 10, 11, 20]], ids=["whole", "lengths"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "four runs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", FUSED)
def test_a_layer_gives_the_same_through_the_kernels(cupy, kind, dtype, options, lengths):
    host = passes(kind, dtype, "cpu", lengths, **options)
    device = passes(kind, dtype, "cuda", lengths, **options)
    tolerance = {"float32": 5e-5, "float64": 1e-12}[dtype]
    assert host.keys() == device.keys()
    for name, expected in host.items():
        assert device[name].dtype == dtype
        np.testing.assert_allclose(device[name], expected, tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize("kind", FUSED)
def test_the_array_form_still_runs_on_the_device(cupy, kind, monkeypatch):
    """What a variant of a user's own has: its step makes a launch of every call."""
    host = passes(kind, "float64", "cpu")
    monkeypatch.setattr(kernels, "FUSED", {})
    for name, a in passes(kind, "float64", "cuda").items():
        np.testing.assert_allclose(a, host[name], 1e-12, 1e-12, err_msg=name)


@pytest.mark.parametrize("lengths", [None, [53, 1, 30, 31, 20]], ids=["whole", "lengths"])
@pytest.mark.parametrize("kind", [*FUSED, lstm.ZoneoutLSTM, lstm.ResetFirstGRU])
def test_a_layer_that_recomputes_gives_the_same_bytes_on_the_device(cupy, kind, lengths, monkeypatch):
    monkeypatch.setattr(kernels, "TOGETHER", 25)  # a block begins between two kept states
    plain = passes(kind, "float32", "cuda", lengths, T=53)
    for every in (1, 20):
        found = passes(kind, "float32", "cuda", lengths, T=53, recompute=every)
        assert {name: a.tobytes() for name, a in found.items()} == {
            name: a.tobytes() for name, a in plain.items()
        }


def test_long_sequences_are_summed_in_blocks_on_the_device(cupy, monkeypatch):
    for kind in FUSED:
        whole = passes(kind, "float64", "cuda", T=23)
        monkeypatch.setattr(kernels, "TOGETHER", 6)
        for name, a in passes(kind, "float64", "cuda", T=23).items():
            np.testing.assert_allclose(a, whole[name], 1e-12, 1e-12, err_msg=name)
        monkeypatch.undo()
        monkeypatch.setitem(sys.modules, "cupy", cupy)


def counted(run, *arguments):
    """Return products, launches, waits and transfers of a call, and its result."""
    counts = strict_cupy.Counts
    names = "products", "launches", "syncs", "uploads", "downloads"
    before = [getattr(counts, name) for name in names]
    result = run(*arguments)
    return np.array([getattr(counts, name) - b for name, b in zip(names, before)]), result


def per_step(kind, **options):
    """Return what one more step asks for, forward and backward, and the transfers of a pass."""
    found = []
    for T in (20, 20, 60):  # the first pass sends the scale of the gates, once for all
        layer = kind(3, 4, rng=0, device="cuda", **options)
        x = lstm.to_device(np.ones((T, 5, 3), np.float32), "cuda")
        forward, (y, state) = counted(layer, x)
        backward, _ = counted(layer.backward, y, state)
        found.append(np.array([forward, backward]))
    return (found[2] - found[1]) / 40, found[2][:, 2:]


@pytest.mark.parametrize("kind", FUSED)
def test_one_product_and_one_launch_a_step_and_direction(cupy, kind):
    steps, transfers = per_step(kind)
    assert steps.tolist() == [[1, 1, 0, 0, 0]] * 2
    assert not transfers.any()


def test_a_layer_that_recomputes_waits_for_nothing_either(cupy, monkeypatch):
    monkeypatch.setattr(kernels, "TOGETHER", 20)
    steps, transfers = per_step(lstm.LSTM, recompute=20)
    assert (steps[:, 2] == 0).all() and (transfers[:, [0, 2]] == 0).all()
    products, launches = steps[:, 0], steps[:, 1]
    assert 1 <= products[0] < 1.1 and 1 <= launches[0] < 2
    assert 2 <= products[1] < 2.2 and 2 <= launches[1] < 3


def test_the_cells_without_kernels_make_more(cupy):
    for kind in (lstm.ZoneoutLSTM, lstm.ResetFirstGRU):
        steps, _ = per_step(kind)
        assert (steps[:, 1] > 4).all() and (steps[:, 2] == 0).all()


def test_every_run_of_a_fused_layer_has_a_counterpart():
    for kind in FUSED:
        assert kind.run in kernels.FUSED and kind.run_backward in kernels.FUSED
    assert lstm.ZoneoutLSTM.run not in kernels.FUSED


def test_weights_that_are_views_are_made_contiguous(cupy):
    for kind, name in ((lstm.PeepholeLSTM, "weight_peephole_l0"), (lstm.GRU, "bias_hn_l0")):
        results = []
        for device in ("cpu", "cuda"):
            layer, x = kind(2, 4, rng=0, device=device, dtype=np.float64), np.ones((3, 2, 2))
            wide = lstm.to_device(np.random.default_rng(1).normal(size=(4, 6)), device)
            layer.params[name] = wide[:, :3].T if "peephole" in name else wide[:, 0]
            y, state = layer(lstm.to_device(x, device))
            dx, _ = layer.backward(y, state)
            results.append([lstm.to_numpy(a) for a in (y, dx, layer.grads[name])])
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b, 1e-12, 1e-14)


def test_the_stand_in_refuses_what_a_kernel_would_misread(cupy):
    with pytest.raises(TypeError):
        cupy.RawModule(code=kernels.SOURCE, no_such_argument=1)
    module = cupy.RawModule(code=kernels.SOURCE, options=("-DREAL=double",))
    with pytest.raises(KeyError, match="no kernel gone"):
        module.get_function("gone")
    kernel, host = module.get_function("rnn_backward"), np.ones((4, 6))
    a, sizes = lstm.to_device(host, "cuda"), (np.int64(4), np.int64(6))
    with pytest.raises(TypeError, match="implicit conversion of a NumPy array"):
        kernel((1,), (128,), (host, a, a, a, *sizes))
    with pytest.raises(TypeError, match="expected const double .dh_next to be contiguous"):
        kernel((1,), (128,), (a, a.T, a, a, *sizes))
    with pytest.raises(TypeError, match="expected long long H as int64"):
        kernel((1,), (128,), (a, a, a, a, 4, 6))
    with pytest.raises(TypeError):
        kernel((1,), (a, a, a, a, *sizes))
    counts, _ = counted(kernel, (1,), (128,), (a, a, a, lstm.to_device(host, "cuda"), *sizes))
    assert counts.tolist() == [0, 1, 0, 0, 0]
