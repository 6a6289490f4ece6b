"""Training: truncated backpropagation through time with carried state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .backend import Array, Module, get_array_module
from .checks import check_size
from .data import batches
from .losses import mean_squared_error
from .optim import Optimizer, clip_grad_norm

Loss = Callable[[Array, Array], tuple[Array, Array]]


@dataclass
class History:
    """What `fit` saw, one entry an epoch.

    Attributes
    ----------
    loss : mean loss of the epoch's updates, each measured before its update
    grad_norm : largest joint norm of the gradients, before clipping; empty without clipping
    learning_rate : the rate used
    """

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)

    def add(self, loss: float, norms: list[float], rate: float) -> None:
        """Append what an epoch brought."""
        self.loss.append(loss)
        self.grad_norm += [max(norms)] if norms else []
        self.learning_rate.append(rate)


def check_pair(owner: str, x: Array, y: Array) -> None:
    """Raise a ValueError unless x and y are finite and of the same steps and sequences."""
    for name, value in (("x", x), ("y", y)):
        if value.dtype.kind == "f" and not get_array_module(value).isfinite(value).all():
            raise ValueError(f"{owner} expected {name} without NaN or infinity, got some")
    if x.shape[:2] != y.shape[:2]:
        raise ValueError(
            f"{owner} expected y for the steps and sequences of x {x.shape[:2]}, "
            f"got {y.shape[:2]}"
        )


def train_step(
    model: Module, x: Array, y: Array, state: Any, optimizer: Optimizer,
    loss: Loss = mean_squared_error, clip_norm: float | None = None,
) -> tuple[float, float | None, Any]:
    """Make one update from one stretch of sequences.

    Parameters
    ----------
    model, optimizer : the optimizer was made with ``model.params``
    x, y : (T, B, I) and targets for the loss
    state : of the model before x; None for zeros
    loss : returns the loss and its gradient
    clip_norm : largest joint norm of the gradients; None for no clipping

    Returns
    -------
    loss : before the update
    norm : of the gradients before clipping, None without clipping
    state : after x. It is made of plain arrays, so no gradient flows back through it.

    Raises
    ------
    FloatingPointError
        If the loss is NaN or infinite; the parameters are left as they were.
    """
    prediction, state = model(x, state)
    scalar, dy = loss(prediction, y)
    value = float(scalar)
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss became {value}; the parameters were not changed"
        )
    model.backward(dy)
    grads = model.grads
    norm = None if clip_norm is None else float(clip_grad_norm(grads, clip_norm))
    optimizer.step(grads)
    return value, norm, state


def train_epoch(
    model: Module, x: Array, y: Array, optimizer: Optimizer, *, bptt_length: int,
    groups: Iterable[Array], loss: Loss, clip_norm: float | None,
) -> tuple[float, list[float]]:
    """Go through the sequences once; return the mean loss and the gradients' norms.

    Each group of sequences is cut along time into stretches of ``bptt_length``: one update
    each, the state carried from one to the next, starting from zeros.
    """
    losses, norms = [], []
    for group in groups:
        group, state = get_array_module(x).asarray(group), None
        for start in range(0, len(x), bptt_length):
            stretch = slice(start, start + bptt_length), group
            value, norm, state = train_step(
                model, x[stretch], y[stretch], state, optimizer, loss, clip_norm
            )
            losses.append(value)
            norms += [] if norm is None else [norm]
    return float(np.mean(losses)), norms


def fit(
    model: Module, x: Array, y: Array, optimizer: Optimizer, *, epochs: int,
    bptt_length: int | None = None, batch_size: int | None = None,
    loss: Loss = mean_squared_error, clip_norm: float | None = None,
    schedule: Callable[[int], float] | None = None,
    rng: np.random.Generator | None = None, progress: bool = False,
) -> History:
    """Train a model by truncated backpropagation through time; return its `History`.

    Parameters
    ----------
    model, optimizer : the optimizer was made with ``model.params``
    x, y : (T, B, I) and (T, B, O)
    epochs : how often to go through the data
    bptt_length : steps between updates, where the gradient is cut and the state carried
        on; None for all T
    batch_size : sequences per update, None for all B
    loss, clip_norm : as in `train_step`
    schedule : learning rate by epoch; None keeps the optimizer's
    rng : shuffles the sequences every epoch; None keeps their order
    progress : show a bar (needs tqdm; silent where the output is no terminal)

    Raises
    ------
    ValueError, FloatingPointError
        If x or y is not finite or their steps or batch differ; if the loss is not finite.
    """
    check_pair("fit", x, y)
    (T, B), history = x.shape[:2], History()
    length = check_size("fit", "bptt_length", T if bptt_length is None else bptt_length)
    size = check_size("fit", "batch_size", B if batch_size is None else batch_size)
    for epoch in progress_bar(check_size("fit", "epochs", epochs), progress):
        if schedule is not None:
            optimizer.learning_rate = schedule(epoch)
        value, norms = train_epoch(
            model, x, y, optimizer, bptt_length=length,
            groups=batches(B, size, rng), loss=loss, clip_norm=clip_norm,
        )
        history.add(value, norms, optimizer.learning_rate)
    return history


def progress_bar(epochs: int, shown: bool) -> Iterable[int]:
    """Return the epochs' numbers, with a bar around them if asked for."""
    if not shown:
        return range(epochs)
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: run `pip install tqdm`") from error
    return tqdm(range(epochs), unit="epoch", disable=None)


def evaluate(model: Module, x: Array, y: Array, loss: Loss = mean_squared_error) -> float:
    """Return the loss of a model over whole sequences, started from zeros.

    Parameters
    ----------
    x, y : as in `fit`
    """
    check_pair("evaluate", x, y)
    prediction, _ = model(x)
    return float(loss(prediction, y)[0])
