"""Where the time of a pass goes: the functions that `lstm.recurrence` calls, with clocks on them."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np

from lstm import gates, recurrence

from .subjects import normal

COPIES = ("pack", "stack_inputs", "features_first", "side_by_side")
PRODUCTS, POINTWISE, COPYING, REST = "products", "point-wise", "copies", "the rest"
FACTORS, STEPS = "factors of the way back", "steps of the way back"


class Clock:
    """Seconds by part, of functions none of which calls another."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def on(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and adds its time to a part."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **options)
            self.seconds[part] += time.perf_counter() - start
            return result

        return timed

    def split(self, run: Callable[[], Any]) -> tuple[dict[str, float], Any]:
        """Return the seconds of a call by part, what no part takes as the rest; and its result."""
        self.seconds.clear()
        start = time.perf_counter()
        result = run()
        total = time.perf_counter() - start
        return {**self.seconds, REST: total - sum(self.seconds.values())}, result


class TimedProducts:
    """NumPy, with a clock on its matrix product."""

    def __init__(self, clock: Clock) -> None:
        self.matmul = clock.on(PRODUCTS, np.matmul)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def pass_by_part(size: Any, clock: Clock, workspace: Any) -> dict[str, dict[str, float]]:
    """Return the seconds of one forward and one backward pass by part."""
    T, B, I, H = size
    shapes = (T, B, I), (T, B, H), (4 * H, I), (4 * H, H), (4 * H,)
    x, dy, *weights = normal(*shapes)
    weights = [w / np.float32(H) ** 0.5 for w in weights]
    state = np.zeros((B, H), np.float32), np.zeros((B, H), np.float32)
    step = clock.on(POINTWISE, gates.lstm_step)
    back = {
        "partials": clock.on(FACTORS, gates.lstm_partials),
        "step": clock.on(STEPS, gates.lstm_step_backward),
    }
    forward, (_, _, cache) = clock.split(
        lambda: recurrence.lstm_forward(x, state, *weights, workspace, step=step)
    )
    backward, _ = clock.split(
        lambda: recurrence.lstm_backward(dy, state, cache, *weights, workspace, **back)
    )
    return {"forward": forward, "backward": backward}


def parts(size: Any, repeats: int = 3) -> dict[str, dict[str, float]]:
    """Return the median seconds of each part of the two passes, after one to warm up.

    What is left, "the rest", is the interpreter's time, and sums that no function holds.
    """
    clock, workspace = Clock(), recurrence.Workspace()
    timed = TimedProducts(clock)
    with ExitStack() as stack:
        change = lambda name, new: stack.enter_context(patch.object(recurrence, name, new))  # noqa: E731
        change("get_array_module", lambda *_: timed)
        for name in COPIES:
            change(name, clock.on(COPYING, getattr(recurrence, name)))
        runs = [pass_by_part(size, clock, workspace) for _ in range(repeats + 1)][1:]
    return {
        way: {part: statistics.median(run[way][part] for run in runs) for part in runs[0][way]}
        for way in ("forward", "backward")
    }
