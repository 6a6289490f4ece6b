"""What a model tells by its parameters and by a forward pass over the first batch."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, device_of, to_device, to_numpy
from .checks import check_lengths
from .datafacts import correlation
from .diagnostics import CANDIDATES, gate_blocks, norms_over_time, trivial_losses
from .rehearsal import Batch, Run, batches_of
from .training import evaluating, loss_to_ends

NEIGHBOURS = 0.3  # least correlation of neighbouring steps by which series can be followed


class WeightFacts(NamedTuple):
    """What the parameters alone tell, of the recurrent weights weight_hh."""

    finite: bool
    smallest: float  # smallest root mean square of a weight times the root of its fan-in
    largest: float  # largest of them; 1 for LeCun's weights
    alike: float  # largest correlation between two blocks of one weight
    twins: float  # largest share of equal rows in a block
    held: float  # share of units whose bias alone opens or shuts a gate: least of i, f, o


def blocks_of(layer: Any, weight: Array) -> Array:
    """Return a weight (blocks * H, n) as float64 (blocks, H, n) on the processor."""
    rows = to_numpy(weight).astype(np.float64)
    return rows.reshape(layer.blocks, -1, rows.shape[1])


def held_by_bias(layer: Any, bias: Array) -> float:
    """Return the share of units whose bias alone takes a gate beyond .05 or .95.

    The least share among a layer's gates, of which the candidate is none.
    """
    letters = next(iter(gate_blocks(layer).values()))
    blocks = abs(to_numpy(bias).reshape(layer.blocks, -1))
    shares = (blocks > np.log(0.95 / 0.05)).mean(1)
    return float(min(share for share, k in zip(shares, letters) if k not in CANDIDATES))


def weight_facts(run: Run) -> WeightFacts:
    """Look at the parameters of a run's model."""
    finite = all(np.isfinite(to_numpy(p)).all() for p in run.model.params.values())
    sizes, alike, twins, held = [], [0.0], [0.0], [0.0]
    for layer in run.model.layers.values():
        for name, p in layer.params.items():
            if name.startswith("weight_hh"):
                blocks = blocks_of(layer, p)
                H = blocks.shape[1]
                sizes.append(float(np.sqrt((blocks**2).mean() * blocks.shape[2])))
                alike += [correlation(a, b) for a, b in itertools.combinations(blocks, 2)]
                twins += [1 - len(np.unique(b, axis=0)) / H for b in blocks if H > 1]
            if name.startswith("bias_l") and layer.blocks > 1:
                held.append(held_by_bias(layer, p))
    return WeightFacts(
        finite, min(sizes, default=1.0), max(sizes, default=1.0), max(alike), max(twins),
        max(held),
    )


class ForwardFacts(NamedTuple):
    """What a forward pass over the first batch tells."""

    overflow: int  # first step whose output alone is not finite, -1 if there is none
    random: float  # share by which two evaluations from one state differ
    stateful: float  # share by which two evaluations without a state differ
    shuffled: bool  # whether the sequences are shuffled
    continues: float  # how well a batch continues the one before; 1 as its own steps
    forget: float  # mean of the forget gates, NaN if there are none
    order: str  # the order of the blocks that fits best
    order_gain: float  # loss with it over the present loss
    order_apart: float  # loss with it over that with the fourth best
    order_trivial: float  # loss with it over that of the best constant
    lag: int  # from the data
    reach: float  # gradient of the last output by the input at the lag, over the last input


def zero_state(state: Any) -> Any:
    """Return zeros for every part of a state."""
    return tuple(0.0 * s for s in state) if isinstance(state, tuple) else 0.0 * state


def difference(a: Array, b: Array) -> float:
    """Return the norm of a difference over the norm of the first array."""
    a, b = to_numpy(a).astype(np.float64), to_numpy(b).astype(np.float64)
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(a)), 1e-300))


def repeats(model: Module, batch: Batch) -> tuple[float, float]:
    """Return by how much two evaluations differ, from one state and without a state."""
    with evaluating(model):
        first, state = model(batch.x, None, batch.lengths)
        second, _ = model(batch.x, None, batch.lengths)
        zeros = zero_state(state)
        third, fourth = (model(batch.x, zeros, batch.lengths)[0] for _ in range(2))
    random = difference(third, fourth)
    return random, 0.0 if random > 0 else difference(first, second)


def continues(run: Run) -> float:
    """Return how well a batch continues the one before: the correlation of its first inputs
    with the last ones before, over that of neighbouring steps; NaN if it cannot be told.

    0 where sequences end by themselves: by lengths, or with one label each.
    """
    if run.lengths is not None or run.y.ndim == 1:
        return 0.0
    plan = batches_of(replace(run, rng=None))
    epoch = itertools.takewhile(lambda batch: batch.epoch == 0, plan)
    x = [to_numpy(batch.x).astype(np.float64) for batch in epoch]
    ends = [(a[-1], b[0]) for a, b in itertools.pairwise(x) if a.shape == b.shape]

    def joint(pairs: list[tuple[Array, Array]]) -> float:
        a, b = (np.concatenate([part.ravel() for part in side]) for side in zip(*pairs))
        return correlation(a, b)

    within = joint([(a[:-1], a[1:]) for a in x])
    if len(ends) * x[0].shape[1] < 8 or within < NEIGHBOURS:
        return float("nan")
    return joint(ends) / within


def mean_forget(model: Module) -> float:
    """Return the mean forget gate of the last forward pass, NaN if there is none."""
    found = [
        float(trace.f.mean()) for layer in model.layers.values() if hasattr(layer, "traces")
        for trace in layer.traces().values() if hasattr(trace, "f")
    ]
    return float(np.mean(found)) if found else float("nan")


def reordered(model: Module, order: tuple[int, ...]) -> Module:
    """Return a copy of a model whose blocks of gates are in another order."""
    model = copy.deepcopy(model)
    for layer in model.layers.values():
        for name, p in layer.params.items():
            if name.startswith(("weight_ih", "weight_hh", "bias_l")):
                blocks = p.reshape(layer.blocks, -1, *p.shape[1:])
                p[...] = blocks[list(order)].reshape(p.shape)
        layer.forget()  # a state that it carries
    return model


def many_values(run: Run, steps: int = 200, sequences: int = 64) -> Batch:
    """Return the beginning of a run's data: on few values some order is good by luck."""
    lengths = check_lengths("many_values", run.lengths, run.x)
    if lengths is not None:
        lengths = lengths[:sequences]
    if run.y.ndim == 1:
        return Batch(0, True, run.x[:, :sequences], run.y[:sequences], lengths)
    rows = slice(steps if lengths is None else None)
    return Batch(0, True, run.x[rows, :sequences], run.y[rows, :sequences], lengths)


def best_order(run: Run) -> tuple[str, float, float, float]:
    """Return the order of the blocks i, f, g, o with the least loss, and this loss over
    the present one, over the fourth best, and over that of the best constant.
    """
    if {getattr(layer, "blocks", 4) for layer in run.model.layers.values()} != {4}:
        return "", 1.0, 1.0, 1.0
    losses, batch = {}, many_values(run)
    for order in itertools.permutations(range(4)):
        model = reordered(run.model, order)
        with evaluating(model):
            y, _ = model(batch.x, None, batch.lengths)
        losses[order] = float(loss_to_ends(run.loss, y, batch.y, batch.lengths)[0])
    best, _, _, fourth, *_ = sorted(losses, key=lambda order: losses[order])
    constants = trivial_losses(batch.x, batch.y, run.loss, batch.lengths)
    trivial = constants["frequencies" if "frequencies" in constants else "mean"]
    others = losses[0, 1, 2, 3], losses[fourth], trivial
    gain, apart, over = (losses[best] / max(loss, 1e-300) for loss in others)
    return "".join("ifgo"[k] for k in best), gain, apart, over


def reach(model: Module, batch: Batch, lag: int) -> float:
    """Return the gradient of the last output by the input ``lag`` steps before the end,
    over that by the last input; NaN if the lag is unknown or longer than the batch.
    """
    if not 0 <= lag < len(batch.x) or batch.lengths is not None:
        return float("nan")
    with evaluating(model):
        y, _ = model(batch.x, None)
    dy = 0.0 * y
    dy[-1] = to_device(np.random.default_rng(0).normal(size=dy[-1].shape), device_of(y))
    norms = norms_over_time(model.backward(dy)[0])
    return float(norms[-1 - lag] / max(float(norms[-1]), 1e-300))


def forward_facts(run: Run, lag: int) -> ForwardFacts:
    """Run copies of a model forward over the first batch."""
    trial, batch = run.copy(), next(batches_of(run.copy()))
    with evaluating(trial.model):
        y = to_numpy(trial.model(batch.x, None, batch.lengths)[0])
    forget, bad = mean_forget(trial.model), ~np.isfinite(y).reshape(len(y), -1).all(1)
    bad &= weight_facts(run).finite and bool(np.isfinite(to_numpy(batch.x)).all())
    random, stateful = repeats(run.copy().model, batch)
    order, gain, apart, trivial = best_order(run)
    return ForwardFacts(
        int(bad.argmax()) if bad.any() else -1, random, stateful, run.rng is not None,
        continues(run), forget, order, gain, apart, trivial, lag,
        reach(run.copy().model, batch, lag),
    )
