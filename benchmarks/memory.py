"""The memory of a training step, beside what its algorithm must keep."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np

import lstm

from .subjects import normal


def bytes_to_keep(size: Any) -> int:
    """Return the bytes of the arrays that an LSTM's training step in float32 holds at its end.

    Of every step four gates, the cell state, its tanh, the hidden state, and x; and for the
    caller y, dx, and the weights' gradients.
    """
    T, B, I, H = size
    return 4 * (T * B * (7 * H + I) + T * B * (H + I) + 4 * H * (I + H + 1))


def buffers(layer: lstm.LSTM) -> dict[str, int]:
    """Return the bytes of a layer's arrays that hold nothing of the forward pass, by name."""
    (cache,) = layer.kept().runs
    kept = [a for a in cache if isinstance(a, np.ndarray)]
    arrays = layer._workspaces[0].arrays
    return {
        name: a.nbytes
        for name, a in arrays.items() if not any(np.shares_memory(a, other) for other in kept)
    }  # fmt: skip


def memory_of_step(size: Any) -> dict[str, Any]:
    """Return the largest memory that a new layer's first training step takes, and what it must.

    Returns
    -------
    Bytes: the peak, what is needed, and each of the `buffers` after it.
    """
    T, B, I, H = size
    layer = lstm.LSTM(I, H, rng=0)
    x, dy = normal((T, B, I), (T, B, H))
    tracemalloc.start()
    results = layer(x), layer.backward(dy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del results  # held until here, as a caller would
    return {"peak": peak, "needed": bytes_to_keep(size), "buffers": buffers(layer)}
