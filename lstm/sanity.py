"""Sanity checks: what holds for a right model on any data, before it is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, device_of, get_array_module, to_device, to_numpy
from .checks import check_lengths, check_positive, check_size
from .numerical import named_parts, numerical_gradient, relative_error
from .optim import Adam
from .stack import past_end
from .training import Loss, check_pair, loss_to_ends, train_step


class Check(NamedTuple):
    """What one check found.

    Attributes
    ----------
    passed : None if it could not be made
    evidence : numbers by what they are
    meaning : what follows, or why the check could not be made
    """

    passed: bool | None
    evidence: Mapping[str, float]
    meaning: str


class SanityReport(dict[str, Check]):
    """Checks by name; prints as a table."""

    @property
    def ok(self) -> bool:
        """Whether no check failed; those that could not be made do not count."""
        return all(check.passed is not False for check in self.values())

    def __repr__(self) -> str:
        """Return a row for each check, and below it what follows from it."""
        rows = [f"{'check':11}{'passed':9}evidence"]
        for name, (passed, evidence, meaning) in self.items():
            word = {True: "yes", False: "NO", None: "skipped"}[passed]
            numbers = ", ".join(f"{what} {value:.4g}" for what, value in evidence.items())
            rows += [f"{name:11}{word:9}{numbers}".rstrip(), f"{'':11}{meaning}"]
        return "\n".join(rows)


class Batch(NamedTuple):
    """Inputs (T, B, I), targets (T, B, ...) or (B,), and lengths (B,) or None."""

    x: Array
    y: Array
    lengths: Array | None


def pieces(batch: Batch, rng: np.random.Generator, count: int, steps: int) -> Batch:
    """Cut pieces of equal length out of sequences that have a target at every step.

    Parameters
    ----------
    count, steps : of the pieces; fewer steps if a sequence is shorter
    """
    T, B = batch.x.shape[:2]
    ends = np.full(B, T) if batch.lengths is None else to_numpy(batch.lengths)
    steps = min(steps, int(ends.min()))
    columns = np.resize(rng.permutation(B), count)
    starts = rng.integers(0, ends[columns] - steps + 1)
    xp = get_array_module(batch.x)
    rows, columns = xp.asarray(starts + np.arange(steps)[:, None]), xp.asarray(columns)
    return Batch(batch.x[rows, columns], batch.y[rows, columns], None)


def small_batch(
    batch: Batch, rng: np.random.Generator, count: int = 3, steps: int = 4
) -> Batch:
    """Return a batch so small that every model can learn it by heart.

    Parameters
    ----------
    batch : of any size
    rng : draws the pieces
    count, steps : of `pieces`; sequences with one target each stay whole, and those with
        targets unlike each other come first
    """
    if batch.y.ndim > 1:
        return pieces(batch, rng, count, steps)
    _, first = np.unique(to_numpy(batch.y), return_index=True)
    others = np.setdiff1d(np.arange(len(batch.y)), first)
    chosen = get_array_module(batch.x).asarray(np.concatenate([first, others])[:count])
    lengths = None if batch.lengths is None else batch.lengths[chosen]
    end = None if lengths is None else int(lengths.max())
    return Batch(batch.x[:end, chosen], batch.y[chosen], lengths)


def working_copy(model: Module, dtype: Any = None) -> Module:
    """Return a copy of a model that carries no state and drops nothing out.

    Parameters
    ----------
    dtype : of the copy; None for the model's
    """
    copied = deepcopy(model)
    for layer in copied.layers.values():
        layer.dtype = np.dtype(dtype or layer.dtype)
        cast = {name: p.astype(layer.dtype, order="C") for name, p in layer.params.items()}
        layer.params, layer.training = cast, False
        layer.forget()
        if hasattr(layer, "stateful"):
            layer.stateful = False
    return copied


def theoretical_loss(batch: Batch, outputs: int) -> float:
    """Return the loss of a model whose outputs are all zero.

    Whole numbers are taken as labels, for `cross_entropy`: log K. Others as targets of
    `mean_squared_error`: the mean of their squares, which is variance plus squared mean.

    Parameters
    ----------
    outputs : size of the last axis of the model's outputs
    """
    if batch.y.dtype.kind in "iu":
        return math.log(outputs)
    target = batch.y
    if batch.lengths is not None and target.ndim > 1:
        target = target[~past_end(batch.lengths, len(target))]
    return float((target.astype(np.float64) ** 2).mean())


def check_start(
    model: Module, batch: Batch, loss: Loss, expected: float | None = None
) -> Check:
    """Compare the loss before training with that of a model that knows nothing."""
    y, _ = model(batch.x, None, batch.lengths)
    zeros = get_array_module(y).zeros_like(y)
    silent, start = (
        float(loss_to_ends(loss, output, batch.y, batch.lengths)[0])
        for output in (zeros, y)
    )
    theory = theoretical_loss(batch, y.shape[-1]) if expected is None else expected
    allowed = theory + 1.0 if batch.y.dtype.kind in "iu" else 9.0 * theory
    evidence = {"of zeros": silent, "theory": theory, "loss": start, "allowed": allowed}
    if not abs(silent - theory) <= 1e-4 * theory:
        return Check(False, evidence, "the loss is not what it is called, or takes in more")
    if not start <= allowed:
        return Check(False, evidence, "initial weights too large, or targets not scaled")
    return Check(True, evidence, "an untrained model is about as good as saying nothing")


def overfitted_loss(
    model: Module, batch: Batch, loss: Loss, steps: int, learning_rate: float
) -> float:
    """Train a copy of a model on one batch; return the loss before the last step."""
    copied, value = working_copy(model), math.inf
    optimizer = Adam(copied.params, learning_rate)
    for _ in range(steps):
        try:
            value, _, _ = train_step(
                copied, batch.x, batch.y, None, optimizer, loss, lengths=batch.lengths
            )
        except FloatingPointError:
            return math.inf
    return value


def check_overfit(learned: float, silent: float, share: float = 0.1) -> Check:
    """Ask whether a small batch was learned by heart.

    Parameters
    ----------
    learned, silent : loss after training, and of outputs that are all zero
    share : of the silent loss that may be left
    """
    evidence = {"loss": learned, "of zeros": silent, "share": learned / silent}
    if not learned <= share * silent:
        return Check(False, evidence, "it cannot even learn a few targets by heart")
    return Check(True, evidence, "a few targets can be learned by heart")


def check_input(learned: float, blind: float, silent: float, share: float = 0.1) -> Check:
    """Ask whether inputs help: a training without them must end higher.

    Parameters
    ----------
    learned, blind : loss after a training with the inputs, and with zeros in their place
    silent, share : as in `check_overfit`
    """
    evidence = {"loss": learned, "without input": blind}
    if learned < 0.5 * blind:
        return Check(True, evidence, "the inputs are used")
    if blind <= share * silent:
        return Check(None, evidence, "these targets can be learned without any input")
    return Check(False, evidence, "the inputs do not help: they do not reach the output")


def sampled_errors(
    model: Module, batch: Batch, loss: Loss, rng: np.random.Generator, entries: int
) -> dict[str, float]:
    """Compare sampled entries of every gradient with central differences.

    Parameters
    ----------
    model, batch : float64
    entries : sampled from x and from each parameter

    Returns
    -------
    dict : largest difference over the largest entry of the gradient, or over a thousandth
        of the loss where that is more: rounding of the loss hides what is smaller still
    """

    def value() -> float:
        y, _ = model(batch.x, None, batch.lengths)
        return float(loss_to_ends(loss, y, batch.y, batch.lengths)[0])

    y, _ = model(batch.x, None, batch.lengths)
    scalar, dy = loss_to_ends(loss, y, batch.y, batch.lengths)
    dx, _ = model.backward(dy)
    exact, errors = {"x": dx, **model.grads}, {}
    least = 1e-3 * abs(float(scalar))
    for name, array in {"x": batch.x, **model.params}.items():
        index = rng.choice(array.size, min(entries, array.size), replace=False)
        found = sampled_gradient(value, array, index)
        own = to_numpy(exact[name]).reshape(-1)
        scale = max(abs(own).max(), abs(found).max(), least)
        errors[name] = float(abs(found - own[index]).max() / scale) if scale > 0 else 0.0
    return errors


def sampled_gradient(value: Any, array: Array, index: Array) -> Array:
    """Return the `numerical_gradient` of a loss for some entries of an array.

    Parameters
    ----------
    value : computes the loss
    array : float64, in C order
    index : (n,) places in the flattened array
    """
    flat, place = array.reshape(-1), get_array_module(array).asarray(index)
    entries = to_numpy(flat[place]).copy()

    def moved() -> float:
        flat[place] = to_device(entries, device_of(array))
        return float(value())

    gradient = numerical_gradient(moved, entries)
    moved()  # the last entry was still displaced
    return gradient


def check_gradients(
    model: Module, batch: Batch, loss: Loss, rng: np.random.Generator, entries: int = 12
) -> Check:
    """Compare the gradient of the loss with central differences; float64."""
    errors = sampled_errors(model, batch, loss, rng, entries)
    worst = max(errors, key=lambda name: errors[name])
    evidence = {f"error of {worst}": errors[worst]}
    if not errors[worst] <= 1e-6:
        return Check(False, evidence, "a derivative is wrong: of the loss or the model")
    return Check(True, evidence, "the gradients are those of the loss")


def check_batch(model: Module, batch: Batch) -> Check:
    """Ask whether the output of one sequence depends on the input of another."""
    if batch.x.shape[1] < 2:
        return Check(None, {}, "it needs two sequences")
    y, _ = model(batch.x, None, batch.lengths)
    dy = get_array_module(y).zeros_like(y)
    dy[(slice(None),) * (y.ndim - 2) + (0,)] = 1.0
    dx = abs(model.backward(dy)[0])
    evidence = {"own gradient": float(dx[:, 0].max()), "others'": float(dx[:, 1:].max())}
    if evidence["others'"] != 0.0:
        return Check(False, evidence, "sequences of a batch are mixed")
    return Check(True, evidence, "sequences of a batch do not see each other")


def no_time_steps(model: Module, batch: Batch) -> str:
    """Return why a model's past cannot be told from its future; empty if it can."""
    if any(getattr(layer, "directions", 1) > 1 for layer in model.layers.values()):
        return "a bidirectional model reads the future, as it should"
    return "" if len(batch.x) > 1 else "it needs two steps"


def check_time(model: Module, batch: Batch, rng: np.random.Generator) -> Check:
    """Ask whether an output depends on later inputs: they are replaced."""
    reason = no_time_steps(model, batch)
    y, _ = model(batch.x, None, batch.lengths)
    if reason or y.ndim < 3:
        return Check(None, {}, reason or "it has one output for the whole sequence")
    half, x = len(batch.x) // 2, batch.x.copy()
    x[half:] = to_device(rng.normal(size=x[half:].shape), device_of(x))
    change = abs(model(x, None, batch.lengths)[0] - y)
    before, after = float(change[:half].max()), float(change[half:].max())
    evidence = {"change before": before, "after": after}
    if before != 0.0:
        return Check(False, evidence, "outputs look ahead in time")
    return Check(True, evidence, "no output depends on later inputs")


def check_batch_size(model: Module, batch: Batch) -> Check:
    """Compare the outputs of a batch with those of each sequence alone."""
    count = batch.x.shape[1]
    if count < 2:
        return Check(None, {}, "it needs two sequences")
    y, errors = model(batch.x, None, batch.lengths)[0].swapaxes(0, -2), []
    for k in range(count):
        ends = None if batch.lengths is None else batch.lengths[k : k + 1]
        alone = model(batch.x[:, k : k + 1], None, ends)[0].swapaxes(0, -2)
        errors.append(relative_error(to_numpy(alone[0]), to_numpy(y[k])))
    evidence = {"difference": max(errors)}
    if not max(errors) <= 1e-9:
        return Check(False, evidence, "an output depends on how many sequences there are")
    return Check(True, evidence, "a sequence alone gives the same as in a batch")


def check_halves(model: Module, batch: Batch) -> Check:
    """Compare a sequence at once with its two halves, the state carried between them."""
    end = None if batch.lengths is None else int(batch.lengths.min())
    x = batch.x[:end]
    reason = no_time_steps(model, batch._replace(x=x))
    if reason:
        return Check(None, {}, reason)
    y, last = model(x)
    first, state = model(x[: len(x) // 2])
    second, again = model(x[len(x) // 2 :], state)
    whole, halves = (named_parts("y", "state", *p) for p in ((y, last), (second, again)))
    if y.ndim > 2:
        halves["y"] = get_array_module(y).concatenate([first, second])
    else:  # one output for the sequence may look at more than the state
        del whole["y"]
    errors = [relative_error(to_numpy(a), to_numpy(halves[k])) for k, a in whole.items()]
    evidence = {"difference": max(errors, default=0.0)}
    if not evidence["difference"] <= 1e-9:
        return Check(False, evidence, "part of the past is lost with the state")
    return Check(True, evidence, "a state carried on stands for the whole past")


def trainings(
    model: Module, batch: Batch, loss: Loss, steps: int, learning_rate: float
) -> tuple[float, float, float]:
    """Return the loss of zeros, after a training, and after one without input."""
    check_size("sanity_check", "steps", steps)
    check_positive("sanity_check", "learning_rate", learning_rate)
    y, _ = working_copy(model)(batch.x, None, batch.lengths)
    zeros = get_array_module(y).zeros_like(y)
    silent = float(loss_to_ends(loss, zeros, batch.y, batch.lengths)[0])
    learned, blind = (
        overfitted_loss(model, batch._replace(x=x), loss, steps, learning_rate)
        for x in (batch.x, 0.0 * batch.x)
    )
    return silent, learned, blind


def checked_batch(model: Module, x: Array, y: Array, lengths: Any) -> Batch:
    """Return the data as a batch that `fit` can train on; raise an error if it cannot."""
    for name, layer in model.layers.items():
        if getattr(layer, "batch_first", False):
            raise ValueError(
                f"sanity_check expected layers with batch_first=False, got {name} with "
                "True; fit takes x as (time, batch, features)"
            )
    lengths = check_lengths("sanity_check", lengths, x)
    check_pair("sanity_check", x, y, lengths)
    return Batch(x, y, lengths)


def sanity_check(
    model: Module, x: Array, y: Array, *, loss: Loss, rng: np.random.Generator,
    lengths: Any = None, expected: float | None = None,
    steps: int = 200, learning_rate: float = 0.03,
) -> SanityReport:
    """Check what holds for a right model on any data; model and data stay as they are.

    Parameters
    ----------
    model : untrained, for the loss at the start to mean anything
    x, y, loss, lengths : as in `fit`; bad ones raise its errors
    rng : draws what is sampled
    expected : the loss of outputs that are all zero, for a loss that is neither
        `cross_entropy` nor `mean_squared_error`
    steps, learning_rate : of the training on a small batch, by Adam

    Returns
    -------
    SanityReport : under start, gradients, batch, time, batch size, halves, overfit, input

    References
    ----------
    Karpathy (2019).
    """
    whole = checked_batch(model, x, y, lengths)
    few, exact = small_batch(whole, rng), working_copy(model, np.float64)
    silent, learned, blind = trainings(model, few, loss, steps, learning_rate)
    few = few._replace(x=few.x.astype(np.float64, order="C"))
    return SanityReport({
        "start": check_start(working_copy(model), whole, loss, expected),
        "gradients": check_gradients(exact, few, loss, rng),
        "batch": check_batch(exact, few),
        "time": check_time(exact, few, rng),
        "batch size": check_batch_size(exact, few),
        "halves": check_halves(exact, few),
        "overfit": check_overfit(learned, silent),
        "input": check_input(learned, blind, silent),
    })
