"""The point-wise half of a step: gates, their derivatives, the cell's update.

Every function takes the blocks of gates along the first axis, ``i, f, g, o = z``,
and leaves the other axes alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .backend import Array, get_array_module

# sigmoid(z) = a tanh(a z) + (1 - a) with a = 1/2, and tanh(z) the same with a = 1:
# one formula for the gates i, f, o and the candidate g.
LSTM_SCALE = (0.5, 0.5, 1.0, 0.5)
GRU_SCALE = (0.5, 0.5, 1.0)
FULL_SCALE = 2**15  # numbers in z up to which the factors are written out in full


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), written as a tanh so that nothing overflows.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    array of x's shape and dtype, from 0 to 1; the absolute error is one unit of
    the dtype's precision at 1, so the far left tail is 0 or one such unit.
    """
    xp = get_array_module(x)
    s: Array = 0.5 * xp.tanh(0.5 * x) + 0.5
    return s


def sigmoid_grad(s: Array) -> Array:
    """Derivative of the sigmoid, from its value s = sigmoid(x): s (1 - s), at most 1/4."""
    return s * (1.0 - s)


def tanh_grad(t: Array) -> Array:
    """Derivative of tanh, from its value t = tanh(x): 1 - t**2, at most 1."""
    return 1.0 - t * t


def tanh_into(x: Array, out: Array) -> None:
    """Fill ``out`` with tanh(x)."""
    get_array_module(x).tanh(x, out=out)


def tanh_slope_into(t: Array, out: Array) -> None:
    """Fill ``out`` with `tanh_grad` of t = tanh(x)."""
    xp = get_array_module(t)
    xp.multiply(t, t, out=out)
    xp.subtract(1.0, out, out=out)


@cache
def scale_pairs(xp: Any, scale: tuple[float, ...], dtype: Any) -> Array:
    """Return each block's factor a, and 1 - a, (2, blocks); sent to a GPU once for all."""
    pairs: Array = xp.asarray([scale, [1.0 - a for a in scale]], dtype=dtype)
    return pairs


def gate_scale(z: Array, scale: tuple[float, ...] = LSTM_SCALE) -> Array:
    """Return each block's factor a, and 1 - a, shaped to meet z: (2, blocks, ...).

    The other axes are z's, since arrays of one shape multiply faster than an array and a
    number for each block; above `FULL_SCALE` numbers, which would fill a cache, they are 1.
    """
    xp = get_array_module(z)
    pairs = scale_pairs(xp, scale, z.dtype).reshape(2, -1, *[1] * (z.ndim - 1))
    return pairs if z.size > FULL_SCALE else pairs + xp.zeros_like(z)


def activate(z: Array, scale: Array) -> Array:
    """Turn pre-activations into gates, in place: a tanh(a z) + (1 - a) in each block.

    Parameters
    ----------
    z : (blocks, ...), overwritten
    scale : (2, blocks, ...) from `gate_scale`: a is 1/2 where the block is a sigmoid and
        1 where it is a tanh
    """
    xp, (a, rest) = get_array_module(z), scale
    z *= a
    xp.tanh(z, out=z)
    z *= a
    z += rest
    return z


def lstm_step(
    z: Array, c_prev: Array, h: Array, c: Array, tanh_c: Array, scale: Array
) -> None:
    """Point-wise part of one LSTM step, in place: gates, cell state, hidden state.

    Parameters
    ----------
    z : (4, ...) pre-activations W x + U h + b, overwritten by the gates i, f, g, o
    c_prev : (...) cell state before the step
    h, c, tanh_c : (...) filled with the hidden state, the cell state and its tanh
    scale : ``gate_scale(z)``, made once for all steps

    References
    ----------
    Hochreiter and Schmidhuber (1997), with the forget gate of Gers, Schmidhuber
    and Cummins (2000); derived in the chapter on gates.
    """
    xp = get_array_module(z)
    i, f, g, o = activate(z, scale)
    xp.multiply(f, c_prev, out=c)
    xp.multiply(i, g, out=h)  # h holds i * g until its own value is known
    c += h
    xp.tanh(c, out=tanh_c)
    xp.multiply(o, tanh_c, out=h)


def lstm_partials(
    gates: Array, c_prev: Array, tanh_c: Array, dz: Array, dh_dc: Array
) -> None:
    """Factors of the backward step that need no gradient, for any number of steps at once.

    Parameters
    ----------
    gates : (4, ...) the gates i, f, g, o
    c_prev : (...) cell state before the step
    tanh_c : (...) tanh of the cell state after it
    dz : (4, ...) filled with the derivative of c with respect to the pre-activations of
        i, f and g, and of h with respect to that of o
    dh_dc : (...) filled with the derivative of h with respect to c
    """
    xp = get_array_module(gates)
    i, f, g, o = gates
    xp.subtract(1.0, gates, out=dz)
    dz *= gates  # sigmoid_grad of all blocks: that of g is replaced below
    for ds, partner in ((dz[0], g), (dz[1], c_prev), (dz[3], tanh_c)):
        ds *= partner
    for t, dt, partner in ((g, dz[2], i), (tanh_c, dh_dc, o)):
        xp.multiply(t, t, out=dt)  # tanh_grad(t) * partner
        xp.subtract(1.0, dt, out=dt)
        dt *= partner


def lstm_step_backward(dh: Array, dc: Array, dz: Array, dh_dc: Array, f: Array) -> None:
    """Point-wise part of one step backward, in place.

    Parameters
    ----------
    dh : (...) gradient of the loss with respect to h
    dc : (...) the same for c, from the step after; becomes that for c_prev
    dz, dh_dc : (4, ...) and (...) from `lstm_partials`; dz becomes the gradient
        with respect to the pre-activations, dh_dc is overwritten
    f : (...) forget gate
    """
    dz_ifg, dz_o = dz[:-1], dz[-1]
    dh_dc *= dh
    dc += dh_dc
    dz_ifg *= dc
    dz_o *= dh
    dc *= f


def gru_step(z: Array, zh_n: Array, h_prev: Array, h: Array, scale: Array) -> None:
    """Point-wise part of one GRU step, in place.

    Parameters
    ----------
    z : (3, ...) pre-activations of r and z, and the input's part of that of n;
        overwritten by the gates r, z, n
    zh_n : (...) the hidden state's part of n's pre-activation, which r multiplies
    h_prev : (...) hidden state before the step
    h : (...) filled with the hidden state after it
    scale : ``gate_scale(z, GRU_SCALE)``

    References
    ----------
    Cho et al. (2014), in the form of cuDNN and PyTorch (reset after the product).
    """
    xp = get_array_module(z)
    activate(z[:2], scale[:, :2])
    r, update, n = z
    xp.multiply(r, zh_n, out=h)
    n += h
    xp.tanh(n, out=n)
    xp.subtract(h_prev, n, out=h)
    h *= update
    h += n


def gru_partials(gates: Array, zh_n: Array, h_prev: Array, dz: Array) -> None:
    """Derivatives of h by the pre-activations, for any number of steps at once.

    Parameters
    ----------
    gates : (3, ...) the gates r, z, n
    zh_n : (...) the hidden state's part of n's pre-activation
    h_prev : (...) hidden state before the step
    dz : (4, ...) filled with the derivatives with respect to n's pre-activation, r's, z's,
        and zh_n: the last three are the rows that the recurrent weights made, side by
        side for their product
    """
    xp = get_array_module(gates)
    (r, update, n), (dn, dr, dupdate, dzh_n) = gates, dz
    xp.subtract(1.0, update, out=dupdate)
    xp.multiply(n, n, out=dn)
    xp.subtract(1.0, dn, out=dn)
    dn *= dupdate  # (1 - z) tanh_grad(n)
    dupdate *= update
    xp.subtract(h_prev, n, out=dzh_n)
    dupdate *= dzh_n  # (h_prev - n) sigmoid_grad(z)
    xp.multiply(dn, r, out=dzh_n)
    xp.subtract(1.0, r, out=dr)
    dr *= dzh_n
    dr *= zh_n  # dn zh_n sigmoid_grad(r)
