"""Exercises of *One step*."""

from __future__ import annotations

import numpy as np

from lstm.gates import sigmoid
from lstm_student.exercise import Exercise

RNG = np.random.default_rng(6)
BLOCKS = RNG.normal(size=(16, 3))  # four blocks of four rows
STATE = RNG.normal(size=(2, 1, 5, 4))  # h and c of five sequences
Z, P, CELL = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=3)
COUPLED = 2 * RNG.normal(size=(3, 4, 5)), RNG.uniform(-1, 1, (4, 5))


def pair(answer, shape):
    """Return h and c as arrays of a shape."""
    h, c = (np.array(part, float) for part in answer)
    for name, part in (("h", h), ("c", c)):
        if part.shape != shape:
            raise ValueError(f"expected {name} of shape {shape}, got {part.shape}")
    return {"h": h, "c": c}


def which(right):
    """Return a function that says which of h and c is not right."""

    def explain(found):
        if np.allclose(found["c"], right["c"]):
            return "c is right, h is not"
        return "c is not right: compute one unit of it on paper"

    return explain


def coupled(step):
    """Return the difference of a coupled step from the naive one, unit by unit."""
    z, before = COUPLED
    given = pair(step(z.copy(), before.copy()), before.shape)
    for place in np.ndindex(before.shape):
        f, g, o = (block[place] for block in z)
        keep = 1 / (1 + np.exp(-f))
        c = keep * before[place] + (1 - keep) * np.tanh(g)
        given["c"][place] -= c
        given["h"][place] -= np.tanh(c) / (1 + np.exp(-o))
    return given


def peephole(step):
    """Return the difference of a step with peepholes from the naive one, unit by unit."""
    given = pair(step(Z.copy(), P.copy(), CELL.copy()), CELL.shape)
    for k in range(3):
        i, f = (1 / (1 + np.exp(-Z[n, k] - P[n, k] * CELL[k])) for n in (0, 1))
        c = f * CELL[k] + i * np.tanh(Z[2, k])
        given["c"][k] -= c
        given["h"][k] -= np.tanh(c) / (1 + np.exp(-Z[3, k] - P[2, k] * c))
    return given


def reordered(function):
    """Return what a function makes of a matrix of four blocks."""
    found = np.asarray(function(BLOCKS.copy()))
    if found.shape != BLOCKS.shape:
        raise ValueError(f"expected the shape {BLOCKS.shape}, got {found.shape}")
    return found


def dropped(function):
    """Return the two parts of a state of five sequences, of which two are kept."""
    h, c = function(tuple(STATE.copy()), [0, 3])
    return np.asarray(h), np.asarray(c)


def coupled_with(write, squash=np.tanh):
    """Return a step that writes a share, given the forget gate and the offer's block."""

    def step(z, c_prev):
        f, g, o = sigmoid(z[0]), np.tanh(z[1]), sigmoid(z[2])
        c = write(f, c_prev, g)
        return o * squash(c), c

    return step


def peephole_with(rows=(0, 1, 2), new=True, inside=True):
    """Return a step whose gates i, f and o have the given rows of p, with possible slips."""

    def step(z, p, c_prev):
        p_i, p_f, p_o = p[list(rows)]
        i, f = sigmoid(z[0] + p_i * c_prev), sigmoid(z[1] + p_f * c_prev)
        if not inside:
            i, f = sigmoid(z[0]) + p_i * c_prev, sigmoid(z[1]) + p_f * c_prev
        c = f * c_prev + i * np.tanh(z[2])
        return sigmoid(z[3] + p_o * (c if new else c_prev)) * np.tanh(c), c

    return step


def mean(f, c_prev, g):
    return f * c_prev + (1 - f) * g


def onnx(W, order):
    return np.concatenate([np.split(W, 4)[k] for k in order])


NOTHING = {"h": 0.0, "c": 0.0}
EXERCISES = {
    1: Exercise(
        "that the shapes of W, U and b follow from I and H, with four blocks and one bias",
        float,
        right=1760,
        wrong=[
            (1840, "that counts two biases for each row; one is enough"),
            (440, "that is one block; there are three gates and a candidate"),
            (1680, "W and U are all there: which of the three is missing?"),
            (160, "that leaves out U: each unit reads all 20 entries of the hidden state"),
        ],
        explain=lambda n: f"{n:g} is not the number of entries of W, U and b",
    ),
    2: Exercise(
        "that a coupled cell shares one whole between keeping and writing",
        coupled,
        right=coupled_with(mean),
        wrong=[
            (
                coupled_with(lambda f, c_prev, g: f * c_prev + g),
                "a cell left the range -1 to 1: kept and written must share one whole",
            ),
            (
                coupled_with(lambda f, c_prev, g: (1 - f) * c_prev + f * g),
                "the two shares are exchanged: f is what is kept",
            ),
            (
                coupled_with(mean, squash=lambda c: c),
                "c is right; the hidden state does not show the cell as it is",
            ),
            (
                coupled_with(lambda f, c_prev, g: f * (c_prev + g)),
                "what is written has the forget gate's share, not the rest",
            ),
        ],
        explain=which(NOTHING),
    ),
    3: Exercise(
        "that blocks are runs of H rows, which a convention puts in order",
        reordered,
        right=lambda W: onnx(W, (0, 2, 3, 1)),
        wrong=[
            (lambda W: W, "the rows are as they came: f, g and o are not in their places"),
            (
                lambda W: onnx(W, (0, 3, 1, 2)),
                "this goes the other way, from i, f, g, o to i, o, f, g",
            ),
            (
                lambda W: W.reshape(-1, 4, 3)[:, [0, 2, 3, 1]].reshape(16, 3),
                "a block is H rows one below the other, not every fourth row",
            ),
            (
                lambda W: onnx(W, (0, 2, 1, 3)),
                "only f has moved: the last two blocks are to be g and o",
            ),
        ],
        explain=lambda found: "not the blocks i, f, g, o, one below the other",
    ),
    4: Exercise(
        "which axis of a state is the batch, and that both parts of a state go together",
        dropped,
        right=lambda state, keep: tuple(part[:, keep] for part in state),
        wrong=[
            (
                lambda state, keep: tuple(part[0, keep] for part in state),
                "the axis of layers is gone: the step will refuse it",
            ),
            (
                lambda state, keep: tuple(part[:, : len(keep)] for part in state),
                "as many as are kept, but the first ones: those in the list were meant",
            ),
            (
                lambda state, keep: tuple(part[..., keep] for part in state),
                "units were dropped, not sequences: which axis is the batch?",
            ),
            (
                lambda state, keep: (state[0][:, keep], state[1]),
                "h is right; the cell has a row for each sequence too",
            ),
        ],
        explain=lambda found: (
            f"not the sequences kept; the parts have the shapes {found[0].shape} "
            f"and {found[1].shape}"
        ),
    ),
    5: Exercise(
        "that a peephole acts before the sigmoid, and that o sees the new cell",
        peephole,
        right=peephole_with(),
        wrong=[
            (peephole_with(new=False), "c is right, h is not: which cell does o see?"),
            (peephole_with((1, 0, 2)), "the peepholes of i and f are exchanged"),
            (
                peephole_with(inside=False),
                "what a peephole sees is added before the sigmoid, not after it",
            ),
        ],
        explain=which(NOTHING),
    ),
}
