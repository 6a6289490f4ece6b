"""Exercises of *A relative: the GRU*."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import GRU, LSTM
from lstm.diagnostics import norms_over_time
from lstm_student.exercise import Exercise

# --- weights from a file ---------------------------------------------------------------------


def converted(convert):
    """Return what becomes of three arrays of a file, blocks z, r, n."""
    rng, H = np.random.default_rng(6), 3
    file = [rng.normal(size=(3 * H, *width)) for width in ((2,), (H,), ())]
    found = [np.asarray(a) for a in convert(*(a.copy() for a in file))]
    if [a.shape for a in found] != [a.shape for a in file]:
        raise ValueError(f"expected W, U and b in the shapes of the file, got {len(found)} arrays")
    return found


def in_order(signs):
    """Return a function that puts a file's blocks in the order r, z, n, times signs."""

    def convert(*weights):
        return [np.concatenate([a[3:6], sign * a[:3], a[6:]]) for a, sign in zip(weights, signs)]

    return convert


def which_block(found):
    right = converted(in_order([-1, -1, -1]))
    off = [
        f"{name}'s {block}"
        for name, a, b in zip("WUb", found, right)
        for k, block in enumerate(("first block", "second block", "third block"))
        if not np.allclose(a[3 * k : 3 * k + 3], b[3 * k : 3 * k + 3])
    ]
    return f"not right: {', '.join(off)}"


# --- a stored bit ----------------------------------------------------------------------------

WRITTEN = (0, 20)


def story(params):
    """Return how a GRU of one unit keeps bits that are to be stored at steps 0 and 20."""
    layer = GRU(2, 1, dtype=np.float64, device="cpu")
    for name, array in layer.params.items():
        value = np.array(params[name], np.float64)
        if value.shape != array.shape:
            raise ValueError(f"expected {name} of shape {array.shape}, got {value.shape}")
        array[...] = value
    x = np.random.default_rng(7).choice([-1.0, 1.0], size=(51, 8, 2))
    x[:, :, 1] = 0.0
    x[list(WRITTEN), :, 1] = 1.0
    y = layer(x)[0][:, :, 0]
    bits = [x[step, :, 0] for step in WRITTEN]
    near = [abs(y[step] - bit).max() < 0.1 for step, bit in zip(WRITTEN, bits)]
    return {
        "is at least half there when stored": bool((y[0] * bits[0] > 0.5).all()),
        "is within 0.1 when stored": bool(near[0]),
        "is left alone by other bits": bool(abs(y[1:20] - y[0]).max() < 0.1),
        "gives way to the next": bool(near[1]),
        "is within 0.1 after 30 steps": bool(abs(y[50] - bits[1]).max() < 0.1),
    }


def stored(candidate=5, signal=-20, bias=10):
    """Return parameters: weights of the bit and of the signal, and the bias of z."""
    return {
        "weight_ih_l0": [[0, 0], [0, signal], [candidate, 0]],
        "weight_hh_l0": [[0], [0], [0]],
        "bias_l0": [0, bias, 0],
        "bias_hn_l0": [0],
    }


# --- as far as the LSTM ----------------------------------------------------------------------


def farthest(layer):
    """Return the gradient's norm 99 steps back, with the sizes and seeds of the figure."""
    rng = np.random.default_rng(4)
    layer(rng.normal(size=(100, 16, 8)))
    dy = np.zeros((100, 16, 32))
    dy[-1] = rng.normal(size=(16, 32))
    return float(norms_over_time(layer.backward(dy)[0])[0])


@cache
def reach_of_lstm():
    return farthest(LSTM(8, 32, rng=0, dtype=np.float64, device="cpu"))


def compared(bias):
    """Say how a GRU's gradient compares with that of the LSTM."""
    layer = GRU(8, 32, rng=0, dtype=np.float64, device="cpu")
    layer.params["bias_l0"][32:64] = float(bias)
    ratio = farthest(layer) / reach_of_lstm()
    if not ratio < np.inf:
        raise ValueError(f"expected a bias that leaves a gradient, got {bias}")
    if 0.1 < ratio < 10:
        return "as far"
    return "farther" if ratio > 1 else "nearly" if ratio > 1e-4 else "far less"


EXERCISES = {
    1: Exercise(
        "that the half-life of a state follows from the bias of the update gate",
        float,
        right=-np.log(2 ** (1 / 10) - 1),
        wrong=[
            (2 ** (-1 / 10), "that is the gate; asked for is the bias in front of its sigmoid"),
            (np.log(2 ** (1 / 10) - 1), "a gate of this bias throws away what it should keep"),
            (np.log(9), "a gate of 0.9 leaves a third after ten steps, not one half"),
        ],
        explain=lambda bias: (
            f"with this bias {(1 / (1 + np.exp(-bias))) ** 10:.3g} is left after ten steps"
        ),
        rtol=1e-3,
    ),
    2: Exercise(
        "that a convention is more than an order of blocks, and holds for all arrays",
        converted,
        right=in_order([-1, -1, -1]),
        wrong=[
            (in_order([1, 1, 1]), "the order is right; z still means the share that is replaced"),
            (in_order([-1, -1, 1]), "W and U are right: what else is in the sum of z?"),
            (
                lambda *weights: [np.concatenate([-a[:3], a[3:]]) for a in weights],
                "the sign is right; the blocks are still in the file's order",
            ),
            (
                lambda *weights: [np.roll(a, 3, axis=0) for a in weights],
                "the last block moved to the front: which two change places?",
            ),
            (
                lambda *weights: [np.concatenate([-a[3:6], a[:3], a[6:]]) for a in weights],
                "the order is right; the sign changed in the block of another gate",
            ),
        ],
        explain=which_block,
    ),
    3: Exercise(
        "that a signal moves the update gate between holding and replacing",
        story,
        right=stored(),
        wrong=[
            (stored(bias=3), "it is stored, and then leaks: how much gets in at each step?"),
            (
                stored(signal=20, bias=-10),
                "z is the share that stays: this holds when it should store, and stores after",
            ),
            (
                stored(candidate=1),
                "it is taken in, but not as 1 or -1: how large is the candidate?",
            ),
            (stored(signal=0), "it hardly takes the bit in: how far does the signal move z?"),
        ],
        explain=lambda found: (
            f"this is not true of the bit: {', '.join(k for k in found if not found[k])}"
        ),
    ),
    4: Exercise(
        "that the first bias of a gate decides how far back a fresh network learns",
        compared,
        right=1.4,
        wrong=[
            (1.0, "more than ten times less: the same bias is not the same reach"),
            (0.0, "as little as in the fresh GRU of the figure, whose gate is half open, or less"),
            (5.0, "more than ten times the LSTM's: too far, and paid for at the last input"),
        ],
    ),
}
