"""An LSTM's runs compiled for the processor at hand, by numba.

`fast.use_fast` puts them in the place of `recurrence.lstm_forward` and `lstm_backward`.
Inside, the batch comes first and the features last, (T, B, 4H), so that the sequences of a
batch can be shared out among threads that do not wait for one another; the cache shows its
arrays the way `recurrence.LSTMCache` does.

What is compiled is kept on disk for each file, and made again when that file has changed:
so all of it is in this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import factorial, log, prod
from typing import Any, NamedTuple, TypeVar

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .backend import Array
from .recurrence import LSTMCache, State, Workspace, lstm_backward, stack_inputs

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function compiled when first called, for the dtypes it is called with.

    It holds no lock of Python's while it runs. Of all that `fastmath` allows, one thing: to
    round a product and a sum together. The code is kept on disk, next to this file or in
    the user's cache; where neither can be written, each process makes it again.
    """
    settings = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        found: Function = njit(cache=True, **settings)(function)
    except RuntimeError:  # numba found no place for it
        found = njit(**settings)(function)
    return found


# float: bits of the fraction, bits in all, the exponent's offset; then terms of the series,
# where tanh is 1, and ln 2 in two parts, the first with zeros at its end.
FORMATS = {types.float32: (23, 32, 127), types.float64: (52, 64, 1023)}
LN2 = {
    types.float32: (0.693359375, log(2) - 0.693359375),
    types.float64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
TERMS = {types.float32: 7, types.float64: 13}
LARGE = {types.float32: 20.0, types.float64: 40.0}


@intrinsic
def power_of_two(context: Any, m: Any) -> Any:
    """Return 2**m of a whole number m held as a float: m becomes the exponent's bits."""
    fraction, width, offset = FORMATS[m]

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(width)
        exponent = builder.add(builder.fptosi(args[0], whole), whole(offset))
        return builder.bitcast(builder.shl(exponent, whole(fraction)), args[0].type)

    return m(m), build


@intrinsic
def borrowed(context: Any, arrays: Any) -> Any:
    """Return a tuple of arrays that its caller keeps: cutting them counts no owners.

    A count is shared by all threads, and they would wait for each other at every cut.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = []
        for kind, value in zip(arrays, cgutils.unpack_tuple(builder, arguments[0])):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            found.append(array._getvalue())
        return context.make_tuple(builder, arrays, found)

    return arrays(arrays), build


def tanh(x: Any) -> Any:
    """Return tanh(x); in compiled code by `compiled_tanh`, for whole vectors at once."""
    return np.tanh(x)


@overload(tanh)
def compiled_tanh(x: Any) -> Callable[[Any], Any]:
    """Return what `tanh` is for a type: e / (e + 2) with e = exp(2x) - 1.

    With 2x = m ln 2 + r, m whole and r at most ln 2 / 2 in size, e is 2**m p + 2**m - 1,
    where p = exp(r) - 1 is Taylor's series. The error is at most 3 units of the last place.
    """
    real = getattr(np, x.name)
    high, low = (real(part) for part in LN2[x])
    large, per_ln2, half = real(LARGE[x]), real(1 / log(2)), real(0.5)
    one, two = real(1), real(2)
    series = tuple(real(1 / factorial(k)) for k in range(TERMS[x], 0, -1))

    def f(x: Any) -> Any:
        y = min(max(x + x, -large), large)
        m = np.floor(y * per_ln2 + half)
        r = (y - m * high) - m * low
        p = real(0)
        for term in series:
            p = p * r + term
        s = power_of_two(m)
        e = s * (p * r) + (s - one)
        return e / (e + two) if x == x else x  # what is no number stays none

    return f


@compiled
def squash(z: Any, gates: Any) -> None:
    """Turn one sequence's pre-activations (4H,) into its gates, blocks i, f, g, o."""
    half, H = z.dtype.type(0.5), z.size // 4
    for j in range(2 * H):
        gates[j] = half * tanh(half * z[j]) + half
    candidate, output = gates[2 * H : 3 * H], gates[3 * H :]
    z_g, z_o = z[2 * H : 3 * H], z[3 * H :]
    for j in range(H):
        candidate[j] = tanh(z_g[j])
    for j in range(H):
        output[j] = half * tanh(half * z_o[j]) + half


@compiled
def update(gates: Any, c_prev: Any, c: Any, tanh_c: Any, h: Any) -> None:
    """Make one sequence's cell and hidden state, each (H,), from its gates."""
    H = c.size
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    for j in range(H):
        c[j] = f[j] * c_prev[j] + i[j] * g[j]
    for j in range(H):
        tanh_c[j] = tanh(c[j])
    for j in range(H):
        h[j] = o[j] * tanh_c[j]


@compiled
def through_gate(d: Any, partner: Any, s: Any, dz: Any) -> None:
    """Fill dz with d * partner * sigmoid_grad(s), each (H,)."""
    one = d.dtype.type(1)
    for j in range(d.size):
        dz[j] = d[j] * partner[j] * s[j] * (one - s[j])


@compiled
def step_back(
    dh: Any, dc: Any, gates: Any, c_prev: Any, tanh_c: Any, dz: Any, total: Any
) -> None:
    """Go back through one sequence's step: fill dz (4H,), add it to total, renew dc."""
    one, H = dh.dtype.type(1), dh.size
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    dz_g = dz[2 * H : 3 * H]
    through_gate(dh, tanh_c, o, dz[3 * H :])
    for j in range(H):
        dc[j] += dh[j] * o[j] * (one - tanh_c[j] * tanh_c[j])
    through_gate(dc, g, i, dz[:H])
    through_gate(dc, c_prev, f, dz[H : 2 * H])
    for j in range(H):
        dz_g[j] = dc[j] * i[j] * (one - g[j] * g[j])
    for j in range(H):
        dc[j] *= f[j]
    for j in range(4 * H):
        total[j] += dz[j]


BYTES = 64 if get_host_cpu_features().get("avx512f") else 32  # of a vector
VECTORS = 2  # side by side in a tile
ROWS = 12 if BYTES == 64 else 6  # of a tile at most: its sums fill three registers in four
DEPTH = 384  # terms of a sum between two visits to memory, in the weights' gradients


class Vectors:
    """Writes code for vectors of numbers, as LLVM has them.

    Parameters
    ----------
    builder : of numba
    real : the numbers' type
    size : bytes of one
    """

    def __init__(self, builder: Any, real: Any, size: int) -> None:
        self.builder, self.real, self.size = builder, real, size
        self.lanes = BYTES // size
        self.vector = ir.VectorType(real, self.lanes)
        self.fma = f"fma.v{self.lanes}f{8 * size}"

    def spread(self, value: Any) -> Any:
        """Return a vector with a value in every lane."""
        kind = ir.VectorType(value.type, self.lanes)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        one = self.builder.insert_element(ir.Constant(kind, None), value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, ir.Constant(kind, None), zeros)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an operation of LLVM, whose full name ends with the types it takes."""
        kind = ir.FunctionType(result, [a.type for a in arguments])
        found = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}")
        return self.builder.call(found, arguments)

    def mask(self, first: int, count: Any) -> Any:
        """Name the lanes of a vector whose numbers, from first on, are below a count."""
        counts = self.spread(count)
        numbers = ir.Constant(counts.type, list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", numbers, counts)

    def masked(self, name: str, result: Any, *arguments: Any) -> Any:
        """Load or store those lanes of a vector that a mask names."""
        full = f"masked.{name}.v{self.lanes}f{8 * self.size}.p0"
        return self.call(full, result, *arguments)

    def at(self, array: Any, row: Any, column: Any, kind: Any) -> Any:
        """Return the address of an entry of an array (., .), for a vector or a number."""
        strides = cgutils.unpack_tuple(self.builder, array.strides)
        steps = (self.builder.mul(n, s) for n, s in zip((row, column), strides))
        whole = self.builder.ptrtoint(array.data, ir.IntType(64))
        place = self.builder.add(whole, self.builder.add(*steps))
        return self.builder.inttoptr(place, kind.as_pointer())


class Tile(Vectors):
    """Writes the code of one tile of a product.

    Parameters
    ----------
    context, builder, signature, arguments : of a call of `tile`
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        dtype = signature.args[0].dtype
        super().__init__(builder, context.get_value_type(dtype), dtype.bitwidth // 8)
        arrays = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:4], arguments)
        )
        self.out, self.start, self.left, self.panel = arrays
        self.ahead, self.pace = arguments[4:]
        columns = builder.extract_value(self.out.shape, 1)
        self.masks = [self.mask(n * self.lanes, columns) for n in range(VECTORS)]

    def sums(self, rows: int) -> None:
        """Write code for ``out = start + left @ panel`` with this many rows."""
        builder, index = self.builder, ir.IntType(64)
        places = [(r, n) for r in range(rows) for n in range(VECTORS)]
        kept = {place: cgutils.alloca_once(builder, self.vector) for place in places}
        for slot in kept.values():
            builder.store(ir.Constant(self.vector, None), slot)
        depth = builder.extract_value(self.left.shape, 1)
        with cgutils.for_range(builder, depth) as loop:
            lanes = [index(n * self.lanes) for n in range(VECTORS)]
            at = [self.at(self.panel, loop.index, n, self.vector) for n in lanes]
            right = [builder.load(place, align=self.size) for place in at]
            self.fetch(loop.index)
            for r in range(rows):
                entry = builder.load(self.at(self.left, index(r), loop.index, self.real))
                for n, factor in enumerate(right):
                    terms = self.spread(entry), factor, builder.load(kept[r, n])
                    builder.store(self.call(self.fma, self.vector, *terms), kept[r, n])
        for r, n in places:
            self.finish(builder.load(kept[r, n]), index(r), index(n * self.lanes), n)

    def fetch(self, k: Any) -> None:
        """Write code that asks for a part of the next panel, to be in the cache by then."""
        builder, code = self.builder, ir.IntType(32)
        place = builder.add(self.ahead, builder.mul(k, self.pace))
        for more in (ir.IntType(64)(0), builder.ashr(self.pace, ir.IntType(64)(1))):
            whole = builder.ptrtoint(self.panel.data, ir.IntType(64))
            address = builder.add(whole, builder.add(place, more))
            address = builder.inttoptr(address, ir.IntType(8).as_pointer())
            self.call("prefetch.p0", ir.VoidType(), address, code(0), code(2), code(1))

    def finish(self, total: Any, row: Any, column: Any, n: int) -> None:
        """Write code that adds start to a vector of sums and stores it in out."""
        align, mask = ir.IntType(32)(self.size), self.masks[n]
        source = self.at(self.start, row, column, self.vector)
        nothing = ir.Constant(self.vector, None)
        start = self.masked("load", self.vector, source, align, mask, nothing)
        total = self.builder.fadd(start, total)
        target = self.at(self.out, row, column, self.vector)
        self.masked("store", ir.VoidType(), total, target, align, mask)


@intrinsic
def tile(
    context: Any, out: Any, start: Any, left: Any, panel: Any, ahead: Any, pace: Any
) -> Any:
    """Fill out (rows, n) with start + left @ panel[:, :n], its sums held in registers.

    With entry k of the sum it fetches the memory ``ahead + k * pace`` bytes past the panel.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        writer = Tile(context, builder, signature, arguments)
        end = builder.append_basic_block()
        choice = builder.switch(builder.extract_value(writer.out.shape, 0), end)
        for rows in range(1, ROWS + 1):
            block = builder.append_basic_block()
            choice.add_case(ir.IntType(64)(rows), block)
            builder.position_at_end(block)
            writer.sums(rows)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(out, start, left, panel, ahead, pace), build


@compiled
def tile_of(out: Any, start: Any, left: Any, panel: Any, ahead: int, pace: int) -> None:
    """Call `tile`; a function of its own, so that its code is made once."""
    tile(out, start, left, panel, ahead, pace)


@compiled
def product(out: Any, start: Any, left: Any, panels: Any) -> None:
    """Fill out (M, N) with start + left @ right, right in panels (count, K, width)."""
    (M, N), (K, width) = out.shape, panels.shape[1:]
    count = (M + ROWS - 1) // ROWS
    pace = panels.strides[1] // count  # the next panel comes in as this one is used
    for q in range(panels.shape[0]):
        n, last = q * width, min((q + 1) * width, N)
        for part in range(count):
            m, end = M * part // count, M * (part + 1) // count
            ahead = panels.strides[0] + part * K * pace
            target, before = out[m:end, n:last], start[m:end, n:last]
            tile_of(target, before, left[m:end, 0:K], panels[q], ahead, pace)


@compiled
def to_panels(right: Any, panels: Any) -> None:
    """Cut right (K, N) into panels of columns, (count, K, width), zeros past its end."""
    (K, N), width = right.shape, panels.shape[2]
    for q in range(panels.shape[0]):
        first, n = q * width, min(width, N - q * width)
        panels[q, :, n:] = 0
        for k in range(K):
            for j in range(n):
                panels[q, k, j] = right[k, first + j]


@compiled
def run(arrays: Any, first: int, last: int) -> None:
    """Run sequences first to last of a batch forward.

    Parameters
    ----------
    arrays : x, weight_ih.T and weight_hh.T in panels, bias for each sequence (B, 4H), z
        (B, 4H), and as in `FastCache` the gates, cells, their tanh and hidden states
    """
    x, W, U, bias, z, gates, c, tanh_c, h = borrowed(arrays)
    mine = z[first:last]
    for t in range(len(x)):
        product(mine, bias[first:last], x[t, first:last], W)
        product(mine, mine, h[t, first:last], U)
        for b in range(first, last):
            squash(z[b], gates[t, b])
            update(gates[t, b], c[t, b], c[t + 1, b], tanh_c[t, b], h[t + 1, b])


@compiled
def run_back(arrays: Any, dbias: Any, first: int, last: int) -> None:
    """Run sequences first to last backward.

    Parameters
    ----------
    arrays : dy, the gates, cells and their tanh, weight_ih and weight_hh in panels, zeros
        (B, I) and (B, H); filled: dz (T, B, 4H), dh and dc (B, H), dx (T, B, I)
    dbias : (2, 4H), the first row added to, the second for a step's sum
    """
    dy, gates, c, tanh_c, W, U, no_x, no_h, dz, dh, dc, dx = borrowed(arrays)
    total, step_total = borrowed((dbias[0], dbias[1]))
    for t in range(len(dy) - 1, -1, -1):
        step_total[:] = 0
        for b in range(first, last):
            dh_b, dy_b = dh[b], dy[t, b]
            for j in range(dh_b.size):
                dh_b[j] += dy_b[j]
            step_back(dh_b, dc[b], gates[t, b], c[t, b], tanh_c[t, b], dz[t, b], step_total)
        total += step_total
        mine = dz[t, first:last]
        product(dh[first:last], no_h[first:last], mine, U)
        product(dx[t, first:last], no_x[first:last], mine, W)


@compiled
def sum_products(arrays: Any) -> None:
    """Fill out (rows, N) with dz.T @ seen, for dz (T * B, rows) and seen (T * B, N).

    Parameters
    ----------
    arrays : dz, seen, out; and memory for seen in panels and for dz in strips of columns,
        (count, DEPTH, width) and (count, DEPTH, ROWS)
    """
    dz, seen, out, panels, strips = borrowed(arrays)
    rows = dz.shape[1]
    out[:] = 0
    for first in range(0, len(dz), DEPTH):
        last = min(first + DEPTH, len(dz))
        to_panels(seen[first:last], panels[:, : last - first])
        for k in range(first, last):
            for q in range(strips.shape[0]):
                for j in range(min(ROWS, rows - q * ROWS)):
                    strips[q, k - first, j] = dz[k, q * ROWS + j]
        for q in range(strips.shape[0]):
            part = out[q * ROWS : min((q + 1) * ROWS, rows)]
            left = strips[q, : last - first, : len(part)].T
            product(part, part, left, panels[:, : last - first])


class FastCache(NamedTuple):
    """What `fast_forward` keeps; its properties are those of an `LSTMCache`."""

    x: Array  # (T, B, I)
    rows: Array  # (T, B, 4H), gates
    hidden: Array  # (T + 1, B, H)
    cells: Array  # (T + 1, B, H)
    squashed: Array  # (T, B, H), tanh of the cells

    @property
    def gates(self) -> Array:
        """Gates (T, 4, H, B)."""
        T, B, rows = self.rows.shape
        return self.rows.reshape(T, B, 4, rows // 4).transpose(0, 2, 3, 1)

    @property
    def h(self) -> Array:
        """Hidden states (T + 1, H, B), the first before the first step."""
        return self.hidden.swapaxes(1, 2)

    @property
    def c(self) -> Array:
        """Cell states (T + 1, H, B)."""
        return self.cells.swapaxes(1, 2)

    @property
    def tanh_c(self) -> Array:
        """Their tanh (T, H, B)."""
        return self.squashed.swapaxes(1, 2)

    @property
    def holding(self) -> tuple[float, ...]:
        """Gates that keep the cell as it is."""
        return 0.0, 1.0, 0.0, 0.0

    def part(self, steps: slice) -> LSTMCache:
        """Return the cache of some steps alone, as NumPy's way back reads it."""
        states = slice(steps.start, steps.stop + 1)
        x, h = self.x[steps], self.h[states]
        shape = len(h), h.shape[1] + x.shape[2] + 1, x.shape[1]
        stacked = stack_inputs(x, h[0].T, np.empty(shape, x.dtype))
        stacked[:, : h.shape[1]] = h
        return LSTMCache(stacked, self.gates[steps], self.c[states], self.tanh_c[steps])


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads that work beside the caller's."""
    return ThreadPoolExecutor(config.NUMBA_NUM_THREADS)


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads
    os.register_at_fork(after_in_child=pool.cache_clear)

ENOUGH = 2_000_000  # multiplications that are worth waking a thread for


def on_threads(n: int, work: int, job: Callable[[int, slice], None]) -> None:
    """Do a job on all of n rows, cut into one part for each thread.

    There are as many threads as numba's ``NUMBA_NUM_THREADS`` says: one for each core.

    Parameters
    ----------
    n : number of rows
    work : multiplications in all
    job : takes a part's number and its rows
    """
    count = max(1, min(config.NUMBA_NUM_THREADS, n, work // ENOUGH))
    parts = [slice(n * k // count, n * (k + 1) // count) for k in range(count)]
    others = [pool().submit(job, k, part) for k, part in enumerate(parts) if k]
    job(0, parts[0])
    for other in others:
        other.result()


def panels_for(name: str, K: int, N: int, like: Array, workspace: Workspace) -> Array:
    """Return memory for a matrix (K, N) in panels, (count, K, width), aligned."""
    width = VECTORS * BYTES // like.itemsize
    shape = -(-N // width), K, width
    size = prod(shape)
    memory = workspace.take(name, (size + width,), like)
    skip = -memory.ctypes.data % BYTES // like.itemsize
    return memory[skip : skip + size].reshape(shape)


def in_panels(name: str, right: Array, workspace: Workspace) -> Array:
    """Return a matrix (K, N) in panels, in the memory of a name."""
    K, N = right.shape
    panels = panels_for(name, K, N, right, workspace)
    to_panels(right, panels)
    return panels


def fast_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, State, FastCache]:
    """Run an LSTM; arguments and results as in `recurrence.lstm_forward`."""
    workspace = workspace or Workspace()
    (T, B, I), (rows, H), take = x.shape, weight_hh.shape, workspace.take
    shapes = {"x": x.shape, "gates": (T, B, rows), "h": (T + 1, B, H), "c": (T + 1, B, H)}
    seen, gates, h, c = (take(name, shape, x) for name, shape in shapes.items())
    tanh_c, biases = take("tanh_c", (T, B, H), x), take("biases", (B, rows), x)
    weights = (("W", weight_ih.T), ("U", weight_hh.T))
    panels = [in_panels(name, weight, workspace) for name, weight in weights]
    seen[:], biases[:], (h[0], c[0]) = x, bias, state
    arrays = seen, *panels, biases, take("z", (B, rows), x), gates, c, tanh_c, h

    def job(_: int, part: slice) -> None:
        run(arrays, part.start, part.stop)

    on_threads(B, T * B * rows * (H + I), job)
    cache = FastCache(seen, gates, h, c, tanh_c)
    return h[1:].copy(), (h[-1].copy(), c[-1].copy()), cache


def fast_backward(
    dy: Array, dstate: State, cache: Any,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through `fast_forward`; arguments and results as in `lstm_backward`.

    A cache of another run, and one that makes its steps again, goes to that function.
    """
    if not isinstance(cache, FastCache):
        return lstm_backward(dy, dstate, cache, weight_ih, weight_hh, bias, workspace)
    workspace, x, (rows, H) = workspace or Workspace(), cache.x, weight_hh.shape
    (T, B, I), parts = x.shape, config.NUMBA_NUM_THREADS
    dz, dx = workspace.take("dz", cache.rows.shape, x), np.empty_like(x)
    dbias = np.zeros((parts, 2, rows), x.dtype)
    zeros = np.zeros((B, I), x.dtype), np.zeros((B, H), x.dtype)
    weights = (("W", weight_ih), ("U", weight_hh))
    panels = [in_panels(name, weight, workspace) for name, weight in weights]
    dh, dc = (s.copy() for s in dstate)
    dy = np.require(dy, requirements=["C", "A", "W"])  # else compiled anew
    read = dy, cache.rows, cache.cells, cache.squashed, *panels, *zeros

    def job(k: int, part: slice) -> None:
        run_back((*read, dz, dh, dc, dx), dbias[k], part.start, part.stop)

    on_threads(B, T * B * rows * (H + I), job)
    dweight_ih, dweight_hh = weight_gradients(dz, (x, cache.hidden[:-1]), workspace)
    return dx, (dh, dc), (dweight_ih, dweight_hh, dbias[:, 0].sum(0))


def weight_gradients(dz: Array, seen: State, workspace: Workspace) -> State:
    """Return the gradients of weights, which are sums over all steps and sequences.

    Parameters
    ----------
    dz : (T, B, 4H)
    seen : what the steps multiplied by each matrix, (T, B, N)
    workspace : for intermediate results
    """
    rows, parts = dz.shape[2], config.NUMBA_NUM_THREADS
    flat, *inputs = (a.reshape(-1, a.shape[2]) for a in (dz, *seen))
    sums = tuple(np.empty((rows, a.shape[1]), dz.dtype) for a in inputs)
    depth, N = min(DEPTH, len(flat)), max(out.shape[1] for out in sums)
    panels = [panels_for(f"panels{k}", depth, N, dz, workspace) for k in range(parts)]
    strips = workspace.take("strips", (rows // ROWS + parts, depth, ROWS), dz)

    def job(k: int, part: slice) -> None:
        first = part.start // ROWS + k
        mine = strips[first : first - (part.start - part.stop) // ROWS]
        for a, out in zip(inputs, sums):
            count = -(-out.shape[1] // panels[k].shape[2])
            sum_products((flat[:, part], a, out[part], panels[k][:count], mine))

    on_threads(rows, flat.size * N, job)
    return sums
