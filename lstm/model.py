"""Models of a recurrent layer and a readout: of every step, or of a whole sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import Array, get_array_module
from .layers import LSTM, Layer, Linear, Output, Recurrent, Seed
from .stack import past_end


class Model:
    """Layers by name; parameters and gradients as ``layer.name``."""

    layers: dict[str, Layer]

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of all layers, the arrays themselves."""
        return self.joined("params")

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients that the last backward pass left, with the keys of ``params``."""
        return self.joined("grads")

    def joined(self, kind: str) -> dict[str, Array]:
        """Return the layers' ``params`` or ``grads`` in one dict, as ``layer.name``."""
        parts = {name: getattr(layer, kind) for name, layer in self.layers.items()}
        return {f"{name}.{k}": a for name, part in parts.items() for k, a in part.items()}


class Regressor(Model):
    """A recurrent layer, and a linear readout of its hidden state at every step.

    Parameters
    ----------
    recurrent : an `LSTM`, `GRU` or `RNN`
    output_size : O, the number of values predicted at every step
    rng : generator or seed of the readout's initial weights

    Notes
    -----
    ``y, state = model(x, state=None, lengths=None)`` with x (T, B, I) and y (T, B, O);
    ``dx, dstate = model.backward(dy, dstate=None)``. ``params`` and ``grads`` join those of
    the two layers under ``recurrent.`` and ``linear.``.
    """

    def __init__(self, recurrent: Recurrent, output_size: int, *, rng: Seed = None) -> None:
        self.recurrent, size = recurrent, recurrent.directions * recurrent.hidden_size
        options = {"rng": rng, "dtype": recurrent.dtype, "device": recurrent.device}
        self.linear = Linear(size, output_size, **options)
        self.layers = {"recurrent": self.recurrent, "linear": self.linear}

    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Return y (T, B, O) of x (T, B, I), and the state after it."""
        h, state = self.recurrent(x, state, lengths)
        return self.linear(h), state

    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        return self.recurrent.backward(self.linear.backward(dy), dstate)


class LSTMRegressor(Regressor):
    """An `LSTM` with a linear readout: ``y, (h, c) = model(x, state=None)``.

    Parameters
    ----------
    input_size, hidden_size, output_size : I, H and O
    rng : generator or seed of all initial weights
    **options : those of `LSTM`
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, *,
        rng: Seed = None, **options: Any,
    ) -> None:
        rng = np.random.default_rng(rng)
        recurrent = LSTM(input_size, hidden_size, rng=rng, **options)
        super().__init__(recurrent, output_size, rng=rng)


def pool_weights(pool: str, lengths: Array, steps: int, directions: int) -> Array:
    """Return how much each step counts for its sequence, (T, B, D), in each direction.

    Parameters
    ----------
    pool : ``"mean"``, all steps up to the end alike, or ``"last"``, the step with which a
        direction ends: the sequence's last, and going backward its first
    lengths : (B,)
    steps, directions : T and D
    """
    xp = get_array_module(lengths)
    step, past = xp.arange(steps)[:, None], past_end(lengths, steps)
    parts = [step == lengths - 1, xp.broadcast_to(step == 0, past.shape)]
    if pool == "mean":
        parts = [~past / lengths] * 2
    weights: Array = xp.stack(parts[:directions], -1)
    return weights


class Classifier(Model):
    """A recurrent layer, and a linear readout of each sequence as a whole.

    Parameters
    ----------
    recurrent : an `LSTM`, `GRU` or `RNN`, without ``batch_first``
    classes : K
    pool : as in `pool_weights`
    rng : generator or seed of the readout's initial weights

    Notes
    -----
    ``logits, state = model(x, state=None, lengths=None)`` with x (T, B, I) and logits
    (B, K), for `cross_entropy`; ``dx, dstate = model.backward(dlogits, dstate=None)``.
    """

    def __init__(
        self, recurrent: Recurrent, classes: int, *, pool: str = "last", rng: Seed = None
    ) -> None:
        if pool not in ("last", "mean"):
            raise ValueError(f"Classifier expected pool 'last' or 'mean', got {pool!r}")
        if recurrent.batch_first:
            raise ValueError("Classifier expected a layer with batch_first=False")
        self.recurrent, self.pool = recurrent, pool
        options = {"rng": rng, "dtype": recurrent.dtype, "device": recurrent.device}
        size = recurrent.directions * recurrent.hidden_size
        self.linear = Linear(size, classes, **options)
        self.layers = {"recurrent": self.recurrent, "linear": self.linear}

    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Return the logits (B, K) of x (T, B, I), and the state after it."""
        y, state = self.recurrent(x, state, lengths)
        xp, (T, B, _), D = get_array_module(y), y.shape, self.recurrent.directions
        checked = self.recurrent.kept().lengths
        ends = xp.full(B, T) if checked is None else checked
        self._weights = pool_weights(self.pool, ends, T, D).astype(y.dtype)[..., None]
        pooled = (y.reshape(T, B, D, -1) * self._weights).sum(0)
        return self.linear(pooled.reshape(1, B, -1))[0], state

    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of the logits and the last state."""
        dpooled = self.linear.backward(dy[None])
        T, B, D, _ = self._weights.shape
        dy = (self._weights * dpooled.reshape(B, D, -1)).reshape(T, B, -1)
        return self.recurrent.backward(dy, dstate)


class LSTMClassifier(Classifier):
    """An `LSTM` that labels whole sequences: ``logits, state = model(x, None, lengths)``.

    Parameters
    ----------
    input_size, hidden_size, classes : I, H and K
    pool : as in `pool_weights`
    rng : generator or seed of all initial weights
    **options : those of `LSTM`
    """

    def __init__(
        self, input_size: int, hidden_size: int, classes: int, *, pool: str = "last",
        rng: Seed = None, **options: Any,
    ) -> None:
        rng = np.random.default_rng(rng)
        recurrent = LSTM(input_size, hidden_size, rng=rng, **options)
        super().__init__(recurrent, classes, pool=pool, rng=rng)
