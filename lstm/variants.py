"""Variants of the cells: peepholes, a coupled gate, zoneout, an earlier reset, ReLU.

Each is a small function beside the plain one; the loop over time is the plain cell's where
the state is the same.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, device_of, get_array_module, to_device
from .checks import check_fraction
from .gates import (
    GRU_SCALE,
    activate,
    gate_scale,
    lstm_partials,
    lstm_step,
    lstm_step_backward,
)
from .layers import GRU, LSTM, RNN, Seed, recurrent_weights
from .recurrence import (
    LSTMCache,
    State,
    WeightSums,
    Workspace,
    add_up,
    block_partials,
    features_first,
    last_blocks_first,
    lstm_backward,
    lstm_forward,
    pack,
    project,
    project_backward,
    rnn_backward,
    rnn_forward,
    side_by_side,
    stack_inputs,
)
from .stack import Forward

COUPLED_SCALE = (0.5, 1.0, 0.5)  # blocks f, g, o


def peephole_step(
    z: Array, c_prev: Array, h: Array, c: Array, tanh_c: Array, scale: Array, *, p: Array
) -> None:
    """Point-wise part of a step whose gates see the cell: `gates.lstm_step` and peepholes.

    Parameters
    ----------
    z, c_prev, h, c, tanh_c, scale : as in `gates.lstm_step`
    p : (3, H, 1) weights of the cell in i and f, which see c_prev, and in o, which sees c

    References
    ----------
    Gers and Schmidhuber (2000).
    """
    xp = get_array_module(z)
    z[:2] += p[:2] * c_prev
    i, f, g = activate(z[:3], scale[:, :3])
    xp.multiply(f, c_prev, out=c)
    xp.multiply(i, g, out=h)
    c += h
    z[3] += p[2] * c
    (o,) = activate(z[3:], scale[:, 3:])
    xp.tanh(c, out=tanh_c)
    xp.multiply(o, tanh_c, out=h)


def peephole_step_backward(
    dh: Array, dc: Array, dz: Array, dh_dc: Array, f: Array, *, p: Array
) -> None:
    """Point-wise part of one step backward with peepholes, in place.

    Parameters
    ----------
    dh, dc, dz, dh_dc, f : as in `gates.lstm_step_backward`
    p : as in `peephole_step`
    """
    dz[3] *= dh
    dh_dc *= dh
    dc += dh_dc
    dc += p[2] * dz[3]
    dz[:3] *= dc
    dc *= f
    dc += (p[:2] * dz[:2]).sum(0)


def peephole_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    weight_peephole: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, LSTMCache]:
    """Run an LSTM with peepholes (3, H); all else as in `recurrence.lstm_forward`."""
    step = partial(peephole_step, p=weight_peephole[:, :, None])
    return lstm_forward(x, state, weight_ih, weight_hh, bias, workspace, step=step)


def peephole_backward(
    dy: Array, dstate: State, cache: LSTMCache, weight_ih: Array, weight_hh: Array,
    bias: Array, weight_peephole: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time with peepholes, whose gradient comes last."""
    step = partial(peephole_step_backward, p=weight_peephole[:, :, None])
    dpeephole = get_array_module(dy).zeros_like(weight_peephole)

    def watch(part: LSTMCache, dz: Array) -> None:
        seen = part.c[:-1], part.c[:-1], part.c[1:]  # the cells that i, f and o look at
        for d, dgate, cell in zip(dpeephole, (dz[:, 0], dz[:, 1], dz[:, 3]), seen):
            d += (dgate * cell).sum((0, 2))

    weights = weight_ih, weight_hh, bias
    dx, dstate, dweights = lstm_backward(
        dy, dstate, cache, *weights, workspace, step=step, watch=watch
    )
    return dx, dstate, (*dweights, dpeephole)


class PeepholeLSTM(LSTM):
    """An `LSTM` whose gates see the cell: `weight_peephole_l0` (3, H), rows i, f, o.

    Arguments and shapes are those of `LSTM`; peepholes start at zero.
    """

    run = staticmethod(peephole_forward)
    run_backward = staticmethod(peephole_backward)

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return those of `LSTM`, and peepholes of zero."""
        weights = super().initial_weights(size, rng)
        return weights | {"weight_peephole": np.zeros((3, self.hidden_size))}


def coupled_step(
    z: Array, c_prev: Array, h: Array, c: Array, tanh_c: Array, scale: Array
) -> None:
    """Point-wise part of a step with i = 1 - f: c = g + f (c_prev - g).

    Parameters
    ----------
    z : (3, ...) pre-activations of f, g, o, overwritten by the gates
    c_prev, h, c, tanh_c, scale : as in `gates.lstm_step`

    References
    ----------
    Greff et al. (2017), the variant CIFG.
    """
    xp = get_array_module(z)
    f, g, o = activate(z, scale)
    xp.subtract(c_prev, g, out=c)
    c *= f
    c += g
    xp.tanh(c, out=tanh_c)
    xp.multiply(o, tanh_c, out=h)


def coupled_partials(
    gates: Array, c_prev: Array, tanh_c: Array, dz: Array, dh_dc: Array
) -> None:
    """Factors of the backward step with i = 1 - f, as in `gates.lstm_partials`.

    Parameters
    ----------
    gates : (3, ...) the gates f, g, o
    c_prev, tanh_c : (...)
    dz : (3, ...), filled
    dh_dc : (...), filled
    """
    xp = get_array_module(gates)
    (f, g, o), (df, dg, do) = gates, dz
    xp.subtract(1.0, f, out=df)
    xp.multiply(g, g, out=dg)
    xp.subtract(1.0, dg, out=dg)
    dg *= df  # tanh_grad(g) (1 - f)
    df *= f
    xp.subtract(c_prev, g, out=dh_dc)
    df *= dh_dc  # sigmoid_grad(f) (c_prev - g)
    xp.subtract(1.0, o, out=do)
    do *= o
    do *= tanh_c  # sigmoid_grad(o) tanh_c
    xp.multiply(tanh_c, tanh_c, out=dh_dc)
    xp.subtract(1.0, dh_dc, out=dh_dc)
    dh_dc *= o  # tanh_grad(tanh_c) o


class CoupledTrace(NamedTuple):
    """Gates f and o, candidate, cell and hidden state of every step, each (T, B, H)."""

    f: Array
    g: Array
    o: Array
    c: Array
    h: Array


class CoupledLSTM(LSTM):
    """An `LSTM` that forgets as much as it writes, i = 1 - f: three blocks f, g, o.

    Arguments and shapes are those of `LSTM`, with 3H rows instead of 4H.
    """

    blocks = 3
    run = staticmethod(partial(lstm_forward, step=coupled_step, scale=COUPLED_SCALE))
    run_backward = staticmethod(partial(lstm_backward, partials=coupled_partials))
    trace_type = CoupledTrace

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return weights of three blocks, with the forget gate's bias in the first."""
        weights = recurrent_weights(self.blocks, size, self.hidden_size, rng)
        weights["bias"][: self.hidden_size] = self.forget_bias
        return weights


class ZoneoutCache(NamedTuple):
    """What the forward pass of an LSTM with zoneout keeps for the backward pass."""

    stacked: Array  # (T + 1, H + I + 1, B), h, x and 1 as each step saw them
    gates: Array  # (T, 4, H, B)
    c: Array  # (T + 1, H, B), the first before the first step
    tanh_c: Array  # (T, H, B), of the cell before zoneout
    keep: Array  # (T, 2, H, B), shares of h and c that stayed

    @property
    def h(self) -> Array:
        """Hidden states (T + 1, H, B), the first before the first step."""
        return self.stacked[:, : self.c.shape[1]]

    @property
    def holding(self) -> tuple[float, ...]:
        """Gates that keep the cell as it is."""
        return 0.0, 1.0, 0.0, 0.0


def keep_part(new: Array, old: Array, keep: Array) -> None:
    """Put a share of the old state in place of the new: keep old + (1 - keep) new.

    Parameters
    ----------
    new, old : (...); new is overwritten
    keep : (...), from 0 to 1; with 1 the result is the old state to the last bit
    """
    new *= 1.0 - keep
    new += keep * old


def zoneout_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array, keep: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, State, ZoneoutCache]:
    """Run an LSTM whose states partly stay; all else as in `recurrence.lstm_forward`.

    Parameters
    ----------
    keep : (T, 2, H, B) or (T, 2, 1, 1), shares of h and of c that stay at each step: 1 or
        0, drawn, in training; their mean in evaluation

    References
    ----------
    Krueger et al. (2017).
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, I), (rows, H) = x.shape, weight_hh.shape
    z, c = take("gates", (T, rows, B), x), take("c", (T + 1, H, B), x)
    tanh_c, gates = take("tanh_c", (T, H, B), x), z.reshape(T, 4, H, B)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (rows, H + I + 1), x))
    factor, c[0] = gate_scale(gates[0]), state[1].T
    cache = ZoneoutCache(stacked, gates, c, tanh_c, keep)
    h = cache.h
    for t in range(T):
        xp.matmul(packed, stacked[t], out=z[t])
        lstm_step(gates[t], c[t], h[t + 1], c[t + 1], tanh_c[t], factor)
        keep_part(h[t + 1], h[t], keep[t, 0])
        keep_part(c[t + 1], c[t], keep[t, 1])
    return features_first(h[1:]), (h[-1].T.copy(), c[-1].T.copy()), cache


def zoneout_backward(
    dy: Array, dstate: State, cache: ZoneoutCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time for `zoneout_forward`."""
    xp, workspace = get_array_module(dy), workspace or Workspace()
    sums = WeightSums(dy, weight_ih, workspace)
    dh, dc = (s.T.copy() for s in dstate)
    for steps, part in last_blocks_first(cache, len(dy)):
        dz, dh_dc = block_partials(lstm_partials, part, workspace)
        rows, f = dz.reshape(len(dz), -1, dz.shape[-1]), part.gates[:, 1]
        for t in reversed(range(len(dz))):
            dh += dy[steps.start + t].T
            stay_h, stay_c = part.keep[t, 0] * dh, part.keep[t, 1] * dc
            dh -= stay_h
            dc -= stay_c
            lstm_step_backward(dh, dc, dz[t], dh_dc[t], f[t])
            xp.matmul(weight_hh.T, rows[t], out=dh)
            dh += stay_h
            dc += stay_c
        sums.add(steps, rows, part.stacked[:-1])
    return sums.dx, (dh.T, dc.T), sums.gradients(len(dh))


def drawn_zoneout_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, rates: tuple[float, float],
    rng: np.random.Generator | None,
) -> tuple[Array, State, ZoneoutCache]:
    """Run `zoneout_forward` with units that are drawn, one step after the other.

    Parameters
    ----------
    rates : probability with which a unit of h, and of c, stays
    rng : None draws nothing: of every unit that share stays
    """
    (T, B, _), H = x.shape, weight_hh.shape[1]
    keep = np.array(rates).reshape(1, 2, 1, 1)
    keep = keep.repeat(T, 0) if rng is None else rng.random((T, 2, H, B)) < keep
    keep = to_device(keep.astype(x.dtype), device_of(x))
    return zoneout_forward(x, state, weight_ih, weight_hh, bias, keep, workspace)


class ZoneoutLSTM(LSTM):
    """An `LSTM` whose units keep their last value now and then, in training.

    Parameters
    ----------
    input_size, hidden_size : I and H
    zoneout_h, zoneout_c : probability with which a unit of h, or of c, stays, from 0 to
        below 1; in evaluation that share of it stays
    rng : generator or seed of weights, dropout and what stays
    **options : those of `LSTM`
    """

    run_backward = staticmethod(zoneout_backward)

    def __init__(
        self, input_size: int, hidden_size: int, *, zoneout_h: float = 0.05,
        zoneout_c: float = 0.5, rng: Seed = None, **options: Any,
    ) -> None:
        self.zoneout_h = check_fraction(self.name, "zoneout_h", zoneout_h)
        self.zoneout_c = check_fraction(self.name, "zoneout_c", zoneout_c)
        self.rng = np.random.default_rng(rng)
        super().__init__(input_size, hidden_size, rng=self.rng, **options)

    @property
    def run(self) -> Forward:  # type: ignore[override]  # it is read, never set
        """`drawn_zoneout_forward` as the layer is now, in training or in evaluation."""
        rates, rng = (self.zoneout_h, self.zoneout_c), self.rng if self.training else None
        return partial(drawn_zoneout_forward, rates=rates, rng=rng)


class ResetFirstCache(NamedTuple):
    """What the forward pass of a GRU that resets before the product keeps."""

    x: Array  # (T, B, I)
    gates: Array  # (T, 3, H, B), blocks r, z, n
    rh: Array  # (T, H, B), the state that the candidate sees, r h
    h: Array  # (T + 1, H, B), the first before the first step

    @property
    def holding(self) -> tuple[float, ...]:
        """Gates that keep h as it is."""
        return 0.0, 1.0, 0.0


def reset_first_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, State, ResetFirstCache]:
    """Run a GRU whose candidate is tanh(W x + U (r h) + b); all else as in `gru_forward`.

    References
    ----------
    Cho et al. (2014); `reset_after=False` in Keras.
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, _), H = x.shape, weight_hh.shape[1]
    z, product = take("gates", (T, 3 * H, B), x), take("product", (2 * H, B), x)
    h, rh = take("h", (T + 1, H, B), x), take("rh", (T, H, B), x)
    read, gates = take("read", (H, B), x), z.reshape(T, 3, H, B)
    scale = gate_scale(gates[0], GRU_SCALE)
    h[0] = state[0].T
    project(x, weight_ih, bias, z)
    for t in range(T):
        (r, update, n), h_next = gates[t], h[t + 1]
        xp.matmul(weight_hh[: 2 * H], h[t], out=product)
        z[t, : 2 * H] += product
        activate(gates[t, :2], scale[:, :2])
        xp.multiply(r, h[t], out=rh[t])
        xp.matmul(weight_hh[2 * H :], rh[t], out=read)
        n += read
        xp.tanh(n, out=n)
        xp.subtract(h[t], n, out=h_next)
        h_next *= update
        h_next += n
    return features_first(h[1:]), (h[-1].T.copy(),), ResetFirstCache(x, gates, rh, h)


def reset_first_backward(
    dy: Array, dstate: State, cache: ResetFirstCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Backpropagation through time for `reset_first_forward`."""
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    (T, B, H), I, dh, sums = dy.shape, weight_ih.shape[1], dstate[0].T.copy(), None
    dx, back = xp.empty((T, B, I), dy.dtype), take("back", dh.shape, dy)
    for steps, (x, gates, rh, h) in last_blocks_first(cache, T):
        (r, update, n), h_prev = gates.swapaxes(0, 1), h[:-1]
        dz = take("dz", gates.shape, dy)
        (dr, dupdate, dn), rows = dz.swapaxes(0, 1), dz.reshape(len(dz), 3 * H, -1)
        dr[...] = r * (1.0 - r) * h_prev
        dupdate[...] = update * (1.0 - update) * (h_prev - n)
        dn[...] = (1.0 - n * n) * (1.0 - update)
        for t in reversed(range(len(dz))):
            dh += dy[steps.start + t].T
            dz[t, 1:] *= dh
            xp.matmul(weight_hh[2 * H :].T, dn[t], out=back)
            dr[t] *= back
            dh *= update[t]
            back *= r[t]
            dh += back
            dh += weight_hh[: 2 * H].T @ rows[t, : 2 * H]
        columns, before, read = (
            side_by_side(a, take(name, (a.shape[1], len(a), a.shape[2]), dy))
            for name, a in (("columns", rows), ("before", h_prev), ("read", rh))
        )
        dx[steps], *dinput = project_backward(columns, x, weight_ih)
        parts = columns[: 2 * H] @ before.T, columns[2 * H :] @ read.T
        sums = add_up(sums, (*dinput, xp.concatenate(parts)))
    dweight_ih, dbias, dweight_hh = sums or ()
    return dx, (dh.T,), (dweight_ih, dweight_hh, dbias)


class ResetFirstGRU(GRU):
    """A `GRU` that resets the state before the product, with one bias for each block.

    Arguments and shapes are those of `GRU`, without bias_hn.
    """

    run = staticmethod(reset_first_forward)
    run_backward = staticmethod(reset_first_backward)

    def initial_weights(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return `recurrent_weights` alone: no bias stands behind the reset gate."""
        return recurrent_weights(self.blocks, size, self.hidden_size, rng)


def relu_into(x: Array, out: Array) -> None:
    """Fill ``out`` with max(x, 0)."""
    get_array_module(x).maximum(x, 0.0, out=out)


def relu_slope_into(y: Array, out: Array) -> None:
    """Fill ``out`` with the slope of y = max(x, 0): 1 where y is above 0, else 0."""
    out[...] = y > 0.0


class ReluRNN(RNN):
    """An `RNN` with h = max(W x + U h + b, 0); arguments and shapes are those of `RNN`."""

    run = staticmethod(partial(rnn_forward, squash=relu_into))
    run_backward = staticmethod(partial(rnn_backward, slope=relu_slope_into))
