"""The compiled runs of the extra `fast`: NumPy's numbers, and nothing changed when off."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lstm
from lstm import compiled, fast, recurrence, stack

ROOT = Path(__file__).parents[1]
# Tiles are 12 by 16 (float64) or 32 (float32), sums are cut after 384 terms.
SIZES = [(1, 1, 1, 1), (7, 3, 2, 5), (12, 13, 17, 33), (30, 26, 3, 40)]
LAYERS = {"one run": {}, "four runs": {"num_layers": 2, "bidirectional": True}}
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}  # of the largest entry


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def on(request, monkeypatch):
    """Switch the compiled runs on, the work shared out at every size."""
    monkeypatch.setattr(compiled.config, "NUMBA_NUM_THREADS", request.param)
    monkeypatch.setattr(compiled, "ENOUGH", 1)
    lstm.use_fast()
    yield
    lstm.use_fast(False)


@pytest.fixture
def switch():
    """Give the switch to a test, and switch off after it."""
    yield lstm.use_fast
    lstm.use_fast(False)


def problem(size, dtype="float32", *, kind=lstm.LSTM, ragged=False, **options):
    """Return a layer, an input, the gradient of its output and lengths."""
    (T, B, I, H), rng = size, np.random.default_rng(0)
    layer = kind(I, H, rng=rng, dtype=dtype, **options)
    x = rng.normal(size=(T, B, I)).astype(dtype)
    dy = rng.normal(size=(T, B, H * layer.directions)).astype(dtype)
    return layer, x, dy, rng.integers(1, T + 1, B) if ragged else None


def everything(layer, x, dy, lengths=None, *, between=lambda: None):
    """Return outputs, states and all gradients of a layer by name."""
    y, state = layer(x, lengths=lengths)
    between()
    dx, dstate = layer.backward(dy, dstate=state)
    return {"y": y, "dx": dx, **dict(zip("hc", state)), **dict(zip(("dh", "dc"), dstate)),
            **{name: grad.copy() for name, grad in layer.grads.items()}}  # fmt: skip


def errors(found, expected):
    """Return the largest difference over the largest entry, by name."""
    sizes = {name: max(np.abs(e).max(), 1e-30) for name, e in expected.items()}
    return {name: np.abs(found[name] - e).max() / sizes[name] for name, e in expected.items()}


def is_close(found, expected):
    assert {name: a.dtype for name, a in found.items()} == {n: a.dtype for n, a in expected.items()}
    most = TOLERANCE[found["y"].dtype.name]
    assert {n: e for n, e in errors(found, expected).items() if not e <= most} == {}


def is_same(found, expected):
    assert all(found[name].tobytes() == a.tobytes() for name, a in expected.items())


# --- the numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "lengths"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_layer_gives_numpys_numbers(on, size, dtype, options, ragged):
    case = problem(size, dtype, ragged=ragged, **options)
    found = everything(*case)
    lstm.use_fast(False)
    is_close(found, everything(*case))


def test_a_long_sum_is_as_exact_as_numpys(on):
    """Here NumPy's own float32 may be off by more than 1e-6, so float64 judges both."""
    layer, x, dy, _ = problem((100, 16, 32, 70))
    found = everything(layer, x, dy)
    lstm.use_fast(False)
    plain, exact = everything(layer, x, dy), problem((100, 16, 32, 70), "float64")[0]
    for name, p in layer.params.items():
        exact.params[name][...] = p
    exact = everything(exact, x.astype(float), dy.astype(float))
    allowed = {name: max(1e-6, 1.5 * e) for name, e in errors(plain, exact).items()}
    assert {n: e for n, e in errors(found, exact).items() if e > allowed[n]} == {}


def test_gradients_are_those_of_central_differences(on):
    layer, x, _, lengths = problem((6, 3, 2, 5), "float64", ragged=True, num_layers=2)
    rng = np.random.default_rng(1)
    assert lstm.gradient_check(layer, x, lengths=lengths, rng=rng).ok


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_tanh_is_right_to_three_units(dtype):
    x = np.concatenate([np.linspace(-25, 25, 8_000), np.geomspace(1e-20, 1, 2_000), [np.inf]])
    z = np.zeros((4, len(x)), dtype)
    z[2] = x  # the candidate's block
    gates = np.empty(z.size, dtype)
    compiled.squash(z.reshape(-1), gates)
    exact = np.tanh(z[2].astype(np.longdouble))
    unit = np.spacing(np.abs(exact).astype(dtype))
    assert (np.abs(gates.reshape(4, -1)[2] - exact) <= 3 * unit).all()


def test_what_is_not_finite_goes_where_numpy_sends_it(on):
    layer, x, dy, _ = problem((6, 13, 3, 5))
    x[1, 0, 0], x[2, 1, 1], x[3, 2, 2] = np.nan, np.inf, -np.inf
    found = everything(layer, x, dy)
    lstm.use_fast(False)
    with np.errstate(all="ignore"):
        expected = everything(layer, x, dy)
    assert np.isnan(expected["y"][1:, 0]).all() and np.isfinite(expected["y"][:, 3:]).all()
    for name, a in expected.items():
        np.testing.assert_array_equal(np.isfinite(found[name]), np.isfinite(a), name)
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(a), name)


# --- what else a layer can do ----------------------------------------------------------------


def test_recompute_runs_forward_compiled_and_back_with_numpy(on):
    layer, x, dy, lengths = problem((45, 3, 2, 5), ragged=True, recompute=20)
    found = everything(layer, x, dy, lengths)
    assert type(layer.kept().runs[0].made) is compiled.FastCache
    lstm.use_fast(False)
    is_close(found, everything(layer, x, dy, lengths))


@pytest.mark.parametrize("first", [True, False], ids=["off", "on"])
def test_a_switch_between_the_two_passes_changes_rounding_alone(switch, first):
    case = problem((25, 3, 2, 5), ragged=True)
    expected = everything(*case)
    switch(first)
    is_close(everything(*case, between=lambda: switch(not first)), expected)


def test_traces_show_the_same_gates(switch):
    layer, x, dy, lengths = problem((9, 4, 3, 5), ragged=True, **LAYERS["four runs"])
    found = []
    for state in (False, True):
        switch(state)
        layer(x, lengths=lengths)
        found.append(lstm.traces(layer))
    for name, trace in found[0].items():
        for field, a in trace._asdict().items():
            np.testing.assert_allclose(getattr(found[1][name], field), a, atol=1e-6)


def test_a_carried_state_and_a_training_go_on_alike(switch):
    train, _ = lstm.sine_task()
    losses = []
    for state in (False, True):
        switch(state)
        model = lstm.LSTMRegressor(1, 6, 1, rng=0)
        x, y = train.x[:200], train.y[:200]
        optimizer = lstm.Adam(model.params)
        losses.append(lstm.fit(model, x, y, optimizer, epochs=2, bptt_length=10).loss)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_copies_go_on_from_where_the_layer_is(on):
    layer, x, dy, _ = problem((7, 3, 2, 5))
    layer(x)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.backward(dy)[0].tobytes() == layer.backward(dy)[0].tobytes()


def test_a_saved_layer_is_the_layer(on, tmp_path):
    layer, x, _, _ = problem((7, 3, 2, 5))
    lstm.save(layer, tmp_path / "layer.safetensors")
    assert lstm.load(tmp_path / "layer.safetensors")(x)[0].tobytes() == layer(x)[0].tobytes()


def test_arrays_are_read_as_they_were_and_in_any_layout(on):
    layer, x, dy, _ = problem((7, 3, 2, 5))
    expected = everything(layer, x, dy)
    kept = x.copy()
    is_same(everything(layer, x, dy, between=lambda: x.fill(0)), expected)
    dy.flags.writeable = False
    is_same(everything(layer, np.asfortranarray(kept), dy), expected)
    is_same(everything(layer, kept[::-1][::-1], np.asfortranarray(dy)), expected)


@pytest.mark.parametrize("kind", [lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.GRU, lstm.RNN])
def test_other_cells_stay_with_numpy(switch, kind):
    layer, x, dy, _ = problem((7, 3, 2, 5), kind=kind)
    before = layer(x)[0], layer.backward(dy)[0]
    switch()
    assert before[0].tobytes() == layer(x)[0].tobytes()
    assert before[1].tobytes() == layer.backward(dy)[0].tobytes()


# --- the switch --------------------------------------------------------------------------------


def test_off_means_as_it_was(switch):
    case = problem((7, 3, 2, 5), ragged=True)
    before = everything(*case)
    switch()
    assert stack.for_device(recurrence.lstm_forward, case[1]) is compiled.fast_forward
    assert everything(*case)["dx"].tobytes() != before["dx"].tobytes()
    switch(False)
    assert stack.for_device(recurrence.lstm_forward, case[1]) is recurrence.lstm_forward
    is_same(everything(*case), before)


def test_without_numba_an_error_says_what_to_install(monkeypatch, switch):
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'`pip install "lstm-from-scratch\[fast\]"`'):
        switch()
    switch(False)
    assert stack.COMPILED == {}


def python(code, **environment):
    """Run code in a new process; return what it prints."""
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_the_package_does_not_import_numba():
    assert python("import sys, lstm; lstm.use_fast; print('numba' in sys.modules)") == "False"


def test_code_that_can_be_kept_nowhere_is_compiled_all_the_same(tmp_path):
    shutil.copytree(ROOT / "lstm", tmp_path / "lstm", ignore=lambda *_: ["__pycache__"])
    (tmp_path / "lstm/__pycache__").touch()  # no folder, and none can be made
    code = """import numpy as np; from lstm import compiled
z = np.zeros(4, "f4"); compiled.squash(np.ones(4, "f4"), z); print(z.round(3).tolist())"""
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "NUMBA_CACHE_DIR": ""}
    found = python(code, PYTHONPATH=str(tmp_path), LOCALAPPDATA=os.devnull, **nowhere)
    assert np.allclose(eval(found), [0.731, 0.731, 0.762, 0.731])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_makes_threads_of_its_own():
    code = """import os, warnings; import numpy as np, lstm; from lstm import compiled
warnings.simplefilter("ignore")
compiled.ENOUGH = 1; lstm.use_fast()
layer, x = lstm.LSTM(2, 5, rng=0), np.ones((7, 3, 2), np.float32)
layer(x)
child = os.fork()
if not child:
    layer(x); os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"""
    assert python(code, NUMBA_NUM_THREADS="2", PYTHONPATH=str(ROOT)) == "7"
