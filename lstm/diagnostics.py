"""Instruments: gradient check, sizes of gradients, statistics of gates and states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, device_of, get_array_module, to_device, to_numpy


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
    return xp.log(0.5) / xp.log(f)


def numerical_gradient(loss: Callable[[], Any], array: Array, step: float = 1e-5) -> Array:
    """Return the gradient of a loss with respect to an array by central differences.

    Parameters
    ----------
    loss : computes the loss from the array's present content
    array : float64, of any shape; every entry is moved by +step and -step, and put back
    step : the error is of order step**2 from curvature and 1e-16 / step from rounding

    Returns
    -------
    array of the same shape
    """
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index].copy()
        array[index] = value + step
        above = float(loss())
        array[index] = value - step
        gradient[index] = (above - float(loss())) / (2.0 * step)
        array[index] = value
    return gradient


def relative_error(a: Array, b: Array) -> float:
    """Return the largest difference of two arrays over the largest entry of either."""
    scale = max(abs(a).max(), abs(b).max())
    return float(abs(a - b).max() / scale) if scale > 0 else 0.0


def random_loss(
    layer: Module, x: Array, state: Any, rng: np.random.Generator
) -> tuple[Callable[[], float], dict[str, Array]]:
    """Return a loss that looks at all that a layer returns, and its gradients.

    The loss is the sum of all outputs and last states, each entry times a random weight,
    so that its gradient reaches every parameter from every side.

    Returns
    -------
    loss : computes its value from the present content of x, state and parameters
    gradients : by the layer's backward pass: of x, each part of the state, each parameter
    """

    def outputs() -> list[Array]:
        y, last = layer(x, state)
        return [to_numpy(part) for part in named_parts("y", "state", y, last).values()]

    weights = [rng.normal(size=part.shape) for part in outputs()]
    dy, *dlast = (to_device(weight, device_of(x)) for weight in weights)
    _, last = layer(x, state)
    dx, dstate = layer.backward(dy, shaped_like(last, iter(dlast)))

    def loss() -> float:
        return sum(float((w * part).sum()) for w, part in zip(weights, outputs()))

    return loss, {**named_parts("x", "state", dx, dstate), **layer.grads}


def gradient_check(
    layer: Module, x: Array, state: Any = None, *,
    rng: np.random.Generator, step: float = 1e-5,
) -> dict[str, float]:
    """Compare a layer's backward pass with central differences of a `random_loss`.

    Parameters
    ----------
    layer : a recurrent layer or a model, float64
    x : (T, B, I) float64; or tokens (T, B), which are left out of the check
    state : as the layer takes it; None leaves the first state out of the check
    rng : draws the weights of the loss
    step : see `numerical_gradient`

    Returns
    -------
    dict : the `relative_error` for x, each part of the state, and each parameter;
        below 1e-6 where the derivative is right

    Raises
    ------
    TypeError
        If an array is not float64: rounding in float32 hides the answer.
    """
    moved = None if x.dtype.kind in "iu" else x
    arrays = {**named_parts("x", "state", moved, state), **layer.params}
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise TypeError(f"gradient_check expected {name} in float64, got {array.dtype}")
    loss, exact = random_loss(layer, x, state, rng)
    return {
        name: relative_error(to_numpy(exact[name]), numerical_gradient(loss, array, step))
        for name, array in arrays.items()
    }


def named_parts(
    first: str, rest: str, array: Array | None, state: Any
) -> dict[str, Array]:
    """Return an array and the parts of a state under names: first, rest[0], rest[1]...

    None has no name. Parts of a part, where a model has several states, are rest[0][0].
    """
    parts = () if state is None else state if isinstance(state, tuple) else (state,)
    found = {} if array is None else {first: array}
    for k, part in enumerate(parts):
        name, nested = f"{rest}[{k}]", isinstance(part, tuple)
        found |= named_parts(name, name, None, part) if nested else {name: part}
    return found


def shaped_like(state: Any, parts: Iterator[Array]) -> Any:
    """Return arrays in the order of `named_parts` as a state like the one given."""
    if isinstance(state, tuple):
        return tuple(shaped_like(part, parts) for part in state)
    return None if state is None else next(parts)


def gradient_norms(grads: Mapping[str, Array]) -> dict[str, float]:
    """Return the Euclidean norm of each gradient.

    Parameters
    ----------
    grads : ``model.grads`` after a backward pass
    """
    return {name: float((g * g).sum() ** 0.5) for name, g in grads.items()}


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
