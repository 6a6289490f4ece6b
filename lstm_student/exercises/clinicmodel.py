"""Exercises of *The clinic: the model*."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from lstm_student.exercise import Exercise

ORDERS = ["".join(order) for order in permutations("ifgo")]


def rounded(answer):
    """Return a bias with two decimals and a slope with four."""
    bias, slope = (float(number) for number in answer)
    return round(bias, 2), round(slope, 4)


def held(found):
    """Say what a gate with this bias is, or that the slope does not follow from the gate."""
    bias, slope = found
    gate = 1 / (1 + np.exp(-bias))
    if abs(gate - 0.99) > 5e-4:
        return f"a bias of {bias} gives a gate of {gate:.3f}, not of 0.99"
    return f"the bias is right; {slope} is not the slope where the gate is 0.99"


def fitting(function):
    """Return what a function says of a file in each of the 24 orders."""
    found = tuple(function(order) for order in ORDERS)
    if not all(isinstance(order, str) for order in found):
        raise ValueError(f"expected a string such as 'iofg', got {found[0]!r}")
    return found


def undone(file):
    """Find the place of each letter in the file, and the letter that is read there."""
    return "".join("ifgo"[file.index(letter)] for letter in "ifgo")


def found_share(function):
    """Return the share found in a gate (20, 3, 5) of which two units switch.

    One of them does so in different sequences, one in one; one is held; one is low once.
    """
    gate = np.random.default_rng(0).uniform(0.2, 0.8, size=(20, 3, 5))
    gate[3, 0, 0], gate[9, 2, 0] = 0.01, 0.99
    gate[:, :, 1] = 0.99
    gate[4, 1, 2] = 0.02
    gate[5, 1, 3], gate[6, 1, 3] = 0.99, 0.01
    return float(function(gate))


def switches(gate):
    return ((gate.min((0, 1)) < 0.05) & (gate.max((0, 1)) > 0.95)).mean()


EXERCISES = {
    1: Exercise(
        "that a bias alone sets a gate, and that the slope follows from the gate's value",
        rounded,
        right=(np.log(99), 0.0099),
        wrong=[
            ((2.94, 0.0475), "that is a gate of 0.95, the bound of the text; asked is 0.99"),
            (
                (np.log(99), 0.25),
                "a quarter is the slope at a bias of 0, where a gate is half open",
            ),
            ((np.log(99), 0.0199), "the bias is right; 1 - t² is the slope of the tanh"),
            ((np.log(99), 0.0001), "the bias is right; the slope is s (1 - s), not (1 - s)²"),
            ((-np.log(99), 0.0099), "of the wrong sign: this bias shuts the gate"),
        ],
        explain=held,
    ),
    2: Exercise(
        "that an order of blocks is undone by its inverse",
        fitting,
        right=undone,
        wrong=[
            (lambda file: file, "that is the order of the file: by which letters was it read?"),
            (
                lambda file: "ifgo",
                "each block under its own name: but the reader took them by their places",
            ),
            (
                lambda file: "".join(file["ifgo".index(letter)] for letter in file),
                "that applies the file's order a second time; it is to be taken back",
            ),
            (
                lambda file: "".join(file[::-1][file.index(letter)] for letter in "ifgo"),
                "reversing the string does not undo an order: follow one letter to its place",
            ),
        ],
        explain=lambda found: (
            f"of a file in the order iofg it says {found[ORDERS.index('iofg')]}: "
            "where does f stand, and which letter is read there?"
        ),
    ),
    3: Exercise(
        "that weights too large make units switch, and biases make them stay",
        found_share,
        right=switches,
        wrong=[
            (
                lambda gate: ((gate < 0.05) | (gate > 0.95)).any((0, 1)).mean(),
                "a unit that is always at one end counts as well: it is held and never switches",
            ),
            (
                lambda gate: ((gate < 0.05).any(0) & (gate > 0.95).any(0)).any(0).mean(),
                "a unit may be at one end in this sequence and at the other in that one",
            ),
            (
                lambda gate: ((gate < 0.05) & (gate > 0.95)).mean(),
                "no number is at both ends: the two may be at different steps",
            ),
            (
                lambda gate: ((gate < 0.05) | (gate > 0.95)).mean(),
                "that is a share of all numbers; a share of the units is asked for",
            ),
        ],
        explain=lambda found: f"two of five units switch, which is not {found:.3g}",
    ),
}
