"""Training: truncated backpropagation through time with carried state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .backend import Array, Module, explain_memory, get_array_module, to_floats
from .checks import check_lengths, check_size
from .data import batches
from .losses import mean_squared_error
from .optim import Optimizer, clip_grad_norm, clip_grad_value, grad_norm
from .stack import past_end

Loss = Callable[[Array, Array], tuple[Array, Array]]
Schedule = Callable[[int], float]
Update = Callable[..., tuple[float, float | None, Any]]  # of x, y, state, lengths
Callback = Callable[[int, Any, Any, Any], Any]  # epoch, model, optimizer, history


@dataclass
class History:
    """What `fit` saw, one entry an epoch; NaN before the first of its kind.

    Attributes
    ----------
    loss : mean loss of the epoch's updates, each measured before its update
    grad_norm : largest joint norm of the gradients, before clipping by it; else empty
    learning_rate : the rate used
    validation_loss : loss of the validation sequences after the epoch; empty without them
    stopped : whether a callback ended the training
    """

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    stopped: bool = False

    def add(
        self, loss: float, norms: list[float], rate: float, validation: float | None
    ) -> None:
        """Append what an epoch brought."""
        done, norm = len(self.loss), max(norms, default=None)
        self.loss.append(loss)
        self.learning_rate.append(rate)
        for values, new in ((self.grad_norm, norm), (self.validation_loss, validation)):
            if new is not None:
                values += [math.nan] * (done - len(values)) + [new]

    def plot(self) -> Array:
        """Draw it all by `plotting.plot_history`, which needs matplotlib."""
        from .plotting import plot_history  # here: training needs no matplotlib

        return plot_history(self)


def check_pair(owner: str, x: Array, y: Array, lengths: Any = None) -> Array | None:
    """Return the lengths, checked, of an x and a y that may be trained on.

    Both must be arrays, or there is a TypeError; finite, not empty, and of the same steps
    and sequences, or there is a ValueError. A y of one axis holds one target a sequence.
    What lies past an end may be anything.
    """
    for name, value in (("x", x), ("y", y)):
        if not hasattr(value, "dtype"):
            given = type(value).__name__
            raise TypeError(f"{owner} expected {name} as an array, got {given}")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(
            f"{owner} expected x with axes time and batch, none empty, got shape {x.shape}"
        )
    ends = check_lengths(owner, lengths, x)
    for name, value in (("x", x), ("y", y)):
        if value.dtype.kind == "f":
            finite = get_array_module(value).isfinite(value)
            if ends is not None and value.ndim > 1:
                finite = finite[~past_end(ends, len(value))]
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
    return ends


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


def first_broken(
    arrays: Mapping[str, Array], text: str = ", but {} was already not finite"
) -> str:
    """Return a text about the first array without a finite square; empty if there is none.

    A square, because Adam keeps that of a gradient: one that is infinite stays so.
    """
    squares = {name: (a * a).sum() for name, a in arrays.items()}
    if math.isfinite(float(sum(squares.values()))):
        return ""
    broken = (name for name, s in squares.items() if not math.isfinite(float(s)))
    return text.format(next(broken, "all together"))


def check_finite(
    loss: float, norm: float, params: Mapping[str, Array], grads: Mapping[str, Array]
) -> None:
    """Raise a FloatingPointError unless a loss and the norm of its gradients are finite."""
    kept = "the parameters were not changed"
    if not math.isfinite(loss):
        kept += first_broken(params)
        raise FloatingPointError(f"the loss became {loss}; {kept}")
    if not math.isfinite(norm):
        broken = first_broken(grads, "the gradient of {} has no finite square")
        raise FloatingPointError(f"{broken}; {kept}")


def clip(
    grads: Mapping[str, Array], clip_norm: float | None, clip_value: float | None,
    norm: Array | None = None,
) -> Array | None:
    """Clip gradients in place, in one way or none; return the norm before, if by norm.

    Parameters
    ----------
    clip_norm : largest joint norm of the gradients, or None
    clip_value : largest size of an entry, or None; given both, there is a ValueError
    norm : as in `clip_grad_norm`
    """
    if clip_norm is not None and clip_value is not None:
        raise ValueError(
            f"clip expected clip_norm or clip_value, got both, {clip_norm} and {clip_value}"
        )
    if clip_value is not None:
        clip_grad_value(grads, clip_value)
    return None if clip_norm is None else clip_grad_norm(grads, clip_norm, norm)


@explain_memory
def train_step(
    model: Module, x: Array, y: Array, state: Any, optimizer: Optimizer,
    loss: Loss = mean_squared_error, clip_norm: float | None = None,
    clip_value: float | None = None, lengths: Array | None = None,
) -> tuple[float, float | None, Any]:
    """Make one update from one stretch of sequences.

    Parameters
    ----------
    model, optimizer : the optimizer was made with ``model.params``
    x, y, state : (T, B, I), targets for the loss, and the state before x; None for zeros
    loss : returns the loss and its gradient
    clip_norm, clip_value : as in `clip`
    lengths : (B,) where the sequences end; None for all steps

    Returns
    -------
    loss : before the update
    norm : of the gradients before clipping, None without clip_norm
    state : after x, in plain arrays: no gradient flows back through it

    Raises
    ------
    FloatingPointError, MemoryError
        If loss or gradients are not finite, or memory ends; parameters stay as they were.
    """
    prediction, state = model(x, state, lengths)
    scalar, dy = loss_to_ends(loss, prediction, y, lengths)
    model.backward(dy)
    grads = model.grads
    size = grad_norm(grads)
    value, norm = to_floats(scalar, size)  # the one time that an update waits for a GPU
    check_finite(value, norm, model.params, grads)
    clip(grads, clip_norm, clip_value, size)
    optimizer.step(grads)
    return value, None if clip_norm is None else norm, state


def sent_once(groups: Iterable[Array], like: Array) -> list[Array]:
    """Return groups of indices on the device of an array, where all arrive together."""
    parts, xp = [*groups], get_array_module(like)
    if xp is np:
        return parts
    ends = np.cumsum([len(part) for part in parts])[:-1]
    found: list[Array] = xp.split(xp.asarray(np.concatenate(parts)), ends.tolist())
    return found


def train_epoch(
    update: Update, x: Array, y: Array, lengths: Array | None = None, *,
    bptt_length: int, groups: Iterable[Array],
) -> tuple[float, list[float]]:
    """Go through the sequences once; return the mean loss and the gradients' norms.

    Each group of sequences is cut along time into stretches of ``bptt_length``: one update
    each, the state carried from one to the next, starting from zeros.

    Parameters
    ----------
    update : `train_step` with all but x, y, state and lengths given
    x, y, lengths : as in `train_step`, of all sequences
    groups : indices of the sequences that share an update
    """
    losses: list[float] = []
    norms: list[float] = []
    for group in sent_once(groups, x):
        state = None
        ends = None if lengths is None else lengths[group]
        for start in range(0, len(x), bptt_length):
            stretch = slice(start, start + bptt_length), group
            target = y[stretch] if y.ndim > 1 else y[group]
            try:
                value, norm, state = update(x[stretch], target, state, lengths=ends)
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
    lengths = check_pair("fit", x, y, lengths)
    T, B = x.shape[:2]
    length = update_length(bptt_length, T, lengths)
    size = check_size("fit", "batch_size", B if batch_size is None else batch_size)
    return lengths, length, size


def progress_bar(epochs: int, shown: bool, done: int = 0) -> Iterable[int]:
    """Return the numbers of the epochs to do, with a bar around them if asked for.

    Parameters
    ----------
    epochs, done : all epochs, and those that were done before
    """
    numbers = range(done, check_size("fit", "epochs", epochs))
    if not shown:
        return numbers
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: run `pip install tqdm`") from error
    bar: Iterable[int] = tqdm(
        numbers, unit="epoch", disable=None, initial=done, total=epochs
    )
    return bar


def epochs_to_do(
    numbers: Iterable[int], model: Module, optimizer: Optimizer, history: History,
    schedule: Schedule | None = None, callbacks: Sequence[Callback] = (),
) -> Iterator[int]:
    """Yield the epochs' numbers, set the rate before and call the callbacks after each.

    Parameters
    ----------
    schedule : learning rate by epoch; None keeps the optimizer's
    callbacks : called with (epoch, model, optimizer, history) after every epoch, ended by
        a True; their ``finish(model)``, where they have one, at the end
    """
    for epoch in numbers:
        if history.stopped:
            break
        if schedule is not None:
            optimizer.learning_rate = schedule(epoch)
        yield epoch
        for callback in callbacks:
            if callback(epoch, model, optimizer, history):
                history.stopped = True  # at once: a checkpoint that comes next records it
    for callback in callbacks:
        if hasattr(callback, "finish"):
            callback.finish(model)


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Turn dropout off and carried states to zeros in a model, and afterwards both back."""
    layers = model.layers.values()
    before = [(layer.training, layer.state) for layer in layers]
    try:
        for layer in layers:
            layer.training, layer.state = False, None
        yield
    finally:
        for layer, (training, state) in zip(layers, before):
            layer.training, layer.state = training, state


def evaluate(
    model: Module, x: Array, y: Array, loss: Loss = mean_squared_error, lengths: Any = None
) -> float:
    """Return the loss of a model over whole sequences, from zeros, without dropout.

    Parameters
    ----------
    x, y, loss, lengths : as in `fit`
    """
    lengths = check_pair("evaluate", x, y, lengths)
    with evaluating(model):
        prediction, _ = model(x, None, lengths)
    return float(loss_to_ends(loss, prediction, y, lengths)[0])


def validator(model: Module, validation: Any, loss: Loss) -> Callable[[], float | None]:
    """Return a function that returns a model's present loss on sequences, checked here.

    Parameters
    ----------
    validation : (x, y) or (x, y, lengths) to `evaluate`; None for a loss that is None
    """
    if validation is None:
        return lambda: None
    if not isinstance(validation, tuple) or len(validation) not in (2, 3):
        size = f" of {len(validation)}" if isinstance(validation, tuple) else ""
        raise TypeError(
            "fit expected validation as a tuple (x, y) or (x, y, lengths), "
            f"got {type(validation).__name__}{size}"
        )
    check_pair("fit, in validation,", *validation)
    x, y, *lengths = validation
    return partial(evaluate, model, x, y, loss, *lengths)


def fit(
    model: Module, x: Array, y: Array, optimizer: Optimizer, *, epochs: int,
    bptt_length: int | None = None, batch_size: int | None = None, lengths: Any = None,
    loss: Loss = mean_squared_error, clip_norm: float | None = None, progress: bool = False,
    clip_value: float | None = None, validation: tuple[Any, ...] | None = None,
    schedule: Schedule | None = None, rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (), history: History | None = None,
) -> History:
    """Train a model by truncated backpropagation through time; return its `History`.

    Parameters
    ----------
    model, optimizer, loss, clip_norm, clip_value : as in `train_step`
    x, y : (T, B, I), and (T, B, O), labels (T, B) or one target a sequence (B,)
    epochs : times to go through the data, those in ``history`` included
    bptt_length : steps from update to update, which carries the state; None for all T
    batch_size : sequences per update, None for all B
    lengths : (B,) where the sequences end, without ``bptt_length``; None for all T
    validation : (x, y) or (x, y, lengths), evaluated after every epoch
    rng : shuffles the sequences every epoch; None keeps their order
    progress : show a bar with tqdm, silent where the output is no terminal
    schedule, callbacks, history : see `epochs_to_do`; of earlier epochs, to go on from

    Raises
    ------
    ValueError, FloatingPointError
        If data are not finite or their steps or batch differ; if the loss is not finite.
    """
    lengths, length, size = plan_updates(x, y, lengths, bptt_length, batch_size)
    history, validate = history or History(), validator(model, validation, loss)
    update = partial(
        train_step, model, optimizer=optimizer, loss=loss, clip_norm=clip_norm,
        clip_value=clip_value,
    )
    numbers = progress_bar(epochs, progress, len(history.loss))
    for _ in epochs_to_do(numbers, model, optimizer, history, schedule, callbacks):
        groups = batches(x.shape[1], size, rng)
        value, norms = train_epoch(update, x, y, lengths, bptt_length=length, groups=groups)
        history.add(value, norms, optimizer.learning_rate, validate())
    return history
