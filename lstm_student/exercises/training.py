"""Exercises of *From gradients to a smaller loss*."""

from __future__ import annotations

import numpy as np

from lstm import SGD
from lstm.optim import Momentum, Optimizer
from lstm_student.exercise import Exercise


def limit_and_wait(answer):
    rate, steps = (float(value) for value in answer)
    if steps % 1:
        raise ValueError(f"expected a whole number of steps, got {steps}")
    return rate, steps


def run_bowl(found):
    """Say what a rate and a wait do on the bowl."""
    rate, steps = found
    if abs(1 - rate * 8) > 1 + 1e-9:
        return f"at the rate {rate:g} the steep parameter grows"
    if abs(1 - 1.001 * rate * 8) <= 1:
        return f"at a rate a little above {rate:g} no parameter grows yet"
    return f"after {steps:.0f} steps {(1 - rate / 2 * 0.02) ** steps:.5f} of its start is left"


def path(kind):
    """Return the way of two parameters by momentum, and the way on from a kept state."""
    curvatures = {"a": np.array([4.0, 0.5]), "b": np.array([1.0])}
    start = {"a": np.array([1.0, -2.0]), "b": np.array([3.0])}

    def walk(params, optimizer, steps):
        places = []
        for _ in range(steps):
            optimizer.step({name: curvatures[name] * p for name, p in params.items()})
            places.append(np.concatenate([p.copy() for p in params.values()]))
        return np.array(places)

    optimizer = kind(start, 0.05, 0.9)
    way = walk(start, optimizer, 10)
    kept = optimizer.state_dict()
    params = {name: p.copy() for name, p in start.items()}
    another = kind(params, 0.05, 0.9)
    another.load_state_dict(kept)
    return {"way": way, "same on": np.allclose(walk(start, optimizer, 5), walk(params, another, 5))}


class Unkept(Optimizer):
    """Momentum whose sum `state_dict` does not know."""

    def __init__(self, params, learning_rate, momentum):
        super().__init__(params, learning_rate)
        self.momentum, self.u = momentum, {name: 0 * p for name, p in params.items()}

    def update(self, name, gradient):
        self.u[name] = self.momentum * self.u[name] + gradient
        self.params[name] -= self.learning_rate * self.u[name]


class Mean(Momentum):
    def update(self, name, gradient):
        super().update(name, (1 - self.momentum) * gradient)


class RateInTheSum(Momentum):
    """A sum that is multiplied by the rate twice."""

    def update(self, name, gradient):
        super().update(name, self.learning_rate * gradient)


def first_steps(found):
    if not found["same on"]:
        return "a training that goes on from state_dict goes another way: what is missing there?"
    return "the way differs: by hand, what are u and p after the second step?"


EXERCISES = {
    1: Exercise(
        "that the largest curvature limits the rate, and the smallest sets the time",
        limit_and_wait,
        right=(0.25, 920),
        wrong=[
            ((0.25, 460), "the rate is right; the wait is the one at the limit, not at half of it"),
            ((0.125, 1841), "1/s brings a parameter to 0 in one step; it grows later than that"),
            ((100.0, 1), "this is the limit of the flat direction: what does the steep one do?"),
            ((0.25, 919), "the rate is right; after so many steps it is a little above a tenth"),
        ],
        explain=run_bowl,
    ),
    2: Exercise(
        "that an optimizer is its update and its state, and momentum a sum that lives on",
        path,
        right=Momentum,
        wrong=[
            (lambda params, rate, momentum: SGD(params, rate), "plain SGD: what is left of u?"),
            (Mean, "that is a running mean of gradients; asked for is a running sum"),
            (
                lambda params, rate, momentum: Momentum(params, rate, momentum, nesterov=True),
                "that is a step along the gradient and the sum; the sum holds the gradient already",
            ),
            (RateInTheSum, "the rate multiplies the gradient twice, in the sum and in the step"),
            (Unkept, "the way is right, but state_dict does not know u: where is it kept?"),
        ],
        explain=first_steps,
    ),
    3: Exercise(
        "that a decay compounds, and that the first epoch has the whole rate",
        float,
        right=0.01 ** (1 / 99),
        wrong=[
            (
                0.01 ** (1 / 100),
                "one decay too many: how many has the last epoch, number 99, made?",
            ),
            (0.99, "decays multiply: 99 of these leave more than a third"),
            (0.01, "that is the share of all epochs together, not the factor of one"),
        ],
        explain=lambda decay: f"a decay of {decay:.4g} leaves {decay**99:.3g} in epoch 99",
        rtol=1e-4,
    ),
    4: Exercise(
        "that Adam's mean of squares remembers a spike for the time that beta2 sets",
        lambda steps: 0.999 ** float(steps),
        right=np.log(0.5) / np.log(0.999),
        wrong=[
            (1000, "1/(1 - β₂) steps leave about a third, not one half"),
            (500, "each step takes a thousandth of what is left, not of what there was"),
            (np.log(0.5) / np.log(0.9), "that is how long m remembers; asked for is v"),
        ],
        explain=lambda left: f"after so many steps {left:.2f} of it is left",
        rtol=1e-3,
    ),
}
