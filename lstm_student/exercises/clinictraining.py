"""Exercises of *The clinic: gradients and updates*."""

from __future__ import annotations

from itertools import islice

import numpy as np

from lstm import Adam, LSTMRegressor
from lstm.rehearsal import Recorder, Run, batches_of
from lstm_student.exercise import Exercise


def changes(answer):
    """Return two numbers with one decimal."""
    first, second = answer
    return round(float(first), 1), round(float(second), 1)


def size_of(share, smallest, largest):
    """Say whether a share is as large as it should be."""
    return "small" if share < smallest else "large" if share > largest else "as it should be"


def shares(function):
    """Judge the shares missed by one direction and by three."""
    one, three = float(function(1)), float(function(3))
    return {
        "a share": max(one, three) <= 1,
        "with one direction": size_of(one, 0.002, 0.014),
        "with three": size_of(three, 0.0, 0.001),
    }


def counted(alike):
    """Return a function that draws both products, and asks `alike` which tries are missed."""

    def missed(count):
        v = np.random.default_rng(0).normal(size=(2000, count, 2))
        along, error = v[:, :, 0], v[:, :, 1]
        return alike(error, 0.01 * abs(along).max(1, keepdims=True))

    return missed


def small_run():
    x, y = np.random.default_rng(0).normal(size=(2, 6, 8, 1))
    model = LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64, device="cpu")
    return Run(model, x, y, Adam(model.params, 1e-2), batch_size=2)


def handed(run):
    """Return the gradients of four updates of a copy, as left and as given, (4, n) each."""
    trial, left, given = run.copy(), [], []
    heard = Recorder(trial.model, trial.optimizer)
    for batch in islice(batches_of(trial), 4):
        trial.update(batch, None)
        left.append(heard.left)
        given.append(heard.given)
    return np.array(left), np.array(given)


def sums(function):
    """Tell what a planted fault hands to the optimizer, and whether copies are apart."""
    run = function(small_run())
    if not isinstance(run, Run):
        raise ValueError(f"expected a function that returns a Run, got {type(run).__name__}")
    (left, given), (_, again) = handed(run), handed(run)
    total = left.cumsum(0)
    kinds = {
        "the sum of all": total,
        "its own gradient": left,
        "the mean of all": total / np.arange(1, 5)[:, None],
        "the sum of the last two": left + np.vstack([0 * left[:1], left[:-1]]),
    }
    found = [kind for kind, values in kinds.items() if np.allclose(given, values)]
    return {
        "an update gets": found[0] if found else "something else",
        "a second copy does the same": bool(np.allclose(again, given)),
    }


def planted(combine, shared=None):
    """Return a function that plants a step with a memory: in the optimizer, or shared by all."""

    def plant(run):
        def step(model, x, y, state, optimizer, loss, clip_norm=None, lengths=None):
            prediction, state = model(x, state, lengths)
            value, dy = loss(prediction, y)
            model.backward(dy)
            kept = vars(optimizer).setdefault("kept", []) if shared is None else shared
            kept.append({name: g.copy() for name, g in model.grads.items()})
            optimizer.step({name: combine([g[name] for g in kept]) for name in kept[0]})
            return float(value), None, state

        return Run(**{**vars(run), "step": step})

    return plant


def shared_by_all(run):
    """Plant the fault with one memory for all copies of this run."""
    return planted(sum, shared=[])(run)


EXERCISES = {
    1: Exercise(
        "that the first change of Adam depends on its decays alone",
        changes,
        right=(0.1 / 0.0001**0.5, 0.2 / 0.001**0.5),
        wrong=[
            ((1.0, 1.0), "that is the corrected change, one rate: here nothing is corrected"),
            ((1000.0, 200.0), "v is of the size of a square: the step divides by its root"),
            ((100.0, 31.6), "here m is not corrected either: how much of g is in it?"),
            ((90.0, 25.3), "m holds 1 - beta1 of the new gradient, and beta1 of the old mean"),
            ((0.9, 0.8), "beta is the share of the old mean; the new gradient has the rest"),
        ],
        explain=lambda found: (
            "the first is right; the second has another beta1, too"
            if found[0] == 10.0
            else "the first is not right: write down m and v after one step, as parts of g and g²"
        ),
    ),
    2: Exercise(
        "that few random directions miss a wrong gradient rarely, and three hardly ever",
        shares,
        right=counted(lambda error, limit: (abs(error) < limit).all(1).mean()),
        wrong=[
            (
                counted(lambda error, limit: (error < limit).all(1).mean()),
                "far too many: a large negative product is a mismatch, too",
            ),
            (
                counted(lambda error, limit: (abs(error) < limit).any(1).mean()),
                "more directions miss more here: one that shows the mismatch is enough",
            ),
            (
                counted(lambda error, limit: (abs(error) < limit).all(1).sum()),
                "that is a number of tries; a share of them is asked for",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
    3: Exercise(
        "that gradients which are never cleared add up, and what a copy of a run shares",
        sums,
        right=planted(sum),
        wrong=[
            (lambda run: run, "nothing is added up: each update gets its own gradient alone"),
            (
                planted(lambda parts: sum(parts) / len(parts)),
                "a mean of all gradients so far; who forgets to clear does not divide either",
            ),
            (
                planted(lambda parts: sum(parts[-2:])),
                "only the gradient before is added: nothing clears the older ones",
            ),
            (
                shared_by_all,
                "sums go over from one copy of the run to the next: what does a copy not copy?",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
