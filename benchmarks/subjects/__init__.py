"""The subjects: a module each, with the functions that `suite` names in its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lstm

Array = np.ndarray
Gates = dict[str, tuple[Array, Array]]
SMALL = (6, 3, 4, 5)  # a size at which subjects are compared, entry by entry


def normal(*shapes: tuple[int, ...]) -> list[Array]:
    """Return random arrays in float32, the same at every call."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def some_lengths(T: int, B: int, shortest: float) -> Array:
    """Return B lengths, drawn evenly from a part of T to T; the first is T."""
    lengths = np.random.default_rng(0).integers(max(1, int(shortest * T)), T + 1, B)
    lengths[0] = T
    return lengths


def kernels() -> list[str]:
    """Return the libraries for matrix products that this process has loaded."""
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return [f"{b['internal_api']} {b['version']}, {b['architecture']}" for b in found]


def per_gate(params: dict[str, Array]) -> Gates:
    """Return each gate's weights as tutorials hold them: (H + I, H), h above x, and (1, H).

    Parameters
    ----------
    params : of a layer, or its grads
    """
    names = ("weight_hh_l0", "weight_ih_l0", "bias_l0")
    blocks = zip("ifgo", *(np.split(params[name], 4) for name in names))
    return {gate: (np.concatenate([U.T, W.T]), b[None]) for gate, U, W, b in blocks}


def largest_difference(training: Callable[[Any], Callable[[], Any]]) -> float:
    """Return how far a subject's results are from the package's, at most.

    Parameters
    ----------
    training : takes a size; returns a function that returns y, dx and gradients as `per_gate`
    """
    T, B, I, H = SMALL
    layer = lstm.LSTM(I, H, rng=0)
    x, dy = normal((T, B, I), (T, B, H))
    y, dx = layer(x)[0], layer.backward(dy)[0]
    *others, gradients = training(SMALL)()
    pairs = [*zip(others, (y, dx), strict=True)]
    for gate, expected in per_gate(layer.grads).items():
        pairs += zip(gradients[gate], expected, strict=True)
    return max(float(abs(got - expected).max()) for got, expected in pairs)
