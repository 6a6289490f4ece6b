"""Exercises of *Other ways to step*."""

from __future__ import annotations

import math

import numpy as np

from lstm import sine_task
from lstm.optim import cosine
from lstm_student.exercise import Exercise

CURVATURE, LEFT = 40, 0.8


def limits(answer):
    """Return two rates, times the curvature."""
    momentum, nesterov = (float(rate) for rate in answer)
    return CURVATURE * momentum, CURVATURE * nesterov


def grows(eta_s, ahead):
    """Tell whether 2000 steps on one curvature end farther away than they began."""
    p, u = 1.0, 0.0
    for _ in range(2000):
        dp = eta_s * (p - LEFT * u) if ahead else eta_s * p
        u = LEFT * u + dp
        p -= u
        if not abs(p) < 1e6:
            return True
    return abs(p) > 1


def run_both(found):
    """Say which of two limits is not one, and to which side."""
    for name, eta_s, ahead in zip(("momentum", "Nesterov"), found, (False, True)):
        if grows(0.99 * eta_s, ahead):
            return f"{name}: a little below this rate the parameter grows already"
        if not grows(1.01 * eta_s, ahead):
            return f"{name}: a little above this rate the parameter still shrinks"
    return "close, but not to three digits"


def rates(restarts):
    """Return the rates of 25 steps, for two rates and periods."""
    schedules = restarts(0.2, 10), restarts(1.0, 4)
    return np.array([[float(schedule(k)) for k in range(25)] for schedule in schedules])


def half_a_wave(way, rate):
    return rate * (1 + math.cos(math.pi * way)) / 2


def first_wrong(found):
    right = rates(lambda rate, period: lambda k: half_a_wave(k % period / period, rate))
    k = int(np.argmax((abs(found - right) > 1e-9).any(0)))
    return f"not right at step {k}: where in its period is it?"


def run(losses):
    losses = np.array([float(loss) for loss in losses])
    if not len(losses):
        raise ValueError("expected the losses of a run, one an epoch, got none")
    x, y = sine_task(np.float64)[0]
    below = losses < 10 * ((x - y) ** 2).mean()
    return {
        "at most 20 epochs": len(losses) <= 20,
        "finite": bool(np.isfinite(losses).all()),
        "ends low enough": bool(below[-1]),
        "was low enough once": bool(below.any()),
    }


EXERCISES = {
    1: Exercise(
        "that a sum of gradients bears a higher rate, and the look ahead a lower one",
        limits,
        right=(0.09, 3.6 / 2.6 / 40),
        wrong=[
            ((0.05, 3.6 / 2.6 / 40), "2/s is the limit without a sum; what does the sum change?"),
            ((0.09, 0.025), "1/s is Nesterov's safe rate; it is stable a little beyond it"),
            ((0.09, 0.09), "the look ahead has a limit of its own: where is its root at -1?"),
            ((3.6 / 2.6 / 40, 0.09), "the two rates are in each other's place"),
            ((3.6, 3.6 / 2.6), "these are limits of the rate times the curvature"),
        ],
        explain=run_both,
        rtol=1e-3,
    ),
    2: Exercise(
        "that AdamW's decay is a factor with the rate in it, and factors multiply",
        float,
        right=(1 - 3e-3 * 0.01) ** 10_000,
        wrong=[
            (0.99**10_000, "the rate is missing: by how much does one update shrink a weight?"),
            (1 - 3e-3 * 0.01 * 10_000, "each update takes a share of what is left, not of 1"),
            (1 - (1 - 3e-3 * 0.01) ** 10_000, "that is the share which is gone"),
            ((1 - 3e-3 * 0.01) ** 100, "an epoch makes many updates, and each of them decays"),
        ],
        explain=lambda share: (
            f"{share:.3g} is {'more' if share > 0.7408 else 'less'} than is left: "
            "what does one update leave?"
        ),
        rtol=1e-3,
    ),
    3: Exercise(
        "that a schedule is a function of a step's number, and can be made of another one",
        rates,
        right=lambda rate, period: lambda k: half_a_wave(k % period / period, rate),
        wrong=[
            (cosine, "it falls once and stays there: what should step N do?"),
            (
                lambda rate, period: lambda k: half_a_wave(k % (period + 1) / period, rate),
                "this period has one step too many: the rate 0 belongs to no step",
            ),
            (
                lambda rate, period: lambda k: half_a_wave(k / period, rate),
                "a whole wave climbs back as slowly as it fell: a restart is a jump",
            ),
            (
                lambda rate, period: lambda k: half_a_wave(k % period / (period - 1), rate),
                "it falls a little too fast: a cosine of N steps reaches its end at step N",
            ),
        ],
        explain=first_wrong,
    ),
    4: Exercise(
        "that momentum needs a limit on its gradients and a rate that falls",
        run,
        right=[0.1] * 19 + [1e-4],
        wrong=[
            ([0.1] * 49 + [1e-6], "it ends low enough, but took more than 20 epochs"),
            ([0.1] * 20, "never low enough: too short a way, or steps too long to settle?"),
            ([0.1] * 18 + [1e-4, 0.1], "it was low enough and left: do the steps shrink in time?"),
            ([math.inf], "the loss became infinite: what keeps a single step short?"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
