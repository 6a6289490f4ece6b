"""Data-parallel training: ranks take each step together, each with its own sequences."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from .backend import Array, Module, device_of, to_device, to_numpy
from .checkpoints import (
    Checkpoints,
    carried,
    checked_carried,
    checked_states,
    generators,
    under,
)
from .checks import check_arrays
from .losses import mean_squared_error
from .optim import Optimizer
from .training import History, Loss, fit, plan_updates

RUNNING = "is in an update"  # what a rank says of itself
ENDED = "has ended"
FAILED = "failed"


class Communicator(Protocol):
    """What is needed of a communicator; ``mpi4py.MPI.COMM_WORLD`` is one.

    It has ``rank``, the number of this process, from 0, and ``size``, how many there are.
    """

    rank: int
    size: int

    def Allgather(self, mine: Array, found: Array) -> None:
        """Fill found, (size, ...), with the arrays of all ranks."""

    def Allreduce(self, mine: Array, total: Array) -> None:
        """Fill total with the sum of all ranks' arrays, the same bits on every rank."""

    def allgather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, of any kind."""


class RankError(RuntimeError):
    """A rank failed, or ended before the others; every rank raises it, with one text."""


def share(x: Array, comm: Communicator) -> Array:
    """Return this rank's part of all sequences: every size-th, beginning with number rank.

    Dealt like cards, so that size neighbours in x are one sequence on each rank: a batch of
    ``fit_parallel`` is the batch that `fit` makes of all sequences in their order.

    Parameters
    ----------
    x : (T, B, ...), or (B,), as lengths are: all sequences

    Raises
    ------
    TypeError, ValueError
        If x is no array with an axis; if there are fewer sequences than ranks.
    """
    if not getattr(x, "ndim", 0):
        raise TypeError(f"share expected x as an array with a batch, got {x!r}")
    sequences = x.swapaxes(0, 1) if x.ndim > 1 else x
    if len(sequences) < comm.size:
        raise ValueError(
            f"share expected at least {comm.size} sequences, one for each rank, "
            f"got {len(sequences)}"
        )
    mine = sequences[comm.rank :: comm.size]
    return mine.swapaxes(0, 1) if x.ndim > 1 else mine


def exchange(
    comm: Communicator, total: float = 0.0, count: float = 0.0, says: str = RUNNING,
    error: str = "",
) -> tuple[float, float]:
    """Return the sums of two numbers over all ranks, or hear that a rank cannot go on.

    Parameters
    ----------
    says : RUNNING, ENDED or FAILED
    error : with FAILED, what happened

    Raises
    ------
    RankError
        On every rank, if one failed, or if they do not say the same.
    """
    words = (RUNNING, ENDED, FAILED)
    found = np.empty((comm.size, 3))
    comm.Allgather(np.array([words.index(says), total, count]), found)
    said = found[:, 0].astype(int)
    if said.max() < words.index(FAILED) and said.min() == said.max():
        return float(found[:, 1].sum()), float(found[:, 2].sum())
    errors = comm.allgather(error)
    shown = [k for k in range(comm.size) if errors[k]] or range(comm.size)
    texts = [f"rank {k} {words[said[k]]}{errors[k]}" for k in shown]
    if len(set(errors)) == 1 and error:
        texts = [f"every rank {FAILED}{error}"]
    raise RankError("; ".join(texts))


@contextmanager
def together(comm: Communicator) -> Iterator[None]:
    """Run a block on all ranks: where one fails in it, all leave it with a `RankError`.

    Without it the others would wait in their next exchange for ever.
    """
    try:
        yield
        exchange(comm, says=ENDED)
    except RankError:
        raise
    except BaseException as error:
        exchange(comm, says=FAILED, error=f": {type(error).__name__}: {error}")


def gathered(comm: Communicator, value: Any) -> list[Any]:
    """Return the values of all ranks, once all have come this far."""
    exchange(comm)
    return comm.allgather(value)


def sum_over_ranks(arrays: Mapping[str, Array], comm: Communicator) -> None:
    """Replace arrays by their sums over all ranks, in place, in one message.

    Parameters
    ----------
    arrays : on every rank the same names, shapes and dtypes, on any device
    """
    packed = np.concatenate([to_numpy(a).ravel() for a in arrays.values()])
    total, start = np.empty_like(packed), 0
    comm.Allreduce(packed, total)
    for a in arrays.values():
        part = total[start : start + a.size].reshape(a.shape)
        a[...] = to_device(part, device_of(a))
        start += a.size


def whole_loss(loss: Loss, comm: Communicator) -> Loss:
    """Return a loss over the sequences of all ranks, out of one over a rank's own.

    Parameters
    ----------
    loss : a mean over the entries of its target, and its gradient

    Returns
    -------
    A function of y and target, both this rank's, to the mean over all ranks' entries, the
    same on every rank, and its gradient with respect to this rank's y.
    """

    def loss_of_all(y: Array, target: Array) -> tuple[Array, Array]:
        value, dy = loss(y, target)
        total, count = exchange(comm, float(value) * target.size, target.size)
        return np.asarray(total / count), dy * (target.size / count)

    return loss_of_all


class Summed:
    """A model whose gradients are summed over all ranks after every backward pass.

    Parameters
    ----------
    model : this rank's
    comm : communicator
    """

    def __init__(self, model: Module, comm: Communicator) -> None:
        self.model, self.comm = model, comm

    @property
    def params(self) -> dict[str, Array]:
        """The model's parameters."""
        return self.model.params

    @property
    def grads(self) -> dict[str, Array]:
        """The model's gradients, summed."""
        return self.model.grads

    @property
    def layers(self) -> dict[str, Any]:
        """The model's layers."""
        return self.model.layers

    def __call__(
        self, x: Array, state: Any = None, lengths: Any = None
    ) -> tuple[Array, Any]:
        """Return what the model makes of this rank's sequences."""
        return self.model(x, state, lengths)

    def backward(self, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """Go back through the model, and sum its gradients over all ranks."""
        try:
            found = self.model.backward(dy, dstate)
        except BaseException:  # the others wait for a sum: no rank takes a step by NaN
            sum_over_ranks({name: p * np.nan for name, p in self.params.items()}, self.comm)
            raise
        sum_over_ranks(self.grads, self.comm)
        return found


def start_alike(comm: Communicator, model: Module, optimizer: Optimizer) -> None:
    """Give every rank the parameters of rank 0 and the state of its optimizer.

    Raises
    ------
    ValueError
        If this rank's have other names, shapes or dtypes.
    """
    own = [model.params, optimizer.state_dict()]
    mine = [{name: to_numpy(a) for name, a in arrays.items()} for arrays in own]
    params, state = gathered(comm, mine if comm.rank == 0 else None)[0]
    check_arrays("fit_parallel", mine[0], params)
    optimizer.load_state_dict(state)
    for name, p in model.params.items():
        p[...] = to_device(params[name], device_of(p))


def batch_share(comm: Communicator, batch_size: int | None) -> int | None:
    """Return a rank's sequences of an update; a ValueError unless all have as many."""
    if batch_size is None:
        return None
    if batch_size < comm.size or batch_size % comm.size:
        raise ValueError(
            f"fit_parallel expected batch_size as a multiple of the {comm.size} ranks, "
            f"got {batch_size}"
        )
    return batch_size // comm.size


def count_updates(
    x: Array, y: Array, lengths: Any, bptt_length: int | None, batch_size: int | None
) -> int:
    """Return the updates that `fit` would make in an epoch; its errors for wrong data."""
    _, length, size = plan_updates(x, y, lengths, bptt_length, batch_size)
    updates: int = math.ceil(len(x) / length) * math.ceil(x.shape[1] / size)
    return updates


def check_plans(comm: Communicator, plan: Mapping[str, Any]) -> None:
    """Raise a ValueError on every rank unless all have the same plan."""
    plans = gathered(comm, plan)
    for name in plan:
        found = [other[name] for other in plans]
        if len(set(found)) > 1:
            raise ValueError(
                f"fit_parallel expected the same {name} on every rank, got {found}"
            )


def fit_parallel(
    comm: Communicator, model: Module, x: Array, y: Array, optimizer: Optimizer, *,
    epochs: int, bptt_length: int | None = None, batch_size: int | None = None,
    lengths: Any = None, loss: Loss = mean_squared_error, progress: bool = False,
    validation: tuple[Any, ...] | None = None, history: History | None = None,
    **options: Any,
) -> History:
    """Call `fit` on every rank so that all take the steps of one rank with all sequences.

    Each rank calls it with a model of its own, which starts with the parameters of rank 0.
    Losses, norms and clipping are those of all sequences, the same on every rank.

    Parameters
    ----------
    x, y, lengths, validation : as in `fit`, of this rank's sequences: see `share`
    batch_size : sequences of an update on all ranks together, None for all
    loss, progress : a mean over the entries of its target; whether rank 0 shows its bar
    model, optimizer, epochs, bptt_length, history, **options : as in `fit`, the same on all
        ranks; an ``rng`` shuffles a rank's own sequences

    Raises
    ------
    RankError
        On every rank, for whatever one of them raised, or if one would make fewer updates.
    """
    with together(comm):
        start_alike(comm, model, optimizer)
        own = batch_share(comm, batch_size)
        check_plans(comm, {
            "number of updates": count_updates(x, y, lengths, bptt_length, own),
            "number of epochs": epochs - len(history.loss if history else ()),
            "presence of validation": validation is not None,
            **{name: options.get(name) for name in ("clip_norm", "clip_value")},
        })
        return fit(
            Summed(model, comm), x, y, optimizer, epochs=epochs, bptt_length=bptt_length,
            batch_size=own, lengths=lengths, loss=whole_loss(loss, comm),
            progress=progress and comm.rank == 0, validation=validation, history=history,
            **options,
        )


class OwnStates:
    """What each rank has of its own, as a part of one checkpoint.

    Parameters
    ----------
    size : number of ranks

    Attributes
    ----------
    arrays : generators and carried states of all ranks, as ``rank.name``
    """

    def __init__(self, size: int) -> None:
        self.size, self.arrays = size, dict[str, Array]()

    def state_dict(self) -> dict[str, Array]:
        """Return the arrays, and the ranks' numbers, so that another size does not fit."""
        return {"numbers": np.arange(self.size)} | self.arrays

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over what `state_dict` returned."""
        self.arrays = {name: a for name, a in state.items() if name != "numbers"}


class RankCheckpoints(Checkpoints):
    """`Checkpoints` of a `fit_parallel`: rank 0 writes one file, and all ranks read it.

    Parameters
    ----------
    folder : the same for all ranks
    comm : communicator
    keep, **parts : as in `Checkpoints`; generators and carried states may differ by rank,
        and each rank gets its own back
    """

    def __init__(
        self, folder: str | os.PathLike[str], comm: Communicator, keep: int = 3,
        **parts: Any,
    ) -> None:
        self.comm, self.ranks = comm, OwnStates(comm.size)
        super().__init__(folder, keep, ranks=self.ranks, **parts)

    def __call__(
        self, epoch: int, model: Module, optimizer: Optimizer, history: History
    ) -> None:
        """Collect what is each rank's own, and write the checkpoint of an epoch."""
        draws = generators(model, self.parts)
        states = {name: g.bit_generator.state for name, g in draws.items()}
        text = json.dumps(states, default=lambda array: array.tolist())
        own = {f"state.{name}": to_numpy(a) for name, a in carried(model).items()}
        own["generators"] = np.frombuffer(text.encode(), np.uint8)
        found = enumerate(gathered(self.comm, own))
        self.ranks.arrays = {f"{k}.{n}": a for k, part in found for n, a in part.items()}
        if self.comm.rank == 0:
            super().__call__(epoch, model, optimizer, history)

    def resume(self, model: Module, optimizer: Optimizer) -> History:
        """Set this rank's training to the latest checkpoint; see `Checkpoints.resume`.

        Raises
        ------
        RankError
            On every rank, if one cannot read the file, or it is of other ranks.
        """
        with together(self.comm):
            history = super().resume(model, optimizer)
            if own := under(str(self.comm.rank), self.ranks.arrays):
                states = checked_carried(model, under("state", own))
                for name, state in states.items():
                    model.layers[name].state = state
                draws = generators(model, self.parts)
                bits = json.loads(own["generators"].tobytes())
                for name, state in checked_states(bits, draws).items():
                    draws[name].bit_generator.state = state
            return history
