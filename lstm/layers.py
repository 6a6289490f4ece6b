"""Layers: parameters, their gradients, and checks, around the functions of `stack`."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from .backend import (
    Array,
    device_of,
    explain_memory,
    get_array_module,
    resolve_device,
    to_device,
)
from .checks import (
    check_floats,
    check_fraction,
    check_lengths,
    check_optional_size,
    check_shape,
    check_size,
    check_tokens,
)
from .initializers import lecun_normal, lstm_bias
from .recompute import for_memory, whole_cache
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
from .stack import Backward, Forward, reverse, stack_backward, stack_forward

Seed: TypeAlias = "int | np.random.Generator | None"
Output: TypeAlias = tuple[Array, Any]  # a sequence, and a state or its gradient


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
    training : False turns dropout off
    state : what a stateful recurrent layer starts its next call from; None for zeros
    """

    def __init__(self, params: dict[str, Array], dtype: Any, device: str | None) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"{self.name} expected dtype float32 or float64, got {self.dtype}"
            )
        place = resolve_device(device)
        self.params = {k: to_device(p.astype(self.dtype), place) for k, p in params.items()}
        self.training = True
        self.forget()

    def forget(self) -> None:
        """Drop the gradients, what the last forward pass kept, and a carried state."""
        self.grads: dict[str, Array] = {}
        self._cache: Any = None
        self.state: Any = None
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
        value = check_floats(self.name, argument, value, self.device)
        return check_shape(self.name, argument, value, axes).astype(self.dtype, copy=False)

    def kept(self) -> Any:
        """Return what the last forward pass kept; a RuntimeError if there was none."""
        if self._cache is None:
            raise RuntimeError(f"{self.name} has made no forward pass yet: call it first")
        return self._cache


def unpack_state(
    owner: str, names: tuple[str, ...], state: Any, like: Array,
    layers: int, hidden_size: int,
) -> State:
    """Return the parts of a state as arrays, zeros for None; refuse a wrong one.

    Parameters
    ----------
    owner : who asks, for the error message
    names : of the parts, ``("h", "c")`` or ``("h",)``
    state : None, one array, or a tuple of arrays, each (layers, B, H)
    like : the array (T, B, ...) that the state belongs to: gives batch, dtype, device
    layers, hidden_size : what the parts must have; each direction counts as a layer
    """
    xp, batch = get_array_module(like), like.shape[1]
    if state is None:
        return tuple(xp.zeros((layers, batch, hidden_size), like.dtype) for _ in names)
    parts = state if isinstance(state, tuple) else (state,)
    if len(parts) != len(names):
        single = f"one array {names[0]}"
        expected = single if len(names) == 1 else f"a tuple ({', '.join(names)})"
        got = f"a tuple of {len(parts)}" if parts is state else type(state).__name__
        raise TypeError(f"{owner} expected state as {expected}, got {got}")
    axes = {"layers": layers, "batch": None, "hidden": hidden_size}
    for name, part in zip(names, parts):
        check_floats(owner, name, part, device_of(like))
        check_shape(owner, name, part, axes)
        if part.shape[1] != batch:
            raise ValueError(
                f"{owner} expected {name} for a batch of {batch}, got one for "
                f"{part.shape[1]}; to start new sequences pass state=None, "
                "and call reset_state() if the layer is stateful"
            )
    return tuple(part.astype(like.dtype, copy=False) for part in parts)


def pack_state(parts: State) -> Any:
    """Return a state as users see it: the parts in a tuple, a single one without."""
    return parts if len(parts) > 1 else parts[0]


def recurrent_weights(
    blocks: int, input_size: int, hidden_size: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return the initial weights of one direction of a layer, under PyTorch's names.

    Weights are LeCun's, (blocks * H, I) and (blocks * H, H); the bias is zero. Each row is
    drawn by itself, so that no two gates start alike.
    """
    rows = blocks * hidden_size
    return {
        "weight_ih": lecun_normal((rows, input_size), rng),
        "weight_hh": lecun_normal((rows, hidden_size), rng),
        "bias": np.zeros(rows),
    }


class Dropout(Layer):
    """Sets each number to zero with a probability, and scales the others up, in training.

    The mean stays what it was: a number that is kept is divided by 1 - p.

    Parameters
    ----------
    p : probability, from 0 to below 1
    rng : generator or seed of the masks

    References
    ----------
    Srivastava et al. (2014).
    """

    def __init__(self, p: float = 0.5, *, rng: Seed = None) -> None:
        super().__init__({}, np.float64, "cpu")
        self.p = check_fraction(self.name, "p", p)
        self.rng = np.random.default_rng(rng)

    def __call__(self, x: Array) -> Array:
        """Return x with zeros put in, of x's shape, dtype and device."""
        check_floats(self.name, "x", x, device_of(x))  # tokens times a mask are others
        self._cache = None
        if self.training and self.p > 0:
            kept = self.rng.random(x.shape) >= self.p
            mask = (kept / (1.0 - self.p)).astype(x.dtype)
            self._cache = to_device(mask, device_of(x))
        return self.backward(x)

    def backward(self, dy: Array) -> Array:
        """Return dx: the mask of the last call times dy."""
        return dy if self._cache is None else dy * self._cache


class RunWeights(Layer):
    """Parameters of the runs of a recurrent layer: each direction of each of its layers.

    Parameters
    ----------
    input_size, hidden_size : I and H
    num_layers, bidirectional : layers, and whether each has D = 2 directions or 1
    bias : False leaves the biases out
    rng, dtype, device : generator of the weights; as in `Layer`
    """

    blocks: ClassVar[int]

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int, bidirectional: bool,
        bias: bool, rng: np.random.Generator, dtype: Any, device: str | None,
    ) -> None:
        self.input_size = check_size(self.name, "input_size", input_size)
        self.hidden_size = check_size(self.name, "hidden_size", hidden_size)
        self.num_layers = check_size(self.name, "num_layers", num_layers)
        self.directions, self.bias = 2 if bidirectional else 1, bool(bias)
        ways = ("", "_reverse")[: self.directions]
        self.runs = [f"l{k}{way}" for k in range(self.num_layers) for way in ways]
        params: dict[str, Array] = {}
        for n, run in enumerate(self.runs):
            below = input_size if n < self.directions else self.directions * hidden_size
            weights = self.initial_weights(below, rng)
            self._shapes = {name: w.shape for name, w in weights.items()}
            params |= {f"{name}_{run}": w for name, w in weights.items()}
        kept = {k: p for k, p in params.items() if bias or not k.startswith("bias")}
        super().__init__(kept, dtype, device)

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return the weights of one run, in the order in which its functions take them."""
        return recurrent_weights(self.blocks, size, self.hidden_size, rng)

    def weights(self) -> list[State]:
        """Return the weights of each run, zeros for biases that were left out."""
        xp, shapes = get_array_module(*self.params.values()), self._shapes.items()
        left_out = [] if self.bias else [(k, shape) for k, shape in shapes if "bias" in k]
        zeros = [(k, xp.zeros(shape, self.dtype)) for k, shape in left_out]
        found = self.params | {f"{k}_{run}": zero for k, zero in zeros for run in self.runs}
        return [tuple(found[f"{k}_{run}"] for k in self._shapes) for run in self.runs]

    def named(self, dweights: list[State]) -> dict[str, Array]:
        """Return gradients of the weights of each run under their parameters' names."""
        grads = {
            f"{name}_{run}": d
            for run, ds in zip(self.runs, dweights) for name, d in zip(self._shapes, ds)
        }
        return {name: grads[name] for name in self.params}


def trace_of(cache: Any, kind: Any, reversed_time: bool, lengths: Array | None) -> Any:
    """Return copies of the gates and states in a cache, as a named tuple of a kind."""
    fields = list(cache.gates.swapaxes(0, 1)) if hasattr(cache, "gates") else []
    fields += [cache.c[1:]] if hasattr(cache, "c") else []
    arrays = [features_first(a) for a in (*fields, cache.h[1:])]
    if reversed_time:
        arrays = [reverse(a, lengths).copy() for a in arrays]
    return kind(*arrays)


class RunCaches(NamedTuple):
    """What the forward pass of a recurrent layer keeps."""

    runs: list[Any]  # one cache for each run
    lengths: Array | None  # (B,)
    T: int
    B: int


class RunStates(RunWeights):
    """What goes into the runs and comes out of them: sequences, states, traces."""

    state_names: ClassVar[tuple[str, ...]]
    trace_type: ClassVar[Any]
    from_end: ClassVar[bool] = False  # whether the first direction reads from the end
    workspace_type: type[Workspace] = Workspace  # that of each run; see kernels.use_graphs
    batch_first: bool

    def forget(self) -> None:
        """Drop all that `Layer.forget` drops, and every run's arrays."""
        super().forget()
        self._workspaces = [self.workspace_type() for _ in self.runs]

    def reset_state(self) -> None:
        """Let the next call of a stateful layer start from zeros."""
        self.state = None

    def split(self, state: Any, like: Array, prefix: str = "") -> list[State]:
        """Return a state's parts, or its gradient's with the prefix d, for each run."""
        names = tuple(prefix + name for name in self.state_names)
        sizes = len(self.runs), self.hidden_size
        parts = unpack_state(self.name, names, state, like, *sizes)
        return [tuple(part[n] for part in parts) for n in range(len(self.runs))]

    def join(self, states: list[State]) -> Any:
        """Return the states of all runs as users see them."""
        if len(states) == 1:
            return pack_state(tuple(part[None] for part in states[0]))
        xp = get_array_module(*states[0])
        return pack_state(tuple(xp.stack(parts) for parts in zip(*states)))

    def sequence(self, argument: str, value: Any, *sizes: int | None) -> Array:
        """Return a checked argument of sizes T, B and features as (T, B, features).

        NaN and infinity are let through, as in NumPy; `training.fit` refuses them.
        """
        axes = dict(zip(("time", "batch", "features"), sizes))
        if not self.batch_first:
            return self.checked(argument, value, **axes)
        axes = {"batch": axes["batch"], "time": axes["time"], "features": axes["features"]}
        return self.checked(argument, value, **axes).swapaxes(0, 1)

    def traces(self) -> dict[str, Any]:
        """Return copies of what happened in each run of the last forward pass.

        Each is a named tuple of arrays (T, B, H), in the order of time in either direction.
        With ``recompute`` the pass is run again for them.
        """
        caches, lengths, *_ = self.kept()
        return {
            run: trace_of(whole_cache(cache), self.trace_type, "reverse" in run, lengths)
            for run, cache in zip(self.runs, caches)
        }

    def trace(self, run: str = "l0") -> Any:
        """Return one of `traces`: of the first layer, unless another is named."""
        if run not in self.runs:
            raise ValueError(f"{self.name} expected run as one of {self.runs}, got {run!r}")
        return self.traces()[run]


class Recurrent(RunStates):
    """What `LSTM`, `GRU` and `RNN` share; each names its functions and its state's parts.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, bias : as in `RunWeights`
    batch_first : take and return (B, T, features)
    dropout : probability of `Dropout` between layers, in training
    stateful : carry the state from call to call, without its gradient; see `reset_state`
    recompute : k keeps every k-th state alone, in less memory; see `recompute.SparseCache`
    rng, dtype, device : generator or seed of weights and dropout; as in `Layer`

    Notes
    -----
    ``y, state = layer(x, state=None, lengths=None)``: x (T, B, I), y (T, B, D * H), states
    (num_layers * D, B, H), as in PyTorch. With lengths (B,) y is zero past an end.
    ``dx, dstate = layer.backward(dy, dstate=None)`` fills ``grads``.
    """

    run: ClassVar[Forward]
    run_backward: ClassVar[Backward]

    def __init__(
        self, input_size: int, hidden_size: int, *, num_layers: int = 1,
        bidirectional: bool = False, batch_first: bool = False, bias: bool = True,
        dropout: float = 0.0, stateful: bool = False, recompute: int | None = None,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        sizes, rng = (input_size, hidden_size, num_layers), np.random.default_rng(rng)
        super().__init__(*sizes, bool(bidirectional), bool(bias), rng, dtype, device)
        self.batch_first, self.stateful = bool(batch_first), bool(stateful)
        self.dropout = check_fraction(self.name, "dropout", dropout)
        self.recompute = check_optional_size(self.name, "recompute", recompute)
        self._between = [Dropout(dropout, rng=rng) for _ in range(num_layers - 1)]

    @explain_memory
    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Run over x from a state, None for zeros, to each length, None for all steps."""
        x = self.sequence("x", x, None, None, self.input_size)
        lengths = check_lengths(self.name, lengths, x)
        states = self.split(self.state if state is None else state, x)
        for dropout in self._between:
            dropout.training = self.training
        x, run = for_memory(x, self.recompute, getattr(self, "rng", None))
        how = self.weights(), self.directions, self._between, lengths, self._workspaces, run
        y, states, caches = stack_forward(self.run, x, states, *how)
        self._cache, state = RunCaches(caches, lengths, *x.shape[:2]), self.join(states)
        self.state = state if self.stateful else None
        return (y.swapaxes(0, 1) if self.batch_first else y), state

    @explain_memory
    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        (caches, lengths, T, B), D = self.kept(), self.directions
        dy = self.sequence("dy", dy, T, B, D * self.hidden_size)
        dstates, between = self.split(dstate, dy, "d"), [d.backward for d in self._between]
        how = caches, self.weights(), D, between, lengths, self._workspaces
        dx, dstates, dweights = stack_backward(self.run_backward, dy, dstates, *how)
        self.grads = self.named(dweights)
        return (dx.swapaxes(0, 1) if self.batch_first else dx), self.join(dstates)


class LSTMTrace(NamedTuple):
    """Gates, candidate, cell state and hidden state of every step, each (T, B, H)."""

    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    h: Array


class LSTM(Recurrent):
    """Long short-term memory: ``y, (h, c) = layer(x, state=None, lengths=None)``.

    Parameters
    ----------
    input_size, hidden_size : I and H
    forget_bias : initial bias of the forget gate
    **options : those of `Recurrent`

    Notes
    -----
    ``params`` holds PyTorch's names and shapes: weight_ih_l0 (4H, I), weight_hh_l0 (4H, H),
    and one bias_l0 (4H,), in blocks i, f, g, o; then those of l0_reverse, l1 and so on.
    """

    blocks = 4
    state_names = ("h", "c")
    run: ClassVar[Forward] = staticmethod(lstm_forward)
    run_backward: ClassVar[Backward] = staticmethod(lstm_backward)
    trace_type: ClassVar[Any] = LSTMTrace

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, **options: Any
    ) -> None:
        self.forget_bias = forget_bias
        super().__init__(input_size, hidden_size, **options)

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return `recurrent_weights` with the forget gate's bias."""
        weights = super().initial_weights(size, rng)
        return weights | {"bias": lstm_bias(self.hidden_size, self.forget_bias)}


class RNNTrace(NamedTuple):
    """Hidden state of every step, (T, B, H)."""

    h: Array


class RNN(Recurrent):
    """Plain recurrent network, h = tanh(W x + U h + b): ``y, h = layer(x, state=None)``.

    Arguments and shapes are those of `Recurrent`; there is one block of rows, where the
    LSTM has four, and h alone is the state.
    """

    blocks = 1
    state_names = ("h",)
    run: ClassVar[Forward] = staticmethod(rnn_forward)
    run_backward: ClassVar[Backward] = staticmethod(rnn_backward)
    trace_type = RNNTrace


class GRUTrace(NamedTuple):
    """Reset gate, update gate, candidate and hidden state of every step, each (T, B, H)."""

    r: Array
    z: Array
    n: Array
    h: Array


class GRU(Recurrent):
    """Gated recurrent unit: ``y, h = layer(x, state=None, lengths=None)``.

    Arguments and shapes are those of `Recurrent`; there are three blocks of rows r, z, n,
    and h alone is the state. The bias bias_hn_l0 (H,) is the one of PyTorch's second biases
    that the first cannot replace: r multiplies it.
    """

    blocks = 3
    state_names = ("h",)
    run: ClassVar[Forward] = staticmethod(gru_forward)
    run_backward: ClassVar[Backward] = staticmethod(gru_backward)
    trace_type = GRUTrace

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return `recurrent_weights` with the extra bias, zero."""
        weights = super().initial_weights(size, rng)
        return weights | {"bias_hn": np.zeros(self.hidden_size)}


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
        x = self.checked("x", x, time=None, batch=None, features=self.input_size)
        self._cache = x
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, dy: Array) -> Array:
        """Fill ``grads`` from the gradient of y; return dx."""
        x, (T, B, _) = self.kept(), self.kept().shape
        dy = self.checked("dy", dy, time=T, batch=B, features=self.output_size)
        rows = dy.reshape(T * B, -1)
        self.grads = {"weight": rows.T @ x.reshape(T * B, -1), "bias": rows.sum(0)}
        return dy @ self.params["weight"]


class Embedding(Layer):
    """A vector of its own for every token: row k of ``weight`` for token k.

    Parameters
    ----------
    num_embeddings, embedding_size : K tokens, 0 to K - 1, and E numbers for each
    rng, dtype, device : as in `LSTM`

    Notes
    -----
    x is (T, B), whole numbers, and y (T, B, E); ``params`` holds weight (K, E), drawn from
    the standard normal distribution, as in PyTorch. ``layer.backward(dy)`` fills ``grads``
    and returns None: a token has no gradient.
    """

    def __init__(
        self, num_embeddings: int, embedding_size: int, *,
        rng: Seed = None, dtype: Any = np.float32, device: str | None = None,
    ) -> None:
        self.num_embeddings = check_size(self.name, "num_embeddings", num_embeddings)
        self.embedding_size = check_size(self.name, "embedding_size", embedding_size)
        shape = self.num_embeddings, self.embedding_size
        weight = np.random.default_rng(rng).normal(size=shape)
        super().__init__({"weight": weight}, dtype, device)

    def __call__(self, x: Array) -> Array:
        """Return y (T, B, E) of the tokens x (T, B)."""
        x = self._cache = check_tokens(self.name, "x", x, self.num_embeddings, self.device)
        found: Array = self.params["weight"][x]
        return found

    def backward(self, dy: Array) -> None:
        """Fill ``grads`` from the gradient of y: each row gets those of all its tokens."""
        tokens, size = self.kept(), self.embedding_size
        T, B = tokens.shape
        dy = self.checked("dy", dy, time=T, batch=B, features=size)
        xp = get_array_module(dy)
        dweight = xp.zeros_like(self.params["weight"])
        # dweight[tokens] += dy would add one of equal tokens; single entries are faster.
        entries = tokens[:, :, None] * size + xp.arange(size)
        xp.add.at(dweight.reshape(-1), entries.reshape(-1), dy.reshape(-1))
        self.grads = {"weight": dweight}
