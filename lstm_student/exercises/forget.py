"""Exercises of *What the forget gate and its bias do*."""

from __future__ import annotations

from functools import partial

import numpy as np

from lstm import LSTM, Regressor, continual_reber, one_hot, to_device, to_numpy
from lstm.gates import sigmoid
from lstm.initializers import chrono_bias
from lstm_student.exercise import Exercise


def summing():
    """Return a network that has learned nothing and whose forget gates are held at 1."""
    model = Regressor(LSTM(7, 6, rng=3), 7, rng=4)
    for name, value in (("weight_ih", 0.0), ("weight_hh", 0.0), ("bias", 40.0)):
        model.params[f"recurrent.{name}_l0"][6:12] = value
    return model


def streamed(run):
    """Return what a run says on streams whose strings end at different steps, (120, 3, 7)."""
    logits = to_numpy(run(summing(), continual_reber(121, 3, np.random.default_rng(5)).tokens))
    if logits.shape != (120, 3, 7):
        raise ValueError(f"expected logits (120, 3, 7), got {logits.shape}")
    return logits


def ends(tokens, t):
    """Return for each stream whether the symbol read at step t ends its string."""
    return (tokens[t] == 6) & ((tokens[t - 1] == 1) | (tokens[t - 1] == 2))


def resets(model, tokens, over=ends, parts=(0, 1)):
    """Return logits; where a string is over, these parts of the state become zero."""
    state, logits = None, []
    for t in range(len(tokens) - 1):
        y, state = model(to_device(one_hot(tokens[t : t + 1], 7)), state)
        logits.append(to_numpy(y)[0])
        keep = to_device((~over(tokens, t)).astype(np.float32)[:, None])
        state = tuple(part * keep if k in parts else part for k, part in enumerate(state))
    return np.array(logits)


def opened(start):
    """Return what the first gates of 16 units keep and let in over 60 steps."""
    found = {lag: np.asarray(to_numpy(start(16, lag)), float) for lag in (5, 60)}
    for lag, bias in found.items():
        if bias.shape != (4, 16):
            raise ValueError(f"expected biases (4, 16) for a lag of {lag}, got {bias.shape}")
        if not np.isfinite(bias).all():
            raise ValueError(f"expected finite biases for a lag of {lag}")
    i, f, _, _ = sigmoid(found[60])
    return {
        "a twentieth is kept over 60 steps": bool(np.median(f) ** 60 > 0.05),
        "a tenth at most is let in": bool(np.median(i) < 0.1),
    }


def chrono(units, lag, blocks=(0, 1)):
    """Return biases whose blocks, some or all of them, are drawn for the lag."""
    bias = chrono_bias(units, lag + 1, np.random.default_rng(0)).reshape(4, units)
    return np.where(np.isin(np.arange(4), blocks)[:, None], bias, 0.0)


EXERCISES = {
    1: Exercise(
        "that what a first bias leaves of a cell is a power of the gate, not of the bias",
        float,
        right=4,
        wrong=[
            (3, "rounded down: then less than a tenth is left"),
            (5, "that leaves a tenth and more, but so does a smaller whole number"),
            (0.1**0.01, "that is the gate; asked for is the bias of which it is the sigmoid"),
            (-4, "of the wrong sign: such a gate forgets nearly all in one step"),
        ],
        explain=lambda bias: f"after 100 steps a share of {sigmoid(bias) ** 100:.3f} is left",
    ),
    2: Exercise(
        "that a leak in a counter weakens the late letters, and how little of one it takes",
        float,
        right=0.994,
        wrong=[
            (0.993, "rounded down: the hundredth letter then adds a little less than w / 2"),
            (0.984, "with this gate the whole sum is half of 100 w; asked for is the last step"),
            (0.5, "that halves the cell at every letter: the gate acts 99 times"),
            (np.log(0.994 / 0.006), "that is near the bias; asked for is the gate"),
        ],
        explain=lambda f: f"the hundredth letter adds {f**99:.2f} w; to three decimals, smallest f",
    ),
    3: Exercise(
        "that a reset concerns one stream, its h and its c, at the end of its own string",
        streamed,
        right=resets,
        wrong=[
            (
                partial(resets, over=lambda tokens, t: np.zeros(3, bool)),
                "nothing is reset: the sum goes on into the next string",
            ),
            (
                partial(resets, over=lambda tokens, t: tokens[t] == 6),
                "an inner string ends with an E as well: look at the symbol before it",
            ),
            (
                partial(resets, over=lambda tokens, t: np.full(3, ends(tokens, t).any())),
                "when one stream's string ends, all streams are reset",
            ),
            (
                partial(resets, parts=(0,)),
                "h is reset and c is not: it is the cell that piles up",
            ),
            (
                partial(resets, over=lambda tokens, t: ends(tokens, t + 1)),
                "one step too early: the E still belongs to the string that it ends",
            ),
        ],
        explain=lambda found: "not the same as to run each string from a state of zero",
        rtol=1e-4,
    ),
    4: Exercise(
        "that a start for a long lag has to keep what was written and to keep the rest out",
        opened,
        right=chrono,
        wrong=[
            (
                partial(chrono, blocks=(1,)),
                "what is written stays, and all that comes later is written over it",
            ),
            (
                partial(chrono, blocks=(0,)),
                "little gets in, but half of it is gone at every step",
            ),
            (
                lambda units, lag: np.zeros((4, units)),
                "every gate starts at one half: neither kept nor kept out",
            ),
        ],
        explain=lambda found: f"not yet: {found}",
    ),
}
