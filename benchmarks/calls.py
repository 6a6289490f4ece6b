"""Count how often a step of an LSTM calls NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm import recurrence


class Counted(np.ndarray):
    """An array that counts the calls of NumPy's functions on it and its like."""

    calls = 0

    def __array_ufunc__(
        self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        Counted.calls += 1
        plain = lambda a: a.view(np.ndarray) if isinstance(a, Counted) else a  # noqa: E731
        options |= {"out": tuple(map(plain, out))} if out else {}
        result = getattr(function, method)(*map(plain, inputs), **options)
        return result.view(Counted) if isinstance(result, np.ndarray) else result

    def __setitem__(self, index: Any, value: Any) -> None:
        Counted.calls += 1
        super().__setitem__(index, value)


class CountedWorkspace(recurrence.Workspace):
    """A workspace whose arrays count."""

    def take(self, *arguments: Any) -> Any:
        return super().take(*arguments).view(Counted)


def calls_of_pass(T: int) -> tuple[int, int]:
    """Return the calls of one forward and one backward pass over T steps."""
    B, I, H = 2, 3, 4
    shapes = (T, B, I), (T, B, H), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,)
    x, dy, h, c, *weights = (np.ones(shape).view(Counted) for shape in shapes)
    memory, Counted.calls = CountedWorkspace(), 0
    _, last, cache = recurrence.lstm_forward(x, (h, c), *weights, memory)
    forward, Counted.calls = Counted.calls, 0
    recurrence.lstm_backward(dy, last, cache, *weights, memory)
    return forward, Counted.calls


def calls_per_step(short: int = 30, long: int = 90) -> dict[str, float]:
    """Return the calls that one step more costs, in each direction."""
    pairs = zip(("forward", "backward"), calls_of_pass(short), calls_of_pass(long))
    return {way: (more - few) / (long - short) for way, few, more in pairs}
