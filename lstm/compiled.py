"""An LSTM's runs compiled for the processor at hand: the extra `fast`, which needs numba.

`use_fast` puts them in the place of `recurrence.lstm_forward` and `lstm_backward`. Nothing
here is imported before it is asked for. Inside, the batch comes first and the features last,
(T, B, 4H), so that the sequences of a batch can be shared out among threads that do not wait
for one another; the cache shows its arrays the way `recurrence.LSTMCache` does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import factorial, log, prod
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from . import stack
from .backend import Array
from .recurrence import State, Workspace, lstm_backward, lstm_forward

# Of all that `fastmath` allows, one thing: to round a product and a sum together.
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})

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
def borrowed(context: Any, a: Any) -> Any:
    """Return an array that its caller keeps: parts of it are cut without counting owners.

    A count is shared by all threads, and they would wait for each other at every cut.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(a)(context, builder, arguments[0])
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    return a(a), build


def tanh(x: Any) -> Any:
    """Return tanh(x); inside compiled code, a polynomial that works on whole vectors."""
    return np.tanh(x)


@overload(tanh)
def compiled_tanh(x: Any) -> Callable[[Any], Any]:
    """Return tanh for a type: e / (e + 2) with e = exp(2x) - 1.

    With 2x = m ln 2 + r, m whole and r at most ln 2 / 2 in size, e is 2**m p + 2**m - 1,
    where p = exp(r) - 1 is Taylor's series.
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
    """Go back through one sequence's step: fill dz (4H,), add it to total, renew dc (H,)."""
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


ROWS = 12  # of a tile of a product, at most: its sums fill 24 of the 32 vector registers
BYTES = 64 if get_host_cpu_features().get("avx512f") else 32  # of a vector
VECTORS = 2  # side by side in a tile
DEPTH = 384  # terms of a sum between two visits to memory, in the weights' gradients


class Tile:
    """Writes the code of one tile of a product, vector by vector.

    Parameters
    ----------
    context, builder : of numba
    signature, arguments : of `tile`
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder, dtype = builder, signature.args[0].dtype
        self.real, self.size = context.get_value_type(dtype), dtype.bitwidth // 8
        self.lanes = BYTES // self.size
        self.vector = ir.VectorType(self.real, self.lanes)
        arrays = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:4], arguments)
        )
        self.out, self.start, self.left, self.panel = arrays
        self.ahead, self.pace = arguments[4:]
        self.depth = builder.extract_value(self.left.shape, 1)
        columns = self.spread(builder.extract_value(self.out.shape, 1))
        self.masks = [
            builder.icmp_signed("<", ir.Constant(columns.type, list(lanes)), columns)
            for lanes in (range(n * self.lanes, (n + 1) * self.lanes) for n in range(VECTORS))
        ]

    def spread(self, value: Any) -> Any:
        """Return a vector with a value in every lane."""
        kind = ir.VectorType(value.type, self.lanes)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        one = self.builder.insert_element(ir.Constant(kind, None), value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, ir.Constant(kind, None), zeros)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an operation of LLVM on vectors."""
        kind = ir.FunctionType(result, [a.type for a in arguments])
        full = f"llvm.{name}.v{self.lanes}f{8 * self.size}"
        full += ".p0" if name.startswith("masked") else ""
        found = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(found, arguments)

    def at(self, array: Any, row: Any, column: Any, kind: Any) -> Any:
        """Return the address of an entry of an array (., .), for a vector or a number."""
        strides = cgutils.unpack_tuple(self.builder, array.strides)
        steps = (self.builder.mul(n, s) for n, s in zip((row, column), strides))
        whole = self.builder.ptrtoint(array.data, ir.IntType(64))
        place = self.builder.add(whole, self.builder.add(*steps))
        return self.builder.inttoptr(place, kind.as_pointer())

    def sums(self, rows: int) -> None:
        """Write code for ``out = start + left @ panel`` with this many rows."""
        builder, index = self.builder, ir.IntType(64)
        places = [(r, n) for r in range(rows) for n in range(VECTORS)]
        kept = {place: cgutils.alloca_once(builder, self.vector) for place in places}
        for slot in kept.values():
            builder.store(ir.Constant(self.vector, None), slot)
        with cgutils.for_range(builder, self.depth) as loop:
            lanes = [index(n * self.lanes) for n in range(VECTORS)]
            at = [self.at(self.panel, loop.index, n, self.vector) for n in lanes]
            right = [builder.load(place, align=self.size) for place in at]
            self.fetch(loop.index)
            for r in range(rows):
                entry = builder.load(self.at(self.left, index(r), loop.index, self.real))
                for n, factor in enumerate(right):
                    terms = self.spread(entry), factor, builder.load(kept[r, n])
                    builder.store(self.call("fma", self.vector, *terms), kept[r, n])
        for r, n in places:
            self.finish(builder.load(kept[r, n]), index(r), index(n * self.lanes), n)

    def fetch(self, k: Any) -> None:
        """Write code that asks for a part of the next panel, to be in the cache by then."""
        builder, byte, code = self.builder, ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.add(self.ahead, builder.mul(k, self.pace))
        for more in (ir.IntType(64)(0), builder.ashr(self.pace, ir.IntType(64)(1))):
            whole = builder.ptrtoint(self.panel.data, ir.IntType(64))
            address = builder.inttoptr(builder.add(whole, builder.add(place, more)), byte)
            kind = ir.FunctionType(ir.VoidType(), [byte, code, code, code])
            found = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(found, [address, code(0), code(2), code(1)])

    def finish(self, total: Any, row: Any, column: Any, n: int) -> None:
        """Write code that adds start to a vector of sums and stores it in out."""
        align, mask = ir.IntType(32)(self.size), self.masks[n]
        source = self.at(self.start, row, column, self.vector)
        nothing = ir.Constant(self.vector, None)
        start = self.call("masked.load", self.vector, source, align, mask, nothing)
        total = self.builder.fadd(start, total)
        target = self.at(self.out, row, column, self.vector)
        self.call("masked.store", ir.VoidType(), total, target, align, mask)


@intrinsic
def tile(
    context: Any, out: Any, start: Any, left: Any, panel: Any, ahead: Any, pace: Any
) -> Any:
    """Fill out (rows, n) with start + left @ panel[:, :n], its sums held in registers."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        writer, end = Tile(context, builder, signature, arguments), builder.append_basic_block()
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
def tile_of(
    out: Any, start: Any, left: Any, panel: Any, ahead: int, pace: int
) -> None:
    """Call `tile`; a function of its own, so that its code is made once."""
    tile(out, start, left, panel, ahead, pace)


@compiled
def product(out: Any, start: Any, left: Any, panels: Any) -> None:
    """Fill out (M, N) with start + left @ right, right in panels (count, K, width)."""
    (M, N), (K, width) = out.shape, panels.shape[1:]
    count = (M + ROWS - 1) // ROWS
    for q in range(panels.shape[0]):
        n, last = q * width, min((q + 1) * width, N)
        for part in range(count):
            m, end = M * part // count, M * (part + 1) // count
            rows = left[m:end, 0:K]
            pace = panels.strides[1] // count  # the next panel comes in as this one is used
            ahead = panels.strides[0] + part * K * pace
            tile_of(
                out[m:end, n:last], start[m:end, n:last], rows, panels[q], ahead, pace
            )


@compiled
def pack(right: Any, panels: Any) -> None:
    """Cut right (K, N) into panels of columns, (count, K, width), zeros past its end."""
    (K, N), width = right.shape, panels.shape[2]
    for q in range(panels.shape[0]):
        n = min(width, N - q * width)
        panels[q, :, n:] = 0
        for first in range(0, K, 64):  # few enough to stay in the cache
            last = min(first + 64, K)
            panels[q, first:last, :n] = right[first:last, q * width : q * width + n]


@compiled
def run(
    x: Any, panels_ih: Any, panels_hh: Any, bias: Any, z: Any, gates: Any, c: Any,
    tanh_c: Any, h: Any, first: int, last: int,
) -> None:
    """Run sequences first to last of a batch forward; arrays as in `fast_forward`, z (B, 4H)."""
    x = borrowed(x)
    panels_ih = borrowed(panels_ih)
    panels_hh = borrowed(panels_hh)
    bias = borrowed(bias)
    z = borrowed(z)
    gates = borrowed(gates)
    c = borrowed(c)
    tanh_c = borrowed(tanh_c)
    h = borrowed(h)
    mine = z[first:last]
    for t in range(len(x)):
        product(mine, bias[first:last], x[t, first:last], panels_ih)
        product(mine, mine, h[t, first:last], panels_hh)
        for b in range(first, last):
            squash(z[b], gates[t, b])
            update(gates[t, b], c[t, b], c[t + 1, b], tanh_c[t, b], h[t + 1, b])


FEW = 2  # inputs, at most, for which a tile would compute little but padding


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def dot(a: Any, b: Any) -> Any:
    """Return the inner product of two vectors."""
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@compiled
def few_inputs_back(dz: Any, x: Any, weight: Any, dx: Any, dweight: Any) -> None:
    """Fill dx (B, I) and add to dweight (I, 4H), for weight (I, 4H) and a step's dz."""
    kept = np.empty_like(dweight[0])
    part = borrowed(kept)
    for i in range(len(weight)):
        part[:] = 0
        for b in range(len(dz)):
            seen, row = x[b, i], dz[b]
            dx[b, i] = dot(row, weight[i])
            for j in range(part.size):
                part[j] += seen * row[j]
        dweight[i] += part
    kept[0] = 0  # lives to here


@compiled
def run_back(
    dy: Any, gates: Any, c: Any, tanh_c: Any, panels_ih: Any, panels_hh: Any, dz: Any,
    dh: Any, dc: Any, dx: Any, none: Any, dbias: Any, x: Any, few: Any, dfew: Any,
    first: int, last: int,
) -> None:
    """Run sequences first to last backward; arrays as in `fast_backward`, none all zero."""
    dy = borrowed(dy)
    gates = borrowed(gates)
    c = borrowed(c)
    tanh_c = borrowed(tanh_c)
    panels_ih = borrowed(panels_ih)
    panels_hh = borrowed(panels_hh)
    dz = borrowed(dz)
    dh = borrowed(dh)
    dc = borrowed(dc)
    dx = borrowed(dx)
    none = borrowed(none)
    dbias = borrowed(dbias)
    x = borrowed(x)
    few = borrowed(few)
    dfew = borrowed(dfew)
    kept = np.empty_like(dbias)
    total = borrowed(kept)
    for t in range(len(dy) - 1, -1, -1):
        total[:] = 0
        for b in range(first, last):
            dh_b, dy_b = dh[b], dy[t, b]
            for j in range(dh_b.size):
                dh_b[j] += dy_b[j]
            step_back(dh_b, dc[b], gates[t, b], c[t, b], tanh_c[t, b], dz[t, b], total)
        dbias += total
        mine, zeros = dz[t, first:last], none[first:last]
        product(dh[first:last], zeros[:, : dh.shape[1]], mine, panels_hh)
        if len(few):
            few_inputs_back(mine, x[t, first:last], few, dx[t, first:last], dfew)
        else:
            product(dx[t, first:last], zeros[:, : dx.shape[2]], mine, panels_ih)
    kept[0] = 0  # lives to here


@compiled
def add_up(dz: Any, seen: Any, out: Any, panels: Any, strips: Any) -> None:
    """Fill out (rows, N) with dz.T @ seen, for dz (T * B, rows) and seen (T * B, N)."""
    dz = borrowed(dz)
    seen = borrowed(seen)
    out = borrowed(out)
    panels = borrowed(panels)
    strips = borrowed(strips)
    rows = dz.shape[1]
    out[:] = 0
    for first in range(0, len(dz), DEPTH):
        last = min(first + DEPTH, len(dz))
        pack(seen[first:last], panels[:, : last - first])
        for k in range(first, last):
            for q in range(strips.shape[0]):
                n = min(ROWS, rows - q * ROWS)
                for j in range(n):
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


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads that work beside the caller's."""
    return ThreadPoolExecutor(config.NUMBA_NUM_THREADS)


ENOUGH = 2_000_000  # multiplications that are worth waking a thread for


def share(n: int, work: int, job: Callable[[int, slice], None]) -> None:
    """Do a job on all of n rows, cut into one part for each thread.

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


def packed(name: str, right: Array, workspace: Workspace) -> Array:
    """Return a matrix (K, N) in panels."""
    panels = panels_for(name, *right.shape, right, workspace)
    pack(right, panels)
    return panels


def fast_forward(
    x: Array, state: State, weight_ih: Array, weight_hh: Array, bias: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, State, FastCache]:
    """Run an LSTM; arguments and results as in `recurrence.lstm_forward`."""
    workspace = workspace or Workspace()
    (T, B, I), (rows, H), take = x.shape, weight_hh.shape, workspace.take
    shapes = {"gates": (T, B, rows), "h": (T + 1, B, H), "c": (T + 1, B, H)}
    gates, h, c = (take(name, shape, x) for name, shape in shapes.items())
    z, tanh_c = take("z", (B, rows), x), take("tanh_c", (T, B, H), x)
    U, W = packed("U", weight_hh.T, workspace), packed("W", weight_ih.T, workspace)
    biases = take("biases", (B, rows), x)
    biases[:] = bias
    (h[0], c[0]), x = state, np.ascontiguousarray(x)

    def job(_: int, s: slice) -> None:
        run(x, W, U, biases, z, gates, c, tanh_c, h, s.start, s.stop)

    share(B, T * B * rows * (H + I), job)
    return h[1:].copy(), (h[-1].copy(), c[-1].copy()), FastCache(x, gates, h, c, tanh_c)


def fast_backward(
    dy: Array, dstate: State, cache: FastCache,
    weight_ih: Array, weight_hh: Array, bias: Array, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through `fast_forward`; all else as in `recurrence.lstm_backward`."""
    workspace = workspace or Workspace()
    x, gates, h, c, tanh_c = cache
    (T, B, I), (rows, H) = x.shape, weight_hh.shape
    dz, dx = workspace.take("dz", gates.shape, x), np.empty_like(x)
    dbias = np.zeros((config.NUMBA_NUM_THREADS, rows), x.dtype)
    few = np.ascontiguousarray(weight_ih.T if I <= FEW else weight_ih.T[:0])
    dfew = np.zeros((config.NUMBA_NUM_THREADS, *few.shape), x.dtype)
    none = np.zeros((B, max(H, I)), x.dtype)
    U, W = packed("U", weight_hh, workspace), packed("W", weight_ih, workspace)
    (dh, dc), dy = (s.copy() for s in dstate), np.ascontiguousarray(dy)

    def job(k: int, s: slice) -> None:
        run_back(
            dy, gates, c, tanh_c, W, U, dz, dh, dc, dx, none, dbias[k], x, few, dfew[k],
            s.start, s.stop,
        )

    share(B, T * B * rows * (H + I), job)
    inputs = (h[:-1],) if I <= FEW else (h[:-1], x)
    dweight_hh, *rest = weight_gradients(dz, inputs, workspace)
    dweight_ih = rest[0] if rest else np.ascontiguousarray(dfew.sum(0).T)
    return dx, (dh, dc), (dweight_ih, dweight_hh, dbias.sum(0))


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
    sums = tuple(np.empty((rows, seen.shape[1]), dz.dtype) for seen in inputs)
    depth, N = min(DEPTH, len(flat)), max(out.shape[1] for out in sums)
    panels = [panels_for(f"panels{k}", depth, N, dz, workspace) for k in range(parts)]
    strips = workspace.take("strips", (rows // ROWS + parts, depth, ROWS), dz)

    def job(k: int, s: slice) -> None:
        first = s.start // ROWS + k
        mine = strips[first : first - (s.start - s.stop) // ROWS]
        for seen, out in zip(inputs, sums):
            count = -(-out.shape[1] // panels[k].shape[2])
            add_up(flat[:, s], seen, out[s], panels[k][:count], mine)

    share(rows, flat.size * N, job)
    return sums


def use_fast(on: bool = True) -> None:
    """Let every LSTM on the processor run compiled from now on, or no longer.

    A function is compiled when first needed, which takes some seconds, and kept on disk.
    """
    pairs = {lstm_forward: fast_forward, lstm_backward: fast_backward}
    stack.COMPILED.clear()
    stack.COMPILED.update(pairs if on else {})
