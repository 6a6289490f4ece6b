"""Exercises of *When something fails*."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lstm import LSTM, Adam, Checkpoints, LSTMRegressor, fit, to_device, to_numpy
from lstm.training import History
from lstm_student.exercise import Exercise

# --- how many steps ----------------------------------------------------------------------


def steps(answer):
    """Return three whole numbers of steps."""
    if any(number != int(number) for number in answer):
        raise ValueError(f"expected three whole numbers of steps, got {answer!r}")
    first, second, third = answer
    return int(first), int(second), int(third)


def powers(found):
    """Say which power of 2 the first wrong number stands for."""
    asked = zip(("square in float32", "gradient in float32", "square in float64"), found)
    for (name, given), (right, factor) in zip(asked, ((64, 2), (128, 1), (512, 2))):
        if given != right:
            return f"{name}: after {given} steps that is 2 to the power of {given * factor}"
    return "right"


# --- the latest that can be read ---------------------------------------------------------


def small_training():
    model = LSTMRegressor(1, 2, 1, rng=0, device="cpu")
    return model, Adam(model.params, 1e-3)


@cache
def written():
    """Return the files of a training of three epochs, by name."""
    x, (model, optimizer) = np.ones((4, 1, 1), np.float32), small_training()
    with TemporaryDirectory() as place:
        fit(model, x, x, optimizer, epochs=3, callbacks=[Checkpoints(place)])
        return {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}


def resumed(function, damaged, content):
    """Return the epoch that is resumed, and if files are kept, and the damaged moved away."""
    with TemporaryDirectory() as place:
        for k, (name, whole) in enumerate(content.items()):
            (Path(place) / name).write_bytes(b"" if k in damaged else whole)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                epoch = len(function(Checkpoints(place), *small_training()).loss)
            except (ValueError, OSError):
                epoch = "an error"
        names = [path.name for path in Path(place).iterdir()]
    moved = sum(name.endswith(".damaged") for name in names)
    return epoch, len(names) == len(content), moved == len(damaged)


def resuming(function):
    """Return what becomes of folders with damaged files, and of an empty one."""
    cases = {"none": (), "the latest": (2,), "the latest two": (1, 2), "all": (0, 1, 2)}
    found = {f"{name} damaged": resumed(function, k, written()) for name, k in cases.items()}
    found["no checkpoint"] = resumed(function, (), {})
    parts = {name: epoch for name, (epoch, _, _) in found.items()}
    parts["every file is kept"] = all(kept for _, kept, _ in found.values())
    parts["the damaged are moved away"] = all(moved for _, _, moved in found.values())
    return parts


def latest(damaged=lambda path: path.rename(f"{path}.damaged"), anew=False):
    """Return a function that resumes from the latest file that can be read."""

    def resume_latest(keeper, model, optimizer):
        found = keeper.files()
        for path in reversed(found):
            try:
                return keeper.resume(model, optimizer)
            except ValueError:
                damaged(path)
        if found and not anew:
            raise ValueError(f"none of {len(found)} checkpoints can be read")
        return History()

    return resume_latest


def give_up(keeper, model, optimizer):
    """Begin anew if the latest cannot be read."""
    try:
        return keeper.resume(model, optimizer)
    except ValueError:
        return History()


# --- a state for each sensor -------------------------------------------------------------


def counter():
    """Return an LSTM of one unit whose cell gains 0.01 for each event."""
    layer = LSTM(1, 1, dtype=np.float64)
    weights = np.array([0.0, 0.0, 0.01, 0.0])[:, None]
    layer.params["weight_ih_l0"][...] = to_device(weights)
    layer.params["weight_hh_l0"][...] = 0.0
    layer.params["bias_l0"][...] = to_device(np.array([20.0, 20.0, 0.0, 20.0]))
    return layer


def counts(y):
    return np.rint(np.arctanh(to_numpy(y)[:, :, 0]) / np.tanh(0.01)).astype(int)


def carried(function):
    """Return the counts after four calls of sensors that come and go, and after a failure."""
    layer, store, found = counter(), {}, []
    events = (np.random.default_rng(3).random((40, 4, 1)) < 0.3).astype(float)
    for names, part in zip(("abcd", "abd", "dca", "bacd"), np.split(events, 4)):
        x = to_device(part[:, : len(names)])
        found.append(counts(function(layer, x, list(names), store))[-1])
    before = {name: [to_numpy(part).tolist() for part in s] for name, s in store.items()}
    with contextlib.suppress(ValueError):  # two features, where one is right
        function(layer, to_device(np.ones((5, 2, 2))), ["a", "new"], store)
    after = {name: [to_numpy(part).tolist() for part in s] for name, s in store.items()}
    return {"counts": tuple(found), "a failed call changes nothing": before == after}


def carrying(key, remember=lambda store, names, zeros: None):
    """Return a function that keeps states by a key; ``remember`` acts before the layer."""

    def carry(layer, x, names, store):
        zeros = to_device(np.zeros((1, 1, layer.hidden_size)))
        keys = [key(name, place) for place, name in enumerate(names)]
        remember(store, keys, zeros)
        found = [store.get(k, (zeros, zeros)) for k in keys]
        h, c = (np.concatenate([to_numpy(s[part]) for s in found], 1) for part in (0, 1))
        y, (h, c) = layer(x, (to_device(h), to_device(c)))
        for k, name in enumerate(keys):
            store[name] = h[:, k : k + 1], c[:, k : k + 1]
        return y

    return carry


def begin_unknown(store, names, zeros):
    """Put zeros for unknown names into the store."""
    for name in names:
        store.setdefault(name, (zeros, zeros))


def drop_and_retry(layer, x, names, store):
    """Let the layer carry its state, and drop it when it does not fit."""
    layer.stateful = True
    try:
        return layer(x)[0]
    except ValueError:
        layer.reset_state()
        return layer(x)[0]


EXERCISES = {
    1: Exercise(
        "that a square overflows after half as many steps, and where the dtypes end",
        steps,
        right=(64, 128, 512),
        wrong=[
            ((128, 128, 1024), "of the gradient itself; the exponent of a square is twice its own"),
            ((64, 128, 1024), "the last one is of the gradient: its square is asked for"),
            ((65, 129, 513), "one too many: the power that ends a dtype is itself too large"),
            ((63, 127, 511), "one too few: these powers are the last that have room"),
            ((256, 128, 2048), "a square is too large sooner than the gradient, not later"),
        ],
        explain=powers,
    ),
    2: Exercise(
        "that a damaged file is told from a missing one, and nothing is thrown away",
        resuming,
        right=latest(),
        wrong=[
            (
                lambda keeper, model, optimizer: keeper.resume(model, optimizer),
                "the latest file is damaged, and the ones before it are never tried",
            ),
            (
                latest(lambda path: path.unlink()),
                "a damaged file was deleted: it may still be of use to its owner",
            ),
            (
                latest(anew=True),
                "a folder in which nothing can be read was taken for an empty one",
            ),
            (give_up, "it begins anew, although an older checkpoint could be read"),
        ],
        explain=lambda found: f"not yet, the epochs resumed from: {found}",
    ),
    3: Exercise(
        "that a state belongs to a sequence and not to its place in the batch",
        carried,
        right=carrying(lambda name, place: name),
        wrong=[
            (drop_and_retry, "counts start again when a sensor goes: the state was dropped"),
            (
                carrying(lambda name, place: place),
                "the state stays with the place in the batch, and the sensors move",
            ),
            (
                lambda layer, x, names, store: carrying(lambda name, place: name)(
                    layer, x, names, {}
                ),
                "every call starts from zeros: nothing of the store is read",
            ),
            (
                carrying(lambda name, place: name, begin_unknown),
                "a failed call has left a name in the store: what has to come first?",
            ),
        ],
        explain=lambda found: (
            f"not yet: {', '.join(f'{k}: {v}' for k, v in found.items() if k != 'counts')}; "
            f"counts after the second call: {found['counts'][1]}"
        ),
    ),
}
