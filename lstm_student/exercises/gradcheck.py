"""Exercises of *A gradient that is wrong*."""

from __future__ import annotations

import re

import numpy as np

from lstm import LSTM
from lstm.gradcheck import follows, gradient_check
from lstm.numerical import Comparison
from lstm_student.exercise import Exercise

B, I = 3, 2  # of the gradients made up for the third


def three(answer):
    """Return noise, visible and factor as numbers."""
    noise, visible, factor = answer
    return float(noise), float(visible), float(factor)


def off(found):
    """Say which of the three numbers is not right."""
    names = ("noise", "visible", "the factor")
    wrong = [k for k, a, b in zip(names, found, (4, 0.25, 0.75)) if not abs(a - b) <= 1e-6]
    return f"not right: {', '.join(wrong)}"


def named(answer):
    """Return, of each layer, the gates that are named and what is asked for beside them."""
    if not isinstance(answer, dict) or sorted(answer) != ["A", "B", "C"]:
        raise ValueError(f"expected a dict with a few words for each of A, B and C, got {answer!r}")
    words = {bed: set(re.findall(r"[a-z]+", said.lower())) for bed, said in answer.items()}
    found = {bed: "".join(sorted(said & set("ifgo"))) for bed, said in words.items()}
    found["B"] += " sequence" if "sequence" in words["B"] else ""
    found["C"] += " sign" if "sign" in words["C"] else ""
    return found


def again(found):
    """Name the layers that were not told."""
    right = {"A": "gi", "B": " sequence", "C": "o sign"}
    return f"look again at {', '.join(bed for bed in right if found[bed] != right[bed])}"


def late_cases():
    """Return pairs (a, b) of gradients (8, 3, 2) by what they are."""
    b = np.random.default_rng(0).normal(size=(8, B, I))
    still = 0 * b + 1.0
    shifted = np.concatenate([b[1:], 0 * b[:1]])
    return {
        "one step late": (shifted, b),
        "one step late, and rounded": (shifted * (1 + 1e-7), b),
        "one step late, the first one last": (np.roll(b, -1, 0), b),
        "one step early": (np.concatenate([0 * b[:1], b[:-1]]), b),
        "sound": (b, b),
        "zero": (0 * b, b),
        "turned around": (b[::-1], b),
        "sound, and alike at all steps": (still, still),
    }


def told(late):
    """Return what a function says of each case."""
    return {
        name: bool(late(Comparison(a.ravel(), b.ravel(), np.arange(a.size), a.shape, 0.0)))
        for name, (a, b) in late_cases().items()
    }


def misjudged(found):
    """Name the cases that were not told."""
    wrong = [name for name, said in found.items() if said != name.startswith("one step late")]
    return f"wrong about the case: {'; '.join(wrong)}"


def steps(c):
    return c.exact.reshape(c.shape), c.numerical.reshape(c.shape)


def late(c):
    a, b = steps(c)
    return not follows(a, b, c.noise) and follows(a[:-1], b[1:], c.noise)


def late_or_alike(c):
    a, b = steps(c)
    return follows(a[:-1], b[1:], c.noise)


def early(c):
    a, b = steps(c)
    return not follows(a, b, c.noise) and follows(a[1:], b[:-1], c.noise)


def late_around(c):
    a, b = steps(c)
    return not follows(a, b, c.noise) and follows(a, np.roll(b, -1, 0), c.noise)


def late_by_an_entry(c):
    a, b = c.exact, c.numerical
    return not follows(a, b, c.noise) and follows(a[:-1], b[1:], c.noise)


def late_to_the_bit(c):
    a, b = steps(c)
    return not follows(a, b, c.noise) and bool((a[:-1] == b[1:]).all())


def planted(backward):
    """Return what a backward pass changes in a small layer, and whether the check sees it."""
    rng, sound = np.random.default_rng(0), LSTM.run_backward
    layer = LSTM(2, 3, rng=rng, dtype=np.float64, device="cpu")
    layer.params["bias_l0"] += rng.normal(size=12)
    x, dy = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2, 3))

    def gradients(run):
        layer.run_backward = run
        layer(x)
        dx, _ = layer.backward(dy)
        return np.concatenate([part.ravel() for part in (dx, *layer.grads.values())])

    given, exact = gradients(backward), gradients(sound)
    layer.run_backward = backward
    return {
        "changes a gradient": bool((given != exact).any()),
        "is seen": not gradient_check(layer, x, rng=np.random.default_rng(9)).ok,
        "has no NaN": bool(np.isfinite(given).all()),
    }


def each_step_alone(dy, dstate, cache, W, U, b, workspace):
    dx, dstate, _ = LSTM.run_backward(dy, dstate, cache, W, 0 * U, b)
    return dx, dstate, LSTM.run_backward(dy, dstate, cache, W, U, b)[2]


def bias_times(factor):
    """Return a backward pass whose gradient of the bias is multiplied by a factor."""

    def backward(*arguments):
        dx, dstate, (dW, dU, db) = LSTM.run_backward(*arguments)
        return dx, dstate, (dW, dU, factor * db)

    return backward


EXERCISES = {
    1: Exercise(
        "that the error of a check is read beside what rounding hides",
        three,
        right=(4, 0.25, 0.75),
        wrong=[
            ((4, 0.25, 0.8), "a factor of 0.8 makes an error of 0.2: does that stand out?"),
            ((4, 0.25, 0.25), "0.25 is the error that a factor makes, not the factor"),
            ((4, 0.25, 1.25), "1.25 lies above 1; asked for is the one below"),
            ((4, 64, 0.75), "visible is relative: the noise over the largest entry"),
            ((2**-14, 2**-18, 1 - 2**-18), "the step divides the rounding of the loss"),
            ((2, 0.125, 0.875), "half of it: each of the two losses is rounded by δL"),
        ],
        explain=off,
    ),
    2: Exercise(
        "that a report of the gradient check is read down to gate, place and pattern",
        named,
        right={"A": "i and g exchanged", "B": "one sequence is zero", "C": "o: wrong sign"},
        wrong=[
            (
                {"A": "i and f exchanged", "B": "one sequence is zero", "C": "o: wrong sign"},
                "A: two gates have changed places; which does the report name?",
            ),
            (
                {"A": "i and g exchanged", "B": "one step is zero", "C": "o: wrong sign"},
                "B: zeros, but along which axis of x do they stop?",
            ),
            (
                {"A": "i and g exchanged", "B": "one sequence is zero", "C": "o: zero"},
                "C: the gate is right; what has been done to its numbers?",
            ),
        ],
        explain=again,
    ),
    3: Exercise(
        "that a pattern is an equality between two gradients, and how it can deceive",
        told,
        right=late,
        wrong=[
            (late_or_alike, "a gradient alike at all steps is its own shift, and not wrong"),
            (early, "this finds the gradient of the step before, not of the one after"),
            (late_around, "the last step has no later one: there is nothing to compare it with"),
            (late_by_an_entry, "this shifts by one entry; a step is a row of many entries"),
            (late_to_the_bit, "a quotient is rounded: equal to the last bit is too much to ask"),
        ],
        explain=misjudged,
    ),
    4: Exercise(
        "that a fault of one's own is planted, seen by the check, and looked at",
        planted,
        right=each_step_alone,
        wrong=[
            (LSTM.run_backward, "these are the sound gradients: nothing was planted"),
            (bias_times(1 + 1e-9), "a gradient changes by so little that no check can tell"),
            (bias_times(np.nan), "NaN shows without any check: plant a mistake in finite numbers"),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
