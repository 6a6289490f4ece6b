"""Gradients computed twice: by the backward pass, and by difference quotients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module, device_of, to_device, to_numpy
from .checks import check_size

RIGHT = 1e-6  # a relative error below it is right, however small the rounding
ROUNDINGS = 16.0  # how many roundings of an output its own computation may add up to
BLIND = 0.3  # quotients that move by more than this share say nothing
OTHER_STEPS = (0.25, 0.5, 2.0)  # with which an entry is measured again, over the step


def difference_quotient(
    loss: Callable[[], Any], array: Array, index: tuple[int, ...], step: float
) -> float:
    """Return the slope of a loss between two values of one entry of an array.

    Parameters
    ----------
    loss : computes the loss from the array's present content
    array, index : the entry is moved by +step and -step, and put back
    step : the slope is over the distance that the entry moved, which rounding may change

    Raises
    ------
    ValueError
        If the step is too small to move the entry at all.
    """
    value = array[index].copy()
    places, losses = [], []
    for moved in (value + step, value - step):
        array[index] = moved
        places.append(float(array[index]))
        losses.append(float(loss()))
    array[index] = value
    if places[0] == places[1]:
        raise ValueError(
            f"difference_quotient expected a step that moves {float(value):.3g} in "
            f"{array.dtype}, got {step:.3g}"
        )
    return (losses[0] - losses[1]) / (places[0] - places[1])


def numerical_gradient(loss: Callable[[], Any], array: Array, step: float = 1e-5) -> Array:
    """Return the gradient of a loss with respect to an array by central differences.

    Parameters
    ----------
    loss : computes the loss from the array's present content
    array : of any shape; every entry is moved by +step and -step, and put back
    step : the error is of order step**2 from curvature and 1e-16 / step from rounding

    Returns
    -------
    float64 array of the same shape
    """
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        gradient[index] = difference_quotient(loss, array, index, step)
    return gradient


def relative_error(a: Array, b: Array) -> float:
    """Return the largest difference of two arrays over the largest entry of either.

    Two arrays of zeros are equal; where a NaN or an infinity is, the error is infinite.
    """
    scale = float(max(abs(a).max(), abs(b).max()))
    error = float(abs(a - b).max()) / scale if scale != 0 else 0.0
    return error if np.isfinite(error) else float("inf")


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


class RandomLoss:
    """A loss that looks at all that a layer returns: each entry times a random weight.

    Its gradient reaches every parameter from every side.

    Parameters
    ----------
    layer, x, state, lengths : what is called, and with what; see `gradient_check`
    rng : draws the weights
    """

    def __init__(
        self, layer: Module, x: Array, state: Any, lengths: Any, rng: np.random.Generator
    ) -> None:
        self.layer, self.x, self.state = layer, x, state
        self.ends = () if lengths is None else (lengths,)
        self.weights = [rng.normal(size=part.shape) for part in self.outputs()]

    def outputs(self) -> list[Array]:
        """Return y and the parts of the last state, on the processor."""
        y, last = self.layer(self.x, self.state, *self.ends)
        return [to_numpy(part) for part in named_parts("y", "state", y, last).values()]

    def terms(self) -> list[Array]:
        """Return the terms of the sum, computed from the arrays' present content."""
        return [w * part for w, part in zip(self.weights, self.outputs())]

    def __call__(self) -> float:
        """Return the loss."""
        return sum(float(term.sum()) for term in self.terms())

    def gradients(self) -> dict[str, Array]:
        """Return the layer's gradients of x, of each part of the state, of parameters."""
        _, last = self.layer(self.x, self.state, *self.ends)
        dy, *dlast = (to_device(w, device_of(self.x)) for w in self.weights)
        dx, dstate = self.layer.backward(dy, shaped_like(last, iter(dlast)))
        return {**named_parts("x", "state", dx, dstate), **self.layer.grads}


class Comparison(NamedTuple):
    """Two gradients of one array, in the entries that were measured."""

    exact: Array  # (n,) by the backward pass
    numerical: Array  # (n,) by difference quotients
    places: Array  # (n,) of the entries in the array, laid out as one row
    shape: tuple[int, ...]  # of the array
    noise: float  # what rounding and the step may add to the numerical gradient

    @property
    def error(self) -> float:
        """The `relative_error`."""
        return relative_error(self.exact, self.numerical)

    @property
    def visible(self) -> float:
        """The smallest relative error that would stand out."""
        scale = float(max(abs(self.exact).max(), abs(self.numerical).max()))
        return self.noise / scale if scale > 0 else 0.0

    @property
    def verdict(self) -> str:
        """``"right"``; ``"noise"`` where rounding or the step explains it; ``"wrong"``."""
        if self.error < RIGHT:
            return "right"
        return "noise" if self.error <= self.visible or self.visible > BLIND else "wrong"


def float_precision(arrays: Mapping[str, Array]) -> float:
    """Return the largest relative rounding of arrays, all of them float32 or float64.

    Raises
    ------
    TypeError
        If one is of another dtype.
    """
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"gradient_check expected {name} in float32 or float64, got {array.dtype}"
            )
    return float(max(np.finfo(array.dtype).eps for array in arrays.values()))


def rounding_of(loss: RandomLoss, eps: float) -> float:
    """Return what rounding may change in a loss whose outputs are rounded by eps each.

    The roundings of the terms are independent, so their squares add up.

    Raises
    ------
    ValueError
        If two calls differ by more: differences of the loss would measure nothing else.
    """
    first, second = loss(), loss()
    squares = sum(float((term * term).sum()) for term in loss.terms())
    rounding = ROUNDINGS * eps * math.sqrt(squares)
    if abs(first - second) > rounding:
        raise ValueError(
            "gradient_check expected a layer that returns the same twice: turn dropout "
            "off with layer.training = False, and do without stateful=True"
        )
    return rounding


def chosen(size: int, entries: int | None, rng: np.random.Generator) -> Array:
    """Return the places of all entries of an array of a size, or of so many at random."""
    if entries is None or entries >= size:
        return np.arange(size)
    count = check_size("gradient_check", "entries", entries)
    return np.sort(rng.choice(size, count, replace=False))


def measure(
    loss: RandomLoss, array: Array, exact: Array, places: Array,
    step: float, rounding: float,
) -> Comparison:
    """Return the `Comparison` of an array's exact gradient with quotients at its places.

    The entry that is farthest off is measured again with other steps. A gradient that is
    wrong stays as far off; what curvature, a kink or chaos adds to a quotient moves.

    Parameters
    ----------
    exact, places : (n,) as in `Comparison`
    step : see `difference_quotient`
    rounding : from `rounding_of`
    """
    axes = np.unravel_index(places, array.shape)
    indices = [*zip(*(axis.tolist() for axis in axes))]
    numerical = np.array([difference_quotient(loss, array, k, step) for k in indices])
    worst = int(np.argmax(abs(exact - numerical)))
    steps = [k * step for k in OTHER_STEPS]
    others = [difference_quotient(loss, array, indices[worst], k) for k in steps]
    noise = rounding / step + 2.0 * float(max(abs(np.array(others) - numerical[worst])))
    return Comparison(exact, numerical, places, array.shape, noise)


def compare_gradients(
    layer: Module, x: Array, state: Any = None, *, rng: np.random.Generator,
    step: float | None = None, lengths: Any = None, entries: int | None = None,
    names: Iterable[str] | None = None,
) -> dict[str, Comparison]:
    """Compute the gradients of a `RandomLoss` twice, by array.

    Parameters
    ----------
    layer : a recurrent layer or a model, float32 or float64
    x, state, lengths : as the layer takes them; None leaves the first state out, and x is
        left out where it holds tokens
    rng : draws the weights of the loss, and the entries
    step : see `difference_quotient`; None for the cube root of the dtype's rounding
    entries : how many of each array to measure, drawn at random; None for all
    names : of the arrays to measure: x, state[0], parameters; None for all
    """
    moved = None if x.dtype.kind in "iu" else x
    arrays = {**named_parts("x", "state", moved, state), **layer.params}
    eps, loss = float_precision(arrays), RandomLoss(layer, x, state, lengths, rng)
    step = eps ** (1 / 3) if step is None else step
    rounding, exact, found = rounding_of(loss, eps), loss.gradients(), {}
    for name in arrays if names is None else names:
        if name not in arrays:
            raise ValueError(
                f"gradient_check expected names among {[*arrays]}, got {name!r}"
            )
        places = chosen(arrays[name].size, entries, rng)
        mine = to_numpy(exact[name]).reshape(-1)[places].astype(np.float64)
        found[name] = measure(loss, arrays[name], mine, places, step, rounding)
    return found
