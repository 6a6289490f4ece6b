"""The matrix products that an LSTM cannot do without, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import kernels, normal

__all__ = ["inference", "kernels", "training"]


def inference(size: Any) -> Callable[[], object]:
    """Return the products of a forward pass."""
    T, B, I, H = size
    W, U, x, h = normal((4 * H, I), (4 * H, H), (T * B, I), (H, B))
    z = np.empty((4 * H, B), np.float32)

    def run() -> None:
        x @ W.T
        for _ in range(T):
            np.matmul(U, h, out=z)

    return run


def training(size: Any) -> Callable[[], object]:
    """Return the products of a forward and a backward pass."""
    T, B, I, H = size
    forward = inference(size)
    W, U, x, h = normal((4 * H, I), (4 * H, H), (T * B, I), (T * B, H))
    dz, rows = normal((4 * H, B), (T * B, 4 * H))
    dh = np.empty((H, B), np.float32)

    def run() -> None:
        forward()
        for _ in range(T):
            np.matmul(U.T, dz, out=dh)
        rows @ W, rows.T @ x, rows.T @ h

    return run
