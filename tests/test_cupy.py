"""The package on a strict stand-in for CuPy: same numbers, no mix, no waiting in the loop."""

import sys

import numpy as np
import pytest

import lstm
import strict_cupy
from lstm import backend, diagnostics, memory

KINDS = [
    lstm.LSTM, lstm.GRU, lstm.RNN,
    lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU, lstm.ReluRNN,
]  # fmt: skip
OPTIONS = [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False}]


@pytest.fixture
def cupy(monkeypatch):
    module = strict_cupy.StrictCuPy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def both(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("lengths", [None, [6, 2, 5]])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_computes_the_same_on_the_device(cupy, kind, options, lengths):
    x = np.random.default_rng(0).normal(size=(6, 3, 2))
    x = x.swapaxes(0, 1) if options else x
    host, device = (kind(2, 4, rng=0, dtype=np.float64, device=d, **options) for d in ("cpu", "cuda"))
    y, state = host(x, None, lengths)
    dx, dstate = host.backward(y, state)
    y2, state2 = device(lstm.to_device(x, "cuda"), None, lengths)
    dx2, dstate2 = device.backward(y2, state2)
    expected = [y, dx, *both(state), *both(dstate), *host.grads.values()]
    got = [y2, dx2, *both(state2), *both(dstate2), *device.grads.values()]
    assert device.device == "cuda"
    for a, b in zip(expected, got):
        assert isinstance(b, cupy.ndarray)
        np.testing.assert_allclose(b.get(), a, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_forward_and_backward_waits_for_nothing(cupy, kind):
    layer = kind(2, 4, rng=0, device="cuda")
    x = lstm.to_device(np.ones((6, 3, 2), np.float32), "cuda")
    with strict_cupy.without_waiting():
        y, state = layer(x)
        layer.backward(y, state)


@pytest.mark.parametrize("pool", ["last", "mean"])
def test_a_classifier_learns_the_same_on_the_device(cupy, pool):
    rng = np.random.default_rng(0)
    x, labels, lengths = rng.normal(size=(5, 6, 2)), rng.integers(3, size=6), rng.integers(1, 6, size=6)
    losses = []
    for device in ("cpu", "cuda"):
        on = lambda a: lstm.to_device(a, device)  # noqa: B023, E731
        model = lstm.LSTMClassifier(2, 4, 3, pool=pool, rng=0, dtype=np.float64, device=device)
        history = lstm.fit(model, on(x), on(labels), lstm.Adam(model.params, 0.01), epochs=3,
                           lengths=lengths, loss=lstm.cross_entropy)  # fmt: skip
        losses.append(history.loss + [lstm.evaluate(model, on(x), on(labels), lstm.cross_entropy, lengths)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


def test_training_gives_the_same_losses_on_the_device(cupy):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 1)), rng.normal(size=(8, 6, 1))
    losses = {}
    for device in ("cpu", "cuda"):
        model = lstm.LSTMRegressor(1, 4, 1, rng=0, dtype=np.float64, device=device)
        history = lstm.fit(
            model, lstm.to_device(x, device), lstm.to_device(y, device), lstm.Adam(model.params, 0.01),
            epochs=3, bptt_length=4, batch_size=4, clip_norm=0.1, rng=np.random.default_rng(1),
        )  # fmt: skip
        losses[device] = history.loss, history.grad_norm
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-10)


@pytest.mark.parametrize("pool", ["last", "mean"])
def test_a_classifier_of_padded_sequences_learns_the_same_on_the_device(cupy, pool):
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 2)) for n in (4, 2, 6)]
    losses = {}
    for device in ("cpu", "cuda"):
        x, lengths = lstm.pad([lstm.to_device(s, device) for s in sequences])
        labels = lstm.to_device(np.array([1, 0, 2]), device)
        options = {"pool": pool, "bidirectional": True, "dtype": np.float64, "device": device}
        model = lstm.LSTMClassifier(2, 4, 3, rng=0, **options)
        history = lstm.fit(
            model, x, labels, lstm.Adam(model.params, 0.01), epochs=3, batch_size=2,
            lengths=lengths, loss=lstm.cross_entropy, rng=np.random.default_rng(1),
        )  # fmt: skip
        losses[device] = history.loss
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-10)


def test_models_are_kept_and_trainings_go_on_on_the_device(cupy, tmp_path):
    x = lstm.to_device(np.random.default_rng(0).normal(size=(5, 4, 1)), "cuda")
    model = lstm.LSTMRegressor(1, 3, 1, num_layers=2, dropout=0.2, rng=0, device="cuda")
    lstm.save(model, tmp_path / "m")
    host, device = (lstm.load(tmp_path / "m", place) for place in ("cpu", "cuda"))
    assert host.recurrent.device == "cpu" and device.recurrent.device == "cuda"
    for name, p in model.params.items():
        assert isinstance(device.params[name], cupy.ndarray)
        np.testing.assert_array_equal(device.params[name].get(), p.get())
        np.testing.assert_array_equal(host.params[name], p.get())
    lstm.load_torch_state_dict(model, lstm.torch_state_dict(model))

    def train(epochs, folder):
        model, rng = lstm.load(tmp_path / "m", "cuda"), np.random.default_rng(1)
        optimizer, stopping = lstm.Adam(model.params, 0.1), lstm.EarlyStopping(x, -x, 9)
        keeper = lstm.Checkpoints(tmp_path / folder, rng=rng, stopping=stopping)
        model.recurrent._between[0].rng = np.random.default_rng(2)
        lstm.fit(model, x, x, optimizer, epochs=epochs, batch_size=2, rng=rng,
                 history=keeper.resume(model, optimizer), callbacks=[stopping, keeper])  # fmt: skip
        return {name: p.get() for name, p in model.params.items()}

    whole, _ = train(4, "whole"), train(2, "pieces")
    for name, p in train(4, "pieces").items():
        np.testing.assert_array_equal(p, whole[name])


def test_losses_optimizers_and_instruments(cupy):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)), rng.integers(3, size=5)
    on = lambda a: lstm.to_device(a, "cuda")  # noqa: E731
    expected, dexpected = lstm.cross_entropy(logits, labels)
    loss, dlogits = lstm.cross_entropy(on(logits), on(labels))
    np.testing.assert_allclose(loss.get(), expected, rtol=1e-12)
    np.testing.assert_allclose(dlogits.get(), dexpected, rtol=1e-12)
    model = lstm.LSTMRegressor(2, 3, 1, rng=0, dtype=np.float64, device="cuda")
    x = on(rng.normal(size=(3, 2, 2)))
    assert max(lstm.gradient_check(model, x, rng=rng).values()) < 1e-6
    model.backward(model(x)[0])
    assert set(diagnostics.judge_gradients(model.grads).values()) == {"healthy"}
    trace = model.recurrent.trace()
    assert 0 < diagnostics.statistics(trace)["f"].mean < 1
    assert diagnostics.norms_over_time(x).shape == (3,)
    assert diagnostics.half_life(trace.f).shape == trace.f.shape
    lstm.SGD(model.params, 0.1).step(model.grads)


def instruments(device, kind, lengths):
    """Return everything that the instruments say of one model on a device, as host numbers."""
    rng = np.random.default_rng(0)
    on = lambda a: lstm.to_device(a, device)  # noqa: E731
    model = lstm.Regressor(kind(2, 4, rng=0, dtype=np.float64, device=device), 2, rng=0)
    x, y = on(rng.normal(size=(6, 3, 2))), on(rng.normal(size=(6, 3, 2)))
    report = lstm.gradient_check(model, x, rng=np.random.default_rng(1), entries=3, lengths=lengths)
    assert report.ok
    prediction, _ = model(x, None, lengths)
    trace = model.recurrent.trace()
    with diagnostics.recorded_updates(lstm.Adam(model.params, 0.01)) as ratios:
        model.backward(prediction)
    found = [diagnostics.statistics(trace), diagnostics.saturation(trace), diagnostics.drift(trace)]
    if lengths is not None:
        found.append(diagnostics.statistics(diagnostics.before_ends(trace, lengths)))
    found += [diagnostics.dead_units(trace, 0.2), diagnostics.trivial_losses(x, y, lengths=lengths)]
    found += [list(norms.values()) for norms in diagnostics.gate_norms(model).values()]
    found += [] if kind is lstm.RNN else [diagnostics.cell_half_life(trace)]
    found += [memory.influence(model, x, lengths=lengths), memory.spectral_radius(model, x, steps=2)]
    found.append(diagnostics.judge_norms(diagnostics.norms_over_time(x)))
    return diagnostics.step_table(trace, 2, 1), ratios, found


@pytest.mark.parametrize("lengths", [None, [6, 2, 5]])
@pytest.mark.parametrize("kind", KINDS[:3])
def test_instruments_say_the_same_on_the_device(cupy, kind, lengths):
    host, device = (instruments(place, kind, lengths) for place in ("cpu", "cuda"))
    assert host[:2] == device[:2]
    for a, b in zip(host[2], device[2], strict=True):
        values = (list(v.values()) if isinstance(v, dict) else v for v in (a, b))
        for p, q in zip(*(v if isinstance(v, list) else [v] for v in values), strict=True):
            assert p == q if isinstance(p, str) else np.allclose(p, q, rtol=1e-9, atol=1e-12)


def test_a_watched_optimizer_and_labels_on_the_device(cupy):
    model = lstm.LSTMClassifier(2, 4, 3, rng=0, device="cuda")
    x = lstm.to_device(np.random.default_rng(0).normal(size=(5, 6, 2)), "cuda")
    labels = lstm.to_device(np.array([0, 1, 2, 0, 0, 0]), "cuda")
    optimizer = lstm.Adam(model.params, 0.01)
    with diagnostics.recorded_updates(optimizer) as ratios:
        lstm.fit(model, x, labels, optimizer, epochs=2, loss=lstm.cross_entropy)
    assert all(len(r) == 2 and all(isinstance(v, float) for v in r) for r in ratios.values())
    host = diagnostics.trivial_losses(x.get(), labels.get(), lstm.cross_entropy)
    assert diagnostics.trivial_losses(x, labels, lstm.cross_entropy) == pytest.approx(host)


@pytest.mark.parametrize("kind", [
    lstm.SGD, lstm.Momentum, lambda p, rate: lstm.Momentum(p, rate, nesterov=True),
    lstm.RMSprop, lstm.Adam, lstm.AdamW,
])  # fmt: skip
def test_an_optimizer_takes_the_same_steps_on_the_device(cupy, kind):
    start, gradients = np.ones((2, 3)), np.random.default_rng(0).normal(size=(9, 2, 3))
    ends, states = {}, {}
    for device in ("cpu", "cuda"):
        p = lstm.to_device(start.copy(), device)
        optimizer = kind({"p": p}, 0.1)
        for gradient in gradients:
            grads = {"p": lstm.to_device(gradient.copy(), device)}
            with strict_cupy.without_waiting():
                lstm.clip_grad_value(grads, 0.8)
                optimizer.step(grads)
        states[device], ends[device] = optimizer.state_dict(), lstm.to_numpy(p)
        assert all(isinstance(a, type(p)) for name, a in states[device].items() if "." in name)
    np.testing.assert_allclose(ends["cuda"], ends["cpu"], rtol=1e-12)
    for source, device in (("cpu", "cuda"), ("cuda", "cpu")):  # a state goes from device to device
        other = kind({"p": lstm.to_device(start.copy(), device)}, 0.5)
        other.load_state_dict(states[source])
        for name, a in other.state_dict().items():
            np.testing.assert_array_equal(lstm.to_numpy(a), lstm.to_numpy(states[source][name]))


def test_one_seed_gives_the_same_weights_on_both_devices(cupy):
    host, device = (lstm.LSTM(2, 4, rng=3, device=d).params for d in ("cpu", "cuda"))
    for name, p in host.items():
        np.testing.assert_array_equal(device[name].get(), p)


def test_a_model_moves_there_and_back(cupy):
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    before = {k: p.copy() for k, p in model.params.items()}
    model.backward(model(np.ones((2, 1, 1)))[0])
    lstm.move_model(model, "cuda")
    assert model.recurrent.device == model.linear.device == "cuda" and model.grads == {}
    assert all(isinstance(p, cupy.ndarray) for p in model.params.values())
    lstm.move_model(model, "cpu")
    for name, p in model.params.items():
        np.testing.assert_array_equal(p, before[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_mix_of_devices_is_refused_by_name(cupy, kind):
    layer, x = kind(2, 3, rng=0, device="cuda"), np.ones((4, 1, 2), np.float32)
    message = (
        rf"^{kind.__name__} expected x on cuda, got an array on cpu; "
        r"move it with lstm.to_device\(x, 'cuda'\)$"
    )
    with pytest.raises(TypeError, match=message):
        layer(x)
    y, state = layer(lstm.to_device(x, "cuda"))
    with pytest.raises(TypeError, match="expected dy on cuda, got an array on cpu"):
        layer.backward(y.get())
    host = kind(2, 3, rng=0)
    with pytest.raises(TypeError, match="expected h on cpu, got an array on cuda"):
        host(x, state)
    with pytest.raises(TypeError, match="expected arrays on one device"):
        lstm.get_array_module(x, y)


def test_the_environment_chooses_the_device_for_all(cupy, monkeypatch):
    monkeypatch.setenv("LSTM_DEVICE", "cuda")
    assert lstm.LSTM(2, 3, rng=0).device == "cuda"
    assert lstm.LSTM(2, 3, rng=0, device="cpu").device == "cpu"
    assert isinstance(lstm.to_device(np.ones(2)), cupy.ndarray)
    monkeypatch.setenv("LSTM_DEVICE", "gpu")
    with pytest.raises(ValueError, match="expected device 'cpu' or 'cuda', got 'gpu'"):
        lstm.LSTM(2, 3)


def test_without_cupy_one_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match="needs CuPy, which is not installed: run `pip install cupy-cuda12x`"):
        lstm.LSTM(2, 3, device="cuda")


def test_with_cupy_and_no_gpu_one_error_says_what_to_check():
    real = strict_cupy.real
    try:
        real.cuda.runtime.getDeviceCount()
    except real.cuda.runtime.CUDARuntimeError:
        pass
    else:
        pytest.skip("this machine has a GPU, so its absence cannot be tested here")
    with pytest.raises(RuntimeError, match="needs an NVIDIA GPU and its driver"):
        lstm.LSTM(2, 3, device="cuda")


def test_numpy_arrays_stay_numpys_while_cupy_is_imported(cupy):
    assert backend.get_array_module(np.ones(2), 3.0) is np
    assert lstm.to_numpy(lstm.to_device(np.arange(3.0), "cuda")).tolist() == [0, 1, 2]


# The stand-in itself: it must be able to fail


def test_the_stand_in_refuses_what_cupy_would(cupy):
    a = cupy.asarray(np.ones(3))
    with pytest.raises(AttributeError):
        cupy.no_such_function
    with pytest.raises(TypeError):
        cupy.zeros(3, no_such_argument=1)
    for mix in (lambda: a + np.ones(3), lambda: np.ones(3) + a, lambda: cupy.add(a, np.ones(3)),
                lambda: np.tanh(a), lambda: np.asarray(a)):  # fmt: skip
        with pytest.raises(TypeError):
            mix()
    with pytest.raises(AssertionError, match="waited 1 times"), strict_cupy.without_waiting():
        float(a.sum())


def test_python_numbers_are_on_every_device(cupy):
    on_device = lstm.to_device(np.ones(2), "cuda")
    assert lstm.get_array_module(on_device, 3.0) is cupy
    assert lstm.get_array_module(np.ones(2), 3.0) is lstm.get_array_module(2.0) is np
