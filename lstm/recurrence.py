"""The step carried through a sequence, forward and backward, as functions on arrays.

Outside, sequences are (time, batch, features). Inside the time loop the features come
first and the batch last, (time, blocks * H, B), so that each gate is one contiguous block.

Each pair has the same signature: ``forward(x, state, *weights)`` returns
``y, state, cache``, and ``backward(dy, dstate, cache, *weights)`` returns
``dx, dstate, dweights``; states are tuples of (B, H). Both take a `Workspace`, for callers
that call again and do not need the cache of the call before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from .backend import Array, get_array_module
from .gates import (
    GRU_SCALE,
    LSTM_SCALE,
    gate_scale,
    gru_partials,
    gru_step,
    lstm_partials,
    lstm_step,
    lstm_step_backward,
    tanh_into,
    tanh_slope_into,
)

State: TypeAlias = tuple[Array, ...]
Step: TypeAlias = Callable[..., None]


class Workspace:
    """Arrays for intermediate results, kept by name from call to call.

    The system hands out new memory a page at a time when it is first written, which can
    take longer than the arithmetic that writes it.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Array) -> Array:
        """Return the array of a name, its content arbitrary; made anew if it does not fit.

        Parameters
        ----------
        name : the same name gives the same memory
        shape : of the array
        like : an array of the wanted dtype and device
        """
        kept = self.arrays.get(name)
        if kept is None or kept.shape != shape or kept.dtype != like.dtype:
            kept = get_array_module(like).empty(shape, like.dtype)
            self.arrays[name] = kept
        return kept


def features_first(a: Array, out: Array | None = None) -> Array:
    """Copy (T, B, F) to (T, F, B), contiguous, into ``out`` if given; and back again."""
    T, rows, columns = a.shape
    if out is None:
        out = get_array_module(a).empty((T, columns, rows), a.dtype)
    out[...] = a.swapaxes(1, 2)
    return out


def side_by_side(a: Array, out: Array) -> Array:
    """Copy (T, rows, B) to (rows, T * B), the columns of all steps one after another.

    Parameters
    ----------
    a : (T, rows, B)
    out : (rows, T, B), filled
    """
    out[...] = a.swapaxes(0, 1)
    return out.reshape(len(out), -1)


def project(x: Array, weight: Array, bias: Array, z: Array) -> None:
    """Multiply the inputs of all time steps by the weights before the loop starts.

    Parameters
    ----------
    x : (T, B, I)
    weight : (rows, I)
    bias : (rows,)
    z : (T, rows, B), filled
    """
    xp = get_array_module(x)
    xp.matmul(weight, x.swapaxes(1, 2), out=z)
    z += bias[:, None]


def project_backward(dz: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of `project` with respect to x, weight and bias, each one product.

    Parameters
    ----------
    dz : (rows, T * B), from `side_by_side`
    x : (T, B, I)
    weight : (rows, I)

    Returns
    -------
    (T, B, I), (rows, I), (rows,)
    """
    dx = (dz.T @ weight).reshape(x.shape)
    return dx, dz @ x.reshape(-1, x.shape[2]), dz.sum(1)


class LSTMCache(NamedTuple):
    """What the forward pass of an LSTM keeps for the backward pass."""

    x: Array  # (T, B, I)
    gates: Array  # (T, 4, H, B)
    h: Array  # (T + 1, H, B), the first before the first step
    c: Array  # (T + 1, H, B), likewise
    tanh_c: Array  # (T, H, B)

    @property
    def holding(self) -> tuple[float, ...]:
        """Gates that keep the cell as it is; a variant without i has the last three."""
        return (0.0, 1.0, 0.0, 0.0)[-self.gates.shape[1] :]


def lstm_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, step: Step = lstm_step,
    scale: tuple[float, ...] = LSTM_SCALE,
) -> tuple[Array, State, LSTMCache]:
    """Run an LSTM over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h and c, each (B, H)
    weight_ih, weight_hh, bias : (4H, I), (4H, H), (4H,), blocks i, f, g, o
    workspace : holds the cache, which the next call with it overwrites; None for new memory
    step, scale : the point-wise step and the scale of its blocks, for variants

    Returns
    -------
    y : (T, B, H), the hidden state of every step
    state : the last h and c
    cache : for `lstm_backward`
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, _), (rows, H) = x.shape, weight_hh.shape
    z, product = take("gates", (T, rows, B), x), take("product", (rows, B), x)
    h, c = take("h", (T + 1, H, B), x), take("c", (T + 1, H, B), x)
    tanh_c, gates = take("tanh_c", (T, H, B), x), z.reshape(T, -1, H, B)
    factor = gate_scale(gates[0], scale)
    h[0], c[0] = (s.T for s in state)
    project(x, weight_ih, bias, z)
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product)
        xp.add(z[t], product, out=z[t])
        step(gates[t], c[t], h[t + 1], c[t + 1], tanh_c[t], factor)
    last = h[-1].T.copy(), c[-1].T.copy()
    return features_first(h[1:]), last, LSTMCache(x, gates, h, c, tanh_c)


def lstm_backward(
    dy: Array, dstate: State, cache: LSTMCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    partials: Step = lstm_partials, step: Step = lstm_step_backward,
) -> tuple[Array, State, State]:
    """Backpropagation through time: the steps in reverse order, each once.

    Parameters
    ----------
    dy : (T, B, H) gradient of the loss with respect to y
    dstate : the same for the last h and c, each (B, H)
    cache : from `lstm_forward`, left as it is
    weight_ih, weight_hh, bias, workspace : as there
    partials, step : the point-wise functions, for variants

    Returns
    -------
    dx : (T, B, I)
    dstate : gradients of the first h and c, each (B, H)
    dweights : gradients of the weights, in their order

    References
    ----------
    Werbos (1990); derived in the chapter on backpropagation through time.
    """
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    x, gates, h, c, tanh_c = cache
    (T, _, H, B), f = gates.shape, gates[:, -3]
    dz, dh_dc = take("dz", gates.shape, dy), take("dh_dc", tanh_c.shape, dy)
    partials(gates.swapaxes(0, 1), c[:-1], tanh_c, dz.swapaxes(0, 1), dh_dc)
    rows, dy = dz.reshape(T, -1, B), features_first(dy, take("dy", tanh_c.shape, dy))
    dh, dc = (s.T.copy() for s in dstate)
    for t in reversed(range(T)):
        dh += dy[t]
        step(dh, dc, dz[t], dh_dc[t], f[t])
        xp.matmul(weight_hh.T, rows[t], out=dh)
    columns = side_by_side(rows, take("columns", (len(weight_hh), T, B), dy))
    before = side_by_side(h[:-1], take("before", (H, T, B), dy))
    dx, dweight_ih, dbias = project_backward(columns, x, weight_ih)
    return dx, (dh.T, dc.T), (dweight_ih, columns @ before.T, dbias)


class RNNCache(NamedTuple):
    """What the forward pass of a plain RNN keeps for the backward pass."""

    x: Array  # (T, B, I)
    h: Array  # (T + 1, H, B), the first before the first step


def rnn_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, squash: Step = tanh_into,
) -> tuple[Array, State, RNNCache]:
    """Run a plain RNN, h = tanh(W x + U h + b), over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h alone, (B, H)
    weight_ih, weight_hh, bias : (H, I), (H, H), (H,)
    workspace : as in `lstm_forward`
    squash : fills its second argument from the first, for variants

    Returns
    -------
    y, state, cache : as in `lstm_forward`

    References
    ----------
    Elman (1990).
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, _), H = x.shape, weight_hh.shape[1]
    z, product = take("z", (T, H, B), x), take("product", (H, B), x)
    h = take("h", (T + 1, H, B), x)
    h[0] = state[0].T
    project(x, weight_ih, bias, z)
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product)
        product += z[t]
        squash(product, h[t + 1])
    return features_first(h[1:]), (h[-1].T.copy(),), RNNCache(x, h)


def rnn_backward(
    dy: Array, dstate: State, cache: RNNCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    slope: Step = tanh_slope_into,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a plain RNN; arguments as in `lstm_backward`."""
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    x, h = cache
    (T, H, B), dh = h[1:].shape, dstate[0].T.copy()
    dz = take("dz", (T, H, B), dy)
    slope(h[1:], dz)
    dy = features_first(dy, take("dy", (T, H, B), dy))
    for t in reversed(range(T)):
        dh += dy[t]
        xp.multiply(dz[t], dh, out=dz[t])
        xp.matmul(weight_hh.T, dz[t], out=dh)
    columns = side_by_side(dz, take("columns", (H, T, B), dy))
    before = side_by_side(h[:-1], take("before", (H, T, B), dy))
    dx, dweight_ih, dbias = project_backward(columns, x, weight_ih)
    return dx, (dh.T,), (dweight_ih, columns @ before.T, dbias)


class GRUCache(NamedTuple):
    """What the forward pass of a GRU keeps for the backward pass."""

    x: Array  # (T, B, I)
    gates: Array  # (T, 3, H, B), blocks r, z, n
    zh_n: Array  # (T, H, B), the hidden state's part of n's pre-activation
    h: Array  # (T + 1, H, B), the first before the first step

    @property
    def holding(self) -> tuple[float, ...]:
        """Gates that keep h as it is."""
        return 0.0, 1.0, 0.0


def gru_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, GRUCache]:
    """Run a GRU over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h alone, (B, H)
    weight_ih, weight_hh, bias : (3H, I), (3H, H), (3H,), blocks r, z, n
    bias_hn : (H,) bias of the recurrent part of n, which r multiplies
    workspace : as in `lstm_forward`

    Returns
    -------
    y, state, cache : as in `lstm_forward`
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, _), H = x.shape, weight_hh.shape[1]
    gates, product = take("gates", (T, 3, H, B), x), take("product", (3, H, B), x)
    zh_n, h = take("zh_n", (T, H, B), x), take("h", (T + 1, H, B), x)
    scale = gate_scale(product, GRU_SCALE)
    h[0] = state[0].T
    project(x, weight_ih, bias, gates.reshape(T, 3 * H, B))
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product.reshape(3 * H, B))
        xp.add(gates[t, :2], product[:2], out=gates[t, :2])
        xp.add(product[2], bias_hn[:, None], out=zh_n[t])
        gru_step(gates[t], zh_n[t], h[t], h[t + 1], scale)
    return features_first(h[1:]), (h[-1].T.copy(),), GRUCache(x, gates, zh_n, h)


def gru_backward(
    dy: Array, dstate: State, cache: GRUCache, weight_ih: Array, weight_hh: Array,
    bias: Array, bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a GRU; arguments as in `lstm_backward`."""
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    x, gates, zh_n, h = cache
    (T, H, B), dh = zh_n.shape, dstate[0].T.copy()
    dz, product = take("dz", (T, 4, H, B), dy), take("dproduct", (H, B), dy)
    gru_partials(gates.swapaxes(0, 1), zh_n, h[:-1], dz.swapaxes(0, 1))
    update, dy = gates[:, 1], features_first(dy, take("dy", zh_n.shape, dy))
    for t in reversed(range(T)):
        dh += dy[t]
        xp.multiply(dz[t], dh, out=dz[t])
        dh *= update[t]
        xp.matmul(weight_hh.T, dz[t, 1:].reshape(3 * H, B), out=product)
        dh += product
    columns = side_by_side(dz.reshape(T, 4 * H, B), take("columns", (4 * H, T, B), dy))
    before = side_by_side(h[:-1], take("before", (H, T, B), dy))
    n_first = xp.roll(weight_ih, H, axis=0)  # blocks n, r, z, as they stand in dz
    dx, *dinput = project_backward(columns[: 3 * H], x, n_first)
    dweight_ih, dbias = (xp.roll(d, -H, axis=0) for d in dinput)
    dweights = dweight_ih, columns[H:] @ before.T, dbias, columns[3 * H :].sum(1)
    return dx, (dh.T,), dweights
