"""Layers: parameters, their gradients, and checks, around the functions of `recurrence`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from .backend import Array, device_of, get_array_module, resolve_device, to_device
from .checks import check_floats, check_shape, check_size
from .initializers import lecun_normal, lstm_bias
from .recurrence import (
    State,
    Workspace,
    features_first,
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)

Seed: TypeAlias = "int | np.random.Generator | None"


class Layer:
    """Parameters by name, their gradients, and what the last forward pass left behind.

    Parameters
    ----------
    params : initial values, cast to ``dtype`` and moved to ``device``
    dtype : float32 or float64: of parameters, states and results
    device : ``"cpu"``, ``"cuda"``, or None for the default device

    Attributes
    ----------
    params : dict of arrays; optimizers change them in place
    grads : dict with the same keys, replaced by each backward pass
    """

    def __init__(self, params: dict[str, Array], dtype: Any, device: str | None) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"{self.name} expected dtype float32 or float64, got {self.dtype}"
            )
        device = resolve_device(device)
        cast = {name: p.astype(self.dtype) for name, p in params.items()}
        self.params = {name: to_device(p, device) for name, p in cast.items()}
        self.forget()

    def forget(self) -> None:
        """Drop the gradients and what the last forward pass kept."""
        self.grads: dict[str, Array] = {}
        self._cache: Any = None
        self._workspace = Workspace()

    @property
    def name(self) -> str:
        """The class's name, with which error messages begin."""
        return type(self).__name__

    @property
    def layers(self) -> dict[str, Layer]:
        """The layer itself, so that a layer can stand where a model does."""
        return {self.name: self}

    @property
    def device(self) -> str:
        """Where the parameters are: ``"cpu"`` or ``"cuda"``."""
        return device_of(next(iter(self.params.values())))

    def checked(self, argument: str, value: Any, **axes: int | None) -> Array:
        """Return an argument as the layer computes with it, or refuse it by name."""
        check_floats(self.name, argument, value, self.device)
        check_shape(self.name, argument, value, axes)
        return value.astype(self.dtype, copy=False)

    def kept(self) -> Any:
        """Return what the last forward pass kept; a RuntimeError if there was none."""
        if self._cache is None:
            message = "has made no forward pass yet: call it on x first"
            raise RuntimeError(f"{self.name} {message}")
        return self._cache


def unpack_state(
    owner: str, names: tuple[str, ...], state: Any, like: Array, hidden_size: int
) -> State:
    """Return the parts of a state as arrays (B, H), zeros for None; refuse a wrong one.

    Parameters
    ----------
    owner : who asks, for the error message
    names : of the parts, ``("h", "c")`` or ``("h",)``
    state : None, one array, or a tuple of arrays, each (1, B, H)
    like : the array (T, B, ...) that the state belongs to: gives batch, dtype, device
    hidden_size : H
    """
    xp, batch = get_array_module(like), like.shape[1]
    if state is None:
        return tuple(xp.zeros((batch, hidden_size), like.dtype) for _ in names)
    parts = state if isinstance(state, tuple) else (state,)
    if len(parts) != len(names):
        single = f"one array {names[0]}"
        expected = single if len(names) == 1 else f"a tuple ({', '.join(names)})"
        got = f"a tuple of {len(parts)}" if parts is state else type(state).__name__
        raise TypeError(f"{owner} expected state as {expected}, got {got}")
    for name, part in zip(names, parts):
        check_floats(owner, name, part, device_of(like))
        check_shape(owner, name, part, {"layers": 1, "batch": None, "hidden": hidden_size})
        if part.shape[1] != batch:
            raise ValueError(
                f"{owner} expected {name} for a batch of {batch}, "
                f"got one for {part.shape[1]}; pass state=None to start new sequences"
            )
    return tuple(part[0].astype(like.dtype, copy=False) for part in parts)


def pack_state(parts: State) -> Any:
    """Return a state as users see it: each part (1, B, H), a single one without a tuple."""
    packed = tuple(part[None] for part in parts)
    return packed if len(packed) > 1 else packed[0]


def recurrent_weights(
    blocks: int, input_size: int, hidden_size: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return the initial parameters of a recurrent layer, under PyTorch's names.

    Weights are LeCun's, (blocks * H, I) and (blocks * H, H); the bias is zero. Each row is
    drawn by itself, so that no two gates start alike.
    """
    rows = blocks * hidden_size
    return {
        "weight_ih_l0": lecun_normal((rows, input_size), rng),
        "weight_hh_l0": lecun_normal((rows, hidden_size), rng),
        "bias_l0": np.zeros(rows),
    }


class Recurrent(Layer):
    """What `LSTM`, `GRU` and `RNN` share; each names its functions and its state's parts.

    NaN and infinity in x pass through to y, as in NumPy; `fit` refuses them.
    """

    blocks: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    run: ClassVar[Callable[..., tuple[Array, State, Any]]]
    run_backward: ClassVar[Callable[..., tuple[Array, State, State]]]

    def __init__(
        self, input_size: int, hidden_size: int, *,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        self.input_size = check_size(self.name, "input_size", input_size)
        self.hidden_size = check_size(self.name, "hidden_size", hidden_size)
        sizes = self.blocks, self.input_size, self.hidden_size
        weights = recurrent_weights(*sizes, np.random.default_rng(rng))
        super().__init__(weights, dtype, device)

    def __call__(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Run over x (T, B, I) from a state, None for zeros; return y (T, B, H), state."""
        x = self.checked("x", x, time=None, batch=None, features=self.input_size)
        parts = unpack_state(self.name, self.state_names, state, x, self.hidden_size)
        y, parts, self._cache = self.run(x, parts, *self.params.values(), self._workspace)
        return y, pack_state(parts)

    def backward(self, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        T, B, _ = self.kept().x.shape
        dy = self.checked("dy", dy, time=T, batch=B, hidden=self.hidden_size)
        names = tuple(f"d{name}" for name in self.state_names)
        parts = unpack_state(self.name, names, dstate, dy, self.hidden_size)
        weights = self.params.values()
        dx, parts, grads = self.run_backward(
            dy, parts, self._cache, *weights, self._workspace
        )
        self.grads = dict(zip(self.params, grads))
        return dx, pack_state(parts)


class LSTMTrace(NamedTuple):
    """Gates, candidate, cell state and hidden state of every step, each (T, B, H)."""

    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    h: Array


class LSTM(Recurrent):
    """Long short-term memory: ``y, (h, c) = layer(x, state=None)``.

    Parameters
    ----------
    input_size, hidden_size : I and H
    forget_bias : initial bias of the forget gate
    rng : generator or seed of the initial weights; None draws new ones each time
    dtype, device : see `Layer`

    Notes
    -----
    x is (T, B, I), y (T, B, H), h and c (1, B, H). ``params`` holds PyTorch's names and
    shapes: weight_ih_l0 (4H, I), weight_hh_l0 (4H, H), and one bias_l0 (4H,), in blocks
    i, f, g, o. ``dx, (dh0, dc0) = layer.backward(dy, dstate=None)`` fills ``grads``.
    """

    blocks = 4
    state_names = ("h", "c")
    run = staticmethod(lstm_forward)
    run_backward = staticmethod(lstm_backward)

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, rng=rng, dtype=dtype, device=device)
        bias = lstm_bias(self.hidden_size, forget_bias).astype(self.dtype)
        self.params["bias_l0"] = to_device(bias, self.device)

    def trace(self) -> LSTMTrace:
        """Return copies of what happened inside the last forward pass."""
        cache = self.kept()
        i, f, g, o = (features_first(cache.gates[:, k]) for k in range(4))
        c, h = features_first(cache.c[1:]), features_first(cache.h[1:])
        return LSTMTrace(i, f, g, o, c, h)


class RNN(Recurrent):
    """Plain recurrent network, h = tanh(W x + U h + b): ``y, h = layer(x, state=None)``.

    Arguments and shapes are those of `LSTM`, without ``forget_bias``, with one block of
    rows instead of four, and with h alone as state.
    """

    blocks = 1
    state_names = ("h",)
    run = staticmethod(rnn_forward)
    run_backward = staticmethod(rnn_backward)


class GRUTrace(NamedTuple):
    """Reset gate, update gate, candidate and hidden state of every step, each (T, B, H)."""

    r: Array
    z: Array
    n: Array
    h: Array


class GRU(Recurrent):
    """Gated recurrent unit: ``y, h = layer(x, state=None)``.

    Arguments and shapes are those of `LSTM`, without ``forget_bias``, with three blocks of
    rows r, z, n instead of four, and with h alone as state. The bias bias_hn_l0 (H,) is the
    one of PyTorch's second biases that the first cannot replace: r multiplies it.
    """

    blocks = 3
    state_names = ("h",)
    run = staticmethod(gru_forward)
    run_backward = staticmethod(gru_backward)

    def __init__(
        self, input_size: int, hidden_size: int, *,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, rng=rng, dtype=dtype, device=device)
        bias = np.zeros(self.hidden_size, self.dtype)
        self.params["bias_hn_l0"] = to_device(bias, self.device)

    def trace(self) -> GRUTrace:
        """Return copies of what happened inside the last forward pass."""
        cache = self.kept()
        r, z, n = (features_first(cache.gates[:, k]) for k in range(3))
        return GRUTrace(r, z, n, features_first(cache.h[1:]))


class Linear(Layer):
    """Weighted sums of the features, y = x W^T + b, of every step alike.

    Parameters
    ----------
    input_size, output_size : I and O
    rng, dtype, device : as in `LSTM`

    Notes
    -----
    x is (T, B, I) and y (T, B, O); ``params`` holds weight (O, I) and bias (O,), drawn as
    LeCun's and zero. ``dx = layer.backward(dy)`` fills ``grads``.
    """

    def __init__(
        self, input_size: int, output_size: int, *,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        self.input_size = check_size(self.name, "input_size", input_size)
        self.output_size = check_size(self.name, "output_size", output_size)
        shape = self.output_size, self.input_size
        weight = lecun_normal(shape, np.random.default_rng(rng))
        bias = np.zeros(self.output_size)
        super().__init__({"weight": weight, "bias": bias}, dtype, device)

    def __call__(self, x: Array) -> Array:
        """Return y (T, B, O) of x (T, B, I)."""
        self._cache = self.checked("x", x, time=None, batch=None, features=self.input_size)
        return self._cache @ self.params["weight"].T + self.params["bias"]

    def backward(self, dy: Array) -> Array:
        """Fill ``grads`` from the gradient of y; return dx."""
        x, (T, B, _) = self.kept(), self.kept().shape
        dy = self.checked("dy", dy, time=T, batch=B, features=self.output_size)
        rows = dy.reshape(T * B, -1)
        self.grads = {"weight": rows.T @ x.reshape(T * B, -1), "bias": rows.sum(0)}
        return dy @ self.params["weight"]
