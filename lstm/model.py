"""A recurrent layer and a linear readout, as one model."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import Array
from .layers import LSTM, Layer, Linear, Recurrent, Seed


class Regressor:
    """A recurrent layer, and a linear readout of its hidden state at every step.

    Parameters
    ----------
    recurrent : an `LSTM`, `GRU` or `RNN`
    output_size : O, the number of values predicted at every step
    rng : generator or seed of the readout's initial weights

    Notes
    -----
    ``y, state = model(x, state=None)`` with x (T, B, I) and y (T, B, O);
    ``dx, dstate = model.backward(dy, dstate=None)``. ``params`` and ``grads`` join those of
    the two layers under ``recurrent.`` and ``linear.``.
    """

    def __init__(self, recurrent: Recurrent, output_size: int, *, rng: Seed = None) -> None:
        self.recurrent = recurrent
        self.linear = Linear(
            recurrent.hidden_size, output_size,
            rng=rng, dtype=recurrent.dtype, device=recurrent.device,
        )

    @property
    def layers(self) -> dict[str, Layer]:
        """The two layers by name."""
        return {"recurrent": self.recurrent, "linear": self.linear}

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of both layers, the arrays themselves."""
        return self.joined("params")

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients that the last backward pass left, with the keys of ``params``."""
        return self.joined("grads")

    def joined(self, kind: str) -> dict[str, Array]:
        """Return the layers' ``params`` or ``grads`` in one dict, as ``layer.name``."""
        parts = {name: getattr(layer, kind) for name, layer in self.layers.items()}
        return {f"{name}.{k}": a for name, part in parts.items() for k, a in part.items()}

    def __call__(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Return y (T, B, O) of x (T, B, I), and the state after it."""
        h, state = self.recurrent(x, state)
        return self.linear(h), state

    def backward(self, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        return self.recurrent.backward(self.linear.backward(dy), dstate)


class LSTMRegressor(Regressor):
    """An `LSTM` with a linear readout: ``y, (h, c) = model(x, state=None)``.

    Parameters
    ----------
    input_size, hidden_size, output_size : I, H and O
    forget_bias, rng, dtype, device : as in `LSTM`
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, *,
        forget_bias: float = 1.0,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        options = {"rng": rng, "dtype": dtype, "device": device}
        recurrent = LSTM(input_size, hidden_size, forget_bias=forget_bias, **options)
        super().__init__(recurrent, output_size, rng=rng)
