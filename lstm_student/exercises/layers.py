"""Exercises of *A layer you can use*."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, Linear, Sequential, get_array_module, to_device, to_numpy
from lstm.model import Model
from lstm_student.exercise import Exercise


def numbers(count):
    """Return a function that takes an answer as so many numbers."""

    def measure(answer):
        found = [float(value) for value in answer]
        if len(found) != count:
            raise ValueError(f"expected {count} numbers, got {len(found)}")
        return found

    return measure


# --- a test for lengths ----------------------------------------------------------------------
# A reader's test draws its data on the default device, so that is where these layers are.


class Ignores(LSTM):
    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x, state)


class EndsLate(LSTM):
    def __call__(self, x, state=None, lengths=None):
        late = None if lengths is None else np.minimum(np.asarray(lengths) + 1, len(x))
        return super().__call__(x, state, late)


class MasksOutputs(LSTM):
    def __call__(self, x, state=None, lengths=None):
        y, state = super().__call__(x, state)
        if lengths is None:
            return y, state
        past = get_array_module(x).arange(len(x))[:, None] >= to_device(np.array(lengths))
        y[past] = 0.0
        return y, state


def verdicts(test):
    """Return what a test says of a sound layer and of three wrong ones."""
    return {
        kind.__name__: bool(test(kind(2, 3, bidirectional=True, rng=0, dtype=np.float64)))
        for kind in (LSTM, Ignores, EndsLate, MasksOutputs)
    }


def sequences():
    return to_device(np.random.default_rng(0).normal(size=(6, 3, 2)))


def padding_moves_nothing(layer):
    x, lengths = sequences(), [6, 2, 4]
    other = x.copy()
    for b, end in enumerate(lengths):
        other[end:, b] += 1.0
    (y, state), (y_other, state_other) = (layer(a, None, lengths) for a in (x, other))
    pairs = [(y, y_other), *zip(state, state_other)]
    return all(bool((a == b).all()) for a, b in pairs)


def full_lengths(layer):
    return bool((layer(sequences(), None, [6, 6, 6])[0] == layer(sequences())[0]).all())


def zeros_past_the_end(layer):
    y, _ = layer(sequences(), None, [6, 2, 4])
    return not (y[2:, 1].any() or y[4:, 2].any())


def lengths_change_nothing(layer):
    return bool((layer(sequences(), None, [6, 2, 4])[0] == layer(sequences())[0]).all())


def missed(said):
    if not said["LSTM"]:
        return "the sound layer fails this test: what does it do past an end?"
    passed = [name for name, good in said.items() if good and name != "LSTM"]
    return f"passed by a layer that is wrong ({', '.join(passed)}): cut a sequence out and compare"


# --- a connection that skips -----------------------------------------------------------------


class Skip(Model):
    def __init__(self, input_size, hidden_size, output_size):
        self.layers = {
            "lower": LSTM(input_size, hidden_size, dtype=np.float64),
            "upper": LSTM(hidden_size, hidden_size, dtype=np.float64),
            "linear": Linear(hidden_size, output_size, dtype=np.float64),
        }

    def __call__(self, x, state=None):
        lower, upper, linear = self.layers.values()
        below, first = lower(x, state and state[0])
        above, second = upper(below, state and state[1])
        return linear(below + above), (first, second)

    def backward(self, dy, dstate=None):
        lower, upper, linear = self.layers.values()
        dsum = linear.backward(dy)
        dbelow, second = upper.backward(dsum, dstate and dstate[1])
        dx, first = lower.backward(self.merged(dsum, dbelow), dstate and dstate[0])
        return dx, (first, second)

    def merged(self, dsum, dbelow):
        return dsum + dbelow


class WithoutSkip(Skip):
    def merged(self, dsum, dbelow):
        return dbelow


class SkipAlone(Skip):
    def merged(self, dsum, dbelow):
        return dsum


class Mean(Skip):
    def merged(self, dsum, dbelow):
        return (dsum + dbelow) / 2


def plain_row(input_size, hidden_size, output_size):
    return Sequential(**Skip(input_size, hidden_size, output_size).layers)


def passes(make):
    """Return what a model with known parameters computes, forward and backward."""
    model, rng = make(2, 4, 3), np.random.default_rng(1)
    if len(model.params) != 8:
        raise ValueError(f"expected 8 arrays of parameters, got {len(model.params)}")
    for array in model.params.values():
        array[...] = to_device(0.5 * rng.normal(size=array.shape))
    x, dy = (to_device(rng.normal(size=(5, 2, size))) for size in (2, 3))
    y, _ = model(x)
    if y.shape != (5, 2, 3) or y.dtype != np.float64:
        raise ValueError(f"expected y (5, 2, 3) in float64, got {y.shape} in {y.dtype}")
    dx, _ = model.backward(dy)
    return {"y": to_numpy(y), "x": to_numpy(dx)} | {
        name: to_numpy(model.grads[name]) for name in model.params
    }


def off(found):
    """Say which of a model's results are not those of the right one."""
    right = passes(Skip)
    if not np.allclose(found["y"], right["y"]):
        return "y is not the readout of the sum of both hidden states"
    wrong = [k for k, a in zip(found, right.values()) if not np.allclose(found[k], a)]
    return f"y is right; wrong gradients: {', '.join(wrong)}"


EXERCISES = {
    1: Exercise(
        "that the shapes of W, U and b, and so the count of parameters, are known by heart",
        numbers(3),
        right=(17408, 17538, 17664),
        wrong=[
            ((17408, 17536, 17664), "the model's readout is counted without its bias"),
            ((4352, 4482, 4416), "these have the rows of one gate: how many blocks are there?"),
            ((17408, 17538, 34816), "a second bias doubles the bias, not the weights"),
            ((17408, 17538, 17472), "the second bias, too, has a block for each gate"),
            ((17152, 17282, 17664), "PyTorch's biases are counted here, those of ours are not"),
        ],
        explain=lambda found: (
            "the LSTM is right, one of the others is not: what does each add to it?"
            if found[0] == 17408
            else "the LSTM is not right: write down the shapes of W, U and b"
        ),
    ),
    2: Exercise(
        "that two parameters which enter as a sum both get its gradient and both move",
        numbers(2),
        right=(2.0, 0.5),
        wrong=[
            ((1.0, 1.0), "each bias moves as far as one alone would, and both of them count"),
            ((2.0, 2.0), "the factor is right; a higher rate would carry the sum still farther"),
            ((0.5, 2.0), "the gradient is not shared out: each bias receives all of it"),
            ((4.0, 0.25), "twice too many: the gradient of each is that of the one, not double"),
        ],
        explain=lambda found: "write the sum of both biases after the step: what was added to it?",
    ),
    3: Exercise(
        "that a test tells right from wrong only with data in which they differ",
        verdicts,
        right=padding_moves_nothing,
        wrong=[
            (full_lengths, "with full lengths all four layers do the same: no fault can show"),
            (zeros_past_the_end, "zeros past an end do not prove that nothing there was read"),
            (lengths_change_nothing, "this asks that lengths change nothing, but they have to"),
        ],
        explain=missed,
    ),
    4: Exercise(
        "that an array which is read twice gets the sum of two gradients",
        passes,
        right=Skip,
        wrong=[
            (WithoutSkip, "y is right; the first LSTM hears from the second only, not the readout"),
            (SkipAlone, "y is right; the first LSTM hears from the readout only, not the second"),
            (Mean, "y is right; what is read twice has two gradients, but not their mean"),
            (plain_row, "the readout reads the second LSTM alone: nothing skips"),
        ],
        explain=off,
    ),
}
