"""What a user sees where the GPU, its driver, its CuPy or its memory fails: each planted."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import capture
import lstm
import strict_cupy

Real = strict_cupy.real.cuda


@pytest.fixture
def cupy(monkeypatch):
    module = strict_cupy.StrictCuPy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def broken(monkeypatch, error, driver=12040, built=12090, at="ones"):
    """Put a stand-in in CuPy's place that finds a GPU, where one request raises an error."""
    module = strict_cupy.StrictCuPy()
    runtime = type("runtime", (), {
        "getDeviceCount": staticmethod(lambda: 1), "driverGetVersion": staticmethod(lambda: driver),
        "runtimeGetVersion": staticmethod(lambda: built),
    })  # fmt: skip
    module.cuda = type("cuda", (), {"runtime": runtime})

    def fail(*_, **__):
        raise error

    setattr(*((runtime, "getDeviceCount") if at == "getDeviceCount" else (module, at)), fail)
    monkeypatch.setitem(sys.modules, "cupy", module)


def message():
    with pytest.raises(RuntimeError) as found:
        lstm.LSTM(2, 3, device="cuda")
    return str(found.value)


def test_cupy_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert message() == (
        "device 'cuda' needs CuPy, which is not installed: run `pip install cupy-cuda12x` "
        "(11x or 13x where `nvidia-smi` says so), or use device 'cpu'"
    )


def test_cupy_that_does_not_load(tmp_path):
    """Another CUDA version: a library below CuPy is missing when it is imported."""
    (tmp_path / "cupy.py").write_text(
        "raise ImportError('libcudart.so.11.0: cannot open shared object file')"
    )
    program = "import lstm\nlstm.LSTM(2, 3, device='cuda')"
    environment = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path])}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "RuntimeError: device 'cuda' needs CuPy, which is installed and does not load: "
        "`nvidia-smi` names the driver's CUDA version; uninstall CuPy and install cupy-cuda11x, "
        "12x or 13x to match it, or use device 'cpu'. CuPy says: libcudart.so.11.0"
    ), result.stderr


def test_no_driver_and_no_gpu_here():
    """Nothing is planted: the real CuPy, on a machine without a GPU."""
    try:
        Real.runtime.getDeviceCount()
    except Real.runtime.CUDARuntimeError as error:
        said = str(error)
    else:
        pytest.skip("this machine has a GPU, so its absence cannot be tested here")
    assert message() == (
        "device 'cuda' needs an NVIDIA GPU and its driver, and CuPy found none "
        f"({said}): check `nvidia-smi`, or use device 'cpu'"
    )


def test_a_driver_without_a_gpu(monkeypatch):
    error = Real.runtime.CUDARuntimeError(100)  # cudaErrorNoDevice
    broken(monkeypatch, error, at="getDeviceCount")
    assert "found none (cudaErrorNoDevice: no CUDA-capable device is detected)" in message()


FITS = (
    "device 'cuda' needs a CuPy that fits the driver, which has CUDA {}; this one was built with "
    "CUDA {} and cannot compute ({}): uninstall it and run `pip install \"{}[ctk]\"`, or update "
    "the driver, or use device 'cpu'"
)
OTHERS = {
    "an old driver": (
        Real.runtime.CUDARuntimeError(35), 11080, 12090, "getDeviceCount", "cupy-cuda11x"),
    "a GPU that CuPy's kernels do not know": (
        Real.runtime.CUDARuntimeError(209), 13000, 12090, "ones", "cupy-cuda13x"),
    "no run-time compiler": (
        RuntimeError("CuPy failed to load libnvrtc.so.12"), 12040, 12090, "ones", "cupy-cuda12x"),
    "no cuBLAS": (ImportError("libcublas.so.12"), 14010, 13010, "ones", "cupy-cuda13x"),
    "a compiler that fails": (
        Real.compiler.CompileException("nvrtc: error", "source", "name", ()),
        12090, 12090, "ones", "cupy-cuda12x"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_a_cupy_for_another_cuda_version(monkeypatch, case):
    error, driver, built, at, wheel = case
    broken(monkeypatch, error, driver, built, at)
    versions = (f"{n // 1000}.{n % 1000 // 10}" for n in (driver, built))
    assert message() == FITS.format(*versions, error, wheel)


def test_a_gpu_whose_memory_another_program_holds(monkeypatch):
    broken(monkeypatch, Real.memory.OutOfMemoryError(512, 0, 0))
    assert "no memory left (Out of memory allocating 512 bytes" in message()
    assert "pip" not in message()


def test_the_gpu_is_tried_once(cupy):
    counts = strict_cupy.Counts
    lstm.LSTM(2, 3, device="cuda")
    before = counts.products, counts.downloads
    lstm.GRU(2, 3, device="cuda")
    assert (counts.products, counts.downloads) == before


def test_a_failure_is_not_remembered(monkeypatch, cupy):
    with monkeypatch.context() as patched:
        broken(patched, Real.runtime.CUDARuntimeError(100))
        message()
    assert lstm.LSTM(2, 3, device="cuda").device == "cuda"


# --- out of memory -------------------------------------------------------------------------------


def everything(model, optimizer):
    """Return copies of all that must not be lost, on the host."""
    found = {f"params.{name}": p for name, p in model.params.items()}
    found |= {f"optimizer.{name}": a for name, a in optimizer.state_dict().items()}
    for name, layer in model.layers.items():
        state = layer.state if isinstance(layer.state, tuple) else (layer.state,)
        found |= {f"state.{name}.{k}": s for k, s in enumerate(state) if s is not None}
    return {name: lstm.to_numpy(a).copy() for name, a in found.items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def prepared(kind):
    """Return a model of two carried layers, its optimizer, and a function that makes an update."""
    options = {"rng": 0, "device": "cuda", "stateful": True}
    model = lstm.Sequential(
        first=lstm.LSTM(2, 5, **options), second=lstm.GRU(5, 3, **options),
        dropout=lstm.Dropout(0.2, rng=0), readout=lstm.Linear(3, 2, rng=0, device="cuda"),
    )  # fmt: skip
    optimizer = kind(model.params, 0.01)
    rng = np.random.default_rng(0)
    x, y = (lstm.to_device(rng.normal(size=(4, 3, 2)).astype(np.float32), "cuda") for _ in "xy")

    def update():
        return lstm.training.train_step(model, x, y, None, optimizer, clip_norm=0.5)

    update()  # so that states and moments are not zero
    return model, optimizer, update


OPTIMIZERS = [
    lstm.SGD, lstm.RMSprop, lstm.Adam, lstm.AdamW,
    lambda params, rate: lstm.Momentum(params, rate, nesterov=True),
]  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=["SGD", "RMSprop", "Adam", "AdamW", "Momentum"])
def test_an_update_without_memory_loses_nothing_wherever_it_ends(cupy, kind):
    model, optimizer, update = prepared(kind)
    before, failures, limit = everything(model, optimizer), 0, 0
    while True:
        model.layers["dropout"].rng = np.random.default_rng(5)
        for layer in model.layers.values():  # as after a failure: no memory from the last update
            state = layer.state
            layer.forget()
            layer.state = state
        try:
            with capture.limited(limit):
                update()
            break
        except MemoryError as error:
            assert same(everything(model, optimizer), before), limit
            failures, limit = failures + 1, capture.Memory.needed  # and not a byte more
            assert "ran out of memory, and parameters, optimizer and states" in str(error)
    assert failures > 40  # in the passes, in the loss, before the optimizer's step
    other, its_optimizer, its_update = prepared(kind)
    other.layers["dropout"].rng = np.random.default_rng(5)
    its_update()
    assert same(everything(model, optimizer), everything(other, its_optimizer))
    assert not same(everything(model, optimizer), before)


def test_the_message_says_what_came_and_what_to_do(cupy):
    layer = lstm.LSTM(2, 5, rng=0, device="cuda")
    x = lstm.to_device(np.ones((4, 3, 2), np.float32), "cuda")
    with pytest.raises(MemoryError) as found, capture.limited(600):
        layer(x)
    text = str(found.value)
    assert text.startswith("LSTM ran out of memory, and parameters, optimizer and states are as")
    assert "(Out of memory allocating" in text and "recompute=k" in text
    assert text.endswith(", or use device 'cpu'")
    assert isinstance(found.value.__cause__, Real.memory.OutOfMemoryError)


def test_memory_is_free_again_once_the_error_is_caught(cupy):
    """A retry with less finds all the memory of the first try, in the handler already."""
    x = lstm.to_device(np.ones((40, 30, 2), np.float32), "cuda")
    need = 0
    while True:
        model = lstm.LSTMRegressor(2, 5, 1, rng=0, device="cuda")
        try:
            with capture.limited(need):
                model(x[:, :20])
            break
        except MemoryError:
            need = capture.Memory.needed
    model = lstm.LSTMRegressor(2, 5, 1, rng=0, device="cuda")
    with capture.limited(need):
        try:
            model(x)
        except MemoryError as error:
            assert error.__traceback__ is not None
            model(x[:, :20])
        else:
            pytest.fail("expected too little memory for all")


def test_carried_states_of_all_layers_go_back(cupy):
    model, _, _ = prepared(lstm.SGD)
    x = lstm.to_device(np.ones((4, 3, 2), np.float32), "cuda")
    states = {name: layer.state for name, layer in model.layers.items()}
    model.layers["readout"].params["bias"] = NoMemory()
    with pytest.raises(MemoryError, match="^Sequential ran out of memory"):
        model(x)
    assert all(model.layers[name].state is state for name, state in states.items())
    assert states["first"] is not None


class NoMemory:
    """An array whose sum finds no memory."""

    def __radd__(self, other):
        raise Real.memory.OutOfMemoryError(8, 0, 0)

    __add__ = __radd__


def test_on_the_processor_the_advice_leaves_the_device_out():
    layer = lstm.LSTM(1, 2, rng=0, stateful=True)
    layer.params["weight_hh_l0"] = np.broadcast_to(np.float32(0), (2**40, 2))  # takes no memory itself
    with pytest.raises(MemoryError, match=r"^LSTM ran out of memory.*Unable to allocate.*use a layer with recompute=k$"):
        layer(np.ones((2, 1, 1)))


def test_other_errors_pass_as_they_are():
    layer = lstm.LSTM(1, 2, rng=0, stateful=True)
    layer(np.ones((2, 1, 1)))
    state = layer.state
    with pytest.raises(ValueError, match="LSTM expected x"):
        layer(np.ones((2, 1, 5)))
    assert layer.state is state and layer.kept()
