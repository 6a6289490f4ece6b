"""Exercises of *First instruments*."""

from __future__ import annotations

import numpy as np

from lstm import LSTMRegressor, mean_squared_error, to_device, to_numpy
from lstm.backend import device_of
from lstm.diagnostics import judge_gradients, norms_over_time
from lstm_student.exercise import Exercise

VERDICTS = {"p": "vanishing", "q": "healthy", "r": "healthy", "s": "exploding"}
WARD = {"A": "faint", "B": "healthy", "C": "exploding", "D": "forgetful", "E": "saturated"}


def words_for(names):
    """Return a measure of a dict that has one word for each of these names."""

    def measure(answer):
        if not isinstance(answer, dict) or sorted(answer) != sorted(names):
            raise ValueError(f"expected a dict with a word for each of {names}, got {answer!r}")
        return {name: str(word).strip().lower() for name, word in answer.items()}

    return measure


def differing(right):
    """Return what names the wrong words of a dict."""

    def explain(found):
        return f"look again at {', '.join(k for k in right if found[k] != right[k])}"

    return explain


def stuck(stuck_units):
    """Return the units that a function finds stuck in a gate (30, 4, 7)."""
    gate = np.random.default_rng(0).uniform(0.1, 0.9, size=(30, 4, 7))
    gate[:, :, 1] = 1.0 - 1e-4
    gate[:, :, 4] = np.linspace(0, 1e-3, 120).reshape(30, 4)
    gate[:15, :, 2], gate[15:, :, 2] = 0.001, 0.999  # extreme, but it moves
    gate[:, 0, 5] = 0.999  # in one sequence alone
    gate[:, :, 6], gate[3, 2, 6] = 0.001, 0.5  # opens once
    given = np.asarray(stuck_units(gate))
    if given.dtype == bool:
        raise ValueError("expected the numbers of the units, got an array of True and False")
    return sorted(int(unit) for unit in given)


def unlike(found):
    """Say which units were missed, and which are not stuck."""
    missed, extra = sorted({1, 4} - {*found}), sorted({*found} - {1, 4})
    return f"units missed: {missed}, units that are not stuck: {extra}"


def ends(gate):
    return np.flatnonzero((gate.max((0, 1)) < 0.01) | (gate.min((0, 1)) > 0.99))


def cured(model):
    """Return the size of the first step's gradient, and what the gates and verdicts are."""
    device = device_of(model.params["linear.weight"])
    x = to_device(np.random.default_rng(100).normal(size=(50, 16, 1)), device)
    y, _ = model(x)
    dy, gates = 0.0 * y, model.recurrent.trace()[:2]
    stands_still = [ends(to_numpy(gate)).size > 0 for gate in gates]
    _, dy[-1] = mean_squared_error(y[-1], x[0])
    norms = norms_over_time(model.backward(dy)[0])
    return {
        "arrives": bool(norms[0] >= 0.01 * norms[-1]),
        "healthy": set(judge_gradients(model.grads).values()) == {"healthy"},
        "movable": not any(stands_still),
    }


def regressor(forget_bias=1.0, times=1.0):
    """Return a fresh model, its recurrent weights multiplied by a number."""
    model = LSTMRegressor(1, 20, 1, forget_bias=forget_bias, rng=0, dtype=np.float64, device="cpu")
    model.recurrent.params["weight_hh_l0"] *= times
    return model


EXERCISES = {
    1: Exercise(
        "that a norm grows with the number of entries, and a largest entry does not",
        words_for("pqrs"),
        right=VERDICTS,
        wrong=[
            (
                {**VERDICTS, "p": "healthy"},
                "p: the norm is a hundred times an entry; is it above the limit?",
            ),
            ({**VERDICTS, "q": "vanishing"}, "q: 1e-6 is a limit for the norm, not for an entry"),
            ({**VERDICTS, "r": "exploding"}, "r: 100 is a limit for an entry, not for the norm"),
            ({**VERDICTS, "s": "vanishing"}, "s: a tiny entry does not make the norm small"),
            ({**VERDICTS, "s": "healthy"}, "s: one entry beyond the limit is enough"),
        ],
        explain=differing(VERDICTS),
    ),
    2: Exercise(
        "that an illness is told from verdicts, norms over time and gates together",
        words_for("ABCDE"),
        right=WARD,
        wrong=[
            ({**WARD, "A": "healthy"}, "A: its verdicts are sound, but how far do its gates move?"),
            ({**WARD, "D": "healthy"}, "D: the verdicts see sums over steps; look step by step"),
            (
                {**WARD, "E": "forgetful"},
                "E: its forget gate keeps all; is there a gate that moves?",
            ),
            ({**WARD, "A": "forgetful"}, "A: little arrives; is it the forget gate that drops it?"),
            (
                {**WARD, "C": "saturated"},
                "C: gates that go from end to end are not gates that stand at one",
            ),
        ],
        explain=differing(WARD),
    ),
    3: Exercise(
        "that a unit is judged by its extremes over all steps and sequences, not by a mean",
        stuck,
        right=ends,
        wrong=[
            (
                lambda gate: np.flatnonzero((abs(gate - 0.5) > 0.49).all((0, 1))),
                "one unit goes from end to end: it is always near one, and not stuck",
            ),
            (
                lambda gate: np.flatnonzero((abs(gate - 0.5) > 0.49).all(0).any(0)),
                "to be stuck in one sequence is not to be stuck in all",
            ),
            (
                lambda gate: np.flatnonzero(abs(gate.mean((0, 1)) - 0.5) > 0.49),
                "a mean near an end can hide a value that is far from it",
            ),
            (
                lambda gate: np.flatnonzero(gate.min((0, 1)) > 0.99),
                "gates that are stuck open are found; there is another end",
            ),
        ],
        explain=unlike,
    ),
    4: Exercise(
        "that a forget bias lets a gradient through, and that too much of it sticks",
        cured,
        right=regressor(forget_bias=3.0),
        wrong=[
            (regressor(), "every gate can move, but less than a hundredth reaches the first step"),
            (regressor(forget_bias=20.0), "the gradient arrives, but a gate is stuck"),
            (regressor(times=8.0), "the gradient arrives and grows on its way: see the verdicts"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
