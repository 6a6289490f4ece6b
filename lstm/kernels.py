"""The runs of `recurrence` on a GPU: one product and one launch for each time step.

The point-wise work of a step is a kernel in CUDA C, one thread for each entry of (H, B).
Each function here has the arguments, the results and the cache of its counterpart, so that
layers, traces and instruments do not see which of the two ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np

from .backend import Array, Module, get_array_module
from .gates import tanh_into
from .recurrence import (
    GRUCache,
    LSTMCache,
    RNNCache,
    State,
    Step,
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
    pack,
    project,
    rnn_backward,
    rnn_forward,
    stack_inputs,
)
from .variants import (
    CoupledLSTM,
    ReluRNN,
    peephole_backward,
    peephole_forward,
    relu_into,
)

Multiply: TypeAlias = Callable[[Array, Array, Array], None]  # fills the third, a @ x
LoopStep: TypeAlias = Callable[[Multiply, int], None]  # makes step t

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

PRODUCT = r"""
extern "C" __global__ void product(
    const REAL *a, const REAL *x, REAL *out, long long terms, long long down,
    long long across, long long H, long long B)
{
    ENTRY
    const REAL *row = a + k / B * down, *column = x + k % B;
    REAL sum = 0;
    for (long long m = 0; m < terms; m++)
        sum += row[m * across] * column[m * B];
    out[k] = sum;
}
"""

SOURCE = "".join([
    COMMON, LSTM_FORWARD, LSTM_BACKWARD, GRU_FORWARD, GRU_BACKWARD, RNN_BACKWARD, PRODUCT,
])
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


def product(a: Array, x: Array, out: Array) -> None:
    """Fill out (n, B) with a (n, K) times x (K, B), in a launch that a graph can hold.

    CuPy refuses calls of cuBLAS while it records. One thread adds up the K products of an
    entry, which is slow for large matrices.

    Parameters
    ----------
    a : contiguous, or the transpose of what is
    x, out : contiguous
    """
    terms, down, across = len(x), a.shape[1], 1
    if not a.flags.c_contiguous:
        a, down, across = a.T, 1, len(a)
    if not a.flags.c_contiguous:
        raise ValueError("product expected a contiguous, or its transpose, got a view")
    launcher("product", out)(a, x, out, *map(np.int64, (terms, down, across)))


def matmul_into(a: Array, x: Array, out: Array) -> None:
    """Fill out (n, B) with a (n, K) times x (K, B), by the array module's library."""
    get_array_module(out).matmul(a, x, out=out)


def record(step: LoopStep, steps: Iterable[int]) -> Any:
    """Return the launches of all steps as a CUDA graph; none of them runs.

    A stream of its own records, since CUDA does not let the default one.
    """
    import cupy

    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        try:
            for t in steps:
                step(product, t)
        finally:
            graph = stream.end_capture()
    return graph


class GraphWorkspace(Workspace):
    """A workspace that records a loop as a CUDA graph, to repeat it with one launch.

    A graph holds addresses, not arrays. So it serves only arrays of the same addresses and
    shapes as those that it was recorded with.

    Attributes
    ----------
    seen : loops that ran once and may be recorded: names and shapes
    graphs : the last `KEPT` graphs that were recorded, by name, shapes and addresses; a
        pass of T steps uses one forward, and one backward for each `TOGETHER` steps
    """

    KEPT = 32

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Any] = set()
        self.graphs: dict[Any, Any] = {}

    def __reduce__(self) -> Any:
        """Let copies of a model start without memory and graphs."""
        return GraphWorkspace, ()

    def repeat(
        self, name: str, step: LoopStep, steps: Iterable[int], arrays: tuple[Any, ...]
    ) -> None:
        """Do what `repeat` does: by launches at first, then by a graph.

        The first time compiles and loads kernels, which must not happen in a recording.
        """
        shapes = name, *((a.shape, a.dtype.name) for a in arrays)
        if shapes not in self.seen:
            self.seen.add(shapes)
            for t in steps:
                step(product, t)
            return
        key = shapes, *(a.data.ptr for a in arrays)
        if key not in self.graphs:
            self.graphs[key] = record(step, steps)
            for old in list(self.graphs)[: -self.KEPT]:
                del self.graphs[old]
        self.graphs[key].launch()


def repeat(
    name: str, step: LoopStep, steps: Iterable[int], workspace: Workspace, *arrays: Array
) -> None:
    """Call step(multiply, t) for every t, or launch a graph of what that would launch.

    Parameters
    ----------
    name : of the loop
    step : makes launches and products of views of ``arrays``, and asks for no memory
    steps : the values of t, in order
    workspace : one with a ``repeat`` of its own for graphs, as `GraphWorkspace`
    arrays : all that the loop reads and writes
    """
    if hasattr(workspace, "repeat"):
        workspace.repeat(name, step, steps, arrays)
        return
    for t in steps:
        step(matmul_into, t)


def use_graphs(model: Module, on: bool = True) -> None:
    """Let the loops of a model's recurrent layers be recorded and repeated as CUDA graphs.

    From the second call with the same sizes on, a time loop is one launch, and backward one
    for each `TOGETHER` steps. What a run makes before and after its loop stays as it is. On
    the processor nothing changes, nor for cells that have no kernel: `ZoneoutLSTM` and
    `ResetFirstGRU`.

    Parameters
    ----------
    model : a layer or a model of this package
    on : False goes back to a launch and a product for each step
    """
    for layer in model.layers.values():
        if hasattr(layer, "runs"):
            layer.workspace_type = GraphWorkspace if on else Workspace
            layer._workspaces = [layer.workspace_type() for _ in layer.runs]


def fused_lstm_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, options: tuple[str, ...] = (),
    peepholes: State = (),
) -> tuple[Array, State, LSTMCache]:
    """Run `recurrence.lstm_forward` with a step that is one launch.

    Parameters
    ----------
    x, state, weight_ih, weight_hh, bias, workspace : as there
    options : as in `compiled`, for variants
    peepholes : nothing, or one contiguous array (3, H)
    """
    workspace = workspace or Workspace()
    take, (T, B, I), (rows, H) = workspace.take, x.shape, weight_hh.shape
    z, c = take("gates", (T, rows, B), x), take("c", (T + 1, H, B), x)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (rows, H + I + 1), x))
    gates, tanh_c, c[0] = z.reshape(T, -1, H, B), take("tanh_c", (T, H, B), x), state[1].T
    cache = LSTMCache(stacked, gates, c, tanh_c)
    launch = launcher("lstm_forward", c[0], options)

    def step(multiply: Multiply, t: int) -> None:
        multiply(packed, stacked[t], z[t])
        launch(gates[t], c[t], *peepholes, cache.h[t + 1], c[t + 1], tanh_c[t])

    repeat("forward", step, range(T), workspace, packed, *cache, *peepholes)
    return features_first(cache.h[1:]), (cache.h[-1].T.copy(), c[-1].T.copy()), cache


def from_above(dstate: State, workspace: Workspace) -> State:
    """Copy gradients of states (B, H) into a workspace, features first, (H, B).

    Where they lie is then the same at every call, as a graph needs it.
    """
    dstates = tuple(
        workspace.take(f"d{k}", d.shape[::-1], d) for k, d in enumerate(dstate)
    )
    for d, given in zip(dstates, dstate):
        d[...] = given.T
    return dstates


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
    sums, (dh, dc) = WeightSums(dy, weight_ih, workspace), from_above(dstate, workspace)
    dpeepholes = [xp.zeros_like(p) for p in peepholes]
    launch = launcher("lstm_backward", dh, options)

    def step(dh_y: Array, part: LSTMCache, dz: Array, multiply: Multiply, t: int) -> None:
        _, gates, c, tanh_c = part
        launch(dh_y[t], dh, gates[t], c[t], tanh_c[t], *peepholes, dc, dz[t])
        multiply(weight_hh.T, dz[t].reshape(-1, dz.shape[-1]), dh)

    for steps, part in last_blocks_first(cache, len(dy), TOGETHER):
        dh_y = features_first(dy[steps], workspace.take("dy", part.tanh_c.shape, dy))
        dz, c = workspace.take("dz", part.gates.shape, dy), part.c
        arrays = dh_y, dh, *part[1:], dc, dz, weight_hh, *peepholes
        todo = reversed(range(len(dz)))
        repeat("backward", partial(step, dh_y, part, dz), todo, workspace, *arrays)
        sums.add(steps, dz.reshape(len(dz), -1, dz.shape[-1]), part.stacked[:-1])
        for d in dpeepholes:
            seen = (dz[:, 0] * c[:-1], dz[:, 1] * c[:-1], dz[:, 3] * c[1:])
            d += xp.stack([a.sum((0, 2)) for a in seen])
    return sums.dx, (dh.T.copy(), dc.T.copy()), (*sums.gradients(len(dh)), *dpeepholes)


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
    xp, workspace = get_array_module(x), workspace or Workspace()
    take, (T, B, _), (rows, H) = workspace.take, x.shape, weight_hh.shape
    z, back = take("gates", (T, rows, B), x), take("back", (rows, B), x)
    zh_n, h = take("zh_n", (T, H, B), x), take("h", (T + 1, H, B), x)
    gates, bias_hn = z.reshape(T, 3, H, B), xp.ascontiguousarray(bias_hn)
    h[0] = state[0].T
    project(x, weight_ih, bias, z)
    launch = launcher("gru_forward", h[0])

    def step(multiply: Multiply, t: int) -> None:
        multiply(weight_hh, h[t], back)
        launch(gates[t], back, bias_hn, h[t], zh_n[t], h[t + 1])

    arrays = weight_hh, h, back, gates, bias_hn, zh_n
    repeat("forward", step, range(T), workspace, *arrays)
    return features_first(h[1:]), (h[-1].T.copy(),), GRUCache(x, gates, zh_n, h)


def fused_gru_backward(
    dy: Array, dstate: State, cache: GRUCache, weight_ih: Array, weight_hh: Array,
    bias: Array, bias_hn: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through a GRU; arguments and results as in `recurrence.gru_backward`."""
    xp, workspace, (T, B, H) = get_array_module(dy), workspace or Workspace(), dy.shape
    take, (dh,), sums = workspace.take, from_above(dstate, workspace), None
    dx, back = xp.empty((T, B, weight_ih.shape[1]), dy.dtype), take("dback", (H, B), dy)
    n_first = xp.roll(weight_ih, H, axis=0)  # blocks n, r, z, as they stand in dz
    launch, back[...] = launcher("gru_backward", dh), 0.0

    def step(dh_y: Array, part: GRUCache, dz: Array, multiply: Multiply, t: int) -> None:
        _, gates, zh_n, h = part
        launch(dh_y[t], back, gates[t], zh_n[t], h[t], dh, dz[t])
        multiply(weight_hh.T, dz[t, 1:].reshape(3 * H, B), back)

    for steps, part in last_blocks_first(cache, T, TOGETHER):
        dh_y = features_first(dy[steps], take("dy", part.zh_n.shape, dy))
        dz = take("dz", (len(dh_y), 4, H, B), dy)
        arrays = dh_y, back, *part[1:], dh, dz, weight_hh
        todo = reversed(range(len(dz)))
        repeat("backward", partial(step, dh_y, part, dz), todo, workspace, *arrays)
        dx[steps], parts = gru_sums(dz, part.x, part.h[:-1], n_first, take)
        sums = add_up(sums, parts)
    dh += back
    dweight_ih, dbias, dweight_hh, dbias_hn = sums or ()
    dinput = [xp.roll(d, -H, axis=0) for d in (dweight_ih, dbias)]
    return dx, (dh.T.copy(),), (dinput[0], dweight_hh, dinput[1], dbias_hn)


def fused_rnn_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None, *, squash: Step = tanh_into,
) -> tuple[Array, State, RNNCache]:
    """Run a plain RNN, as in `recurrence.rnn_forward`, by a loop that can be recorded.

    There is nothing to fuse: a step is one product and one call already.
    """
    workspace = workspace or Workspace()
    take, (T, B, I), H = workspace.take, x.shape, len(weight_hh)
    stacked = stack_inputs(x, state[0], take("stacked", (T + 1, H + I + 1, B), x))
    packed = pack(weight_ih, weight_hh, bias, take("packed", (H, H + I + 1), x))
    z, cache = take("z", (H, B), x), RNNCache(stacked, stacked[:, :H])

    def step(multiply: Multiply, t: int) -> None:
        multiply(packed, stacked[t], z)
        squash(z, cache.h[t + 1])

    repeat("forward", step, range(T), workspace, packed, stacked, z)
    return features_first(cache.h[1:]), (cache.h[-1].T.copy(),), cache


def fused_rnn_backward(
    dy: Array, dstate: State, cache: RNNCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None, *,
    options: tuple[str, ...] = (),
) -> tuple[Array, State, State]:
    """Go back through a plain RNN, as in `recurrence.rnn_backward`."""
    workspace = workspace or Workspace()
    sums, (dh,) = WeightSums(dy, weight_ih, workspace), from_above(dstate, workspace)
    launch = launcher("rnn_backward", dh, options)

    def step(dh_y: Array, h: Array, dz: Array, multiply: Multiply, t: int) -> None:
        launch(dh_y[t], dh, h[t + 1], dz[t])
        multiply(weight_hh.T, dz[t], dh)

    for steps, (stacked, h) in last_blocks_first(cache, len(dy), TOGETHER):
        dh_y = features_first(dy[steps], workspace.take("dy", h[1:].shape, dy))
        dz = workspace.take("dz", dh_y.shape, dy)
        arrays, todo = (dh_y, dh, stacked, dz, weight_hh), reversed(range(len(dz)))
        repeat("backward", partial(step, dh_y, h, dz), todo, workspace, *arrays)
        sums.add(steps, dz, stacked[:-1])
    return sums.dx, (dh.T.copy(),), sums.gradients(len(dh))


# What `stack.for_device` puts in the place of a run's function on a GPU.
FUSED: dict[Callable[..., Any], Callable[..., Any]] = {
    lstm_forward: fused_lstm_forward,
    lstm_backward: fused_lstm_backward,
    peephole_forward: fused_peephole_forward,
    peephole_backward: fused_peephole_backward,
    CoupledLSTM.run: partial(fused_lstm_forward, options=("COUPLED",)),
    CoupledLSTM.run_backward: partial(fused_lstm_backward, options=("COUPLED",)),
    gru_forward: fused_gru_forward,
    gru_backward: fused_gru_backward,
    rnn_forward: fused_rnn_forward,
    rnn_backward: fused_rnn_backward,
    ReluRNN.run: partial(fused_rnn_forward, squash=relu_into),
    ReluRNN.run_backward: partial(fused_rnn_backward, options=("RELU",)),
}
