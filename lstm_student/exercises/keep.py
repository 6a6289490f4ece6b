"""Exercises of *Keeping a model, and bringing one*."""

from __future__ import annotations

import json
from types import FunctionType

import numpy as np

from lstm import LSTMRegressor, evaluate, mean_squared_error, sine_task, to_device, to_numpy
from lstm.backend import device_of
from lstm_student.exercise import Exercise

# --- a file ----------------------------------------------------------------------------------

SHAPES = {"b": (3, 4), "c": (2,), "d": ()}


def file_of(text):
    """Return a safetensors file of float32 zeros, with some text in its metadata."""
    header, end = {"__metadata__": text} if text else {}, 0
    for name, shape in SHAPES.items():
        start, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    described = json.dumps(header).encode()
    described += b" " * (-len(described) % 8)
    return len(described).to_bytes(8, "little") + described + bytes(end)


FILES = file_of({}), file_of({"who": 100 * "me "})  # headers below 256 bytes and above


def described(shapes_in):
    """Return the names and shapes that a function finds in two files, the second with text."""
    return [found(shapes_in, data) for data in FILES]


def found(shapes_in, data):
    try:
        shapes = shapes_in(data)
    except ValueError:  # json's, among others
        return "not JSON"
    return {name: None if shape is None else tuple(shape) for name, shape in shapes.items()}


def header_of(data, length=8, order="little"):
    return json.loads(data[8 : 8 + int.from_bytes(data[:length], order)])


def shapes_in(data, length=8, order="little"):
    header = header_of(data, length, order)
    return {name: about["shape"] for name, about in header.items() if name != "__metadata__"}


# --- weights ---------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


H, I = 3, 2
NAMES = {"weight_ih_l0": (4 * H, I), "weight_hh_l0": (4 * H, H), "bias_ih_l0": (4 * H,)}
NAMES |= {"bias_hh_l0": (4 * H,)}


def outputs(from_onnx):
    """Return what a plain loop computes with the weights that a function makes of ONNX's."""
    rng = np.random.default_rng(2)
    W, R, B = (rng.normal(size=(1, n)) for n in (4 * H * I, 4 * H * H, 8 * H))
    given = from_onnx(W.reshape(1, 4 * H, I), R.reshape(1, 4 * H, H), B)
    arrays = {name: to_numpy(a) for name, a in given.items()}
    shapes = {name: a.shape for name, a in arrays.items()}
    if shapes != NAMES:
        raise ValueError(f"expected arrays {NAMES}, got {shapes}")
    W, U, first, second = (arrays[name] for name in NAMES)
    h, c, y = np.zeros(H), np.zeros(H), []
    for x in rng.normal(size=(5, I)):
        i, f, g, o = np.split(W @ x + U @ h + first + second, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        y.append(h)
    return np.array(y)


def reader(order, bias_order=None, halves=np.split):
    """Return a function that reads ONNX's arrays with blocks in some order."""

    def blocks(a, order):
        parts = np.split(a, 4)
        return np.concatenate([parts[k] for k in order])

    def from_onnx(W, R, B):
        weights = [blocks(a, order) for a in (W[0], R[0])]
        biases = [blocks(a, bias_order or order) for a in halves(B[0], 2)]
        return dict(zip(NAMES, weights + biases))

    return from_onnx


def in_pairs(B, _):
    return B.reshape(4, 2, H).swapaxes(0, 1).reshape(2, -1)


def first_alone(B, _):
    return np.split(B, 2)[0], np.zeros(4 * H)


# --- a checkpoint ----------------------------------------------------------------------------

PARTS = ("model", "optimizer", "rng")


def left_out(answer):
    """Return the names of parts in alphabetical order."""
    names = sorted({answer} if isinstance(answer, str) else set(answer))
    if not set(names) <= set(PARTS):
        raise ValueError(f"expected a set of names from {PARTS}, got {answer!r}")
    return ", ".join(names)


# --- open gates ------------------------------------------------------------------------------


def judged(model):
    """Return a model's size, whether it is better than doing nothing, and has an open gate.

    The known answers are functions that make a model: this file is read before it can be made.
    """
    model = model() if isinstance(model, FunctionType) else model
    if not hasattr(model, "params"):
        raise ValueError(f"expected a model, got {model!r}")
    x, y = (to_device(a, device_of(model.params["linear.bias"])) for a in sine_task()[0])
    better = evaluate(model, x, y) < mean_squared_error(x, y)[0]
    model(x)
    means = to_numpy(model.layers["recurrent"].trace().f)[100:].mean((0, 1))
    return {"units": len(means), "better": bool(better), "open": bool(means.max() > 0.65)}


def by_hand(units=8, forget=-10.0):
    """Return a model of the sine without training: x and the x before, each in a unit.

    All cells but the last forget at once. Its weights are small, so that its tanh is a line.
    """
    model, small = LSTMRegressor(1, units, 1, device="cpu"), 0.01
    for p in model.params.values():
        p[...] = 0
    W, U, b, V, _ = model.params.values()
    gates = b.reshape(4, units)
    gates[[0, 3]], gates[1] = 10, -10
    gates[1, -1] = forget
    W[2 * units], U[2 * units + 1, 0] = small, 1  # candidates of the first and second unit
    step = 4 * np.pi / 1000
    V[0, :2] = 2 * np.cos(step) / small, -1 / small
    return model


EXERCISES = {
    1: Exercise(
        "that a file's header alone, of a known length, says what is in it",
        described,
        right=shapes_in,
        wrong=[
            (header_of, "that is all that the header says; asked for are the shapes of the arrays"),
            (
                lambda data: {k: a.get("shape") for k, a in header_of(data).items()},
                "__metadata__ is text that the writer added, and no array",
            ),
            (
                lambda data: shapes_in(data, length=1),
                "short headers are read, a long one is not: how many bytes hold its length?",
            ),
            (
                lambda data: json.loads(data[8:]),
                "what is read as JSON does not end where the header does",
            ),
            (
                lambda data: {
                    k: a["data_offsets"] for k, a in header_of(data).items() if len(k) < 9
                },
                "those are the places of the numbers in the file, not their shapes",
            ),
        ],
        explain=lambda found: f"the files have {SHAPES}; found in the first: {found[0]}",
    ),
    2: Exercise(
        "that blocks are moved by name, in both weights and in both halves of the bias",
        outputs,
        right=reader((0, 2, 3, 1)),
        wrong=[
            (reader((0, 1, 2, 3)), "the shapes are right, but the blocks are left in ONNX's order"),
            (reader((0, 3, 1, 2)), "that is the way out: it makes ONNX's order of PyTorch's"),
            (
                reader((0, 2, 3, 1), (0, 1, 2, 3)),
                "the weights are right; the biases have the same blocks, in the file's order still",
            ),
            (
                reader((0, 2, 3, 1), halves=in_pairs),
                "B is taken as pairs of blocks; it holds one whole bias and then the other",
            ),
            (
                reader((0, 2, 3, 1), halves=first_alone),
                "the second half of B is left out, and it is not zero",
            ),
        ],
        explain=lambda found: "the shapes are right, the outputs are not: which block is where?",
    ),
    3: Exercise(
        "that a checkpoint holds what the next step reads, and nothing else",
        left_out,
        right={"optimizer"},
        wrong=[
            (set(), "it ends the same, and would so with less: which of them has no memory?"),
            ({"rng"}, "the shuffle begins anew, so the order of the sequences is another"),
            ({"optimizer", "rng"}, "too much is left out: which sequences come next?"),
            ({"model"}, "without its weights the training starts from the beginning"),
        ],
        explain=lambda found: "without the model, everything that was learned is gone",
    ),
    4: Exercise(
        "that what a model does inside and how well it predicts are two questions",
        judged,
        right=lambda: by_hand(forget=2.0),
        wrong=[
            (by_hand, "better than doing nothing, but no forget gate is above 0.65 on average"),
            (
                lambda: LSTMRegressor(1, 8, 1, rng=0, device="cpu"),
                "a forget gate is open, but the loss is not below that of doing nothing",
            ),
            (
                lambda: LSTMRegressor(1, 8, 1, forget_bias=0.0, rng=0, device="cpu"),
                "no forget gate is open, and doing nothing has a smaller loss",
            ),
            (
                lambda: by_hand(units=16, forget=2.0),
                "expected the 8 units that PyTorch's model has",
            ),
        ],
        explain=lambda found: f"expected 8 units, a small loss and an open gate, got {found}",
    ),
}
