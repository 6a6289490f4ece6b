"""The step carried through a sequence, forward and backward, as functions on arrays.

Outside, sequences are (time, batch, features). Inside the time loop the features come
first and the batch last, (time, blocks * H, B), so that each gate is one contiguous block.

Each pair has the same signature: ``forward(x, state, *weights)`` returns
``y, state, cache``, and ``backward(dy, dstate, cache, *weights)`` returns
``dx, dstate, dweights``; states are tuples of (B, H). Both take a `Workspace`, for callers
that call again and do not need the cache of the call before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

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
        """Return an array in the memory of a name, its content arbitrary.

        The memory is made anew where it is too small or of another dtype.

        Parameters
        ----------
        name : the same name gives the same memory
        shape : of the array
        like : an array of the wanted dtype and device
        """
        kept, size = self.arrays.get(name), math.prod(shape)
        if kept is None or kept.size < size or kept.dtype != like.dtype:
            kept = get_array_module(like).empty(size, like.dtype)
            self.arrays[name] = kept
        return kept[:size].reshape(shape)


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


def pack(weight_ih: Array, weight_hh: Array, bias: Array, out: Array) -> Array:
    """Put U, W and b side by side, so that one product serves all three.

    Parameters
    ----------
    weight_ih, weight_hh, bias : (rows, I), (rows, H), (rows,)
    out : (rows, H + I + 1), filled

    Returns
    -------
    out : times a step's columns in `stack_inputs` it is U h + W x + b
    """
    H = weight_hh.shape[1]
    out[:, :H], out[:, H:-1], out[:, -1] = weight_hh, weight_ih, bias
    return out


def stack_inputs(x: Array, h: Array, out: Array) -> Array:
    """Stack what a step multiplies: h above x above 1, features first, for every step.

    Parameters
    ----------
    x : (T, B, I)
    h : (B, H), before the first step; those of later steps are left to be filled
    out : (T + 1, H + I + 1, B), filled but for the last x, which no step reads

    Returns
    -------
    out
    """
    H = h.shape[1]
    out[0, :H] = h.T
    out[:-1, H:-1] = x.swapaxes(1, 2)
    out[:, -1] = 1.0
    return out


BLOCK = 10  # steps that go backward together: few enough for the processor's cache


def part_of(cache: Any, steps: slice, T: int) -> Any:
    """Return a cache of some of its T steps alone, of views.

    Parameters
    ----------
    cache : a named tuple of arrays with T entries, or T + 1 for states; or an object that
        has a method ``part`` for this
    steps : with a start and a stop
    """
    if hasattr(cache, "part"):
        return cache.part(steps)
    if steps.stop - steps.start == T:
        return cache
    states = slice(steps.start, steps.stop + 1)
    return type(cache)(*[a[states] if len(a) > T else a[steps] for a in cache])


def last_blocks_first(
    cache: Any, T: int, size: int | None = None
) -> Iterator[tuple[slice, Any]]:
    """Cut T steps into blocks of at most a size, `BLOCK` for None, and a cache with them.

    Yields the steps of each block, from the last block on, and the cache of them alone.
    """
    for first in reversed(range(0, T, size or BLOCK)):
        steps = slice(first, min(first + (size or BLOCK), T))
        yield steps, part_of(cache, steps, T)


class WeightSums:
    """Gradients of inputs and weights, which are sums or lie apart: a block at a time.

    Parameters
    ----------
    dy : (T, B, H), for its sizes, dtype and device
    weight_ih : (rows, I)
    workspace : for intermediate results

    Attributes
    ----------
    dx : (T, B, I), complete when every block has been added once
    dpacked : (rows, H + I + 1), the sum of dU, dW and db so far, side by side as in `pack`
    """

    def __init__(self, dy: Array, weight_ih: Array, workspace: Workspace) -> None:
        (T, B, _), I = dy.shape, weight_ih.shape[1]
        self.dx = get_array_module(dy).empty((T, B, I), dy.dtype)
        self.dpacked: Array | None = None
        self.weight_ih, self.take = weight_ih, workspace.take

    def add(self, steps: slice, dz: Array, seen: Array) -> None:
        """Add a block of steps: one product for x, one for all weights.

        Parameters
        ----------
        steps : of the block
        dz : (n, rows, B)
        seen : (n, H + I + 1, B), what the steps saw, from `stack_inputs`
        """
        xp, take = get_array_module(dz), self.take
        (n, rows, B), width = dz.shape, seen.shape[1]
        columns = side_by_side(dz, take("columns", (rows, n, B), dz))
        before = side_by_side(seen, take("before", (width, n, B), dz))
        xp.matmul(columns.T, self.weight_ih, out=self.dx[steps].reshape(n * B, -1))
        # the forward pass is over, so the memory of its packed weights is free
        name = "dpacked" if self.dpacked is None else "packed"
        product = xp.matmul(columns, before.T, out=take(name, (rows, width), dz))
        if self.dpacked is None:
            self.dpacked = product
        else:
            self.dpacked += product

    def gradients(self, H: int) -> State:
        """Return the gradients of weight_ih, weight_hh and bias, in memory of their own."""
        d: Any = self.dpacked
        return d[:, H:-1].copy(), d[:, :H].copy(), d[:, -1].copy()


class LSTMCache(NamedTuple):
    """What the forward pass of an LSTM keeps for the backward pass."""

    stacked: Array  # (T + 1, H + I + 1, B), h, x and 1 as each step saw them
    gates: Array  # (T, 4, H, B)
    c: Array  # (T + 1, H, B), the first before the first step
    tanh_c: Array  # (T, H, B)

    @property
    def h(self) -> Array:
        """Hidden states (T + 1, H, B), the first before the first step."""
        return self.stacked[:, : self.c.shape[1]]

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
    (T, B, I), (rows, H) = x.shape, weight_hh.shape
    z, c = take("gates", (T, rows, B), x), take("c", (T + 1, H, B), x)
    tanh_c, gates = take("tanh_c", (T, H, B), x), z.reshape(T, -1, H, B)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (rows, H + I + 1), x))
    factor, c[0] = gate_scale(gates[0], scale), state[1].T
    cache = LSTMCache(stacked, gates, c, tanh_c)
    h = cache.h
    for t in range(T):
        xp.matmul(packed, stacked[t], out=z[t])
        step(gates[t], c[t], h[t + 1], c[t + 1], tanh_c[t], factor)
    return features_first(h[1:]), (h[-1].T.copy(), c[-1].T.copy()), cache


def block_partials(
    partials: Step, cache: Any, workspace: Workspace
) -> tuple[Array, Array]:
    """Return what a block of steps needs before it goes backward: its dz and dh_dc.

    Parameters
    ----------
    partials : such as `gates.lstm_partials`, which fills both
    cache : of the block, an `LSTMCache`, or one with its gates, c and tanh_c
    workspace : holds the two, (n, blocks, H, B) and (n, H, B)
    """
    gates, tanh_c = cache.gates, cache.tanh_c
    dz = workspace.take("dz", gates.shape, gates)
    dh_dc = workspace.take("dh_dc", tanh_c.shape, tanh_c)
    partials(gates.swapaxes(0, 1), cache.c[:-1], tanh_c, dz.swapaxes(0, 1), dh_dc)
    return dz, dh_dc


def lstm_backward(
    dy: Array, dstate: State, cache: LSTMCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    partials: Step = lstm_partials, step: Step = lstm_step_backward,
    watch: Step | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time (Werbos 1990): the steps in reverse order, each once.

    Parameters
    ----------
    dy : (T, B, H) gradient of the loss with respect to y
    dstate : the same for the last h and c, each (B, H)
    cache : from `lstm_forward`, left as it is
    weight_ih, weight_hh, bias, workspace : as there
    partials, step : the point-wise functions, for variants
    watch : told the cache of each block and its dz (n, 4, H, B), for variants

    Returns
    -------
    dx (T, B, I), the gradients of the first h and c (B, H), and those of the weights
    """
    xp, workspace = get_array_module(dy), workspace or Workspace()
    sums = WeightSums(dy, weight_ih, workspace)
    dh, dc = (s.T.copy() for s in dstate)
    for steps, part in last_blocks_first(cache, len(dy)):
        dz, dh_dc = block_partials(partials, part, workspace)
        rows, f = dz.reshape(len(dz), -1, dz.shape[-1]), part.gates[:, -3]
        for t in reversed(range(len(dz))):
            dh += dy[steps.start + t].T
            step(dh, dc, dz[t], dh_dc[t], f[t])
            xp.matmul(weight_hh.T, rows[t], out=dh)
        sums.add(steps, rows, part.stacked[:-1])
        if watch is not None:
            watch(part, dz)
    return sums.dx, (dh.T, dc.T), sums.gradients(len(dh))


class RNNCache(NamedTuple):
    """What the forward pass of a plain RNN keeps for the backward pass."""

    stacked: Array  # (T + 1, H + I + 1, B), h, x and 1 as each step saw them
    h: Array  # (T + 1, H, B), a view of them, the first before the first step


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
    (T, B, I), H = x.shape, len(weight_hh)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (H, H + I + 1), x))
    z, cache = take("z", (H, B), x), RNNCache(stacked, stacked[:, :H])
    for t in range(T):
        xp.matmul(packed, stacked[t], out=z)
        squash(z, cache.h[t + 1])
    return features_first(cache.h[1:]), (cache.h[-1].T.copy(),), cache


def rnn_backward(
    dy: Array, dstate: State, cache: RNNCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    slope: Step = tanh_slope_into,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a plain RNN; arguments as in `lstm_backward`."""
    xp, workspace = get_array_module(dy), workspace or Workspace()
    dh, sums = dstate[0].T.copy(), WeightSums(dy, weight_ih, workspace)
    for steps, part in last_blocks_first(cache, len(dy)):
        after = part.h[1:]
        dz = workspace.take("dz", after.shape, dy)
        slope(after, dz)
        for t in reversed(range(len(dz))):
            dh += dy[steps.start + t].T
            xp.multiply(dz[t], dh, out=dz[t])
            xp.matmul(weight_hh.T, dz[t], out=dh)
        sums.add(steps, dz, part.stacked[:-1])
    return sums.dx, (dh.T,), sums.gradients(len(dh))


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


def add_up(sums: State | None, parts: State) -> State:
    """Add a block's gradients to the sums so far, in place; None stands for no sums yet."""
    for total, part in zip(sums or (), parts):
        total += part
    return sums or parts


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


def gru_sums(
    dz: Array, x: Array, h: Array, n_first: Array, take: Callable[..., Array]
) -> tuple[Array, State]:
    """Return the gradients that need all steps of a block side by side.

    Parameters
    ----------
    dz : (n, 4, H, B), blocks n, r, z and that of U h + b_hn in n
    x, h : (n, B, I) and (n, H, B), what the steps saw
    n_first : (3H, I), weight_ih with its rows in the order n, r, z
    take : of a `Workspace`

    Returns
    -------
    dx (n, B, I), and of weight_ih and bias, rows in the order n, r, z, of weight_hh and
    bias_hn
    """
    n, _, H, B = dz.shape
    columns = side_by_side(dz.reshape(n, 4 * H, B), take("columns", (4 * H, n, B), dz))
    before = side_by_side(h, take("before", (H, n, B), dz))
    dx, *dinput = project_backward(columns[: 3 * H], x, n_first)
    return dx, (*dinput, columns[H:] @ before.T, columns[3 * H :].sum(1))


def gru_backward(
    dy: Array, dstate: State, cache: GRUCache, weight_ih: Array, weight_hh: Array,
    bias: Array, bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time for a GRU; arguments as in `lstm_backward`."""
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    (T, B, H), I, dh, sums = dy.shape, weight_ih.shape[1], dstate[0].T.copy(), None
    dx, product = xp.empty((T, B, I), dy.dtype), take("dproduct", (H, B), dy)
    n_first = xp.roll(weight_ih, H, axis=0)  # blocks n, r, z, as they stand in dz
    for steps, (x, gates, zh_n, h) in last_blocks_first(cache, T):
        dz, update = take("dz", (len(x), 4, H, B), dy), gates[:, 1]
        gru_partials(gates.swapaxes(0, 1), zh_n, h[:-1], dz.swapaxes(0, 1))
        for t in reversed(range(len(x))):
            dh += dy[steps.start + t].T
            xp.multiply(dz[t], dh, out=dz[t])
            dh *= update[t]
            xp.matmul(weight_hh.T, dz[t, 1:].reshape(3 * H, B), out=product)
            dh += product
        dx[steps], parts = gru_sums(dz, x, h[:-1], n_first, take)
        sums = add_up(sums, parts)
    dweight_ih, dbias, dweight_hh, dbias_hn = sums or ()
    dinput = [xp.roll(d, -H, axis=0) for d in (dweight_ih, dbias)]
    return dx, (dh.T,), (dinput[0], dweight_hh, dinput[1], dbias_hn)
