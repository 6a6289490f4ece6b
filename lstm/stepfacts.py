"""What the loss, the gradients and the first updates of a training tell."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, device_of, get_array_module, to_device, to_numpy
from .diagnostics import gate_blocks
from .modelfacts import zero_state
from .numerical import RandomLoss
from .optim import Adam
from .rehearsal import (
    Batch,
    Recorder,
    Rehearsal,
    Run,
    batches_of,
    flat,
    joint_norm,
    rehearse,
)
from .training import evaluating, loss_to_ends

SLOWER = 0.1  # factors of the learning rate that are tried beside it
FASTER = 100.0
UPDATES = 20  # in each of the three rehearsals


class LossFacts(NamedTuple):
    """What the loss function does, whatever the model."""

    refused: str  # the error for a batch of twice the sequences, or nothing
    doubled: float  # gradient of a batch that holds everything twice, over that of one
    spill: float  # share of the gradient's change elsewhere, when one target changes


def other_target(y: Array) -> Array:
    """Return the targets with the first one changed."""
    y = y.copy()
    index = (0,) * min(y.ndim, 2)
    ends = y.min(), y.max()
    y[index] = y[index] + 1 if y.dtype.kind == "f" else ends[int(y[index] == ends[0])]
    return y


def loss_facts(run: Run) -> LossFacts:
    """Call the loss on a prediction, on the same twice, and with one target changed."""
    trial, batch = run.copy(), next(batches_of(run.copy()))
    with evaluating(trial.model):
        y, _ = trial.model(batch.x, None, batch.lengths)
    xp, sequences = get_array_module(y), 0 if batch.y.ndim == 1 else 1
    _, dy = loss_to_ends(run.loss, y, batch.y, batch.lengths)
    _, moved = loss_to_ends(run.loss, y, other_target(batch.y), batch.lengths)
    change = abs(to_numpy(moved - dy).astype(np.float64))
    here = change[(0,) * (sequences + 1)].sum()
    spill = float(1.0 - here / max(change.sum(), 1e-300))
    ends = None if batch.lengths is None else xp.concatenate([batch.lengths] * 2)
    twice = [xp.concatenate([a, a], sequences) for a in (y, batch.y)]
    try:
        _, dtwice = loss_to_ends(run.loss, twice[0], twice[1], ends)
    except (ValueError, IndexError) as error:
        return LossFacts(str(error), 1.0, spill)
    once, double = (float(abs(to_numpy(d)).sum()) for d in (dy, dtwice))
    return LossFacts("", double / max(once, 1e-300), spill)


class GradientFacts(NamedTuple):
    """Largest errors of gradients against central differences in float64, relative."""

    gates: dict[str, float]  # of each gate's rows in the last layer, one step, with a state
    alone: float  # of the model, for a loss of its outputs
    joined: float  # of the model, for a loss of its outputs and its last state
    step: float  # of what a step makes of its own loss
    passes: int  # backward passes in a step
    carried: bool  # whether one of them was given the gradient of a state


def in_float64(run: Run) -> Run:
    """Return a copy of a run that computes in float64, with the data of one batch."""
    run = run.copy()
    for layer in run.model.layers.values():
        layer.params = {name: p.astype(np.float64) for name, p in layer.params.items()}
        layer.dtype = np.dtype(np.float64)
        layer.forget()
    return run


def slope(
    loss: Callable[[], float], params: dict[str, Array], direction: dict[str, Array],
    size: float = 1e-6,
) -> float:
    """Return the derivative of a loss along a direction by a central difference."""
    values = []
    for sign in (1.0, -2.0, 1.0):
        for name, p in params.items():
            p += sign * size * direction[name]
        values.append(float(loss()))
    return (values[0] - values[1]) / (2.0 * size)


def directions(
    params: dict[str, Array], count: int, seed: int = 0
) -> list[dict[str, Array]]:
    """Return random directions through all parameters."""
    rng = np.random.default_rng(seed)

    def random(p: Array) -> Array:
        return to_device(rng.normal(size=p.shape), device_of(p))

    return [{name: random(p) for name, p in params.items()} for _ in range(count)]


def along(grads: dict[str, Array], direction: dict[str, Array]) -> float:
    """Return the product of gradients with a direction."""
    return sum(float((g * direction[name]).sum()) for name, g in grads.items())


def mismatch(
    loss: Callable[[], float], params: dict[str, Array], grads: dict[str, Array],
    ways: list[dict[str, Array]],
) -> float:
    """Return the largest error of gradients along directions, over the largest slope."""
    pairs = [(slope(loss, params, way), along(grads, way)) for way in ways]
    scale = max(max(abs(a), abs(b)) for a, b in pairs)
    return max(abs(a - b) for a, b in pairs) / scale if scale > 0 else 0.0


def gate_errors(layer: Any, rng: np.random.Generator) -> dict[str, float]:
    """Return the error of each gate's rows in a layer's last run, over one step."""
    x = to_device(rng.normal(size=(1, 2, layer.input_size)), layer.device)
    _, state = layer(x)
    parts = state if isinstance(state, tuple) else (state,)
    start = tuple(to_device(rng.normal(size=s.shape), layer.device) for s in parts)
    loss = RandomLoss(layer, x, start if len(start) > 1 else start[0], None, rng)
    grads = loss.gradients()
    size, run = layer.blocks * layer.hidden_size, layer.runs[-1]
    params = {n: p for n, p in layer.params.items() if len(p) == size and n.endswith(run)}
    errors = {}
    for k, gate in enumerate(gate_blocks(layer)[f"weight_hh_{run}"]):
        rows = (np.arange(size) // layer.hidden_size == k).astype(np.float64)
        mask, ways = to_device(rows, layer.device), directions(params, 2, seed=k)
        for way in ways:
            for a in way.values():
                a *= mask if a.ndim == 1 else mask[:, None]
        errors[gate] = mismatch(loss, params, {n: grads[n] for n in params}, ways)
    return errors


def model_errors(
    model: Module, features: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the errors of a model's gradients, without and with that of its last state."""
    device = device_of(next(iter(model.params.values())))
    x = to_device(rng.normal(size=(3, 2, features)), device)
    ways = directions(model.params, 3)
    state = zero_state(model(x)[1])  # given, since a stateful layer has one of its own
    y, _ = model(x, state)
    weights = to_device(rng.normal(size=y.shape), device)
    model.backward(weights)

    def outputs() -> float:
        return float((weights * model(x, state)[0]).sum())

    alone = mismatch(outputs, model.params, model.grads, ways)
    loss = RandomLoss(model, x, state, None, rng)
    loss.gradients()
    return alone, mismatch(loss, model.params, model.grads, ways)


def small_batch(run: Run, steps: int = 30, sequences: int = 4) -> Batch:
    """Return the beginning of the first batch, float64."""
    batch = next(batches_of(run.copy()))
    some = slice(sequences)
    if batch.lengths is not None:
        return batch._replace(
            x=batch.x[:, some].astype(np.float64), lengths=batch.lengths[some],
            y=batch.y[some] if batch.y.ndim == 1 else batch.y[:, some].astype(np.float64),
        )
    y = batch.y[some] if batch.y.ndim == 1 else batch.y[:steps, some].astype(np.float64)
    rows = slice(None if batch.y.ndim == 1 else steps)
    return batch._replace(x=batch.x[rows, some].astype(np.float64), y=y)


def one_step(
    run: Run, batch: Batch, clip_norm: float | None = None
) -> tuple[float, Recorder]:
    """Make one step of a copy of a run, without a change of parameters."""
    trial = replace(run.copy(), clip_norm=clip_norm, clip_value=None)
    heard = Recorder(trial.model, trial.optimizer, move=False)
    loss, _, _ = trial.update(batch, None)
    return float(loss), heard


def unflat(a: Array, like: dict[str, Array]) -> dict[str, Array]:
    """Return what `flat` joined."""
    names = sorted(like)
    parts = np.split(a, np.cumsum([like[name].size for name in names])[:-1])
    return {name: part.reshape(like[name].shape) for name, part in zip(names, parts)}


def gradient_facts(run: Run) -> GradientFacts:
    """Compare the gradients of a run's layer, model and step with central differences."""
    exact, rng, features = in_float64(run), np.random.default_rng(0), run.x.shape[2]
    trial = exact.copy().model
    layers = [layer for layer in trial.layers.values() if hasattr(layer, "runs")]
    with evaluating(trial):
        gates = gate_errors(layers[-1], rng) if layers else {}
        alone, joined = model_errors(trial, features, rng)
    batch, params = small_batch(run), exact.model.params
    _, heard = one_step(exact, batch)
    grads = unflat(heard.left if len(heard.asked) == 1 else heard.given, params)
    step = mismatch(lambda: one_step(exact, batch)[0], params, grads, directions(params, 3))
    return GradientFacts(gates, alone, joined, step, len(heard.asked), any(heard.asked))


class StepFacts(NamedTuple):
    """What one step does beside the gradient."""

    padded: float  # share of steps past the ends, if they count in the loss
    clipped: float  # norm of what the optimizer is given over the norm asked for
    first: float  # median size of a new Adam's first change over its rate; NaN for others


def first_change(run: Run, batch: Batch) -> float:
    """Return the median change of a parameter over the rate, in a new Adam's first step."""
    if not isinstance(run.optimizer, Adam):
        return float("nan")
    trial = replace(run.copy(), clip_norm=None, clip_value=None)
    trial.optimizer.steps = 0
    for slot in trial.optimizer.slots.values():
        slot[...] = 0.0
    heard, before = Recorder(trial.model, trial.optimizer), flat(trial.model.params)
    trial.update(batch, None)
    size = abs(flat(trial.model.params) - before) / heard.rate
    large = to_numpy(abs(heard.given) > 1e3 * run.optimizer.eps)
    return float(np.median(to_numpy(size)[large])) if large.any() else float("nan")


def counted_padding(run: Run, batch: Batch) -> float:
    """Return the share of steps past the ends, if they count in the loss; else 0."""
    if batch.lengths is None or batch.y.ndim == 1:
        return 0.0
    loss, heard = one_step(run, batch)
    past = np.arange(len(batch.x))[:, None] >= to_numpy(batch.lengths)
    y, _ = run.copy().model(batch.x, None, batch.lengths)
    over_all = float(run.loss(y, batch.y)[0])
    seen = abs(loss - over_all) < 1e-6 * abs(over_all)
    asked = bool(abs(to_numpy(heard.dy))[past].any())
    return float(past.mean()) if seen or asked else 0.0


def step_facts(run: Run) -> StepFacts:
    """Make single steps of copies of a run."""
    batch, clipped = next(batches_of(run.copy())), 1.0
    if run.clip_norm is not None:
        _, heard = one_step(run, batch)
        norm = joint_norm(heard.left) / 10.0
        _, heard = one_step(run, batch, norm)
        clipped = joint_norm(heard.given) / max(norm, 1e-300)
    return StepFacts(counted_padding(run, batch), clipped, first_change(run, batch))


class TrialFacts(NamedTuple):
    """Updates with the rate as it is, slower and faster."""

    present: Rehearsal
    slower: Rehearsal
    faster: Rehearsal
    per_epoch: int  # updates in an epoch
    passes: int  # backward passes in an update


def trial_facts(run: Run) -> TrialFacts:
    """Train copies of a run for a few updates."""
    epochs = (batch.epoch for batch in batches_of(run.copy()))
    per_epoch = sum(1 for _ in itertools.takewhile(lambda epoch: epoch == 0, epochs))
    present, slower, faster = (rehearse(run, UPDATES, k) for k in (1.0, SLOWER, FASTER))
    _, heard = one_step(run, next(batches_of(run.copy())))
    return TrialFacts(present, slower, faster, per_epoch, len(heard.asked))
