"""Exercises of *Deep, both ways, to each one's end*."""

from __future__ import annotations

import numpy as np

from lstm import to_numpy
from lstm.recurrence import lstm_forward
from lstm_student.exercise import Exercise

LENGTHS = np.array([6, 2, 4])


def three_pairs(answer):
    """Return three pairs of numbers by name."""
    forward, reverse, last = ([float(v) for v in pair] for pair in answer)
    return {"forward": forward, "reverse": reverse, "last": last}


def letters(answer):
    """Return the gates that a word names, in the book's order."""
    named = set(answer) - set(" ,")
    if not isinstance(answer, str) or not named <= set("ifgo"):
        raise ValueError(f"expected some of the letters i, f, g and o, got {answer!r}")
    return "".join(gate for gate in "ifgo" if gate in named)


def draw(T, B, runs):
    """Return x (T, B, 2), zero past the ends of three, states (B, 3) and weights of runs."""
    rng = np.random.default_rng(3)
    weights = [
        (rng.normal(size=(12, 2)), rng.normal(size=(12, 3)), rng.normal(size=12))
        for _ in range(runs)
    ]
    return rng.normal(size=(T, B, 2)), tuple(rng.normal(size=(2, B, 3))), weights


def alone(x, h, c, W, U, b):
    """Run an LSTM over one sequence (T, 2), step by step; return its outputs and last state."""
    shown = []
    for v in x:
        i, f, g, o = (W @ v + U @ h + b).reshape(4, -1)
        i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        shown.append(h)
    return np.array(shown), h, c


def packed(function):
    """Return whether outputs and states are right, and no step past an end was computed."""
    steps = 0

    def counted(x, *rest):
        nonlocal steps
        steps += x.shape[0] * x.shape[1]
        return lstm_forward(x, *rest)

    x, state, (weights,) = draw(6, 3, 1)
    y, last = function(counted, x.copy(), state, weights, LENGTHS)
    y, last = np.asarray(to_numpy(y)), np.array([to_numpy(s) for s in last])
    if y.shape != (6, 3, 3) or last.shape != (2, 3, 3):
        raise ValueError(
            f"expected y (6, 3, 3) and h, c (3, 3) each, got {y.shape} and {last.shape}"
        )
    outputs, ends = np.zeros_like(y), np.empty_like(last)
    for b, n in enumerate(LENGTHS):
        outputs[:n, b], *ends[:, b] = alone(x[:n, b], state[0][b], state[1][b], *weights)
    return {
        "outputs": bool(np.allclose(y, outputs)),
        "states": bool(np.allclose(last, ends)),
        "no padding": steps <= LENGTHS.sum(),
    }


def stretches(forward, x, state, weights, lengths, mistake=None):
    """Run each stretch between two ends; with a mistake as wrong answers make it."""
    y = np.zeros((*x.shape[:2], state[0].shape[1]))
    last, start = [s.copy() for s in state], 0
    for end in np.unique(lengths):
        still = np.flatnonzero(lengths >= end)
        before = state if mistake == "anew" else last
        out, parts, _ = forward(x[start:end, still], tuple(s[still] for s in before), *weights)
        y[start:end, still] = out
        if mistake == "latest":
            last = [np.zeros_like(s) for s in last]
        for s, part in zip(last, parts):
            s[still] = part
        start = end
    return y, tuple(last)


def padded(forward, x, state, weights, lengths):
    """Run all steps, and pick what is right."""
    y, last = np.zeros((*x.shape[:2], 3)), [np.empty_like(s) for s in state]
    for n in np.unique(lengths):
        out, ends, _ = forward(x[:n], state, *weights)
        y[:n] = np.where((np.arange(n)[:, None] < lengths)[:, :, None], out, y[:n])
        for s, end in zip(last, ends):
            s[lengths == n] = end[lengths == n]
    return y, tuple(last)


def described(found):
    """Say what is wrong with a run without padding."""
    wrong = [name for name in ("outputs", "states") if not found[name]]
    return f"not those of each sequence by itself: {', '.join(wrong)}"


def sight(function):
    """Return how far ahead a look ahead of 2 steps sees, and which halves are right."""
    x, state, (first, second) = draw(8, 1, 2)
    rest = state, first, second, 2
    y = np.asarray(to_numpy(function(x, *rest)))
    if y.shape != (8, 1, 6):
        raise ValueError(f"expected y of shape (8, 1, 6), got {y.shape}")
    moved = np.zeros((8, 8), bool)
    for s in range(8):
        other = x.copy()
        other[s] += 1.0
        moved[:, s] = (np.asarray(to_numpy(function(other, *rest))) != y).any((1, 2))
    t, s = np.indices((8, 8))
    ahead, zero = int((s - t)[moved].max(initial=-8)), np.zeros(3)
    forward = alone(x[:, 0], state[0][0], state[1][0], *first)[0]
    reverse = [alone(x[t : t + 3, 0][::-1], zero, zero, *second)[1] for t in range(8)]
    return {
        "ahead": ahead,
        "all between": bool(moved[s <= t + min(ahead, 2)].all()),
        "forward": bool(np.allclose(y[:, 0, :3], forward)),
        "reverse": bool(np.allclose(y[:, 0, 3:], reverse)),
    }


def looking(x, state, first, second, k, zeros=True, pick=-1):
    """Look k steps ahead, a reverse run for each step."""
    forward = lstm_forward(x, state, *first)[0]
    shown = []
    for t in range(len(x)):
        start = tuple(np.zeros_like(s) for s in state) if zeros else state
        shown.append(lstm_forward(x[t : t + k + 1][::-1], start, *second)[0][pick])
    return np.concatenate([forward, np.array(shown)], -1)


def seen(found):
    """Say what is wrong with a look ahead."""
    if found["ahead"] != 2:
        return f"an output sees {found['ahead']} steps ahead, not 2"
    if not found["all between"]:
        return "an output misses a step that it may see"
    if not found["forward"]:
        return "the forward half is not that of the LSTM by itself"
    return "the reverse half is not that of a run from zeros back to its step"


EXERCISES = {
    1: Exercise(
        "where a reverse run begins and ends, and that padding is no input of zero",
        three_pairs,
        right=([4, 4], [5, 2], [4, 5]),
        wrong=[
            (([4, 4], [2, 5], [4, 5]), "the reverse outputs are in the order of reading"),
            (([4, 4], [5, 2], [4, 2]), "the reverse run ends with the step that it reads last"),
            (
                ([4, 4], [5.375, 2.75], [2.5, 5.375]),
                "both runs went through the padding: what does a step with x = 0 do?",
            ),
            (([3, 2.5], [3.5, 1], [2.5, 3.5]), "the bias of 1 is missing at each step"),
        ],
        explain=lambda found: (
            "the forward outputs are not right"
            if found["forward"] != [4, 4]
            else "the forward outputs are right; read the sequence from its own end for the rest"
        ),
    ),
    2: Exercise(
        "which of the gates that hold a cell its gradient depends on",
        letters,
        right="if",
        wrong=[
            ("f", "with the input gate open past the end, are dz_i and dz_g zero?"),
            ("i", "how does the cell's gradient pass the steps past the end?"),
            ("ifo", "right gradients, but one number too many: dz_o has the factor dh_t"),
            ("ifg", "right gradients, but one number too many: what is dz_g multiplied by?"),
            ("ifgo", "with all four the gradients are right; which two can be left out?"),
            ("fg", "a candidate of 0 writes nothing, but does its own gradient vanish?"),
        ],
        explain=lambda gates: f"with {gates or 'none'} alone held, some dz past the end is not 0",
    ),
    3: Exercise(
        "that sequences of a batch are independent, so that ended ones can be left out",
        packed,
        right=stretches,
        wrong=[
            (padded, "right, but steps past an end were computed"),
            (
                lambda *a: stretches(*a, mistake="anew"),
                "each stretch starts from the first state: where did the one before it end?",
            ),
            (
                lambda *a: stretches(*a, mistake="latest"),
                "the outputs are right; a sequence that has ended lost its last state",
            ),
        ],
        explain=described,
    ),
    4: Exercise(
        "what a reverse direction of limited sight may use, and what it costs",
        sight,
        right=looking,
        wrong=[
            (
                lambda *a: looking(*a[:-1], 3),
                "an output sees 3 steps ahead: how many steps are t to t + k?",
            ),
            (
                lambda *a: looking(*a[:-1], 1),
                "an output sees 1 step ahead only: the slice ends before step t + k",
            ),
            (
                lambda *a: looking(*a[:-1], 7),
                "the reverse half reads the whole sequence: it may wait for k steps only",
            ),
            (
                lambda *a: looking(*a, pick=0),
                "the reverse half is what its run shows first; it has to read back to t",
            ),
            (
                lambda *a: looking(*a, zeros=False),
                "the reverse run starts from the given state, not from zeros",
            ),
        ],
        explain=seen,
    ),
}
