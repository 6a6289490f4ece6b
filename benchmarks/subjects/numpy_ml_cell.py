"""The LSTM of numpy-ml 0.1.2, which needs help to run.

- It takes a name from `collections` that Python 3.10 moved.
- Its layer ``LSTM`` cannot be made: it sets a property without a setter, and passes its cell
  an argument that the cell does not take. So its cell is carried over the steps here, as the
  layer would.
- The cell starts in float64, unless its lists begin with a state, and ``flush_gradients``
  leaves lists where the way back looks for None.
"""

from __future__ import annotations

import collections
import collections.abc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import lstm

from . import kernels, largest_difference, normal, per_gate

collections.Hashable = collections.abc.Hashable  # type: ignore[attr-defined]
warnings.simplefilter("ignore")  # of packages for other parts of it, which are not there
from numpy_ml.neural_nets.layers import LSTMCell  # noqa: E402

__all__ = ["difference", "kernels", "training"]
NAMES = {"i": "u", "f": "f", "g": "c", "o": "o"}


def training(size: Any) -> Callable[[], Any]:
    """Return a forward and a backward pass."""
    T, B, I, H = size
    cell = LSTMCell(H)
    x, dy = normal((T, B, I), (T, B, H))
    cell.forward(x[0])  # makes its parameters, which are replaced
    for gate, (W, b) in per_gate(lstm.LSTM(I, H, rng=0).params).items():
        cell.parameters |= {f"W{NAMES[gate]}": W, f"b{NAMES[gate]}": b}
    start = np.zeros((B, H), np.float32)

    def run() -> Any:
        cell.flush_gradients()
        cell.derived_variables |= {"A": [start], "C": [start]}
        cell.derived_variables |= {"dLdA_accumulator": None, "dLdC_accumulator": None}
        y = np.stack([cell.forward(x_t)[0] for x_t in x])
        dx = np.stack([cell.backward(dy_t) for dy_t in dy[::-1]][::-1])
        d = cell.gradients
        return y, dx, {gate: (d[f"W{name}"], d[f"b{name}"]) for gate, name in NAMES.items()}

    return run


def difference() -> float:
    """Return the largest difference from the package's results."""
    return largest_difference(training)
