"""An LSTM in NumPy as most tutorials write it: a matrix a gate, new arrays at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lstm

from . import Array, Gates, kernels, largest_difference, normal, per_gate

__all__ = ["difference", "kernels", "training"]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def forward(x: Array, h: Array, c: Array, gates: Gates) -> tuple[Array, list[Any]]:
    """Return y (T, B, H), and for each step what the way back needs."""
    steps, y = [], []
    for x_t in x:
        seen = np.concatenate([h, x_t], axis=1)
        i, f, g, o = (seen @ W + b for W, b in (gates[gate] for gate in "ifgo"))
        i, f, g, o, c_prev = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o), c
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        steps.append((seen, i, f, g, o, c_prev, c))
        y.append(h)
    return np.stack(y), steps


def backward(dy: Array, steps: list[Any], gates: Gates) -> tuple[Array, Gates]:
    """Return dx (T, B, I), and the gradients of every gate's weights."""
    H = dy.shape[2]
    grads = {gate: (np.zeros_like(W), np.zeros_like(b)) for gate, (W, b) in gates.items()}
    dh, dc, dx = np.zeros_like(dy[0]), np.zeros_like(dy[0]), []
    for dy_t, (seen, i, f, g, o, c_prev, c) in zip(dy[::-1], steps[::-1]):
        dh = dh + dy_t
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        d = {
            "i": dc * g * i * (1 - i),
            "f": dc * c_prev * f * (1 - f),
            "g": dc * i * (1 - g**2),
            "o": dh * np.tanh(c) * o * (1 - o),
        }
        dseen = np.zeros_like(seen)
        for gate, (dW, db) in grads.items():
            dW += seen.T @ d[gate]
            db += d[gate].sum(0, keepdims=True)
            dseen += d[gate] @ gates[gate][0].T
        dh, dc = dseen[:, :H], dc * f
        dx.append(dseen[:, H:])
    return np.stack(dx[::-1]), grads


def training(size: Any) -> Callable[[], Any]:
    """Return a forward and a backward pass."""
    T, B, I, H = size
    gates = per_gate(lstm.LSTM(I, H, rng=0).params)
    x, dy, (h,) = *normal((T, B, I), (T, B, H)), np.zeros((1, B, H), np.float32)

    def run() -> Any:
        y, steps = forward(x, h, h, gates)
        return y, *backward(dy, steps, gates)

    return run


def difference() -> float:
    """Return the largest difference from the package's results."""
    return largest_difference(training)
