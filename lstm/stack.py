"""Several layers, two directions, sequences of different length, around `recurrence`.

A *run* is one direction of one layer: a pair of functions of `recurrence`, its weights and
its states. Runs are numbered as PyTorch numbers them: layer by layer, forward before
reverse. Lengths are whole numbers (B,), at least 1; None stands for all T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

from .backend import Array, device_of, get_array_module
from .recurrence import State, Workspace

Forward = Callable[..., tuple[Array, State, Any]]
Backward = Callable[..., tuple[Array, State, State]]
Run = TypeVar("Run", bound=Callable[..., Any])


def past_end(lengths: Array, steps: int) -> Array:
    """Mark the steps that lie past each sequence's end: (steps, B), True there."""
    xp = get_array_module(lengths)
    past: Array = xp.arange(steps)[:, None] >= lengths
    return past


def reverse(a: Array, lengths: Array | None = None) -> Array:
    """Turn each sequence around within its own length; what lies past its end stays there.

    Used twice it gives back what it got.

    Parameters
    ----------
    a : (T, B, F)
    lengths : (B,)
    """
    if lengths is None:
        return a[::-1]
    xp = get_array_module(a)
    step = xp.arange(len(a))[:, None]
    source = xp.where(step < lengths, lengths - 1 - step, step)
    turned: Array = xp.take_along_axis(a, source[:, :, None], 0)
    return turned


def hold(cache: Any, lengths: Array) -> State:
    """Keep every state of a cache from its sequence's end on, in place; return the last.

    Where a cell has gates they are set to hold it: past the end an LSTM has f = 1 and
    i = g = o = 0, so that the gradient of its last cell state passes back to the end.

    Parameters
    ----------
    cache : of a forward pass, with h (T + 1, H, B) and perhaps c and gates
    lengths : (B,)

    Returns
    -------
    h, or h and c, each (B, H)
    """
    xp, states = get_array_module(cache.h), [cache.h]
    states += [cache.c] if hasattr(cache, "c") else []
    kept = xp.minimum(xp.arange(len(cache.h))[:, None], lengths)
    for s in states:
        s[...] = xp.take_along_axis(s, kept[:, None], 0)
    past = past_end(lengths, len(cache.h) - 1)[:, None]
    for block, value in enumerate(getattr(cache, "holding", ())):
        xp.copyto(cache.gates[:, block], value, where=past)
    return tuple(s[-1].T.copy() for s in states)


# What `fast.use_fast` puts in the place of a run's function on the processor.
COMPILED: dict[Any, Any] = {}


def for_device(run: Run, array: Array) -> Run:
    """Return the form of a run's function for the device that holds an array.

    On the processor that is the function itself, or what `fast.use_fast` has put in its
    place. On a GPU it is its counterpart in `kernels`, which makes one launch of each step.
    A function without a counterpart stays.

    Parameters
    ----------
    run : such as `lstm_forward` or `lstm_backward`
    array : (...)
    """
    if device_of(array) == "cpu":
        found: Run = COMPILED.get(run, run)
    else:
        found = import_module("lstm.kernels").FUSED.get(run, run)
    return found


def run_forward(
    forward: Forward, x: Array, state: State, weights: State, lengths: Array | None,
    workspace: Workspace | None = None,
) -> tuple[Array, State, Any]:
    """Run one direction of one layer to each sequence's end.

    Parameters
    ----------
    forward : such as `lstm_forward`
    x : (T, B, I); what lies past an end is not read
    state, weights, workspace : as ``forward`` takes them
    lengths : (B,) or None

    Returns
    -------
    y, state, cache : as ``forward`` returns them; y is zero past an end, and the state is
        that at the end
    """
    forward = for_device(forward, x)
    if lengths is None:
        return forward(x, state, *weights, workspace)
    xp, past = get_array_module(x), past_end(lengths, len(x))[:, :, None]
    x = x.copy()
    xp.copyto(x, 0.0, where=past)
    y, _, cache = forward(x, state, *weights, workspace)
    xp.copyto(y, 0.0, where=past)
    return y, hold(cache, lengths), cache


def run_backward(
    backward: Backward, dy: Array, dstate: State, cache: Any, weights: State,
    lengths: Array | None, workspace: Workspace | None = None,
) -> tuple[Array, State, State]:
    """Go back through `run_forward`; arguments and results as there and in ``backward``.

    The last hidden state is the output at the end, so its gradient is added there.
    """
    backward = for_device(backward, dy)
    if lengths is None:
        return backward(dy, dstate, cache, *weights, workspace)
    xp, dy = get_array_module(dy), dy.copy()
    xp.copyto(dy, 0.0, where=past_end(lengths, len(dy))[:, :, None])
    dy[lengths - 1, xp.arange(len(lengths))] += dstate[0]
    dstate = xp.zeros_like(dstate[0]), *dstate[1:]
    return backward(dy, dstate, cache, *weights, workspace)


def stack_forward(
    forward: Forward, x: Array, states: Sequence[State], weights: Sequence[State],
    directions: int, between: Sequence[Callable[[Array], Array]], lengths: Array | None,
    workspaces: Sequence[Workspace], run: Forward = run_forward,
) -> tuple[Array, list[State], list[Any]]:
    """Run a stack: each layer reads what the layer below shows, in one direction or both.

    Parameters
    ----------
    forward : such as `lstm_forward`
    x : (T, B, I)
    states, weights, workspaces : one for each run
    directions : 1, or 2 for a reverse run in each layer
    between : functions of (T, B, directions * H), one for each layer but the last
    lengths : (B,) or None
    run : `run_forward`, or a function with its arguments and results

    Returns
    -------
    y : (T, B, directions * H)
    states, caches : one for each run
    """
    xp, last_states, caches = get_array_module(x), [], []
    for first in range(0, len(weights), directions):
        outputs = []
        for n in range(first, first + directions):
            turn = reverse if n > first else _as_it_is
            y, state, cache = run(
                forward, turn(x, lengths), states[n], weights[n], lengths, workspaces[n]
            )
            outputs.append(turn(y, lengths))
            last_states.append(state)
            caches.append(cache)
        x = outputs[0] if directions == 1 else xp.concatenate(outputs, -1)
        if first + directions < len(weights):
            x = between[first // directions](x)
    return x, last_states, caches


def stack_backward(
    backward: Backward, dy: Array, dstates: Sequence[State], caches: Sequence[Any],
    weights: Sequence[State], directions: int,
    between: Sequence[Callable[[Array], Array]], lengths: Array | None,
    workspaces: Sequence[Workspace],
) -> tuple[Array, list[State], list[State]]:
    """Go back through `stack_forward`: layers in reverse order, each run once.

    Parameters
    ----------
    backward : such as `lstm_backward`
    dy : (T, B, directions * H)
    dstates, caches, weights, workspaces : one for each run
    directions, lengths : as there
    between : the gradients of the functions there

    Returns
    -------
    dx : (T, B, I)
    dstates, dweights : one for each run
    """
    xp, dstates = get_array_module(dy), list(dstates)
    dweights: list[State] = [()] * len(weights)
    for first in reversed(range(0, len(weights), directions)):
        if first + directions < len(weights):
            dy = between[first // directions](dy)
        dx = []
        parts = [dy] if directions == 1 else xp.split(dy, directions, -1)
        for n, part in enumerate(parts, first):
            turn = reverse if n > first else _as_it_is
            d, dstates[n], dweights[n] = run_backward(
                backward, turn(part, lengths), dstates[n], caches[n], weights[n],
                lengths, workspaces[n],
            )
            dx.append(turn(d, lengths))
        dy = sum(dx[1:], dx[0])
    return dy, dstates, dweights


def _as_it_is(a: Array, lengths: Array | None) -> Array:
    """Return the array: the forward direction's counterpart of `reverse`."""
    return a
