"""Errors that name the argument, what came, and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .backend import Array, device_of, to_device, to_numpy


def check_size(owner: str, name: str, value: Any) -> int:
    """Return a size that is a positive whole number.

    Raises
    ------
    TypeError, ValueError
        If it is no int, or below 1.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{owner} expected {name} as an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{owner} expected {name} of at least 1, got {value}")
    return int(value)


def check_optional_size(owner: str, name: str, value: Any) -> int | None:
    """Return None for None, else a size as `check_size` does."""
    return None if value is None else check_size(owner, name, value)


def check_count(owner: str, name: str, value: Any) -> int:
    """Return a count that is a whole number of at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is no int, or below 0.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{owner} expected {name} as an int, got {value!r}")
    if value < 0:
        raise ValueError(f"{owner} expected {name} of at least 0, got {value}")
    return int(value)


def check_positive(owner: str, name: str, value: float) -> float:
    """Return a number that is above zero and finite.

    Raises
    ------
    ValueError
        If it is zero, negative, infinite or not a number.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{owner} expected {name} above 0 and finite, got {value!r}")
    return value


def check_fraction(owner: str, name: str, value: float) -> float:
    """Return a number from 0 to below 1.

    Raises
    ------
    ValueError
        If it is outside that range or not a number.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{owner} expected {name} from 0 to below 1, got {value!r}")
    return value


def check_arrays(
    owner: str, given: Mapping[str, Array], expected: Mapping[str, Array]
) -> None:
    """Compare arrays with those that they are to replace.

    Raises
    ------
    ValueError
        If names, shapes or dtypes differ; the error lists all that do.
    """
    pairs = [(name, given[name], a) for name, a in expected.items() if name in given]
    faults = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "different": [
            f"{name} {came.dtype} {came.shape} instead of {a.dtype} {a.shape}"
            for name, came, a in pairs if came.shape != a.shape or came.dtype != a.dtype
        ],
    }
    found = [f"{fault}: {', '.join(names)}" for fault, names in faults.items() if names]
    if found:
        raise ValueError(f"{owner} expected other arrays; {'; '.join(found)}")


def check_lengths(owner: str, lengths: Any, x: Array) -> Array | None:
    """Return the lengths (B,) of sequences x (T, B, ...), on x's device; None for None.

    Raises
    ------
    TypeError, ValueError
        If they are no whole numbers, not one for each sequence, or not from 1 to T.
    """
    if lengths is None:
        return None
    (T, B), values = x.shape[:2], np.asarray(to_numpy(lengths))
    if values.dtype.kind not in "iu":
        raise TypeError(f"{owner} expected lengths as whole numbers, got {values.dtype}")
    if values.shape != (B,):
        raise ValueError(f"{owner} expected lengths of shape ({B},), got {values.shape}")
    if values.min() < 1 or values.max() > T:
        raise ValueError(
            f"{owner} expected lengths from 1 to {T}, got {values.min()} to {values.max()}"
        )
    return to_device(values.astype(np.int64), device_of(x))


def check_array(owner: str, name: str, value: Any, device: str, kinds: str) -> Array:
    """Return an array of a kind of numbers that is on the given device.

    Parameters
    ----------
    kinds : of its dtype, by NumPy's letters: ``"f"`` floating, ``"iu"`` integer

    Raises
    ------
    TypeError
        If it is no array, of another kind, or on the other device.
    """
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        raise TypeError(f"{owner} expected {name} as an array, got {type(value).__name__}")
    if value.dtype.kind not in kinds:
        expected = "a floating" if kinds == "f" else "an integer"
        raise TypeError(f"{owner} expected {name} of {expected} dtype, got {value.dtype}")
    if device_of(value) != device:
        raise TypeError(
            f"{owner} expected {name} on {device}, got an array on {device_of(value)}; "
            f"move it with lstm.to_device({name}, {device!r})"
        )
    array: Array = value
    return array


def check_floats(owner: str, name: str, value: Any, device: str) -> Array:
    """Return an array of floats that is on the given device; else as in `check_array`."""
    return check_array(owner, name, value, device, "f")


def check_tokens(owner: str, name: str, value: Any, count: int, device: str) -> Array:
    """Return tokens (T, B) as a copy of whole numbers from 0 to count - 1.

    Raises
    ------
    TypeError, ValueError
        As in `check_array` and `check_shape`; if a token is outside that range.
    """
    check_array(owner, name, value, device, "iu")
    check_shape(owner, name, value, {"time": None, "batch": None})
    least, most = int(value.min()), int(value.max())
    if least < 0 or most >= count:
        wrong = least if least < 0 else most
        raise ValueError(f"{owner} expected {name} from 0 to {count - 1}, got {wrong}")
    tokens: Array = value.astype(np.int64)
    return tokens


def check_shape(
    owner: str, name: str, value: Array, axes: Mapping[str, int | None]
) -> Array:
    """Return an array that has the given axes, none of them empty.

    Parameters
    ----------
    axes : the name and size of each axis in order; None where any size will do

    Raises
    ------
    ValueError
        If the number of axes or a size differs, or an axis is empty.
    """
    if len(value.shape) != len(axes):
        raise ValueError(
            f"{owner} expected {name} with {len(axes)} axes ({', '.join(axes)}), "
            f"got shape {value.shape}"
        )
    if 0 in value.shape:
        raise ValueError(
            f"{owner} expected {name} without an empty axis, got shape {value.shape}"
        )
    if any(size not in (None, given) for size, given in zip(axes.values(), value.shape)):
        expected = ", ".join(
            axis if size is None else f"{axis} {size}" for axis, size in axes.items()
        )
        raise ValueError(
            f"{owner} expected {name} of shape ({expected}), got {value.shape}"
        )
    return value
