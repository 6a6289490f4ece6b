"""Time loops as CUDA graphs, on the stand-in, which records and repeats as CuPy would.

That a real driver records the same launches, and what a graph saves, nobody has measured.
"""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest

import capture
import lstm
import strict_cupy
from lstm import kernels
from test_kernel_layers import FUSED, counted

BOTH = [*FUSED, lstm.ZoneoutLSTM]  # the last has no kernel, so nothing to record


@pytest.fixture
def cupy(monkeypatch):
    module = strict_cupy.StrictCuPy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def on_gpu(a, dtype="float64"):
    return lstm.to_device(np.asarray(a, dtype), "cuda")


def tuple_of(state):
    return state if isinstance(state, tuple) else (state,)


def one_pass(layer, seed, T=6, B=5, lengths=None, device="cuda"):
    """Return all that a pass gives on its own random input, state and gradients, on the host."""
    rng, H, D = np.random.default_rng(seed), layer.hidden_size, layer.directions
    draw = lambda *shape: lstm.to_device(rng.normal(size=shape).astype(layer.dtype), device)  # noqa: E731
    shape, n = (layer.num_layers * D, B, H), len(layer.state_names)
    state, dstate = (tuple(draw(*shape) for _ in range(n)) for _ in "sd")
    single = n == 1
    y, last = layer(draw(T, B, layer.input_size), state[0] if single else state, lengths)
    dx, back = layer.backward(draw(T, B, D * H), dstate[0] if single else dstate)
    found = [y, *tuple_of(last), dx, *tuple_of(back), *layer.grads.values()]
    return [lstm.to_numpy(a).copy() for a in found]


def pair(kind, dtype="float64", **options):
    """Return a layer on the processor and the same one on the GPU with graphs."""
    host, device = (kind(3, 4, rng=0, dtype=dtype, device=d, **options) for d in ("cpu", "cuda"))
    kernels.use_graphs(device)
    return host, device


def launched():
    return capture.Recording.graphs


@pytest.mark.parametrize("lengths", [None, [6, 1, 3, 4, 2]], ids=["whole", "lengths"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", BOTH)
def test_a_graph_gives_numpys_numbers_for_new_inputs(cupy, kind, dtype, lengths):
    host, device = pair(kind, dtype, num_layers=2, bidirectional=True)
    tolerance = {"float32": 5e-5, "float64": 1e-12}[dtype]
    for seed in range(4):
        before = launched()
        results = one_pass(device, seed, lengths=lengths)
        expected = one_pass(host, seed, lengths=lengths, device="cpu")
        for a, b in zip(results, expected, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, tolerance, tolerance)
        fused = kind in FUSED
        assert launched() - before == (8 if fused and seed > 0 else 0)  # 4 runs, each way


@pytest.mark.parametrize("kind", FUSED)
def test_a_loop_of_any_length_is_one_launch_each_way(cupy, kind):
    found = []
    for T in (20, 60):
        _, layer = pair(kind)
        x = on_gpu(np.ones((T, 5, 3)))
        for _ in range(3):
            before = launched()
            forward, (y, state) = counted(layer, x)
            backward, _ = counted(layer.backward, y, state)
        assert launched() - before == 2
        found.append([forward, backward])
    assert np.array_equal(*found)  # nothing that the host asks for grows with T


def test_weights_that_changed_in_place_are_seen_and_those_replaced_too(cupy):
    host, device = pair(lstm.LSTM)
    for seed in range(5):
        for name, p in host.params.items():
            p += 0.1
            if seed == 3:
                device.params[name] = on_gpu(p)
            else:
                device.params[name] += 0.1
        for a, b in zip(one_pass(device, seed), one_pass(host, seed, device="cpu")):
            np.testing.assert_allclose(a, b, 1e-11, 1e-12)


def test_other_sizes_are_recorded_by_themselves_and_old_ones_found_again(cupy):
    host, device = pair(lstm.GRU)
    graphs = device._workspaces[0].graphs
    for seed, (T, B) in enumerate([(6, 5), (6, 5), (4, 5), (4, 5), (6, 2), (6, 2), (6, 5), (4, 5)]):
        results, expected = one_pass(device, seed, T, B), one_pass(host, seed, T, B, device="cpu")
        for a, b in zip(results, expected):
            np.testing.assert_allclose(a, b, 1e-12, 1e-13)
        assert len(graphs) == [0, 2, 2, 4, 4, 6, 6, 6][seed]
    for n in range(3):  # needs more memory, so that all lies elsewhere
        for T in (9, 6):
            results, expected = one_pass(device, n, T), one_pass(host, n, T, device="cpu")
            for a, b in zip(results, expected):
                np.testing.assert_allclose(a, b, 1e-12, 1e-13)


def test_graphs_of_many_sizes_do_not_pile_up(cupy):
    _, device = pair(lstm.RNN)
    for T in range(22, 2, -1):
        for seed in range(2):
            one_pass(device, seed, T)
    space = device._workspaces[0]
    assert len(space.graphs) == space.KEPT == 32
    before = launched()
    one_pass(device, 0, 3)
    assert launched() - before == 2 and len(space.graphs) == 32


def test_results_are_not_overwritten_by_the_next_pass(cupy):
    for kind in FUSED:
        _, layer = pair(kind)
        x, other = (on_gpu(np.random.default_rng(n).normal(size=(6, 5, 3))) for n in (0, 1))
        kept = []
        for a in (x, x, other):
            y, state = layer(a)
            dx, dstate = layer.backward(y, state)
            arrays = [y, *tuple_of(state), dx, *tuple_of(dstate), *layer.grads.values()]
            kept.append([(r, r.get()) for r in arrays])
        assert all(np.array_equal(r.get(), seen) for each in kept for r, seen in each)


def test_a_training_is_the_same_with_graphs(cupy):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 7, 1)), rng.normal(size=(8, 7, 1))
    losses = []
    for graphs in (None, False, True):
        device = "cpu" if graphs is None else "cuda"
        model = lstm.LSTMRegressor(1, 4, 1, rng=0, dtype=np.float64, device=device, stateful=True)
        if graphs is not None:
            kernels.use_graphs(model, graphs)
        on = [lstm.to_device(a, device) for a in (x, y)]
        before = launched()
        history = lstm.fit(
            model, *on, lstm.Adam(model.params, 0.01), epochs=4, bptt_length=4, batch_size=7,
            clip_norm=0.1, rng=np.random.default_rng(1),
        )  # fmt: skip
        losses.append(history.loss)
        assert (launched() > before) is bool(graphs)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-10)


def test_models_with_graphs_are_copied_moved_and_kept(cupy, tmp_path):
    model = lstm.LSTMRegressor(1, 4, 1, rng=0, device="cuda")
    kernels.use_graphs(model)
    x = on_gpu(np.ones((5, 2, 1)), "float32")
    for _ in range(3):
        y, _ = model(x)
    assert model.recurrent._workspaces[0].graphs
    twin = copy.deepcopy(model)
    assert twin.recurrent._workspaces[0].graphs == {} == twin.recurrent._workspaces[0].arrays
    for _ in range(3):
        np.testing.assert_array_equal(twin(x)[0].get(), y.get())
    lstm.save(model, tmp_path / "m")
    assert lstm.load(tmp_path / "m", "cpu").recurrent.workspace_type is kernels.Workspace
    lstm.move_model(model, "cpu")
    np.testing.assert_allclose(model(x.get())[0], y.get(), 1e-5, 1e-6)
    lstm.move_model(model, "cuda")
    before = launched()
    for _ in range(3):
        model(x)
    assert launched() == before + 2  # the option went with the model
    kernels.use_graphs(model, False)
    model(x)
    assert launched() == before + 2


def test_a_weight_that_is_a_view_is_refused_by_a_recorded_product(cupy):
    a, x = on_gpu(np.ones((4, 6))), on_gpu(np.ones((3, 2)))
    with pytest.raises(ValueError, match="product expected a contiguous, or its transpose, got a view"):
        kernels.product(a[:, ::2], x, on_gpu(np.ones((4, 2))))


# What the stand-in takes for a recording: as CuPy's own tests describe it, or stricter


def test_a_recording_refuses_what_a_graph_cannot_hold(cupy):
    a = on_gpu(np.ones((4, 4)))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(NotImplementedError, match="calling cuBLAS API during stream capture"):
            cupy.matmul(a, a, out=a)
        for wrong in (lambda: float(a[0, 0]), a.get, lambda: cupy.asarray(np.ones(2)),
                      lambda: a + a, lambda: cupy.empty(3), a.copy, lambda: cupy.tanh(a)):  # fmt: skip
            with pytest.raises(RuntimeError, match="stream is capturing"):
                wrong()
        a += 1.0
        cupy.tanh(a, out=a)
        a[0] = 7.0
        graph = stream.end_capture()
    np.testing.assert_array_equal(a.get(), np.ones((4, 4)))  # nothing ran
    graph.launch()
    assert a.get()[0, 0] == 7.0 and np.allclose(a.get()[1:], np.tanh(2.0))
    with pytest.raises(RuntimeError, match="cannot capture on the default"):
        cupy.cuda.Stream().begin_capture()
    with pytest.raises(TypeError):
        copy.deepcopy(graph)


def test_a_step_that_cannot_be_recorded_leaves_the_stream(cupy):
    def step(multiply, t):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kernels.record(step, range(2))
    assert capture.Recording.kept is None


def test_the_library_s_product_cannot_be_recorded(cupy):
    a = on_gpu(np.ones((2, 2)))
    with pytest.raises(NotImplementedError, match="cuBLAS"):
        kernels.record(lambda multiply, t: kernels.matmul_into(a, a, a), range(1))
