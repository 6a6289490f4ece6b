"""The LSTM with peepholes and its eight variants of Greff et al. (2017), one change each.

A gate that is removed is held at 1, and its weights stay in the arrays and do nothing. So all
nine kinds start from the same numbers, and all but the full recurrence run in the loops of the
package. What is added to an LSTM, peepholes and weights between gates, starts at zero.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from lstm import LSTM, PeepholeLSTM
from lstm.backend import get_array_module
from lstm.gates import activate, gate_scale, lstm_partials
from lstm.recurrence import (
    LSTMCache,
    WeightSums,
    Workspace,
    block_partials,
    features_first,
    lstm_backward,
    lstm_forward,
    pack,
    stack_inputs,
)
from lstm.variants import peephole_step, peephole_step_backward

from .held import HeldLSTM

GATES = [0, 1, 3]  # the blocks i, f and o; block 2 is the candidate g


class Change(NamedTuple):
    """What a variant does differently, where it does not hold a gate."""

    coupled: bool = False  # whether i is 1 - f
    plain_in: bool = False  # whether g goes without its tanh
    plain_out: bool = False  # whether h is o c


def changed_step(z, c_prev, h, c, tanh_c, scale, *, p, change):
    """Point-wise part of a step, as `variants.peephole_step`, with a change."""
    xp, squashed = get_array_module(z), 2 if change.plain_in else 3
    z[:2] += p[:2] * c_prev
    activate(z[:squashed], scale[:, :squashed])
    if change.coupled:
        z[0] = 1.0 - z[1]
    i, f, g, o = z
    c[...] = f * c_prev + i * g
    o += p[2] * c
    activate(z[3:], scale[:, 3:])
    tanh_c[...] = c if change.plain_out else xp.tanh(c)
    xp.multiply(o, tanh_c, out=h)


def changed_partials(gates, c_prev, tanh_c, dz, dh_dc, *, change):
    """Factors of the backward step, as `gates.lstm_partials`, with a change."""
    lstm_partials(gates, c_prev, tanh_c, dz, dh_dc)
    i, f, g, o = gates
    if change.coupled:
        dz[0] = 0.0
        dz[1] = f * (1.0 - f) * (c_prev - g)
    if change.plain_in:
        dz[2] = i
    if change.plain_out:
        dh_dc[...] = o


def peephole_sums(cells, dz):
    """Gradient of the peepholes (3, H) from cells (n + 1, H, B) and dz (n, 4, H, B)."""
    seen = cells[:-1], cells[:-1], cells[1:]
    return [(dz[:, gate] * cell).sum((0, 2)) for gate, cell in zip(GATES, seen)]


def changed_forward(x, state, weight_ih, weight_hh, bias, peephole, workspace=None, *, change):
    """Run a variant; all else as in `variants.peephole_forward`."""
    step = partial(changed_step, p=peephole[:, :, None], change=change)
    return lstm_forward(x, state, weight_ih, weight_hh, bias, workspace, step=step)


def changed_backward(
    dy, dstate, cache, weight_ih, weight_hh, bias, peephole, workspace=None, *, change
):
    """Backpropagation through time for `changed_forward`."""
    dpeephole = get_array_module(dy).zeros_like(peephole)

    def watch(part, dz):
        for total, more in zip(dpeephole, peephole_sums(part.c, dz)):
            total += more

    dx, dstate, dweights = lstm_backward(
        dy, dstate, cache, weight_ih, weight_hh, bias, workspace,
        partials=partial(changed_partials, change=change),
        step=partial(peephole_step_backward, p=peephole[:, :, None]), watch=watch,
    )  # fmt: skip
    return dx, dstate, (*dweights, dpeephole)


def full_forward(x, state, weight_ih, weight_hh, bias, peephole, between, workspace=None):
    """Run an LSTM whose gates i, f and o also see all three gates of the step before.

    Parameters
    ----------
    between : (3H, 3H), rows and columns in the order i, f, o; before the first step all
        gates count as 0
    Else as in `variants.peephole_forward`.
    """
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, I), (rows, H) = x.shape, weight_hh.shape
    z, c = take("gates", (T, rows, B), x), take("c", (T + 1, H, B), x)
    tanh_c, gates = take("tanh_c", (T, H, B), x), z.reshape(T, 4, H, B)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (rows, H + I + 1), x))
    factor, c[0], p = gate_scale(gates[0]), state[1].T, peephole[:, :, None]
    cache = LSTMCache(stacked, gates, c, tanh_c)
    h = cache.h
    for t in range(T):
        xp.matmul(packed, stacked[t], out=z[t])
        if t > 0:
            heard = between @ gates[t - 1, GATES].reshape(3 * H, B)
            gates[t, GATES] += heard.reshape(3, H, B)
        peephole_step(gates[t], c[t], h[t + 1], c[t + 1], tanh_c[t], factor, p=p)
    return features_first(h[1:]), (h[-1].T.copy(), c[-1].T.copy()), cache


def full_backward(dy, dstate, cache, weight_ih, weight_hh, bias, peephole, between, workspace=None):
    """Backpropagation through time for `full_forward`."""
    xp, workspace = get_array_module(dy), workspace or Workspace()
    (T, B, H), p, sums = dy.shape, peephole[:, :, None], WeightSums(dy, weight_ih, workspace)
    dz, dh_dc = block_partials(lstm_partials, cache, workspace)
    gates = cache.gates[:, GATES]
    slopes, dbetween = gates * (1.0 - gates), xp.zeros_like(between)
    dgates, (dh, dc) = xp.zeros_like(slopes[0]), (s.T.copy() for s in dstate)
    for t in reversed(range(T)):
        dh += dy[t].T
        later = slopes[t] * dgates  # by way of the next step's gates
        dz[t, 3] = dz[t, 3] * dh + later[2]
        dc += dh_dc[t] * dh + p[2] * dz[t, 3]
        dz[t, :3] *= dc
        dz[t, :2] += later[:2]
        dc *= cache.gates[t, 1]
        dc += (p[:2] * dz[t, :2]).sum(0)
        xp.matmul(weight_hh.T, dz[t].reshape(4 * H, B), out=dh)
        dseen = dz[t, GATES].reshape(3 * H, B)
        dgates = (between.T @ dseen).reshape(3, H, B)
        if t > 0:
            dbetween += dseen @ gates[t - 1].reshape(3 * H, B).T
    sums.add(slice(0, T), dz.reshape(T, 4 * H, B), cache.stacked[:-1])
    dpeephole = xp.stack(peephole_sums(cache.c, dz))
    return sums.dx, (dh.T, dc.T), (*sums.gradients(H), dpeephole, dbetween)


class FullLSTM(PeepholeLSTM):
    """A `PeepholeLSTM` with weights between its gates, weight_between_l0 (3H, 3H)."""

    run = staticmethod(full_forward)
    run_backward = staticmethod(full_backward)

    def initial_weights(self, size, rng):
        """Return those of `PeepholeLSTM`, and zeros between the gates."""
        weights, H = super().initial_weights(size, rng), self.hidden_size
        return weights | {"weight_between": np.zeros((3 * H, 3 * H))}


class HeldPeepholeLSTM(HeldLSTM, PeepholeLSTM):
    """A `HeldLSTM` with peepholes: that of the held gate is zero and stays so."""


class ChangedLSTM(PeepholeLSTM):
    """A `PeepholeLSTM` with a `Change`; other arguments are those of `LSTM`."""

    def __init__(self, input_size, hidden_size, *, change, **options):
        self.run = partial(changed_forward, change=change)
        self.run_backward = partial(changed_backward, change=change)
        super().__init__(input_size, hidden_size, **options)


KINDS = {
    "V": PeepholeLSTM,
    "NIG": partial(HeldPeepholeLSTM, held="i"),
    "NFG": partial(HeldPeepholeLSTM, held="f"),
    "NOG": partial(HeldPeepholeLSTM, held="o"),
    "NIAF": partial(ChangedLSTM, change=Change(plain_in=True)),
    "NOAF": partial(ChangedLSTM, change=Change(plain_out=True)),
    "CIFG": partial(ChangedLSTM, change=Change(coupled=True)),
    "NP": LSTM,
    "FGR": FullLSTM,
}


def used(name, inputs, units):
    """Return how many numbers of a kind's parameters its output depends on."""
    blocks = 3 if name in ("NIG", "NFG", "NOG", "CIFG") else 4
    peepholes = 0 if name == "NP" else (blocks - 1) * units
    between = 9 * units**2 if name == "FGR" else 0
    return blocks * units * (inputs + units + 1) + peepholes + between
