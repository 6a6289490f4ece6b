"""One program, two array libraries: NumPy on the processor, CuPy on a GPU."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

# A NumPy array, or a CuPy array, which has the same interface.
Array: TypeAlias = NDArray[Any]

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
        If ``"cuda"`` is asked for and CuPy or a GPU is missing.
    """
    name = device if device is not None else os.environ.get("LSTM_DEVICE", "cpu")
    if name not in DEVICES:
        raise ValueError(f"expected device 'cpu' or 'cuda', got {name!r}")
    if name == "cuda":
        require_gpu()
    return name


def require_gpu() -> None:
    """Raise a RuntimeError that says what to install unless CuPy finds a GPU."""
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is not installed: "
            "run `pip install cupy-cuda12x`, or use device 'cpu'"
        ) from error
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            "device 'cuda' needs an NVIDIA GPU and its driver, "
            f"and CuPy found none ({error}): check `nvidia-smi`, or use device 'cpu'"
        ) from error


def to_numpy(array: Any) -> Array:
    """Return the array as a NumPy array, copied from the GPU where it lives there."""
    return array.get() if device_of(array) == "cuda" else np.asarray(array)


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
