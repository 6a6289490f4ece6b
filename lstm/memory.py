"""Instruments that run a model to see how far back it reaches; it is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .backend import Array, Module, device_of, get_array_module, to_device, to_numpy
from .checks import check_array, check_lengths, check_shape, check_size
from .training import evaluating


@contextmanager
def undisturbed(model: Module) -> Iterator[None]:
    """Run a model without dropout and from zeros, and put all of that back.

    Gradients are put back too. What the last forward pass kept is replaced, as by any call.
    """
    changed: dict[str, Any] = {"grads": {}, "stateful": False}
    before = {name: dict(vars(layer)) for name, layer in model.layers.items()}
    try:
        with evaluating(model):
            for layer in model.layers.values():
                vars(layer).update({k: v for k, v in changed.items() if k in vars(layer)})
            yield
    finally:
        for name, layer in model.layers.items():
            vars(layer).update({k: before[name][k] for k in changed if k in before[name]})


def state_parts(state: Any) -> tuple[Array, ...]:
    """Return the parts of a state as a tuple, none for None."""
    return () if state is None else state if isinstance(state, tuple) else (state,)


def check_time_first(owner: str, model: Module, x: Array) -> None:
    """Raise an error unless x is (T, B, I), of floats, and the model takes time first."""
    check_array(owner, "x", x, device_of(x), "f")
    check_shape(owner, "x", x, {"time": None, "batch": None, "features": None})
    for name, layer in model.layers.items():
        if getattr(layer, "batch_first", False):
            raise ValueError(f"{owner} expected layers with batch_first=False, got {name}")


def with_state(parts: tuple[Array, ...]) -> Any:
    """Return a state as models take it: parts in a tuple, a single one without, or None."""
    return parts if len(parts) > 1 else parts[0] if parts else None


def influence(
    model: Module, x: Array, *, state: Any = None, lengths: Any = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Return how much each output depends on each input: the norm of its derivative.

    All outputs are asked at once, each in a copy of the batch of its own, so that a pass
    costs T passes' memory: pass few sequences.

    Parameters
    ----------
    model : a model or a layer with the time axis first
    x : (T, B, I)
    state, lengths : as the model takes them
    rng : None for the exact norm, with one pass for each feature of the output; a generator
        for one pass with random signs, whose square is right on average

    Returns
    -------
    (T, T), row t' and column t: root mean square over the sequences of the norm of
    dy[t'] / dx[t]; (1, T) for a model with one output a sequence. On the processor.
    """
    check_time_first("influence", model, x)
    xp, (T, B) = get_array_module(x), x.shape[:2]
    lengths = check_lengths("influence", lengths, x)
    with undisturbed(model):
        y, _ = model(x, state, lengths)
        rows = T if y.ndim == 3 else 1
        tiled = tuple(xp.concatenate([s] * rows, 1) for s in state_parts(state))
        ends = None if lengths is None else xp.concatenate([lengths] * rows)
        total = np.zeros((rows, T))
        for signs in output_signs(y.shape[-1], rng):
            y, _ = model(xp.concatenate([x] * rows, 1), with_state(tiled), ends)
            dy = xp.zeros((rows, rows, B, y.shape[-1]), y.dtype)
            for row in range(rows):
                dy[row, row] = to_device(signs.astype(y.dtype), device_of(y))
            dx, _ = model.backward(dy.reshape(y.shape))
            squares = (dx * dx).sum(2).reshape(T, rows, B).mean(2)
            total += to_numpy(squares).T
    return np.sqrt(total)


def output_signs(size: int, rng: np.random.Generator | None) -> list[Array]:
    """Return the weights of the outputs, a pass each: one output, or random signs."""
    if rng is None:
        return list(np.eye(size))
    return [rng.choice([-1.0, 1.0], size=size)]


def memory_length(influence: Array) -> float:
    """Return the number of steps within which half of the influence of the inputs lies.

    For an influence that halves every n steps this is n, as long as the sequence is long.

    Parameters
    ----------
    influence : (T, T) from `influence`, of which the mean over all outputs is taken for
        each distance t' - t; or (1, T), of the last step alone. What lies ahead is left out

    Returns
    -------
    float : from 0 to T; NaN if no input has any influence
    """
    rows, T = influence.shape
    last = np.arange(T - rows, T)  # the step that each row belongs to
    profile = np.array([influence[last >= k, last[last >= k] - k].mean() for k in range(T)])
    shares = np.cumsum(profile)
    if not shares[-1] > 0:
        return float("nan")
    return float(np.interp(0.5, np.append(0.0, shares / shares[-1]), np.arange(T + 1)))


def state_jacobian(model: Module, x: Array, state: Any) -> Array:
    """Return the derivative of the state after a step by the state before, (B, n, n).

    Row k is that of number k of the new state; n counts all numbers of a sequence's state,
    part by part, run by run. By one backward pass over n copies of the batch.

    Parameters
    ----------
    model : a model or a layer with the time axis first
    x : (1, B, I) the step's input
    state : before the step
    """
    check_time_first("state_jacobian", model, x)
    xp, parts = get_array_module(x), state_parts(state)
    B, n = x.shape[1], sum(part.shape[0] * part.shape[2] for part in parts)
    rows = xp.eye(n, dtype=parts[0].dtype).reshape(n, len(parts), -1, parts[0].shape[2])
    asked = [xp.concatenate([rows[:, k].swapaxes(0, 1)] * B, 1) for k in range(len(parts))]
    copies = with_state(tuple(xp.repeat(part, n, 1) for part in parts))
    with undisturbed(model):
        y, _ = model(xp.repeat(x, n, 1), copies)
        _, dstate = model.backward(xp.zeros_like(y), with_state(tuple(asked)))
    found = [d.swapaxes(0, 1).reshape(B, n, -1) for d in state_parts(dstate)]
    jacobian: Array = xp.concatenate(found, 2)
    return jacobian


def spectral_radius(
    model: Module, x: Array, state: Any = None, *, steps: int = 8
) -> float:
    """Return the largest absolute eigenvalue of a step's `state_jacobian`, at work.

    Parameters
    ----------
    model : a model or a layer, in one direction and with the time axis first
    x : (T, B, I); each sequence and step that is looked at costs the eigenvalues of a
        matrix as large as the state, computed on the processor
    state : before x
    steps : how many steps to look at, spread over x, the first left out

    Returns
    -------
    float : the geometric mean over these steps and sequences
    """
    check_time_first("spectral_radius", model, x)
    recurrent = {k: layer for k, layer in model.layers.items() if hasattr(layer, "runs")}
    if len(recurrent) != 1:
        found = len(recurrent)
        raise ValueError(f"spectral_radius expected one recurrent layer, got {found}")
    for name, layer in recurrent.items():
        if layer.directions > 1:
            raise ValueError(f"spectral_radius expected one direction, got two in {name}")
    if not get_array_module(x).isfinite(x).all():
        raise ValueError("spectral_radius expected x without NaN or infinity, got some")
    if len(x) < 2:
        raise ValueError(f"spectral_radius expected x of at least 2 steps, got {len(x)}")
    count, logs, done = check_size("spectral_radius", "steps", steps), [], 0
    with undisturbed(model):
        for t in np.unique(np.linspace(1, len(x) - 1, count).astype(int)):
            _, state = model(x[done:t], state)
            done = int(t)
            jacobian = to_numpy(state_jacobian(model, x[done : done + 1], state))
            radii = abs(np.linalg.eigvals(jacobian.astype(np.float64))).max(1)
            logs.append(np.log(np.maximum(radii, np.finfo(float).tiny)))
    return float(np.exp(np.mean(logs)))
