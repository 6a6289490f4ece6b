"""Training: truncated backpropagation through time with carried state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .backend import Array, Module, get_array_module
from .checks import check_lengths, check_size
from .data import batches
from .losses import mean_squared_error
from .optim import Optimizer, clip_grad_norm
from .stack import past_end

Loss = Callable[[Array, Array], tuple[Array, Array]]
Schedule = Callable[[int], float]
Callback = Callable[[int, Any, Any, Any], Any]  # epoch, model, optimizer, history


@dataclass
class History:
    """What `fit` saw, one entry an epoch.

    Attributes
    ----------
    loss : mean loss of the epoch's updates, each measured before its update
    grad_norm : largest joint norm of the gradients, before clipping; empty without clipping
    learning_rate : the rate used
    stopped : whether a callback ended the training
    """

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    stopped: bool = False

    def add(self, loss: float, norms: list[float], rate: float) -> None:
        """Append what an epoch brought."""
        self.loss.append(loss)
        self.grad_norm += [max(norms)] if norms else []
        self.learning_rate.append(rate)


def check_pair(owner: str, x: Array, y: Array, lengths: Array | None = None) -> None:
    """Raise a ValueError unless x and y are finite and of the same steps and sequences.

    A y of one axis holds one target a sequence. What lies past an end may be anything.
    """
    for name, value in (("x", x), ("y", y)):
        if value.dtype.kind == "f":
            finite = get_array_module(value).isfinite(value)
            if lengths is not None and value.ndim > 1:
                finite = finite[~past_end(lengths, len(value))]
            if not finite.all():
                raise ValueError(
                    f"{owner} expected {name} without NaN or infinity, got some"
                )
    expected = x.shape[:2] if y.ndim > 1 else x.shape[1:2]
    if y.shape[: len(expected)] != expected:
        raise ValueError(
            f"{owner} expected y for the steps and sequences of x {expected}, "
            f"got {y.shape[:2]}"
        )


def loss_to_ends(
    loss: Loss, y: Array, target: Array, lengths: Array | None
) -> tuple[Array, Array]:
    """Return a loss and its gradient over the steps before each sequence's end.

    Parameters
    ----------
    loss : returns the loss and its gradient
    y, target : (T, B, ...); or (B, ...), one a sequence, which are taken as they are
    lengths : (B,), or None for all steps
    """
    if lengths is None or target.ndim == 1:
        return loss(y, target)
    valid, dy = ~past_end(lengths, len(y)), get_array_module(y).zeros_like(y)
    value, dy[valid] = loss(y[valid], target[valid])
    return value, dy


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Turn dropout off in a model, and afterwards back to what it was."""
    before = {name: layer.training for name, layer in model.layers.items()}
    try:
        for layer in model.layers.values():
            layer.training = False
        yield
    finally:
        for name, layer in model.layers.items():
            layer.training = before[name]


def first_broken(
    arrays: Mapping[str, Array], text: str = ", but {} was already not finite"
) -> str:
    """Return a text about the first array without a finite square; empty if there is none.

    A square, because Adam keeps that of a gradient: one that is infinite stays so.
    """
    squares = {name: (a * a).sum() for name, a in arrays.items()}
    if math.isfinite(float(sum(squares.values()))):  # waits for the device once
        return ""
    broken = (name for name, s in squares.items() if not math.isfinite(float(s)))
    return text.format(next(broken, "all together"))


def train_step(
    model: Module, x: Array, y: Array, state: Any, optimizer: Optimizer,
    loss: Loss = mean_squared_error, clip_norm: float | None = None,
    lengths: Array | None = None,
) -> tuple[float, float | None, Any]:
    """Make one update from one stretch of sequences.

    Parameters
    ----------
    model, optimizer : the optimizer was made with ``model.params``
    x, y : (T, B, I) and targets for the loss
    state : of the model before x; None for zeros
    loss : returns the loss and its gradient
    clip_norm : largest joint norm of the gradients; None for no clipping
    lengths : (B,) where the sequences end; None for all steps

    Returns
    -------
    loss : before the update
    norm : of the gradients before clipping, None without clipping
    state : after x. It is made of plain arrays, so no gradient flows back through it.

    Raises
    ------
    FloatingPointError
        If the loss or a gradient is not finite; the parameters are left as they were.
    """
    prediction, state = model(x, state, lengths)
    scalar, dy = loss_to_ends(loss, prediction, y, lengths)
    value, kept = float(scalar), "the parameters were not changed"
    if not math.isfinite(value):
        kept += first_broken(model.params)
        raise FloatingPointError(f"the loss became {value}; {kept}")
    model.backward(dy)
    grads = model.grads
    if broken := first_broken(grads, "the gradient of {} has no finite square"):
        raise FloatingPointError(f"{broken}; {kept}")
    norm = None if clip_norm is None else float(clip_grad_norm(grads, clip_norm))
    optimizer.step(grads)
    return value, norm, state


def train_epoch(
    model: Module, x: Array, y: Array, optimizer: Optimizer, *, bptt_length: int,
    groups: Iterable[Array], loss: Loss, clip_norm: float | None,
    lengths: Array | None = None,
) -> tuple[float, list[float]]:
    """Go through the sequences once; return the mean loss and the gradients' norms.

    Each group of sequences is cut along time into stretches of ``bptt_length``: one update
    each, the state carried from one to the next, starting from zeros.
    """
    losses: list[float] = []
    norms: list[float] = []
    for group in groups:
        group, state = get_array_module(x).asarray(group), None
        ends = None if lengths is None else lengths[group]
        for start in range(0, len(x), bptt_length):
            stretch = slice(start, start + bptt_length), group
            target = y[stretch] if y.ndim > 1 else y[group]
            try:
                value, norm, state = train_step(
                    model, x[stretch], target, state, optimizer, loss, clip_norm, ends
                )
            except FloatingPointError as error:
                step = f"update {len(losses) + 1} of the epoch"
                raise FloatingPointError(f"{step}: {error}") from error
            losses.append(value)
            norms += [] if norm is None else [norm]
    return float(np.mean(losses)), norms


def update_length(bptt_length: int | None, steps: int, lengths: Array | None) -> int:
    """Return the steps between updates; refuse to cut sequences that end by themselves."""
    if bptt_length is None:
        return steps
    if lengths is not None:
        raise ValueError(
            f"fit expected bptt_length=None with lengths, got {bptt_length}: "
            "a cut could leave a sequence without a step"
        )
    return check_size("fit", "bptt_length", bptt_length)


def plan_updates(
    x: Array, y: Array, lengths: Any, bptt_length: int | None, batch_size: int | None
) -> tuple[Array | None, int, int]:
    """Return the checked lengths, the steps between updates, the sequences per update."""
    lengths = check_lengths("fit", lengths, x)
    check_pair("fit", x, y, lengths)
    T, B = x.shape[:2]
    length = update_length(bptt_length, T, lengths)
    size = check_size("fit", "batch_size", B if batch_size is None else batch_size)
    return lengths, length, size


def epochs_to_do(
    numbers: Iterable[int], callbacks: Sequence[Callback],
    model: Module, optimizer: Optimizer, history: History,
) -> Iterator[int]:
    """Yield the epochs' numbers, call the callbacks after each, and let them finish.

    Parameters
    ----------
    callbacks : called with (epoch, model, optimizer, history) after every epoch, ended by
        a True; their ``finish(model)``, where they have one, at the end
    """
    for epoch in numbers:
        if history.stopped:
            break
        yield epoch
        for callback in callbacks:
            if callback(epoch, model, optimizer, history):
                history.stopped = True  # at once: a checkpoint that comes next records it
    for callback in callbacks:
        if hasattr(callback, "finish"):
            callback.finish(model)


def fit(
    model: Module, x: Array, y: Array, optimizer: Optimizer, *, epochs: int,
    bptt_length: int | None = None, batch_size: int | None = None, lengths: Any = None,
    loss: Loss = mean_squared_error, clip_norm: float | None = None, progress: bool = False,
    schedule: Schedule | None = None, rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (), history: History | None = None,
) -> History:
    """Train a model by truncated backpropagation through time; return its `History`.

    Parameters
    ----------
    model, optimizer, loss, clip_norm : as in `train_step`
    x, y : (T, B, I), and (T, B, O) or one target a sequence (B,)
    epochs : times to go through the data, those in ``history`` included
    bptt_length : steps from update to update, which carries the state; None for all T
    batch_size : sequences per update, None for all B
    lengths : (B,) where the sequences end, without ``bptt_length``; None for all T
    schedule : learning rate by epoch; None keeps the optimizer's
    rng : shuffles the sequences every epoch; None keeps their order
    progress : show a bar with tqdm, silent where the output is no terminal
    callbacks, history : see `epochs_to_do`; of earlier epochs, to be continued

    Raises
    ------
    ValueError, FloatingPointError
        If x or y is not finite or their steps or batch differ; if the loss is not finite.
    """
    lengths, length, size = plan_updates(x, y, lengths, bptt_length, batch_size)
    history = history or History()
    epochs = check_size("fit", "epochs", epochs)
    numbers = progress_bar(epochs, progress, len(history.loss))
    for epoch in epochs_to_do(numbers, callbacks, model, optimizer, history):
        if schedule is not None:
            optimizer.learning_rate = schedule(epoch)
        value, norms = train_epoch(
            model, x, y, optimizer, bptt_length=length, loss=loss, clip_norm=clip_norm,
            groups=batches(x.shape[1], size, rng), lengths=lengths,
        )
        history.add(value, norms, optimizer.learning_rate)
    return history


def progress_bar(epochs: int, shown: bool, done: int = 0) -> Iterable[int]:
    """Return the numbers of the epochs to do, with a bar around them if asked for.

    Parameters
    ----------
    epochs, done : all epochs, and those that were done before
    """
    if not shown:
        return range(done, epochs)
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: run `pip install tqdm`") from error
    numbers, bar = range(done, epochs), {"initial": done, "total": epochs}
    return tqdm(numbers, unit="epoch", disable=None, **bar)


def evaluate(
    model: Module, x: Array, y: Array, loss: Loss = mean_squared_error, lengths: Any = None
) -> float:
    """Return the loss of a model over whole sequences, from zeros, without dropout.

    Parameters
    ----------
    x, y, loss, lengths : as in `fit`
    """
    lengths = check_lengths("evaluate", lengths, x)
    check_pair("evaluate", x, y, lengths)
    with evaluating(model):
        prediction, _ = model(x, None, lengths)
    return float(loss_to_ends(loss, prediction, y, lengths)[0])
