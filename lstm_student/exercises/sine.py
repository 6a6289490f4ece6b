"""Exercises of *The sine task, step by step*."""

from __future__ import annotations

import numpy as np

from lstm import LSTMRegressor, mean_squared_error, sine_task, to_numpy
from lstm_student.exercise import Exercise

STEP = 4 * np.pi / 1000  # between two points of the task
WEIGHT = "recurrent.weight_hh_l0"


# --- the truncated gradient ------------------------------------------------------------------


def gradients(answer):
    """Return truncated gradients over 40 steps, as shares of the whole one's norm."""
    model = LSTMRegressor(1, 3, 1, rng=2, dtype=np.float64, device="cpu")
    x, target = (a[:40] for a in sine_task(np.float64)[0])
    whole = np.linalg.norm(whole_gradient(model, x, target))
    return {
        length: np.asarray(to_numpy(answer(model, x, target, length))) / whole
        for length in (40, 20, 15)
    }


def whole_gradient(model, x, target, length=None):
    y, _ = model(x)
    model.backward(mean_squared_error(y, target)[1])
    return model.grads[WEIGHT]


def stretches(model, x, target, length, carried=True):
    """Yield each stretch's gradient of its sum of squares, and how many steps it has."""
    state = None
    for start in range(0, len(x), length):
        part = slice(start, start + length)
        y, last = model(x[part], state)
        model.backward(2 * (y - target[part]))
        yield model.grads[WEIGHT], len(y)
        state = last if carried else None


def truncated(model, x, target, length):
    """Return the sum over stretches, of squares first, so that no mean is weighed."""
    return sum(grad for grad, _ in stretches(model, x, target, length)) / len(x)


def from_zeros(model, x, target, length):
    return sum(grad for grad, _ in stretches(model, x, target, length, carried=False)) / len(x)


def unweighed(model, x, target, length):
    return sum(grad / steps for grad, steps in stretches(model, x, target, length))


def all_alike(model, x, target, length):
    return np.mean([grad / n for grad, n in stretches(model, x, target, length)], axis=0)


def where_it_differs(found):
    right = gradients(truncated)
    off = [length for length, grad in found.items() if not same_shape_and_size(grad, right[length])]
    return f"over 40 steps, not right at the lengths {off}: which of them has one stretch?"


def same_shape_and_size(a, b):
    return a.shape == b.shape and np.allclose(a, b)


# --- a run of thirty epochs ------------------------------------------------------------------


def run(losses):
    losses = np.array([float(loss) for loss in losses])
    if not len(losses):
        raise ValueError("expected the losses of a run, one an epoch, got none")
    x, y = sine_task(np.float64)[0]
    below = losses < ((x - y) ** 2).mean()
    return {
        "at most 30 epochs": len(losses) <= 30,
        "ends below doing nothing": bool(below[-1]),
        "was below once": bool(below.any()),
    }


EXERCISES = {
    1: Exercise(
        "that a cut loses what came through the state, the more the longer the memory is",
        float,
        right=1.539 / 3.439,
        wrong=[
            (1.9 / 3.439, "that is the share which is kept"),
            (1.539, "that is what is lost; asked for is its share of the whole"),
            (1.539 / 1.9, "that is what is lost over what is kept, not over the whole"),
            (0.2, "that is the share for a gate of one half: this cell remembers better"),
            (0.5, "two of four terms are lost, but the terms are not equally large"),
        ],
        explain=lambda share: (
            f"{share:.3g} is {'more' if share > 0.4475 else 'less'} than is lost: "
            "write c_4 as a sum over the four inputs"
        ),
        rtol=1e-3,
    ),
    2: Exercise(
        "that a bound for one step of many enters a mean with the share of such steps",
        lambda bound: float(bound) / (np.sin(STEP) ** 2 / 2),
        right=np.sin(STEP) ** 2 / 20,
        wrong=[
            (np.sin(STEP) ** 2 / 2, "that holds for steps that know one value; how many do?"),
            (np.sin(STEP) ** 2 * 0.45, "nine of ten steps are counted, those which know more"),
            (np.sin(STEP) ** 2 / 10, "the mean of cos² over a period is missing"),
        ],
        explain=lambda times: f"that is {times:.3g} times the loss of having no memory at all",
        rtol=1e-3,
    ),
    3: Exercise(
        "that the state is carried, the gradient is not, and means of parts are weighed",
        gradients,
        right=truncated,
        wrong=[
            (unweighed, "each stretch's mean is added as it is: a short stretch counts too much"),
            (all_alike, "right where all stretches are of one length; the last may be shorter"),
            (from_zeros, "each stretch begins from zeros: what became of the state before it?"),
            (whole_gradient, "this is the whole gradient whatever the length: nothing is cut"),
        ],
        explain=where_it_differs,
    ),
    4: Exercise(
        "that a rate which is high first and falls in time is worth more than epochs",
        run,
        right=[1e-2] * 29 + [1e-6],
        wrong=[
            ([1e-2] * 99 + [1e-6], "it ends low enough, but took more than 30 epochs"),
            ([1e-2] * 30, "never below doing nothing: how far can 30 such epochs go?"),
            (
                [1e-2] * 28 + [1e-6, 1e-3],
                "it was below doing nothing and left again: is the rate small at the end?",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
