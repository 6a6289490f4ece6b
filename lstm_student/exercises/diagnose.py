"""Exercises of *One command*."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np

from lstm import Adam, LSTMRegressor, evaluate, mean_squared_error
from lstm.diagnosis import diagnose
from lstm.findings import Finding
from lstm.rehearsal import Run, batches_of
from lstm_student.exercise import Exercise


def runs(answer):
    """Return a whole number of runs."""
    if answer != int(answer) or answer < 1:
        raise ValueError(f"expected a whole number of runs, got {answer!r}")
    return int(answer)


def quiet(n):
    left = 0.98**n
    if left >= 0.05:
        return f"with {n} runs all are quiet with probability {left:.3f}: not below 0.05"
    return f"{n} are more than are needed: all are quiet with probability {left:.3f}"


def regressor():
    return LSTMRegressor(1, 6, 2, rng=0, device="cpu")


def readouts():
    """Return models: fresh, with two idle units, small as a whole, cancelling, a small row."""
    fresh, idle, small, cancelling, row = (regressor() for _ in range(5))
    idle.linear.params["weight"][:, [1, 4]] *= 1e-5
    small.linear.params["weight"][...] *= 1e-3
    cancelling.linear.params["weight"][1, 2] = -cancelling.linear.params["weight"][0, 2]
    row.linear.params["weight"][1] *= 1e-5
    return fresh, idle, small, cancelling, row


def judged(function):
    """Return what a judge says of each readout: None, or name, severity and units."""
    said = []
    for model in readouts():
        found = function(model)
        if found is not None and not isinstance(found, Finding):
            raise ValueError(f"expected a Finding or None, got {type(found).__name__}")
        numbers = [] if found is None else found.evidence.values()
        count = [float(n) for n in numbers if not isinstance(n, str)]
        said.append(None if found is None else (found.name, found.severity, tuple(count)))
    return tuple(said)


def judge(sizes, severity="note", share=0.01, always=False):
    """Return a judge that counts the columns that are small by a measure of size."""

    def idle_units(model):
        size = sizes(model.linear.params["weight"])
        count = int((size < (share * size.max() if share else 0.01)).sum())
        found = Finding("idle units", severity, {"units": count}, "fewer units", "")
        return found if count or always else None

    return idle_units


def columns(weight):
    return np.linalg.norm(weight, axis=0)


def sines():
    """Return a healthy training: forecast the next value of twelve sines."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0.3, 0.9, 12) * np.arange(11)[:, None] + rng.uniform(0, 6, 12)
    s = np.sin(angle)[..., None]
    model = LSTMRegressor(1, 4, 1, rng=0, dtype=np.float64, device="cpu")
    shuffle = np.random.default_rng(0)
    return Run(model, s[:-1], s[1:], Adam(model.params, 1e-2), batch_size=6, rng=shuffle)


def error_after(run):
    """Train a copy for thirty updates, and return its error on the right data."""
    trial, state, clean = run.copy(), None, sines()
    try:
        for batch in islice(batches_of(trial), 30):
            _, _, state = trial.update(batch, None if batch.first else state)
        return float(evaluate(trial.model, clean.x, clean.y))
    except FloatingPointError:
        return np.inf


healthy_error = cache(lambda: error_after(sines()))


def hidden(function):
    """Return the first finding in a training with a planted fault, and if it does harm."""
    run = function(sines())
    if not isinstance(run, Run):
        raise ValueError(f"expected a function that returns a Run, got {type(run).__name__}")
    found = [finding.name for finding in diagnose(**vars(run)).findings]
    harm = error_after(run) > 1.05 * healthy_error()
    return {"found": found[0] if found else "nothing", "harm": harm}


def without_mean(run):
    def loss(y, target):
        value, dy = mean_squared_error(y, target)
        return value, dy * y.shape[1]

    return replace(run, loss=loss)


def swapped(run):
    return replace(run, x=run.x.swapaxes(0, 1).copy(), y=run.y.swapaxes(0, 1).copy())


def fast(run):
    return replace(run, optimizer=Adam(run.model.params, 3.0))


EXERCISES = {
    1: Exercise(
        "that quiet runs rule out a rate of false alarms, and how many it takes",
        runs,
        right=149,
        wrong=[
            (150, "the rule of three is near, and one too many: solve for n itself"),
            (148, "148 leave just above 0.05: the number of runs is to be rounded up"),
            (59, "that many rule out 5 %; to rule out 2 % is asked"),
            (77, "the two percentages have changed places: which is the rate, which the level?"),
        ],
        explain=quiet,
    ),
    2: Exercise(
        "that a judge compares with what the model itself has, and says nothing otherwise",
        judged,
        right=judge(columns),
        wrong=[
            (lambda model: None, "always silent, although two units of six are idle"),
            (
                judge(columns, always=True),
                "it speaks of healthy models too: nothing found is None",
            ),
            (
                judge(columns, share=None),
                "a fixed limit calls every unit of a readout of small numbers idle",
            ),
            (
                judge(lambda weight: abs(weight.sum(0))),
                "a column whose numbers cancel is not small: take sizes before adding up",
            ),
            (
                judge(lambda weight: np.linalg.norm(weight, axis=1)),
                "that looks at rows, which belong to outputs: where is a unit's weight?",
            ),
            (judge(columns, severity="error"), "right, but for its severity: it is a note"),
        ],
        explain=lambda said: f"of a model with two idle units of six it says {said[1]}",
    ),
    3: Exercise(
        "that what leaves no trace in arrays, gradients and updates is not found",
        hidden,
        right=lambda run: replace(run, y=np.roll(run.y, 1, axis=1)),
        wrong=[
            (lambda run: run, "it hides since it does no harm: the model is as good as before"),
            (without_mean, "it is named: the loss is called with the batch twice, and compared"),
            (swapped, "it is named: which axis is time shows in the arrays themselves"),
            (fast, "it is named: updates as long as the parameters are seen at once"),
        ],
        explain=lambda found: (
            f"it is named: {found['found']}"
            if found["found"] != "nothing"
            else "it hides, and the error is less than a twentieth above the healthy one"
        ),
    ),
}
