"""One program, two array libraries: NumPy on the processor, CuPy on a GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

# A NumPy array, or a CuPy array, which has the same interface.
Array: TypeAlias = NDArray[Any]

Call = TypeVar("Call", bound=Callable[..., Any])

DEVICES = ("cpu", "cuda")


def get_array_module(*arrays: Any) -> Any:
    """Return the library that computes with these arrays: ``numpy`` or ``cupy``.

    Parameters
    ----------
    *arrays : arrays of any shape, or Python numbers

    Raises
    ------
    TypeError
        If some arrays are on the processor and others on the GPU.
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:  # nobody imported CuPy, so no array can be its
        return np
    given = [a for a in arrays if isinstance(a, (np.ndarray, cupy.ndarray))]
    on_gpu = {isinstance(array, cupy.ndarray) for array in given}
    if len(on_gpu) > 1:
        raise TypeError("expected arrays on one device, got some on cpu and some on cuda")
    return cupy if True in on_gpu else np


def device_of(array: Any) -> str:
    """Name the device that holds an array: ``"cpu"`` or ``"cuda"``."""
    return "cpu" if get_array_module(array) is np else "cuda"


def resolve_device(device: str | None = None) -> str:
    """Return the device to use: the one named, else ``LSTM_DEVICE``, else ``"cpu"``.

    Raises
    ------
    ValueError
        If the name is neither ``"cpu"`` nor ``"cuda"``.
    RuntimeError
        If ``"cuda"`` is asked for and CuPy, a GPU, or what joins the two is missing.
    """
    name = device if device is not None else os.environ.get("LSTM_DEVICE", "cpu")
    if name not in DEVICES:
        raise ValueError(f"expected device 'cpu' or 'cuda', got {name!r}")
    if name == "cuda":
        require_gpu()
    return name


def require_gpu() -> None:
    """Raise a RuntimeError that says what to install unless CuPy computes on a GPU."""
    otherwise = "or use device 'cpu'"
    try:
        import cupy
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is not installed: run `pip install "
            "cupy-cuda12x` (11x or 13x where `nvidia-smi` says so), " + otherwise
        ) from error
    except ImportError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is installed and does not load: "
            "`nvidia-smi` names the driver's CUDA version; uninstall CuPy and install "
            f"cupy-cuda11x, 12x or 13x to match it, {otherwise}. CuPy says: {error}"
        ) from error
    try:
        try_gpu(cupy)
    except Exception as error:  # of many types, one for each library below CuPy
        raise RuntimeError(f"{why_no_gpu(cupy, error)}, {otherwise}") from error


@cache
def try_gpu(cupy: Any) -> None:
    """Compute a number on the GPU; what fails says so in an error of its own.

    That takes the driver, a GPU, its memory, cuBLAS and the run-time compiler. It is done
    once: `cache` remembers a success and no error.
    """
    cupy.cuda.runtime.getDeviceCount()
    ones = cupy.ones((2, 2), np.float32)
    (ones @ ones + 1).get()


def why_no_gpu(cupy: Any, error: Exception) -> str:
    """Say what is missing for a GPU and what to do, from what `try_gpu` raised."""
    runtime = cupy.cuda.runtime
    driver, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    versions = [f"{n // 1000}.{n % 1000 // 10}" for n in (driver, built)]
    if isinstance(error, MemoryError):
        return f"device 'cuda' has no memory left ({error}): `nvidia-smi` says who holds it"
    if driver == 0 or "cudaErrorNoDevice" in str(error):
        return (
            "device 'cuda' needs an NVIDIA GPU and its driver, "
            f"and CuPy found none ({error}): check `nvidia-smi`"
        )
    wheel = f"cupy-cuda{min(driver // 1000, 13)}x"
    return (
        f"device 'cuda' needs a CuPy that fits the driver, which has CUDA {versions[0]}; "
        f"this one was built with CUDA {versions[1]} and cannot compute ({error}): "
        f'uninstall it and run `pip install "{wheel}[ctk]"`, or update the driver'
    )


def explain_memory(call: Call) -> Call:
    """Let a call that runs out of memory lose nothing, and say what to do.

    Parameters
    ----------
    call : a function or method whose first argument is a `Module`

    Returns
    -------
    The same function, but where memory ends it raises a MemoryError with advice. Carried
    states are what they were before; gradients, caches and workspaces are dropped.
    """

    @wraps(call)
    def explained(model: Any, *arguments: Any, **options: Any) -> Any:
        states = [(layer, layer.state) for layer in model.layers.values()]
        try:
            return call(model, *arguments, **options)
        except MemoryError as error:
            for layer, state in states:
                layer.forget()
                layer.state = state
            if type(error) is MemoryError:  # explained by a call inside this one
                raise
            raise MemoryError(
                f"{type(model).__name__} ran out of memory, and parameters, optimizer and "
                f"states are as before the call ({error}): pass fewer sequences at a time "
                "(batch_size), fewer steps (bptt_length), or use a layer with recompute=k"
                + (", or use device 'cpu'" if "cupy" in type(error).__module__ else "")
            ) from error.with_traceback(None)  # whose frames hold arrays

    return cast(Call, explained)


def to_numpy(array: Any) -> Array:
    """Return the array as a NumPy array, copied from the GPU where it lives there."""
    return array.get() if device_of(array) == "cuda" else np.asarray(array)


def to_floats(*scalars: Any) -> list[float]:
    """Return scalars as floats. Those of a GPU come together: it is waited for once.

    Parameters
    ----------
    *scalars : arrays (), or numbers
    """
    far = [scalar for scalar in scalars if device_of(scalar) == "cuda"]
    read = iter(to_numpy(get_array_module(*far).stack(far)) if far else ())
    return [float(next(read) if device_of(s) == "cuda" else s) for s in scalars]


def to_device(array: Array, device: str | None = None) -> Array:
    """Return the array on a device, unchanged where it is there already.

    Parameters
    ----------
    array : array of any shape
    device : ``"cpu"``, ``"cuda"``, or None for the default device
    """
    device = resolve_device(device)
    if device == device_of(array):
        return array
    return to_numpy(array) if device == "cpu" else sys.modules["cupy"].asarray(array)


class Module(Protocol):
    """What layers and models have in common: parameters, gradients, and parts by name."""

    @property
    def params(self) -> dict[str, Array]: ...
    @property
    def grads(self) -> dict[str, Array]: ...
    @property
    def layers(self) -> dict[str, Any]: ...
    def __call__(
        self, x: Array, state: Any = None, lengths: Any = None
    ) -> tuple[Array, Any]: ...
    def backward(self, dy: Array, dstate: Any = None) -> tuple[Array, Any]: ...


def move_model(model: Module, device: str | None = None) -> None:
    """Move every parameter of a model, in place; gradients and caches are dropped.

    Make the optimizer after the move: it holds on to the arrays it was given.

    Parameters
    ----------
    model : a layer or a model of this package
    device : ``"cpu"``, ``"cuda"``, or None for the default device
    """
    for layer in model.layers.values():
        layer.params = {name: to_device(p, device) for name, p in layer.params.items()}
        layer.forget()
