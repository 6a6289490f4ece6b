"""Exercises of *Weights from Keras and ONNX*."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from lstm import to_numpy
from lstm_student.exercise import Exercise

ORDERS = ["".join(letters) for letters in permutations("ifgo")]


def put_in_order(rows, stored, wanted="ifgo"):
    """Return rows whose blocks are stored in one order in another."""
    blocks = dict(zip(stored, np.split(rows, 4)))
    return np.concatenate([blocks[gate] for gate in wanted])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def outputs(W, U, b, x, state=None):
    """Return what an LSTM computes, by a plain loop: y (T, B, H)."""
    h, c = state or (np.zeros((x.shape[1], U.shape[1])),) * 2
    y = []
    for step in x:
        i, f, g, o = np.split(step @ W.T + h @ U.T + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        y.append(h)
    return np.array(y)


# --- an order --------------------------------------------------------------------------------


def two_orders(answer):
    """Return two orders of four blocks, as they are for reading and for writing."""
    found = [tuple(int(k) for k in order) for order in answer]
    if len(found) != 2 or any(sorted(order) != [0, 1, 2, 3] for order in found):
        raise ValueError(f"expected two orders of 0, 1, 2, 3, got {answer}")
    return found


# --- an unknown file -------------------------------------------------------------------------


def files():
    """Return files, each W, U and b, with an input and an output; the last two are spoiled."""
    rng, made = np.random.default_rng(11), []
    for order, spoiled in (
        ("iofg", None),
        ("ifgo", None),
        ("oifg", None),
        ("iofg", 2),
        ("ifgo", 1),
    ):
        weights = [rng.normal(size=shape) for shape in ((20, 4), (20, 5), (20,))]
        x = rng.normal(size=(6, 3, 4))
        y = outputs(*weights, x)
        if spoiled is not None:
            weights[spoiled] = weights[spoiled] / 2
        made.append((*(put_in_order(a, "ifgo", order) for a in weights), x, y))
    return made


def identified(identify):
    """Return what a function says of each of the files."""
    return [identify(*file) for file in files()]


def errors_of(W, U, b, x, y, orders=ORDERS):
    return {
        order: abs(outputs(*(put_in_order(a, order) for a in (W, U, b)), x) - y).max()
        for order in orders
    }


def identify(*file, orders=ORDERS, least=1e-6):
    errors = errors_of(*file, orders=orders)
    best = min(errors, key=errors.get)
    return best if errors[best] < least else None


def first_step(W, U, b, x, y):
    return identify(W, U, b, x[:1], y[:1])


def inverse(*file):
    order = identify(*file)
    return order and "".join("ifgo"[order.index(gate)] for gate in "ifgo")


# --- two biases ------------------------------------------------------------------------------


def three(answer):
    """Return three whole numbers."""
    found = [int(number) for number in answer]
    if len(found) != 3:
        raise ValueError(f"expected three numbers, got {len(found)}")
    return found


def count_wrong(found):
    """Say which of the counts is the first that is not right."""
    what = ("numbers in the file", "numbers needed", "numbers lost")
    return f"wrong: {next(name for name, a, b in zip(what, found, (18, 12, 3)) if a != b)}"


# --- a small test ----------------------------------------------------------------------------


def sees(make):
    """Return how many of the 23 wrong orders of W, of U and of b a test of one step misses."""
    *weights, x, state = make(np.random.default_rng(14))
    W, U, b, x, h, c = (np.asarray(to_numpy(a), float) for a in (*weights, x, *state))
    if x.ndim != 3 or h.shape != (1, x.shape[1], U.shape[1]) or c.shape != h.shape:
        raise ValueError(f"expected x (1, B, I), h and c (1, B, H), got {x.shape}, {h.shape}")
    if len(x) != 1:
        return {"steps": "more than one"}
    y, missed = outputs(W, U, b, x, (h[0], c[0])), {}
    for k, name in enumerate("WUb"):
        changed = [[W, U, b] for _ in ORDERS[1:]]
        for arrays, order in zip(changed, ORDERS[1:]):
            arrays[k] = put_in_order(arrays[k], order)
        missed[name] = sum(
            bool(abs(outputs(*a, x, (h[0], c[0])) - y).max() < 1e-9) for a in changed
        )
    return missed


def test_of_one(h=1.0, x=1.0, bias=None, steps=1):
    """Return a function that makes a test of one unit, with some numbers scaled or given."""

    def make(rng):
        W, U, b = (rng.normal(size=shape) for shape in ((4, 1), (4, 1), (4,)))
        state = h * rng.normal(size=(1, 1, 1)), rng.normal(size=(1, 1, 1))
        return W, U, b if bias is None else bias, x * rng.normal(size=(steps, 1, 1)), state

    return make


def constant(rng):
    return np.ones((4, 1)), np.ones((4, 1)), np.ones(4), *test_of_one()(rng)[3:]


EXERCISES = {
    1: Exercise(
        "that an order of blocks has an inverse, and which of the two reads and which writes",
        two_orders,
        right=((1, 2, 3, 0), (3, 0, 1, 2)),
        wrong=[
            (((3, 0, 1, 2), (1, 2, 3, 0)), "the two are exchanged: each puts every block wrong"),
            (((1, 2, 3, 0), (1, 2, 3, 0)), "the first is right; it is not its own inverse"),
            (((0, 2, 3, 1), (0, 3, 1, 2)), "that is for i, o, f, c, which is ONNX's order"),
            (((0, 1, 2, 3), (0, 1, 2, 3)), "this leaves the blocks where they are in the file"),
        ],
        explain=lambda orders: (
            "the first is right: where do our blocks stand in the file that is written?"
            if orders[0] == (1, 2, 3, 0)
            else "begin with our first block, i: which block of the file is it, counted from 0?"
        ),
    ),
    2: Exercise(
        "that an order is found by its outputs, with a bound below which it counts as found",
        identified,
        right=identify,
        wrong=[
            (
                lambda *file: identify(*file, least=np.inf),
                "a file that is spoiled otherwise has a nearest order too, and is taken for it",
            ),
            (
                lambda *file: identify(*file, orders=["ifgo", "iofg"]),
                "an order that neither PyTorch nor ONNX has is not found",
            ),
            (inverse, "this says where our blocks are in the file, not what the file's blocks are"),
            (first_step, "a file whose U is spoiled passes: the first step reads no U"),
        ],
        explain=lambda found: (
            f"the five files, the last two of them spoiled, were taken for {found}"
        ),
    ),
    3: Exercise(
        "that two biases are one where only their sum appears, and two where a gate parts them",
        three,
        right=(18, 12, 3),
        wrong=[
            ((18, 18, 9), "not each of them counts by itself: in r and z only a sum appears"),
            ((18, 9, 0), "so it is in an LSTM; in n a gate multiplies one of the two biases"),
            ((18, 12, 9), "of those that are dropped not all were needed"),
            ((24, 12, 3), "a GRU has three blocks, one less than an LSTM"),
            ((6, 4, 1), "that is for one unit"),
        ],
        explain=count_wrong,
    ),
    4: Exercise(
        "that a test sees only what its numbers let differ",
        sees,
        right=test_of_one(),
        wrong=[
            (test_of_one(h=0.0), "blind for U: the hidden state that it multiplies is zero"),
            (test_of_one(x=0.0), "blind for W: the input that it multiplies is zero"),
            (test_of_one(bias=np.zeros(4)), "blind for b: zeros are the same in every order"),
            (
                test_of_one(bias=np.array([0.0, 1, 0, 0])),
                "blind for some orders of b: three of its blocks are equal",
            ),
            (constant, "blind for everything: equal blocks are the same in every order"),
            (test_of_one(steps=2), "that is more than one step"),
        ],
        explain=lambda missed: (
            "not seen: "
            + ", ".join(f"{n} of 23 wrong orders of {name}" for name, n in missed.items() if n)
        ),
    ),
}
