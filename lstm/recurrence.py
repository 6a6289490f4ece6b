"""The step carried through a sequence, forward and backward, as functions on arrays.

Outside, sequences are (time, batch, features). Inside the time loop the features come
first and the batch last, (time, blocks * H, B), so that each gate is one contiguous block.

Each pair has the same signature: ``forward(x, state, *weights)`` returns
``y, state, cache``, and ``backward(dy, dstate, cache, *weights)`` returns
``dx, dstate, dweights``; states are tuples of (B, H).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .backend import Array, get_array_module
from .gates import (
    GRU_SCALE,
    gate_scale,
    gru_partials,
    gru_step,
    lstm_partials,
    lstm_step,
    lstm_step_backward,
    tanh_grad,
)

State: TypeAlias = tuple[Array, ...]


def features_first(a: Array) -> Array:
    """Copy (T, B, F) to (T, F, B), contiguous; and the other way round."""
    xp = get_array_module(a)
    return xp.ascontiguousarray(a.swapaxes(1, 2))


def project(x: Array, weight: Array, bias: Array) -> Array:
    """Multiply the inputs of all time steps by the weights before the loop starts.

    Parameters
    ----------
    x : (T, B, I)
    weight : (rows, I)
    bias : (rows,)

    Returns
    -------
    (T, rows, B)
    """
    xp = get_array_module(x)
    z = xp.matmul(weight, x.swapaxes(1, 2))
    z += bias[:, None]
    return z


def project_backward(dz: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of `project` with respect to x, weight and bias, each one product.

    Parameters
    ----------
    dz : (T, rows, B)
    x : (T, B, I)
    weight : (rows, I)

    Returns
    -------
    (T, B, I), (rows, I), (rows,)
    """
    dz = features_first(dz).reshape(-1, weight.shape[0])
    dx = (dz @ weight).reshape(x.shape)
    return dx, dz.T @ x.reshape(len(dz), -1), dz.sum(0)


def recurrent_weight_grad(dz: Array, h: Array) -> Array:
    """Gradient of the recurrent weights as one product over all time steps.

    Parameters
    ----------
    dz : (T, rows, B)
    h : (T, H, B) the hidden state before each step

    Returns
    -------
    (rows, H)
    """
    dz = features_first(dz).reshape(-1, dz.shape[1])
    return dz.T @ features_first(h).reshape(len(dz), -1)


class LSTMCache(NamedTuple):
    """What the forward pass of an LSTM keeps for the backward pass."""

    x: Array  # (T, B, I)
    gates: Array  # (T, 4, H, B)
    h: Array  # (T + 1, H, B), the first before the first step
    c: Array  # (T + 1, H, B), likewise
    tanh_c: Array  # (T, H, B)


def lstm_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, State, LSTMCache]:
    """Run an LSTM over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h and c, each (B, H)
    weight_ih, weight_hh, bias : (4H, I), (4H, H), (4H,), blocks i, f, g, o

    Returns
    -------
    y : (T, B, H), the hidden state of every step
    state : the last h and c
    cache : for `lstm_backward`
    """
    xp = get_array_module(x)
    (T, B, _), H = x.shape, weight_hh.shape[1]
    z = project(x, weight_ih, bias)
    gates, product = z.reshape(T, 4, H, B), xp.empty_like(z[0])
    scale = gate_scale(gates[0])
    h, c = (xp.empty((T + 1, H, B), x.dtype) for _ in "hc")
    tanh_c = xp.empty((T, H, B), x.dtype)
    h[0], c[0] = (s.T for s in state)
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product)
        xp.add(z[t], product, out=z[t])
        lstm_step(gates[t], c[t], h[t + 1], c[t + 1], tanh_c[t], scale)
    last = h[-1].T.copy(), c[-1].T.copy()
    return features_first(h[1:]), last, LSTMCache(x, gates, h, c, tanh_c)


def lstm_backward(
    dy: Array, dstate: State, cache: LSTMCache,
    weight_ih: Array, weight_hh: Array, bias: Array,
) -> tuple[Array, State, State]:
    """Backpropagation through time: the steps in reverse order, each once.

    Parameters
    ----------
    dy : (T, B, H) gradient of the loss with respect to y
    dstate : the same for the last h and c, each (B, H)
    cache : from `lstm_forward`
    weight_ih, weight_hh, bias : as there

    Returns
    -------
    dx : (T, B, I)
    dstate : gradients of the first h and c, each (B, H)
    dweights : gradients of the weights, in their order

    References
    ----------
    Werbos (1990); derived in the chapter on backpropagation through time.
    """
    xp = get_array_module(dy)
    x, gates, h, c, tanh_c = cache
    dz, dh_dc = lstm_partials(gates.swapaxes(0, 1), c[:-1], tanh_c)
    dz, f, dy = dz.swapaxes(0, 1), gates[:, 1], features_first(dy)
    rows = dz.reshape(len(dz), -1, dz.shape[-1])
    dh, dc = (s.T.copy() for s in dstate)
    for t in reversed(range(len(dy))):
        dh += dy[t]
        lstm_step_backward(dh, dc, dz[t], dh_dc[t], f[t])
        xp.matmul(weight_hh.T, rows[t], out=dh)
    dx, dweight_ih, dbias = project_backward(rows, x, weight_ih)
    return dx, (dh.T, dc.T), (dweight_ih, recurrent_weight_grad(rows, h[:-1]), dbias)


class RNNCache(NamedTuple):
    """What the forward pass of a plain RNN keeps for the backward pass."""

    x: Array  # (T, B, I)
    h: Array  # (T + 1, H, B), the first before the first step


def rnn_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, State, RNNCache]:
    """Run a plain RNN, h = tanh(W x + U h + b), over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h alone, (B, H)
    weight_ih, weight_hh, bias : (H, I), (H, H), (H,)

    Returns
    -------
    y, state, cache : as in `lstm_forward`

    References
    ----------
    Elman (1990).
    """
    xp = get_array_module(x)
    (T, B, _), H = x.shape, weight_hh.shape[1]
    z = project(x, weight_ih, bias)
    h, product = xp.empty((T + 1, H, B), x.dtype), xp.empty((H, B), x.dtype)
    h[0] = state[0].T
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product)
        product += z[t]
        xp.tanh(product, out=h[t + 1])
    return features_first(h[1:]), (h[-1].T.copy(),), RNNCache(x, h)


def rnn_backward(
    dy: Array, dstate: State, cache: RNNCache,
    weight_ih: Array, weight_hh: Array, bias: Array,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a plain RNN; arguments as in `lstm_backward`."""
    xp = get_array_module(dy)
    x, h = cache
    dz, dy, dh = tanh_grad(h[1:]), features_first(dy), dstate[0].T.copy()
    for t in reversed(range(len(dy))):
        dh += dy[t]
        xp.multiply(dz[t], dh, out=dz[t])
        xp.matmul(weight_hh.T, dz[t], out=dh)
    dx, dweight_ih, dbias = project_backward(dz, x, weight_ih)
    return dx, (dh.T,), (dweight_ih, recurrent_weight_grad(dz, h[:-1]), dbias)


class GRUCache(NamedTuple):
    """What the forward pass of a GRU keeps for the backward pass."""

    x: Array  # (T, B, I)
    gates: Array  # (T, 3, H, B), blocks r, z, n
    zh_n: Array  # (T, H, B), the hidden state's part of n's pre-activation
    h: Array  # (T + 1, H, B), the first before the first step


def gru_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array, bias_hn: Array
) -> tuple[Array, State, GRUCache]:
    """Run a GRU over a sequence.

    Parameters
    ----------
    x : (T, B, I)
    state : h alone, (B, H)
    weight_ih, weight_hh, bias : (3H, I), (3H, H), (3H,), blocks r, z, n
    bias_hn : (H,) bias of the recurrent part of n, which r multiplies

    Returns
    -------
    y, state, cache : as in `lstm_forward`
    """
    xp = get_array_module(x)
    (T, B, _), H = x.shape, weight_hh.shape[1]
    gates = project(x, weight_ih, bias).reshape(T, 3, H, B)
    product = xp.empty((3, H, B), x.dtype)
    scale = gate_scale(product, GRU_SCALE)
    zh_n = xp.empty((T, H, B), x.dtype)
    h = xp.empty((T + 1, H, B), x.dtype)
    h[0] = state[0].T
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product.reshape(3 * H, B))
        xp.add(gates[t, :2], product[:2], out=gates[t, :2])
        xp.add(product[2], bias_hn[:, None], out=zh_n[t])
        gru_step(gates[t], zh_n[t], h[t], h[t + 1], scale)
    return features_first(h[1:]), (h[-1].T.copy(),), GRUCache(x, gates, zh_n, h)


def gru_backward(
    dy: Array, dstate: State, cache: GRUCache,
    weight_ih: Array, weight_hh: Array, bias: Array, bias_hn: Array,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a GRU; arguments as in `lstm_backward`."""
    xp = get_array_module(dy)
    x, gates, zh_n, h = cache
    dz = gru_partials(gates.swapaxes(0, 1), zh_n, h[:-1]).swapaxes(0, 1)
    update, dy, dh = gates[:, 1], features_first(dy), dstate[0].T.copy()
    T, _, H, B = dz.shape
    for t in reversed(range(T)):
        dh += dy[t]
        xp.multiply(dz[t], dh, out=dz[t])
        dh *= update[t]
        dh += weight_hh.T @ dz[t, 1:].reshape(3 * H, B)
    rows_ih = xp.concatenate([dz[:, 1:3], dz[:, :1]], 1).reshape(T, 3 * H, B)
    rows_hh = dz[:, 1:].reshape(T, 3 * H, B)
    dx, dweight_ih, dbias = project_backward(rows_ih, x, weight_ih)
    dweight_hh = recurrent_weight_grad(rows_hh, h[:-1])
    return dx, (dh.T,), (dweight_ih, dweight_hh, dbias, dz[:, 3].sum((0, 2)))
