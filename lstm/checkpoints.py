"""Trainings that can be interrupted: checkpoints, and the best weights on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, Module
from .checks import check_arrays, check_size
from .files import FAULTS, read_arrays, write_arrays
from .interop import assign
from .layers import Dropout
from .losses import mean_squared_error
from .optim import Optimizer
from .training import History, Loss, evaluate


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}


def check_parts(parts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a training's parts besides model and optimizer; a TypeError for others."""
    for name, part in parts.items():
        stateful = hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
        drawn = isinstance(part, np.random.Generator)
        if name in ("model", "optimizer") or not (drawn or stateful):
            raise TypeError(
                f"Checkpoints expected {name} as a generator or an object with "
                f"state_dict and load_state_dict, got {type(part).__name__}"
            )
    return parts


def generators(model: Module, parts: Mapping[str, Any]) -> dict[str, np.random.Generator]:
    """Return all generators that a training draws from: its layers', and among parts."""
    found = {name: p for name, p in parts.items() if isinstance(p, np.random.Generator)}
    for name, layer in model.layers.items():
        inside = [layer] if isinstance(layer, Dropout) else getattr(layer, "_between", [])
        for k, dropout in enumerate(inside):
            found[f"{name}.dropout{k}"] = dropout.rng
        if not isinstance(layer, Dropout) and hasattr(layer, "rng"):  # such as zoneout's
            found[f"{name}.rng"] = layer.rng
    return found


def snapshot(
    model: Module, optimizer: Optimizer, parts: Mapping[str, Any]
) -> dict[str, Array]:
    """Return all arrays of a training, each behind the name of what it belongs to.

    Raises
    ------
    ValueError
        If a layer is stateful: the state that it carries is not among its parameters.
    """
    for name, layer in model.layers.items():
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"Checkpoints expected layers with stateful=False, got {name} with True; "
                "fit carries the state by itself"
            )
    states = {k: p.state_dict() for k, p in parts.items() if hasattr(p, "state_dict")}
    states |= {"model": model.params, "optimizer": optimizer.state_dict()}
    return {f"{k}.{name}": a for k, state in states.items() for name, a in state.items()}


def check_snapshot(arrays: Mapping[str, Array], present: Mapping[str, Array]) -> None:
    """Raise a ValueError unless arrays from a file can replace a `snapshot`.

    Those of the model and the optimizer must be the same; a part may have gained some.
    """
    own = ("model.", "optimizer.")
    given = {k: a for k, a in arrays.items() if k in present or k.startswith(own)}
    check_arrays("the training", given, present)
    owners, expected = ({k.partition(".")[0] for k in found} for found in (arrays, present))
    if owners != expected:
        raise ValueError(f"expected parts {sorted(expected)}, got {sorted(owners)}")


def checked_states(
    states: Mapping[str, Any], draws: Mapping[str, np.random.Generator]
) -> dict[str, Any]:
    """Return the states of generators as they accept them; a ValueError if they do not."""
    if states.keys() != draws.keys():
        raise ValueError(f"expected generators {sorted(draws)}, got {sorted(states)}")
    fresh = {name: type(g.bit_generator)() for name, g in draws.items()}
    for name, bits in fresh.items():
        bits.state = states[name]
    return {name: bits.state for name, bits in fresh.items()}


def restore(
    arrays: Mapping[str, Array], model: Module, optimizer: Optimizer,
    parts: Mapping[str, Any],
) -> None:
    """Put the arrays of a `snapshot` back where they came from."""
    assign(model, under("model", arrays))
    optimizer.load_state_dict(under("optimizer", arrays))
    for name, part in parts.items():
        if hasattr(part, "load_state_dict"):
            part.load_state_dict(under(name, arrays))


class EarlyStopping:
    """A callback of `fit`: ends the training when a loss no longer falls.

    The weights of the epoch with the smallest loss are kept, and are the model's at the
    end of the training, whatever ended it.

    Parameters
    ----------
    x, y, lengths, loss : as in `evaluate`; sequences that the training does not see
    patience : epochs without a smaller loss after which the training ends

    Attributes
    ----------
    best : the smallest loss so far
    waited : epochs since then
    """

    def __init__(
        self, x: Array, y: Array, patience: int, lengths: Any = None,
        loss: Loss = mean_squared_error,
    ) -> None:
        self.data, self.options = (x, y), {"lengths": lengths, "loss": loss}
        self.patience = check_size("EarlyStopping", "patience", patience)
        self.best, self.waited = float("inf"), 0
        self.weights: dict[str, Array] = {}

    def __call__(
        self, epoch: int, model: Module, optimizer: Optimizer, history: History
    ) -> bool:
        """Compare the model with the best so far; return whether patience has run out."""
        value = evaluate(model, *self.data, **self.options)
        self.waited += 1
        if value < self.best:
            self.best, self.waited = value, 0
            self.weights = {name: p.copy() for name, p in model.params.items()}
        return self.waited >= self.patience

    def finish(self, model: Module) -> None:
        """Put the best weights into the model."""
        if self.weights:
            assign(model, self.weights)

    def state_dict(self) -> dict[str, Array]:
        """Return all that the next call depends on, as arrays."""
        own = {"best": np.array(self.best), "waited": np.array(self.waited)}
        return own | {f"weights.{name}": p for name, p in self.weights.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state_dict` returned."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
        self.weights = under("weights", state)


class Checkpoints:
    """A callback of `fit`, its last: writes after every epoch what is needed to go on.

    Parameters
    ----------
    folder : of this training alone; made if missing
    keep : number of files that stay, those of the latest epochs
    **parts : what else has a state, by any name: the generator that shuffles, and objects
        with ``state_dict()`` and ``load_state_dict(state)``, such as an `EarlyStopping`
    """

    def __init__(
        self, folder: str | os.PathLike[str], keep: int = 3, **parts: Any
    ) -> None:
        self.folder, self.keep = Path(folder), check_size("Checkpoints", "keep", keep)
        self.parts = check_parts(parts)

    def files(self) -> list[Path]:
        """Return the checkpoints in the folder, the latest last."""
        return sorted(self.folder.glob("epoch-*.safetensors"))

    def __call__(
        self, epoch: int, model: Module, optimizer: Optimizer, history: History
    ) -> None:
        """Write the checkpoint of an epoch; remove old ones, and what a kill left."""
        path = self.folder / f"epoch-{epoch + 1:08}.safetensors"
        if self.files() and self.files()[-1] > path:
            raise ValueError(
                f"Checkpoints expected {self.folder} without later epochs than "
                f"{epoch + 1}, found {self.files()[-1].name}: resume, or take a new folder"
            )
        draws = generators(model, self.parts)
        states = {name: g.bit_generator.state for name, g in draws.items()}
        content = {"history": asdict(history), "generators": states}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(path, snapshot(model, optimizer, self.parts), "checkpoint", content)
        for old in [*self.files()[: -self.keep], *self.folder.glob(".epoch-*.tmp")]:
            old.unlink()

    def resume(self, model: Module, optimizer: Optimizer) -> History:
        """Set a training to the latest checkpoint, and return its history for `fit`.

        Without a checkpoint nothing is set, and the history is a new one. A ValueError
        names a file that is damaged or of another training; then nothing is set either.
        """
        if not self.files():
            return History()
        path = self.files()[-1]
        arrays, content = read_arrays(path, "checkpoint")
        try:
            check_snapshot(arrays, snapshot(model, optimizer, self.parts))
            draws = generators(model, self.parts)
            states = checked_states(content["generators"], draws)
            history = History(**content["history"])
        except FAULTS as error:
            raise ValueError(f"{path}: {error}") from error
        restore(arrays, model, optimizer, self.parts)
        for name, state in states.items():
            draws[name].bit_generator.state = state
        return history
