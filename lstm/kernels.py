"""The runs of `recurrence` on a GPU: one product and one launch for each time step.

The point-wise work of a step is a kernel in CUDA C, one thread for each entry of (H, B).
Each function here has the arguments, the results and the cache of its counterpart, so that
layers, traces and instruments do not see which of the two ran.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from .backend import Array, get_array_module
from .gates import LSTM_SCALE
from .recurrence import (
    GRUCache,
    LSTMCache,
    RNNCache,
    State,
    WeightSums,
    Workspace,
    add_up,
    features_first,
    gru_backward,
    gru_forward,
    gru_sums,
    last_blocks_first,
    lstm_backward,
    lstm_forward,
    project,
    rnn_backward,
)
from .variants import (
    COUPLED_SCALE,
    CoupledLSTM,
    ReluRNN,
    peephole_backward,
    peephole_forward,
)

COMMON = r"""
// The entry of (H, B) that this thread computes; the last block has threads to spare.
#define ENTRY \
    const long long n = H * B, k = blockIdx.x * (long long)blockDim.x + threadIdx.x; \
    if (k >= n) return;

#ifdef PEEPHOLE  // what a gate sees of a cell is added to its sum
#define PEEPHOLES const REAL *p,
#define SEEN(row, cell) + p[(row) * H + k / B] * (cell)
#else
#define PEEPHOLES
#define SEEN(row, cell)
#endif

#ifdef COUPLED  // blocks f, g, o in place of i, f, g, o
#define BLOCKS 3
#else
#define BLOCKS 4
#endif

__device__ inline REAL sigmoid(REAL x)
{
    return REAL(0.5) * tanh(REAL(0.5) * x) + REAL(0.5);
}
"""

LSTM_FORWARD = r"""
extern "C" __global__ void lstm_forward(
    REAL *z, const REAL *c_prev, PEEPHOLES
    REAL *h, REAL *c, REAL *tanh_c, long long H, long long B)
{
    ENTRY
    const long long last = (BLOCKS - 1) * n + k;  // this entry in block o
    const REAL before = c_prev[k], g = tanh(z[last - n]);
    const REAL f = sigmoid(z[last - 2 * n] SEEN(1, before));
#ifdef COUPLED
    const REAL cell = g + f * (before - g);
#else
    const REAL i = sigmoid(z[last - 3 * n] SEEN(0, before)), cell = f * before + i * g;
    z[last - 3 * n] = i;
#endif
    const REAL o = sigmoid(z[last] SEEN(2, cell)), t = tanh(cell);
    z[last - 2 * n] = f;
    z[last - n] = g;
    z[last] = o;
    c[k] = cell;
    tanh_c[k] = t;
    h[k] = o * t;
}
"""

LSTM_BACKWARD = r"""
extern "C" __global__ void lstm_backward(
    const REAL *dy, const REAL *dh_next, const REAL *gates, const REAL *c_prev,
    const REAL *tanh_c, PEEPHOLES REAL *dc, REAL *dz, long long H, long long B)
{
    ENTRY
    const long long last = (BLOCKS - 1) * n + k;  // this entry in block o
    const REAL o = gates[last], g = gates[last - n], f = gates[last - 2 * n];
    const REAL t = tanh_c[k], dh = dy[k] + dh_next[k];
    const REAL dz_o = dh * t * o * (1 - o);
    const REAL d = dc[k] + dh * o * (1 - t * t) SEEN(2, dz_o);
#ifdef COUPLED
    const REAL dz_f = d * (c_prev[k] - g) * f * (1 - f);
    dz[last - n] = d * (1 - f) * (1 - g * g);
#else
    const REAL i = gates[last - 3 * n];
    const REAL dz_f = d * c_prev[k] * f * (1 - f), dz_i = d * g * i * (1 - i);
    dz[last - n] = d * i * (1 - g * g);
    dz[last - 3 * n] = dz_i;
#endif
    dz[last - 2 * n] = dz_f;
    dz[last] = dz_o;
    dc[k] = d * f SEEN(0, dz_i) SEEN(1, dz_f);
}
"""

GRU_FORWARD = r"""
extern "C" __global__ void gru_forward(
    REAL *gates, const REAL *product, const REAL *bias_hn, const REAL *h_prev,
    REAL *zh_n, REAL *h, long long H, long long B)
{
    ENTRY
    const REAL q = product[2 * n + k] + bias_hn[k / B], before = h_prev[k];
    const REAL r = sigmoid(gates[k] + product[k]);
    const REAL update = sigmoid(gates[n + k] + product[n + k]);
    const REAL candidate = tanh(gates[2 * n + k] + r * q);
    gates[k] = r;
    gates[n + k] = update;
    gates[2 * n + k] = candidate;
    zh_n[k] = q;
    h[k] = candidate + update * (before - candidate);
}
"""

GRU_BACKWARD = r"""
extern "C" __global__ void gru_backward(
    const REAL *dy, const REAL *product, const REAL *gates, const REAL *zh_n,
    const REAL *h_prev, REAL *dh, REAL *dz, long long H, long long B)
{
    ENTRY
    const REAL r = gates[k], update = gates[n + k], candidate = gates[2 * n + k];
    const REAL d = dy[k] + product[k] + dh[k];
    const REAL dn = d * (1 - update) * (1 - candidate * candidate);
    dz[k] = dn;  // blocks n, r, z and that of q, as in `gru_partials`
    dz[n + k] = dn * zh_n[k] * r * (1 - r);
    dz[2 * n + k] = d * (h_prev[k] - candidate) * update * (1 - update);
    dz[3 * n + k] = dn * r;
    dh[k] = d * update;
}
"""

RNN_BACKWARD = r"""
extern "C" __global__ void rnn_backward(
    const REAL *dy, const REAL *dh_next, const REAL *h, REAL *dz, long long H, long long B)
{
    ENTRY
    const REAL d = dy[k] + dh_next[k];
#ifdef RELU
    dz[k] = h[k] > 0 ? d : REAL(0);
#else
    dz[k] = d * (1 - h[k] * h[k]);
#endif
}
"""

SOURCE = COMMON + LSTM_FORWARD + LSTM_BACKWARD + GRU_FORWARD + GRU_BACKWARD + RNN_BACKWARD
REALS = {"float32": "float", "float64": "double"}
THREADS = 128  # in a block: four warps
TOGETHER = 100  # steps whose gradients are summed at once: many, as each sum is launches


@cache
def compiled(dtype: str, options: tuple[str, ...] = ()) -> Any:
    """Return `SOURCE` as a module of CuPy, compiled for a dtype when first used.

    Parameters
    ----------
    dtype : ``"float32"`` or ``"float64"``
    options : names to define: ``"PEEPHOLE"``, ``"COUPLED"`` or ``"RELU"``
    """
    import cupy

    defined = (f"-DREAL={REALS[dtype]}", *(f"-D{name}" for name in options))
    return cupy.RawModule(code=SOURCE, options=defined)


def launcher(name: str, like: Array, options: tuple[str, ...] = ()) -> Callable[..., None]:
    """Return a function that launches a kernel: a thread for each entry of (H, B).

    A kernel sees memory, not arrays, so what the function is given must be contiguous and
    of one dtype. It returns before the kernel has run.

    Parameters
    ----------
    name : of a kernel in `SOURCE`
    like : an array (H, B) of the dtype to compute with
    options : as in `compiled`
    """
    kernel = compiled(like.dtype.name, options).get_function(name)
    grid, sizes = (like.size // THREADS + 1,), tuple(np.int64(n) for n in like.shape)

    def launch(*arrays: Array) -> None:
        kernel(grid, (THREADS,), (*arrays, *sizes))

    return launch


def fused_lstm_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, options: tuple[str, ...] = (),
    scale: tuple[float, ...] = LSTM_SCALE, peepholes: State = (),
) -> tuple[Array, State, LSTMCache]:
    """Run `recurrence.lstm_forward` with a step that is one launch.

    Parameters
    ----------
    x, state, weight_ih, weight_hh, bias, workspace, scale : as there
    options : as in `compiled`, for variants
    peepholes : nothing, or one contiguous array (3, H)
    """
    H, B = weight_hh.shape[1], x.shape[1]
    launch = launcher("lstm_forward", get_array_module(x).empty((H, B), x.dtype), options)

    def step(z: Array, c_prev: Array, h: Array, c: Array, tanh_c: Array, _: Array) -> None:
        launch(z, c_prev, *peepholes, h, c, tanh_c)

    weights = weight_ih, weight_hh, bias
    return lstm_forward(x, state, *weights, workspace, step=step, scale=scale)


def fused_lstm_backward(
    dy: Array, dstate: State, cache: LSTMCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    options: tuple[str, ...] = (), peepholes: State = (),
) -> tuple[Array, State, State]:
    """Go back through `fused_lstm_forward`; all else as in `recurrence.lstm_backward`.

    Every step of a block of `TOGETHER` writes its dz to memory of its own, which is then
    read by one product for all inputs and one for all weights. With peepholes their
    gradient comes last.
    """
    xp, workspace = get_array_module(dy), workspace or Workspace()
    sums, (dh, dc) = WeightSums(dy, weight_ih, workspace), (s.T.copy() for s in dstate)
    dpeepholes = [xp.zeros_like(p) for p in peepholes]
    launch = launcher("lstm_backward", dh, options)
    for steps, (stacked, gates, c, tanh_c) in last_blocks_first(cache, len(dy), TOGETHER):
        dh_y = features_first(dy[steps], workspace.take("dy", tanh_c.shape, dy))
        dz = workspace.take("dz", gates.shape, dy)
        rows = dz.reshape(len(dz), -1, dz.shape[-1])
        for t in reversed(range(len(dz))):
            launch(dh_y[t], dh, gates[t], c[t], tanh_c[t], *peepholes, dc, dz[t])
            xp.matmul(weight_hh.T, rows[t], out=dh)
        sums.add(steps, rows, stacked[:-1])
        for d in dpeepholes:
            seen = (dz[:, 0] * c[:-1], dz[:, 1] * c[:-1], dz[:, 3] * c[1:])
            d += xp.stack([a.sum((0, 2)) for a in seen])
    return sums.dx, (dh.T, dc.T), (*sums.gradients(len(dh)), *dpeepholes)


def fused_peephole_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    weight_peephole: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, LSTMCache]:
    """Run `variants.peephole_forward` with a step that is one launch."""
    peepholes = (get_array_module(x).ascontiguousarray(weight_peephole),)
    return fused_lstm_forward(
        x, state, weight_ih, weight_hh, bias, workspace,
        options=("PEEPHOLE",), peepholes=peepholes,
    )


def fused_peephole_backward(
    dy: Array, dstate: State, cache: LSTMCache, weight_ih: Array, weight_hh: Array,
    bias: Array, weight_peephole: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through `fused_peephole_forward`, as in `variants.peephole_backward`."""
    peepholes = (get_array_module(dy).ascontiguousarray(weight_peephole),)
    return fused_lstm_backward(
        dy, dstate, cache, weight_ih, weight_hh, bias, workspace,
        options=("PEEPHOLE",), peepholes=peepholes,
    )


def fused_gru_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, GRUCache]:
    """Run a GRU; arguments and results as in `recurrence.gru_forward`."""
    xp, take = get_array_module(x), (workspace or Workspace()).take
    (T, B, _), (rows, H) = x.shape, weight_hh.shape
    z, product = take("gates", (T, rows, B), x), take("product", (rows, B), x)
    zh_n, h = take("zh_n", (T, H, B), x), take("h", (T + 1, H, B), x)
    gates, bias_hn = z.reshape(T, 3, H, B), xp.ascontiguousarray(bias_hn)
    h[0] = state[0].T
    project(x, weight_ih, bias, z)
    launch = launcher("gru_forward", h[0])
    for t in range(T):
        xp.matmul(weight_hh, h[t], out=product)
        launch(gates[t], product, bias_hn, h[t], zh_n[t], h[t + 1])
    return features_first(h[1:]), (h[-1].T.copy(),), GRUCache(x, gates, zh_n, h)


def fused_gru_backward(
    dy: Array, dstate: State, cache: GRUCache, weight_ih: Array, weight_hh: Array,
    bias: Array, bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through a GRU; arguments and results as in `recurrence.gru_backward`."""
    xp, take = get_array_module(dy), (workspace or Workspace()).take
    (T, B, H), I, dh, sums = dy.shape, weight_ih.shape[1], dstate[0].T.copy(), None
    dx, product = xp.empty((T, B, I), dy.dtype), xp.zeros_like(dh)
    n_first = xp.roll(weight_ih, H, axis=0)  # blocks n, r, z, as they stand in dz
    launch = launcher("gru_backward", dh)
    for steps, (x, gates, zh_n, h) in last_blocks_first(cache, T, TOGETHER):
        dh_y = features_first(dy[steps], take("dy", zh_n.shape, dy))
        dz = take("dz", (len(x), 4, H, B), dy)
        for t in reversed(range(len(x))):
            launch(dh_y[t], product, gates[t], zh_n[t], h[t], dh, dz[t])
            xp.matmul(weight_hh.T, dz[t, 1:].reshape(3 * H, B), out=product)
        dx[steps], parts = gru_sums(dz, x, h[:-1], n_first, take)
        sums = add_up(sums, parts)
    dh += product
    dweight_ih, dbias, dweight_hh, dbias_hn = sums or ()
    dinput = [xp.roll(d, -H, axis=0) for d in (dweight_ih, dbias)]
    return dx, (dh.T,), (dinput[0], dweight_hh, dinput[1], dbias_hn)


def fused_rnn_backward(
    dy: Array, dstate: State, cache: RNNCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    options: tuple[str, ...] = (),
) -> tuple[Array, State, State]:
    """Go back through a plain RNN, as in `recurrence.rnn_backward`.

    Forward there is nothing to fuse: a step is one product and one call already.
    """
    xp, workspace = get_array_module(dy), workspace or Workspace()
    dh, sums = dstate[0].T.copy(), WeightSums(dy, weight_ih, workspace)
    launch = launcher("rnn_backward", dh, options)
    for steps, (stacked, h) in last_blocks_first(cache, len(dy), TOGETHER):
        dh_y = features_first(dy[steps], workspace.take("dy", h[1:].shape, dy))
        dz = workspace.take("dz", dh_y.shape, dy)
        for t in reversed(range(len(dz))):
            launch(dh_y[t], dh, h[t + 1], dz[t])
            xp.matmul(weight_hh.T, dz[t], out=dh)
        sums.add(steps, dz, stacked[:-1])
    return sums.dx, (dh.T,), sums.gradients(len(dh))


# What `stack.for_device` puts in the place of a run's function on a GPU.
FUSED: dict[Callable[..., Any], Callable[..., Any]] = {
    lstm_forward: fused_lstm_forward,
    lstm_backward: fused_lstm_backward,
    peephole_forward: fused_peephole_forward,
    peephole_backward: fused_peephole_backward,
    CoupledLSTM.run: partial(
        fused_lstm_forward, options=("COUPLED",), scale=COUPLED_SCALE
    ),
    CoupledLSTM.run_backward: partial(fused_lstm_backward, options=("COUPLED",)),
    gru_forward: fused_gru_forward,
    gru_backward: fused_gru_backward,
    rnn_backward: fused_rnn_backward,
    ReluRNN.run_backward: partial(fused_rnn_backward, options=("RELU",)),
}
