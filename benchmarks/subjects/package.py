"""The package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import lstm

from ..calls import calls_per_step
from ..memory import memory_of_step
from ..parts import parts
from . import kernels, normal, some_lengths

__all__ = [
    "calls_per_step", "import_seconds", "inference", "kernels", "memory_of_step", "parts", "sine",
    "training",
]  # fmt: skip


def training(
    size: Any, kind: str = "LSTM", shortest: float | None = None, **options: Any
) -> Callable[[], object]:
    """Return a forward and a backward pass."""
    T, B, I, H = size
    layer = getattr(lstm, kind)(I, H, rng=0, **options)
    x, dy = normal((T, B, I), (T, B, layer.directions * H))
    lengths = None if shortest is None else some_lengths(T, B, shortest)

    def run() -> None:
        layer(x, lengths=lengths)
        layer.backward(dy)

    return run


def inference(size: Any) -> Callable[[], object]:
    """Return a forward pass, which is the same with and without a way back."""
    T, B, I, H = size
    layer, (x,) = lstm.LSTM(I, H, rng=0), normal((T, B, I))
    return lambda: layer(x)


def sine(epochs: int) -> Callable[[], object]:
    """Return some epochs of the recipe of the sine task: cut every 10 steps, state carried."""
    train, _ = lstm.sine_task()
    model = lstm.LSTMRegressor(1, 20, 1, rng=0)
    optimizer = lstm.Adam(model.params, 1e-3)
    return lambda: lstm.fit(model, *train, optimizer, epochs=epochs, bptt_length=10)


def import_seconds() -> float:
    """Return how long `import lstm` takes in a new process once NumPy is there."""
    code = "import time, numpy; t = time.perf_counter(); import lstm; print(time.perf_counter() - t)"
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))
