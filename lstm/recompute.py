"""Gradient checkpointing over time: keep few states, and run forward again for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .backend import Array, get_array_module
from .recurrence import BLOCK, State, Workspace, part_of
from .stack import Forward, run_forward


@contextmanager
def drawing_again(rng: np.random.Generator | None, drawn: Any) -> Iterator[None]:
    """Let a generator draw what it drew from a state on, and go on later where it was.

    Parameters
    ----------
    rng : None does nothing
    drawn : ``rng.bit_generator.state`` of that time
    """
    if rng is None:
        yield
        return
    now, rng.bit_generator.state = rng.bit_generator.state, drawn
    try:
        yield
    finally:
        rng.bit_generator.state = now


class SparseCache:
    """A cache of the state before every k-th step, which makes the rest again.

    What it returns for some steps is overwritten when it is asked for others.

    Parameters
    ----------
    forward : such as `lstm_forward`
    x, weights, lengths : as `stack.run_forward` takes them; of the weights, copies are kept
    workspace : holds the steps that were made last
    every : k, rounded up to whole blocks of `recurrence.BLOCK`, each of which the way back
        must have in memory
    rng : the generator that ``forward`` draws from, None if it draws nothing
    """

    def __init__(
        self, forward: Forward, x: Array, weights: State, lengths: Array | None,
        workspace: Workspace, every: int, rng: np.random.Generator | None,
    ) -> None:
        self.forward, self.x, self.lengths = forward, x, lengths
        self.weights = tuple(w.copy() for w in weights)  # optimizers change theirs in place
        self.workspace, self.rng, self.every = workspace, rng, -(-every // BLOCK) * BLOCK
        self.states: list[State] = []
        self.draws: list[Any] = []
        self.made: Any = None
        self.steps = slice(0, 0)

    def run(
        self, steps: slice, state: State, workspace: Workspace
    ) -> tuple[Array, State, Any]:
        """Return y, state and cache of `stack.run_forward` for some steps, from a state."""
        x, lengths = self.x[steps], self.lengths
        if lengths is not None:  # 0 where a sequence has ended before
            lengths = get_array_module(x).clip(lengths - steps.start, 0, len(x))
        return run_forward(self.forward, x, state, self.weights, lengths, workspace)

    def extend(self, state: State) -> tuple[Array, State]:
        """Run the next k steps, from the state before them, for the first time."""
        first = len(self.states) * self.every
        self.states.append(state)
        self.draws.append(None if self.rng is None else self.rng.bit_generator.state)
        self.steps = slice(first, min(first + self.every, len(self.x)))
        y, state, self.made = self.run(self.steps, state, self.workspace)
        return y, state

    def again(self, steps: slice, workspace: Workspace) -> Any:
        """Run some steps again, from one with a state before it; return their cache."""
        k = steps.start // self.every
        with drawing_again(self.rng, self.draws[k]):
            return self.run(steps, self.states[k], workspace)[2]

    def part(self, steps: slice) -> Any:
        """Return the cache of some steps, from memory if they are there, or made again."""
        if steps.start < self.steps.start or steps.stop > self.steps.stop:
            first = steps.start - steps.start % self.every
            self.steps = slice(first, steps.stop)
            self.made = self.again(self.steps, self.workspace)
        first, stop = self.steps.start, self.steps.stop
        inside = slice(steps.start - first, steps.stop - first)
        return part_of(self.made, inside, stop - first)


def sparse_forward(
    forward: Forward, x: Array, state: State, weights: State, lengths: Array | None,
    workspace: Workspace | None = None, *, every: int,
    rng: np.random.Generator | None = None,
) -> tuple[Array, State, SparseCache]:
    """Run one direction of one layer, and keep the states of a `SparseCache` alone.

    Parameters
    ----------
    forward, x, state, weights, lengths, workspace : as in `stack.run_forward`; x must not
        be changed before the way back
    every, rng : as in `SparseCache`

    Returns
    -------
    y, state : those of `stack.run_forward`, to the last bit
    cache : for `stack.run_backward`, whose results are the same to the last bit

    References
    ----------
    Chen et al. (2016), Gruslys et al. (2016).
    """
    memory = workspace or Workspace()
    cache = SparseCache(forward, x, weights, lengths, memory, every, rng)
    y = get_array_module(x).empty((*x.shape[:2], state[0].shape[1]), x.dtype)
    state = tuple(part.copy() for part in state)
    for first in range(0, len(x), cache.every):
        y[first : first + cache.every], state = cache.extend(state)
    return y, state, cache


def for_memory(
    x: Array, every: int | None, rng: np.random.Generator | None
) -> tuple[Array, Forward]:
    """Return what a stack reads, and the function that takes each of its runs to the end.

    For None that is x and `stack.run_forward`; for k a copy, which nobody else changes, and
    `sparse_forward`, with arguments as there.
    """
    if every is None:
        return x, run_forward
    return x.copy(), partial(sparse_forward, every=every, rng=rng)


def whole_cache(cache: Any) -> Any:
    """Return a cache of all steps: a `SparseCache` makes it again, in memory of its own."""
    if not isinstance(cache, SparseCache):
        return cache
    return cache.again(slice(0, len(cache.x)), Workspace())
