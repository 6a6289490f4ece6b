"""Models: layers one after the other, and readouts of every step or of whole sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .backend import Array, explain_memory, get_array_module
from .layers import LSTM, Layer, Linear, Output, Recurrent, Seed
from .stack import past_end


class Model:
    """Layers by name; parameters and gradients as ``layer.name``."""

    layers: dict[str, Any]

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


def check_layers(owner: str, layers: Mapping[str, Any]) -> None:
    """Refuse what cannot be a model: it would fail later, or compute wrong gradients.

    Raises
    ------
    TypeError, ValueError
        If there is no layer, one is no layer or comes twice, a name is no identifier, or
        some recurrent layers take the batch first and some do not.
    """
    if not layers:
        raise ValueError(f"{owner} expected at least one layer, got none")
    for name, layer in layers.items():
        if not isinstance(layer, Layer):
            got = type(layer).__name__
            raise TypeError(f"{owner} expected {name} as a layer, got {got}")
        if not name.isidentifier():  # a dot would divide the names of parameters elsewhere
            raise ValueError(f"{owner} expected names of layers like 'a_1', got {name!r}")
    if len({id(layer) for layer in layers.values()}) < len(layers):
        raise ValueError(f"{owner} expected each layer once, got one under two names")
    if len({k.batch_first for k in layers.values() if isinstance(k, Recurrent)}) > 1:
        raise ValueError(f"{owner} expected one batch_first for all layers, got both")


def split_states(owner: str, argument: str, state: Any, names: Sequence[str]) -> list[Any]:
    """Return the states of recurrent layers, or their gradients, one for each.

    Parameters
    ----------
    owner, argument : who asks and for what, for the error message
    state : as `join_states` returns it; None for none of them
    names : of the recurrent layers

    Raises
    ------
    TypeError
        If there are several layers and it is no tuple of as many; if there is none.
    """
    if state is None or len(names) == 1:
        return [state] * len(names)
    if names and isinstance(state, tuple) and len(state) == len(names):
        return list(state)
    expected = f"a tuple ({', '.join(names)})" if names else "None"
    got = f"a tuple of {len(state)}" if isinstance(state, tuple) else type(state).__name__
    raise TypeError(f"{owner} expected {argument} as {expected}, got {got}")


def join_states(states: Sequence[Any]) -> Any:
    """Return the states of recurrent layers as one: a tuple, the only one, or None."""
    return tuple(states) if len(states) > 1 else states[0] if states else None


class Sequential(Model):
    """Layers one after the other: ``Sequential(recurrent=LSTM(...), readout=Linear(...))``.

    Parameters
    ----------
    **layers : in the order of the computation, under names of your choice

    Notes
    -----
    ``y, state = model(x, state=None, lengths=None)``: x is what the first layer takes, y
    what the last one returns, and every recurrent layer gets the lengths. The state is that
    of the recurrent layer, a tuple where there are several, None where there is none.
    ``dx, dstate = model.backward(dy, dstate=None)``; after an `Embedding` dx is None.
    """

    def __init__(self, **layers: Layer) -> None:
        check_layers(type(self).__name__, layers)
        self.layers = layers
        self._recurrent = [name for name, k in layers.items() if isinstance(k, Recurrent)]

    def split(self, argument: str, state: Any) -> dict[str, Any]:
        """Return each recurrent layer's state, or its gradient, by the layer's name."""
        states = split_states(type(self).__name__, argument, state, self._recurrent)
        return dict(zip(self._recurrent, states))

    @explain_memory
    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Return what the last layer makes of x, and the state after it."""
        states = self.split("state", state)
        for name, layer in self.layers.items():
            if name in states:
                x, states[name] = layer(x, states[name], lengths)
            else:
                x = layer(x)
        return x, join_states(list(states.values()))

    @explain_memory
    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        states = self.split("dstate", dstate)
        for name, layer in reversed(self.layers.items()):
            if name in states:
                dy, states[name] = layer.backward(dy, states[name])
            else:
                dy = layer.backward(dy)
        return dy, join_states(list(states.values()))


def readout_of(recurrent: Recurrent, size: int, rng: Seed) -> Linear:
    """Return a linear layer that reads all directions of a recurrent one, of its kind."""
    options = {"rng": rng, "dtype": recurrent.dtype, "device": recurrent.device}
    return Linear(recurrent.directions * recurrent.hidden_size, size, **options)


class Regressor(Sequential):
    """A recurrent layer, and a linear readout of its hidden state at every step.

    Parameters
    ----------
    recurrent : an `LSTM`, `GRU` or `RNN`
    output_size : O, the number of values predicted at every step
    rng : generator or seed of the readout's initial weights

    Notes
    -----
    A `Sequential` of the layers ``recurrent`` and ``linear``, which are attributes too:
    x is (T, B, I), y (T, B, O), the state that of the recurrent layer.
    """

    def __init__(self, recurrent: Recurrent, output_size: int, *, rng: Seed = None) -> None:
        self.recurrent, self.linear = recurrent, readout_of(recurrent, output_size, rng)
        super().__init__(recurrent=self.recurrent, linear=self.linear)


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
        self.linear = readout_of(recurrent, classes, rng)
        self.layers = {"recurrent": self.recurrent, "linear": self.linear}

    @explain_memory
    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Return the logits (B, K) of x (T, B, I), and the state after it."""
        y, state = self.recurrent(x, state, lengths)
        xp, (T, B, _), D = get_array_module(y), y.shape, self.recurrent.directions
        checked = self.recurrent.kept().lengths
        ends = xp.full(B, T) if checked is None else checked
        first = int(self.recurrent.from_end)  # the second pair of weights is the reverse's
        weights = pool_weights(self.pool, ends, T, first + D)[..., first:]
        self._weights = weights.astype(y.dtype)[..., None]
        pooled = (y.reshape(T, B, D, -1) * self._weights).sum(0)
        return self.linear(pooled.reshape(1, B, -1))[0], state

    @explain_memory
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
