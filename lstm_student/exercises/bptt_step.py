"""Exercises of *One step backward*."""

from __future__ import annotations

import numpy as np

from lstm.numerical import relative_error
from lstm_student.exercise import Exercise

ATOMS = ("o", "tanh_c", "c", "f", "c_prev", "i", "g", "z_i", "z_f", "z_g", "z_o")
LEAVES = ("x", "h_prev", "W", "U", "b")
SIGNALS = np.random.default_rng(3).normal(size=(4, 3, 2))  # z_f, z_g, c_prev and dc


def pair(answer):
    """Return two numbers."""
    carried, slope = answer
    return float(carried), float(slope)


def about_pair(found):
    if abs(found[0] - 1.5) > 1e-6:
        return f"dc_prev is not {found[0]:g}: what multiplies c_prev in the sum?"
    return f"dz_f is not {found[1]:g}: it has three factors"


def names(answer):
    """Return the names of atoms in alphabetical order, with or without their d."""
    if isinstance(answer, str):
        raise ValueError(f"expected a list of two names, got the string {answer!r}")
    known = {*ATOMS, *LEAVES}
    found = [name if name in known else str(name).removeprefix("d") for name in answer]
    strange = [name for name in found if name not in known]
    if strange:
        raise ValueError(f"expected names such as 'c' or 'z_f', got {strange[0]!r}")
    return sorted(found)


def cell(f, g, c_prev):
    return f * c_prev + (1 - f) * g


def central(move, s=1e-5):
    return (move(s) - move(-s)) / (2 * s)


def measured(f, g, c_prev, dc):
    """Return dz_f, dz_g and dc_prev of a coupled cell by central differences."""
    z_f, z_g = np.log(f / (1 - f)), np.arctanh(g)
    return (
        dc * central(lambda s: cell(1 / (1 + np.exp(-z_f - s)), g, c_prev)),
        dc * central(lambda s: cell(f, np.tanh(z_g + s), c_prev)),
        dc * central(lambda s: cell(f, g, c_prev + s)),
    )


def three(backward):
    """Return the three gradients of a coupled cell."""
    z_f, z_g, c_prev, dc = SIGNALS
    given = backward(1 / (1 + np.exp(-z_f)), np.tanh(z_g), c_prev.copy(), dc.copy())
    dz_f, dz_g, dc_prev = (np.asarray(part, float) for part in given)
    return {"dz_f": dz_f, "dz_g": dz_g, "dc_prev": dc_prev}


def first_wrong(found):
    right = three(measured)
    bad = [name for name in right if not np.allclose(found[name], right[name], atol=1e-6)]
    return f"{bad[0]} is the first that is wrong: compare it with central differences"


def digits(gradient):
    """Return what is right of a gradient by complex steps: digits, dtype, the array after it."""
    array = np.array([[0.3, -0.7, 1.1], [0.4, 0.9, -0.2]], complex)
    before, x = array.copy(), array.real.copy()

    def loss():
        return (np.tanh(array) * np.exp(array)).sum()

    found = np.asarray(gradient(loss, array))
    if found.shape != x.shape:
        raise ValueError(f"expected a gradient of shape {x.shape}, got {found.shape}")
    exact = np.exp(x) * (np.tanh(x) + 1 - np.tanh(x) ** 2)
    error = relative_error(np.real(found), exact)
    return {
        "put back": bool((array == before).all()),
        "real": not np.iscomplexobj(found),
        "digits": int(np.clip(-np.log10(max(error, 1e-16)), 0, 13)),
    }


def about_digits(found):
    if not found["put back"]:
        return "an entry was moved and not put back"
    if not found["real"]:
        return "the gradient is still complex"
    return f"{found['digits']} digits are right: can the step be smaller, or is its power wrong?"


def by_complex_steps(step=1e-20, power=1, restore=True, part=np.imag):
    """Return a gradient by complex steps, with possible slips."""

    def gradient(loss, array):
        found = np.empty(array.shape, np.asarray(part(1j)).dtype)
        for index in np.ndindex(array.shape):
            value = array[index]
            array[index] = value + 1j * step
            found[index] = part(loss()) / step**power
            array[index] = value if restore else array[index]
        return found

    return gradient


def by_differences(loss, array):
    found = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value, ends = array[index], []
        for moved in (value + 1e-5, value - 1e-5):
            array[index] = moved
            ends.append(loss().real)
        array[index] = value
        found[index] = (ends[0] - ends[1]) / 2e-5
    return found


EXERCISES = {
    1: Exercise(
        "that a product hands on the gradient times the other factor, and a gate its slope",
        pair,
        right=(1.5, 0.15),
        wrong=[
            ((1.5, 0.8), "that is the gradient of the gate: z_f lies behind the sigmoid"),
            ((1.5, 0.6), "dz_f has f in it: the slope of a sigmoid has a second factor"),
            ((1.5, 0.225), "that has the candidate in it, which the input gate multiplies"),
            ((0.8, 0.15), "dz_f is right; dc_prev has the factor beside c_prev, not c_prev"),
            ((2.0, 0.15), "dz_f is right; the cell does not hand on all that arrives"),
        ],
        explain=about_pair,
    ),
    2: Exercise(
        "that the first wrong line in the order of the backward pass holds the mistake",
        names,
        right=["i", "g"],
        wrong=[
            (["z_i", "z_g"], "these are wrong, but so is what they are computed from"),
            (["c", "f"], "these agree with the measured gradients"),
            (["W", "U"], "these are computed last: a mistake is in the first that is wrong"),
            (["i"], "it is one of the two: what stands beside it in the cell's sum?"),
        ],
        explain=lambda found: "not the first two that are wrong, from the output backward",
    ),
    3: Exercise(
        "that a gate that is read twice in one line gets two terms",
        three,
        right=measured,
        wrong=[
            (
                lambda f, g, c_prev, dc: (
                    dc * c_prev * f * (1 - f),
                    dc * (1 - f) * (1 - g * g),
                    dc * f,
                ),
                "the forget gate is a fork: dz_f has only one of its two terms",
            ),
            (
                lambda f, g, c_prev, dc: (
                    dc * (c_prev - g) * f * (1 - f),
                    dc * f * (1 - g * g),
                    dc * f,
                ),
                "dz_g has the share that is kept, where the share that is written belongs",
            ),
            (
                lambda f, g, c_prev, dc: (dc * (c_prev - g), dc * (1 - f), dc * f),
                "these belong to the gate and the candidate: the slopes are still missing",
            ),
            (
                lambda f, g, c_prev, dc: (
                    dc * (c_prev + g) * f * (1 - f),
                    dc * (1 - f) * (1 - g * g),
                    dc * f,
                ),
                "a sign in dz_f: what is written falls as the forget gate rises",
            ),
        ],
        explain=first_wrong,
        rtol=1e-7,
    ),
    4: Exercise(
        "that the rounding of a difference quotient comes from its subtraction",
        digits,
        right=by_complex_steps(),
        wrong=[
            (by_complex_steps(1e-3), "the step is so large that its square can be seen"),
            (by_differences, "two nearly equal numbers were subtracted, and digits are lost"),
            (by_complex_steps(restore=False), "the entries are still moved at the end"),
            (by_complex_steps(part=lambda z: np.asarray(z)), "the loss has two parts: which one?"),
        ],
        explain=about_digits,
    ),
}
