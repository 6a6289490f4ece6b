"""A training as its author runs it, and a few recorded updates of a copy of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, get_array_module
from .data import batches
from .losses import mean_squared_error
from .optim import Optimizer
from .training import Loss, Schedule, evaluating, loss_to_ends, plan_updates, train_step


@dataclass(frozen=True)
class Run:
    """A training: what `fit` is given, and how one update is made.

    Parameters
    ----------
    model, x, y, optimizer, bptt_length, batch_size, lengths : as in `fit`
    loss, clip_norm, clip_value, schedule, rng : as in `fit`
    step : makes one update, with the arguments of `train_step`, lengths by name, and its
        results
    validation : x and y that the training does not see; None if there are none
    """

    model: Module
    x: Array
    y: Array
    optimizer: Optimizer
    bptt_length: int | None = None
    batch_size: int | None = None
    lengths: Any = None
    loss: Loss = mean_squared_error
    clip_norm: float | None = None
    clip_value: float | None = None
    schedule: Schedule | None = None
    rng: np.random.Generator | None = None
    step: Callable[..., tuple[Any, Any, Any]] = train_step
    validation: tuple[Array, Array] | None = None

    def copy(self) -> Run:
        """Return a run that can be trained without a trace: all but the data is copied.

        Model and optimizer are copied together, so that the new optimizer holds the new
        model's arrays.
        """
        data = ("x", "y", "lengths", "validation")
        moving = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in data}
        return replace(self, **copy.deepcopy(moving))

    def update(self, batch: Batch, state: Any) -> tuple[Any, Any, Any]:
        """Make one update from a batch and the state before it; results of `train_step`."""
        limit = {} if self.clip_value is None else {"clip_value": self.clip_value}
        return self.step(
            self.model, batch.x, batch.y, state, self.optimizer, self.loss, self.clip_norm,
            lengths=batch.lengths, **limit,
        )

    def with_rate(self, factor: float) -> Run:
        """Return a copy with every learning rate times a factor."""
        run = self.copy()
        run.optimizer.learning_rate *= factor
        plan = run.schedule
        return run if plan is None else replace(run, schedule=lambda n: factor * plan(n))


class Batch(NamedTuple):
    """What one update is made from."""

    epoch: int
    first: bool  # whether its sequences begin here, so that the state is None
    x: Array
    y: Array
    lengths: Array | None


def batches_of(run: Run) -> Iterator[Batch]:
    """Yield the batches of a run in the order of `fit`, without an end."""
    x, y, xp = run.x, run.y, get_array_module(run.x)
    lengths, length, size = plan_updates(
        x, y, run.lengths, run.bptt_length, run.batch_size
    )
    for epoch in itertools.count():
        for group in batches(x.shape[1], size, run.rng):
            group = xp.asarray(group)
            ends = None if lengths is None else lengths[group]
            for start in range(0, len(x), length):
                part = slice(start, start + length), group
                target = y[part] if y.ndim > 1 else y[group]
                yield Batch(epoch, start == 0, x[part], target, ends)


class Update(NamedTuple):
    """What was seen of one update."""

    loss: float  # before it
    epoch: int
    rate: float  # the optimizer's learning rate when it was called
    norm: float  # of the gradients that the last backward pass left
    given: float  # of those that the optimizer was given
    cosine: float  # between the two
    largest: float  # share of the given entries whose size is the largest there is
    change: float  # norm of the change of all parameters over their norm


def flat(arrays: dict[str, Array]) -> Array:
    """Return all entries of arrays in one float64 array (n,), by the order of the names."""
    parts = [arrays[name].ravel() for name in sorted(arrays)]
    joined: Array = get_array_module(*parts).concatenate(parts).astype(np.float64)
    return joined


def joint_norm(a: Array) -> float:
    """Return the Euclidean norm of an array's entries."""
    return float((a * a).sum() ** 0.5)


class Recorder:
    """Listens to a model's backward passes and to the steps of its optimizer.

    Parameters
    ----------
    model, optimizer : copies, whose ``backward`` and ``step`` are replaced
    move : False lets the optimizer change nothing

    Attributes
    ----------
    left : (n,) the gradients that the last backward pass left
    given : those that the optimizer was given last
    asked : for each backward pass since the last step, whether a dstate was passed
    """

    def __init__(self, model: Module, optimizer: Optimizer, *, move: bool = True) -> None:
        self.left = self.given = np.zeros(1)
        self.asked: list[bool] = []
        self.rate, self.dy = optimizer.learning_rate, np.zeros(1)
        backward, step = model.backward, optimizer.step
        self.passes: list[bool] = []

        def heard_backward(dy: Array, dstate: Any = None) -> Any:
            result = backward(dy, dstate)
            self.passes.append(dstate is not None)
            self.dy = dy
            self.left = flat(model.grads)
            return result

        def heard_step(grads: dict[str, Array]) -> None:
            self.given, self.asked, self.passes = flat(grads), self.passes, []
            self.rate = optimizer.learning_rate
            if move:
                step(grads)

        vars(model)["backward"], vars(optimizer)["step"] = heard_backward, heard_step

    def update(self, loss: float, epoch: int, before: Array, after: Array) -> Update:
        """Return what was seen of an update, from parameters before it and after."""
        norm, given, size = joint_norm(self.left), joint_norm(self.given), abs(self.given)
        same_size = self.left.shape == self.given.shape
        product = float((self.left * self.given).sum()) if same_size else float("nan")
        top = float((size >= 0.999 * size.max()).mean())
        change = joint_norm(after - before) / max(joint_norm(before), 1e-300)
        cosine = product / max(norm * given, 1e-300)
        return Update(loss, epoch, self.rate, norm, given, cosine, top, change)


@dataclass
class Rehearsal:
    """Recorded updates of a copy of a run.

    Attributes
    ----------
    updates : one entry an update
    before : mean loss over some of the batches, by the parameters at the start, without
        dropout; NaN if it cannot be computed
    after : the same, by the parameters at the end
    broken : the error that ended it early, or None
    """

    updates: list[Update] = field(default_factory=list)
    before: float = float("nan")
    after: float = float("nan")
    broken: str | None = None


def mean_loss(run: Run, seen: list[tuple[Batch, Any]]) -> float:
    """Return the mean loss over batches, each from a state, without dropout."""
    losses = []
    with evaluating(run.model):
        for batch, state in seen:
            y, _ = run.model(batch.x, state, batch.lengths)
            losses.append(float(loss_to_ends(run.loss, y, batch.y, batch.lengths)[0]))
    return float(np.mean(losses))


def rehearse(run: Run, count: int, factor: float = 1.0, samples: int = 4) -> Rehearsal:
    """Make some updates of a copy of a run, and record them.

    Parameters
    ----------
    run : is left as it is
    count : how many updates
    factor : multiplies the learning rate
    samples : how many of the batches measure the loss before and after
    """
    trained, found = run.with_rate(factor), Rehearsal()
    recorder = Recorder(trained.model, trained.optimizer)
    state, epoch, plan, keep = None, -1, trained.schedule, -(-count // samples)
    seen: list[tuple[Batch, Any]] = []
    for n, batch in enumerate(itertools.islice(batches_of(trained), count)):
        if plan is not None and batch.epoch > epoch:
            trained.optimizer.learning_rate = plan(batch.epoch)
        epoch, state = batch.epoch, None if batch.first else state
        if n % keep == 0:
            seen.append((batch, state))
        before = flat(trained.model.params)
        try:
            loss, _, state = trained.update(batch, state)
        except FloatingPointError as error:
            found.broken = f"update {n + 1}: {error}"
            break
        after = flat(trained.model.params)
        found.updates.append(recorder.update(float(loss), batch.epoch, before, after))
    found.before, found.after = mean_loss(run.copy(), seen), mean_loss(trained, seen)
    return found
