"""The gradient check: which gradient is wrong, where, and what the pattern looks like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, Module
from .diagnostics import gate_blocks
from .numerical import Comparison, compare_gradients

PATTERN = 1e-4  # a wrong gradient follows a pattern to within this relative error
AXES = {"x": ("step", "sequence", "feature"), "state": ("run", "sequence", "unit")}


def follows(a: Array, b: Array, noise: float) -> bool:
    """Return whether two arrays are the same, up to `PATTERN` and to rounding."""
    scale = max(abs(a).max(), abs(b).max())
    return bool(abs(a - b).max() <= max(PATTERN * scale, 2.0 * noise))


def scaled(c: Comparison, sizes: Mapping[str, int]) -> str | None:
    """Suspect a constant factor: zero, a sign, a size such as 1/B."""
    a, b = c.exact, c.numerical
    factor = float(a @ b / (b @ b)) if b.any() else 1.0
    if not follows(a, factor * b, c.noise) or abs(factor - 1.0) < PATTERN:
        return None
    if abs(factor) < PATTERN:
        return "the gradient is zero where the difference quotient is not"
    if abs(factor + 1.0) < 10 * PATTERN:
        return "the sign is wrong"
    known = {**sizes, **{f"1/{name}": 1 / size for name, size in sizes.items()}}
    names = [name for name, k in known.items() if abs(factor / k - 1) < 10 * PATTERN]
    which = f", which is {' or '.join(names)}" if names else ""
    return f"the two differ by a constant factor {factor:.3g}{which}"


def blocks_of(c: Comparison, letters: str) -> list[tuple[Array, Array]]:
    """Return both gradients of each block of rows; nothing if only some were measured."""
    if len(c.places) < np.prod(c.shape):
        return []
    count = len(letters) or 1
    parts = (np.split(a.reshape(c.shape), count) for a in (c.exact, c.numerical))
    return list(zip(*parts))


def exchanged(c: Comparison, letters: str) -> str | None:
    """Suspect blocks of gates in another order."""
    blocks, order = blocks_of(c, letters), ""
    for mine, _ in blocks:
        fits = [k for k, (_, b) in zip(letters, blocks) if follows(mine, b, c.noise)]
        order += fits[0] if len(fits) == 1 else "?"
    moved = [k for k, found in zip(letters, order) if k != found]
    if not moved or sorted(order) != sorted(letters):
        return None
    if len(moved) == 2:
        return f"blocks {moved[0]} and {moved[1]} are exchanged"
    return f"the blocks {', '.join(letters)} hold those of {', '.join(order)}"


def reordered(c: Comparison, letters: str, axes: tuple[str, ...]) -> str | None:
    """Suspect the right numbers in other places: transposed, turned around, permuted."""
    blocks = blocks_of(c, letters)
    if blocks and len(c.shape) == 2 and len(blocks[0][0]) == c.shape[1]:
        if all(follows(a, b.T, c.noise) for a, b in blocks):
            return "rows and columns of each block are exchanged"
    for axis, name in enumerate(axes):
        if blocks and all(follows(a, np.flip(b, axis), c.noise) for a, b in blocks):
            return f"the order of the {name}s is turned around"
    if blocks and follows(np.sort(c.exact), np.sort(c.numerical), c.noise):
        return "the right numbers stand in other places"
    return None


def wrong_entries(c: Comparison) -> Array:
    """Mark the measured entries whose error is more than rounding, (n,)."""
    scale = max(abs(c.exact).max(), abs(c.numerical).max())
    wrong: Array = abs(c.exact - c.numerical) > max(PATTERN * scale, c.noise)
    return wrong


def spans(values: Array) -> str:
    """Write whole numbers as ``2``, ``0 to 3`` or ``0, 2, 5``."""
    found = [int(v) for v in values]
    if len(found) > 1 and found == [*range(found[0], found[-1] + 1)]:
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found))


def confined(
    c: Comparison, letters: str, axes: tuple[str, ...]
) -> tuple[list[str], Comparison]:
    """Tell where a fault stops: the blocks, steps, sequences or columns that are wrong.

    Returns
    -------
    words : such as ``"only block f"``, none where everything is wrong
    part : the comparison in these places alone
    """
    wrong, words, part = wrong_entries(c), [], np.full(len(c.places), True)
    indices = dict(zip(axes, np.unravel_index(c.places, c.shape)))
    if len(letters) > 1:
        size = c.shape[0] // len(letters)
        rows = indices["row"]
        indices = {"block": rows // size, **indices, "row": rows % size}
    for name, index in indices.items():
        bad = np.unique(index[wrong])
        if 0 < len(bad) < len(np.unique(index)):
            found = [letters[k] for k in bad] if name == "block" else [spans(bad)]
            words.append(f"only {name}{'s' * (len(bad) > 1)} {', '.join(found)}")
            part &= np.isin(index, bad)
    exact, numerical, kept = (a[part] for a in (c.exact, c.numerical, c.places))
    return words, Comparison(exact, numerical, kept, c.shape, c.noise)


def suspicion(
    c: Comparison, letters: str, axes: tuple[str, ...], sizes: Mapping[str, int]
) -> str:
    """Return what a wrong gradient looks like, the first pattern that fits and its limits.

    Parameters
    ----------
    c : the comparison
    letters : of the blocks of rows, empty for none
    axes : a name for each axis
    sizes : numbers that a gradient may be divided or multiplied by, such as T and B
    """
    if not np.isfinite(c.exact).all():
        return "the gradient is NaN or infinite"
    if not np.isfinite(c.numerical).all():
        return "the loss is NaN or infinite"
    if follows(c.exact, c.numerical, c.noise):
        return "an approximation somewhere: the two differ by little"
    whole = scaled(c, sizes) or exchanged(c, letters) or reordered(c, letters, axes)
    if whole is not None:
        return whole
    words, part = confined(c, letters, axes)
    within = scaled(part, sizes) if words and len(part.places) > 1 else None
    return "; ".join([*words, *([within] if within else [])]) or "no pattern that is known"


class Fault(NamedTuple):
    """A gradient that is wrong, at the entry where it is farthest off."""

    name: str
    gate: str  # the letter of its block of rows, empty where there is none
    entry: tuple[int, ...]
    exact: float  # by the backward pass
    numerical: float  # by the difference quotient
    suspicion: str

    def __str__(self) -> str:
        """Say all of it in two lines."""
        block = f", block {self.gate}" if self.gate else ""
        return (
            f"{self.name}{block}, entry {self.entry}: backward pass {self.exact:.6g}, "
            f"difference quotient {self.numerical:.6g}\n    suspected: {self.suspicion}"
        )


def fault_of(name: str, c: Comparison, letters: str, sizes: Mapping[str, int]) -> Fault:
    """Return the `Fault` of a comparison; arguments as in `suspicion`."""
    difference = np.nan_to_num(abs(c.exact - c.numerical), nan=np.inf)
    worst = int(np.argmax(difference))
    entry = tuple(int(k) for k in np.unravel_index(c.places[worst], c.shape))
    gate = letters[entry[0] * len(letters) // c.shape[0]] if letters else ""
    axes = AXES.get(name.partition("[")[0], ("row", "column")[: len(c.shape)])
    found = suspicion(c, letters, axes, sizes)
    return Fault(name, gate, entry, float(c.exact[worst]), float(c.numerical[worst]), found)


class GradientReport(dict[str, float]):
    """The relative error of every gradient by name; printed, a table and the faults.

    Attributes
    ----------
    comparisons : by name, both gradients and their `Comparison.verdict`
    faults : a `Fault` for each gradient that is wrong
    """

    def __init__(self, comparisons: Mapping[str, Comparison], faults: list[Fault]) -> None:
        super().__init__({name: c.error for name, c in comparisons.items()})
        self.comparisons, self.faults = dict(comparisons), faults

    @property
    def ok(self) -> bool:
        """Whether none is wrong: errors are below 1e-6, or rounding explains them."""
        return not self.faults

    def __str__(self) -> str:
        """Return the table, and what is known of each fault."""
        width = max(len(name) for name in self)
        lines = [f"{'':{width}}     error  visible from  verdict"]
        for name, c in self.comparisons.items():
            lines.append(f"{name:{width}}  {c.error:8.0e}  {c.visible:12.0e}  {c.verdict}")
        return "\n".join([*lines, *map(str, self.faults)])

    __repr__ = __str__


def gradient_check(
    model: Module, x: Array, state: Any = None, *, rng: np.random.Generator,
    step: float | None = None, lengths: Any = None, entries: int | None = None,
    names: Iterable[str] | None = None,
) -> GradientReport:
    """Compare a backward pass with difference quotients; say what is wrong, and where.

    Parameters
    ----------
    model : a recurrent layer or a model, float64 or float32, dropout off
    x : (T, B, I)
    state, lengths : as the model takes them; None leaves the first state out of the check
    rng : draws the weights of the loss, and the entries
    step : to either side of a value; None for the cube root of the dtype's rounding
    entries : how many of each array to measure, drawn at random; None for all
    names : of the arrays to measure: x, state[0], parameters; None for all

    Returns
    -------
    GradientReport : by name, the relative error: below 1e-6 where a float64 derivative is
        right, and below what rounding explains where a float32 one is; see ``ok``

    Raises
    ------
    TypeError, ValueError
        If a dtype is another; if a name is unknown; if two calls return different numbers.
    """
    options: dict[str, Any] = {"step": step, "lengths": lengths, "entries": entries}
    compared = compare_gradients(model, x, state, rng=rng, names=names, **options)
    T, B = x.shape[:2]
    sizes = {"T": T, "B": B, "(T B)": T * B}
    blocks = gate_blocks(model)
    faults = [
        fault_of(name, c, blocks.get(name, ""), sizes)
        for name, c in compared.items() if c.verdict == "wrong"
    ]
    return GradientReport(compared, faults)
