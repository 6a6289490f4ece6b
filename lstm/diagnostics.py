"""Instruments that read what a pass left: gradients, gates and states, and a loss.

A trace is to be read after a forward pass and before the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, get_array_module, to_numpy
from .checks import check_lengths
from .losses import mean_squared_error
from .optim import Optimizer
from .stack import past_end
from .training import Loss, loss_to_ends

# Rows of the parameters that do not have one block a gate.
OTHER_BLOCKS = {"bias_hn": "n", "weight_peephole": "ifo"}
CANDIDATES = "gnh"  # from tanh, so from -1 to 1; all other gates are from 0 to 1


def half_life(f: Array) -> Array:
    """Return the steps after which a constant forget gate f has halved the cell state.

    Parameters
    ----------
    f : gate values of any shape, above 0 and below 1

    Returns
    -------
    log(1/2) / log(f), of f's shape
    """
    xp = get_array_module(f)
    steps: Array = xp.log(0.5) / xp.log(f)
    return steps


def gradient_norms(grads: Mapping[str, Array]) -> dict[str, float]:
    """Return the Euclidean norm of each gradient.

    Parameters
    ----------
    grads : ``model.grads`` after a backward pass
    """
    return {name: float((g * g).sum() ** 0.5) for name, g in grads.items()}


def gate_blocks(model: Module) -> dict[str, str]:
    """Return the gates to which the rows of each recurrent parameter belong, in order.

    Parameters
    ----------
    model : a model or a layer

    Returns
    -------
    dict : such as ``{"recurrent.weight_ih_l0": "ifgo"}``; a plain RNN has the one block h
    """
    found = {}
    for name, layer in model.layers.items():
        if hasattr(layer, "trace_type"):
            gates = "".join(k for k in layer.trace_type._fields if k not in "ch") or "h"
            for key in layer.params:
                full = key if layer is model else f"{name}.{key}"
                found[full] = OTHER_BLOCKS.get(key.partition("_l")[0], gates)
    return found


def gate_norms(
    model: Module, arrays: Mapping[str, Array] | None = None
) -> dict[str, dict[str, float]]:
    """Return the norm of each gradient, gate by gate.

    Parameters
    ----------
    model : a model or a layer, after a backward pass
    arrays : with the keys of ``model.params``, such as these; None for ``model.grads``
    """
    arrays, found = model.grads if arrays is None else arrays, {}
    for name, letters in gate_blocks(model).items():
        blocks = get_array_module(arrays[name]).split(arrays[name], len(letters))
        found[name] = gradient_norms(dict(zip(letters, blocks)))
    return found


def judge_gradients(
    grads: Mapping[str, Array], smallest_norm: float = 1e-6, largest_entry: float = 100.0
) -> dict[str, str]:
    """Name each gradient ``"vanishing"``, ``"exploding"`` or ``"healthy"``.

    Parameters
    ----------
    grads : ``model.grads`` after a backward pass
    smallest_norm : a norm below it is vanishing
    largest_entry : an absolute value above it, or one that is NaN, is exploding
    """

    def verdict(gradient: Array) -> str:
        if not float(abs(gradient).max()) <= largest_entry:
            return "exploding"
        norm = float((gradient * gradient).sum() ** 0.5)
        return "vanishing" if norm < smallest_norm else "healthy"

    return {name: verdict(gradient) for name, gradient in grads.items()}


def norms_over_time(dx: Array) -> Array:
    """Return the norm of a gradient at every time step, (T,), on the processor.

    Parameters
    ----------
    dx : (T, B, features), such as the gradient with respect to the input of a loss that
        looks at the last step alone: how far back the loss can see
    """
    return to_numpy((dx * dx).sum((1, 2)) ** 0.5)


def judge_norms(norms: Array, lost: float = 1.2e-7, grown: float = 1e3) -> str:
    """Name the gradient of a loss at the last step, by its way back to the first.

    Ratios of norms of one backward pass do not depend on the scale of the loss.

    Parameters
    ----------
    norms : (T,) from `norms_over_time`
    lost : vanishing if the first step's norm, over the largest, is below it: added to that
        in float32 it changes nothing
    grown : exploding if the largest norm over the last step's is above it, or one is NaN
    """
    largest = float(norms.max())
    if not largest <= grown * float(norms[-1]):
        return "exploding" if largest > 0 or np.isnan(largest) else "vanishing"
    return "vanishing" if float(norms[0]) <= lost * largest else "healthy"


def update_ratios(
    before: Mapping[str, Array], after: Mapping[str, Array]
) -> dict[str, float]:
    """Return how far each parameter moved, over its size before: both as norms.

    A parameter that was zero has the ratio infinity, or 0 if it stayed.

    Parameters
    ----------
    before, after : copies of ``model.params``, or one copy and the parameters
    """
    moved = gradient_norms({name: after[name] - p for name, p in before.items()})
    sizes = gradient_norms(before)
    return {
        name: step / sizes[name] if sizes[name] > 0 else (np.inf if step > 0 else 0.0)
        for name, step in moved.items()
    }


@contextmanager
def recorded_updates(optimizer: Optimizer) -> Iterator[dict[str, list[float]]]:
    """Record the `update_ratios` of every step that an optimizer makes inside a ``with``.

    Outside of it training costs nothing more; inside, a copy of the parameters a step.

    Parameters
    ----------
    optimizer : any of this package; ``fit`` may be called with it

    Yields
    ------
    dict : by parameter, the ratio of each update so far
    """
    ratios: dict[str, list[float]] = {name: [] for name in optimizer.params}
    step = optimizer.step

    def recorded(grads: Any) -> None:
        before = {name: p.copy() for name, p in optimizer.params.items()}
        step(grads)
        for name, ratio in update_ratios(before, optimizer.params).items():
            ratios[name].append(ratio)

    vars(optimizer)["step"] = recorded  # hides the class's method until it is deleted
    try:
        yield ratios
    finally:
        del vars(optimizer)["step"]


class Statistics(NamedTuple):
    """Mean, standard deviation, smallest and largest value."""

    mean: float
    std: float
    min: float
    max: float


def traces(model: Module) -> dict[str, Any]:
    """Return the traces of every recurrent layer of a model, of its last forward pass.

    Parameters
    ----------
    model : a model, or a layer, which goes by its class's name

    Returns
    -------
    dict : under ``recurrent.l0``, ``recurrent.l0_reverse``, ``recurrent.l1`` and so on a
        named tuple of arrays (T, B, H), for every layer and direction
    """
    return {
        f"{name}.{run}": trace
        for name, layer in model.layers.items() if hasattr(layer, "traces")
        for run, trace in layer.traces().items()
    }


def before_ends(trace: Any, lengths: Any) -> Any:
    """Return a trace without what lies past the sequences' ends, as one long sequence.

    Parameters
    ----------
    trace : from ``layer.trace()``, arrays (T, B, H)
    lengths : (B,)

    Returns
    -------
    The same kind of trace, arrays (sum of lengths, 1, H): for what does not ask for the
    order of time
    """
    ends: Any = check_lengths("before_ends", lengths, trace[0])
    valid = ~past_end(ends, len(trace[0]))
    return type(trace)(*(a[valid][:, None] for a in trace))


def statistics(trace: Any) -> dict[str, Statistics]:
    """Return the statistics of each gate and state of a trace, over steps, batch and units.

    Parameters
    ----------
    trace : from ``layer.trace()``
    """
    return {
        name: Statistics(float(a.mean()), float(a.std()), float(a.min()), float(a.max()))
        for name, a in trace._asdict().items()
    }


class Saturation(NamedTuple):
    """Shares of the values of a gate, over steps, batch and units, from 0 to 1."""

    low: float  # near the gate's lower end
    high: float  # near its upper end


def saturation(trace: Any, low: float = 0.05, high: float = 0.95) -> dict[str, Saturation]:
    """Return the share of each gate's values that are near an end.

    A candidate, from -1 to 1, is measured where a gate with the same slope would be: a
    tanh is a sigmoid stretched to twice its range. So are the states of a plain RNN.

    Parameters
    ----------
    trace : from ``layer.trace()``
    low, high : ends of a gate from 0 to 1
    """
    gates = [k for k in trace._fields if k not in "ch"] or ["h"]
    found = {}
    for name in gates:
        gate = getattr(trace, name)
        gate = (gate + 1.0) / 2.0 if name in CANDIDATES else gate
        shares = (gate < low).mean(), (gate > high).mean()
        found[name] = Saturation(*(float(share) for share in shares))
    return found


def cell_half_life(trace: Any) -> Array:
    """Return the steps after which each unit has lost half of what it kept, (H,).

    It is the `half_life` of the gate's geometric mean over steps and batch, because what is
    left after some steps is the product of the gates. A gate of 1 gives infinity.

    Parameters
    ----------
    trace : of a layer with a gate that keeps: f, or z of a GRU

    Raises
    ------
    ValueError
        If the trace has no such gate.
    """
    gates = [getattr(trace, k) for k in "fz" if k in trace._fields]
    if not gates:
        raise ValueError(
            f"cell_half_life expected a trace with a gate f or z, got {trace._fields}"
        )
    xp = get_array_module(gates[0])
    smallest = float(np.finfo(gates[0].dtype).tiny)
    loss: Array = abs(to_numpy(xp.log(xp.maximum(gates[0], smallest)).mean((0, 1))))
    with np.errstate(divide="ignore"):
        steps: Array = np.log(2.0) / loss
    return steps


def dead_units(trace: Any, smallest: float = 0.01) -> dict[str, Array]:
    """Return the units of each gate and state that hardly vary, by number.

    Parameters
    ----------
    trace : from ``layer.trace()``
    smallest : a standard deviation over steps and batch below it is dead
    """
    return {
        name: np.flatnonzero(to_numpy(a.std((0, 1))) < smallest)
        for name, a in trace._asdict().items()
    }


class Drift(NamedTuple):
    """Change from the first quarter of a sequence to its last."""

    mean: float  # of the units' means, over their standard deviation
    std: float  # ratio of the standard deviations, last over first


def drift(trace: Any) -> dict[str, Drift]:
    """Return how far each gate and state of a trace moves in the course of the sequence.

    Parameters
    ----------
    trace : from ``layer.trace()``, of sequences without padding

    Returns
    -------
    dict : a `Drift` by name; a mean near 0 and a std near 1 where the sequence's end looks
        like its beginning. Without any variation they are 0 and 1.
    """

    def rms(a: Array) -> float:
        return float((a * a).mean() ** 0.5)

    def ratio(a: float, b: float, neither: float) -> float:
        return a / b if b > 0 else (neither if a == 0 else np.inf)

    found = {}
    for name, a in trace._asdict().items():
        quarter = max(1, len(a) // 4)
        first, last = a[:quarter], a[-quarter:]
        moved = rms(last.mean((0, 1)) - first.mean((0, 1)))
        spreads = rms(a.std((0, 1))), rms(first.std((0, 1))), rms(last.std((0, 1)))
        found[name] = Drift(
            ratio(moved, spreads[0], 0.0), ratio(spreads[2], spreads[1], 1.0)
        )
    return found


def step_table(trace: Any, t: int, sequence: int = 0, units: int = 20) -> str:
    """Write one step as a table, a unit a row: the gates, what was kept, what was written.

    Parameters
    ----------
    trace : from ``layer.trace()``
    t, sequence : which step, of which sequence of the batch
    units : how many units to show
    """
    step = {k: to_numpy(a[t, sequence, :units]) for k, a in trace._asdict().items()}
    state = step["c"] if "c" in step else step["h"]
    candidate = step.get("g", step.get("n"))
    if candidate is not None:
        share = step["i"] if "i" in step else 1.0 - step["f" if "f" in step else "z"]
        place = [*step].index("c" if "c" in step else "h")
        parts = {"kept": state - share * candidate, "written": share * candidate}
        columns = [*step.items()]
        step = dict([*columns[:place], *parts.items(), *columns[place:]])
    lines = ["unit" + "".join(f"{name:>9}" for name in step)]
    for unit, row in enumerate(zip(*step.values())):
        lines.append(f"{unit:4}" + "".join(f"{float(value):9.3f}" for value in row))
    return "\n".join(lines)


def trivial_losses(
    x: Array, y: Array, loss: Loss = mean_squared_error, lengths: Any = None
) -> dict[str, float]:
    """Return the losses of predictions that need no network.

    Parameters
    ----------
    x, y, lengths : as in `training.fit`
    loss : returns the loss and its gradient, such as `mean_squared_error`, or for labels
        `cross_entropy`

    Returns
    -------
    dict : for labels, ``"frequencies"`` of the classes and ``"uniform"`` ones; for numbers,
        the ``"mean"``, the ``"last target"``, and the ``"last input"`` if x has y's shape
    """
    lengths = check_lengths("trivial_losses", lengths, x)
    guesses = class_guesses(y, lengths) if y.dtype.kind in "iu" else {"mean": 0.0 * y}
    if "mean" in guesses:
        valid = y if lengths is None else y[~past_end(lengths, len(y))][None]
        guesses["mean"] += valid.mean((0, 1))
    if x.shape == y.shape:
        guesses["last input"] = x.astype(y.dtype)
    pairs = {name: (guess, y, lengths) for name, guess in guesses.items()}
    if "mean" in guesses and len(y) > 1:
        earlier = None if lengths is None else lengths - 1
        pairs["last target"] = y[:-1], y[1:], earlier
    return {name: float(loss_to_ends(loss, *pair)[0]) for name, pair in pairs.items()}


def class_guesses(labels: Array, lengths: Array | None) -> dict[str, Array]:
    """Return logits that say the same everywhere: the labels' frequencies, and nothing.

    Parameters
    ----------
    labels : (T, B) or (B,) whole numbers
    lengths : (B,), or None; labels past the ends of (T, B) are not counted

    Returns
    -------
    dict : logits (..., K) under ``"frequencies"`` and ``"uniform"``
    """
    xp = get_array_module(labels)
    valid = labels
    if lengths is not None and labels.ndim > 1:
        valid = labels[~past_end(lengths, len(labels))]
    counts = (valid.reshape(-1, 1) == xp.arange(int(valid.max()) + 1)).sum(0)
    zeros = xp.zeros((*labels.shape, len(counts)))
    return {"frequencies": zeros + xp.log(xp.maximum(counts, 1e-9)), "uniform": zeros}
