"""Exercises of *Symbols: learning a grammar*."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstm import to_device, to_numpy
from lstm.data import SYMBOLS, embedded_grammar
from lstm_student.exercise import Exercise

# --- a table's gradient ----------------------------------------------------------------------


def table(answer):
    """Return the gradient of a table of 4 rows of 2 numbers."""
    found = np.asarray(answer, float)
    if found.shape != (4, 2):
        raise ValueError(f"expected 4 rows of 2 numbers, as the table has, got {found.shape}")
    return found


# --- a window --------------------------------------------------------------------------------


def window(answer):
    """Return a number of symbols and a number of rows."""
    symbols, rows = answer
    return int(symbols), float(rows)


# --- a model that speaks ---------------------------------------------------------------------

FIRST = 0.85  # probability of the first of two ways: unlike a half, and many strings are long


@cache
def grammar():
    """Return the states of the machine, and the end, from which no way leads on."""
    return (*embedded_grammar(), {})


@cache
def logits_of(place):
    """Return the logarithms of the probabilities of what comes next."""
    logits = np.full(len(SYMBOLS), -30.0)
    for symbol, p in zip(grammar()[place], (FIRST, 1 - FIRST)):
        logits[SYMBOLS.index(symbol)] = np.log(p)
    return logits


def machine(tokens, state=None, lengths=None):
    """Return what a model that is the grammar says of tokens (T, 1); its place is the state."""
    tokens, place, logits = to_numpy(tokens), 0 if state is None else state, []
    if tokens.ndim != 2 or tokens.shape[1] != 1:
        raise ValueError(f"expected tokens (T, 1) for the model, got shape {tokens.shape}")
    for token in tokens[:, 0]:
        place = grammar()[place].get(SYMBOLS[int(token)], 0)
        logits.append(logits_of(place))
    return to_device(np.array(logits)[:, None]), place


def walked(string):
    """Return whether a string is in the grammar so far, and which of two ways it took each time."""
    place, first = 0, []
    for symbol in string:
        ways = grammar()[place]
        if symbol not in ways:
            return False, first
        if len(ways) == 2:
            first.append(symbol == next(iter(ways)))
        place = ways[symbol]
    return True, first


def spoken(sample):
    """Return what holds of 20 strings that a function makes with the machine."""
    rng = np.random.default_rng(3)
    strings = [sample(machine, rng) for _ in range(20)]
    if not all(isinstance(string, str) and string for string in strings):
        raise ValueError(f"expected strings of the symbols {SYMBOLS}, got {strings[0]!r}")
    legal, ways = zip(*(walked(string) for string in strings))
    share = np.mean(sum(ways, [])) if any(ways) else 0.0
    return {
        "begins with B": all(string[0] == "B" for string in strings),
        "at most 60 symbols": all(len(string) <= 60 for string in strings),
        "ends with the second E": all(s.count("E") == 2 for s in strings if len(s) < 60),
        "in the grammar": all(legal),
        "drawn, not always the same": len(set(strings)) > 5,
        "drawn as often as the model says": bool(FIRST - 0.1 < share < FIRST + 0.1),
    }


def speak(limit=60, ends=2, carried=True, power=1.0, choose=None):
    """Return a function that makes strings, with one thing done otherwise."""

    def sample(model, rng):
        string, state = "B", None
        while string.count("E") < ends and len(string) < limit:
            token = to_device(np.array([[SYMBOLS.index(string[-1])]]))
            logits, after = model(token, state)
            state = after if carried else None
            p = np.exp(power * to_numpy(logits)[0, 0])
            p /= p.sum()
            string += SYMBOLS[choose(p) if choose else rng.choice(7, p=p)]
        return string

    return sample


def missing(found):
    """Say which property the strings do not have."""
    return f"not so of the strings: {next(name for name, holds in found.items() if not holds)}"


# --- less by heart ---------------------------------------------------------------------------


def compared(losses):
    """Say where a model is better than another, of their losses on known and on other strings."""
    losses = [float(loss) for loss in losses]
    if len(losses) != 4 or not all(np.isfinite(losses)):
        raise ValueError("expected four losses, known and fresh of the page's model, then of yours")
    known, others = losses[2] - losses[0], losses[3] - losses[1]
    if losses[3] < 0.43:
        return "below the floor"
    if others < -0.001:
        return "better on other strings"
    if abs(known) <= 1e-9 and abs(others) <= 1e-9:
        return "the same"
    return "better on known strings alone" if known < 0 else "better on neither"


EXERCISES = {
    1: Exercise(
        "that a row of a table gets the sum of the gradients of all places of its token",
        table,
        right=[[0, 0], [0, 5], [0, 0], [1, 5]],
        wrong=[
            ([[0, 0], [-2, 4], [0, 0], [0, 5]], "of equal tokens only the last is counted"),
            ([[0, 0], [2, 1], [0, 0], [1, 0]], "of equal tokens only the first is counted"),
            (
                [[0, 0], [0, 2.5], [0, 0], [0.5, 2.5]],
                "that is the mean over the places of a token; none of them is divided",
            ),
            (
                [[1, 0], [2, 1], [-2, 4], [0, 5]],
                "those are the steps in their order: a row belongs to a token, not to a step",
            ),
        ],
        explain=lambda found: (
            "rows of tokens that were not read are not zero"
            if found[[0, 2]].any()
            else "row 1 or row 3 is wrong: at which steps was each of the two read?"
        ),
    ),
    2: Exercise(
        "that a window long enough for the memory needs a table that nobody can fill",
        window,
        right=(12, 7**12),
        wrong=[
            ((11, 7**11), "that many stand between the two; is the second symbol in the window?"),
            ((13, 7**13), "this goes back to the B at the beginning, a symbol too far"),
            ((15, 7**15), "that is the length of a whole string: when is the question put?"),
            ((8, 7**8), "that is enough for half of the known strings; the new ones are longer"),
            ((12, 84), "w is right; with one more symbol the windows do not become 7 more"),
            ((12, 12**7), "w is right; base and exponent of the number of rows are swapped"),
        ],
        explain=lambda found: (
            "w is right, the number of rows is not: how many windows of one symbol are there?"
            if found[0] == 12
            else "not the smallest w: how many symbols have been read when the question is put?"
        ),
    ),
    3: Exercise(
        "that a model with a state makes strings by drawing a symbol and reading it",
        spoken,
        right=speak(),
        wrong=[
            (speak(carried=False), "each symbol is read as if it were the first of its string"),
            (speak(choose=np.argmax), "the likeliest symbol each time: nothing is drawn"),
            (speak(ends=1), "it stops at the E of the string inside, which is not the end"),
            (speak(limit=1000), "a string may never come to its second E: nothing stops it"),
            (speak(power=0.0), "every symbol is drawn alike, whatever the model says"),
        ],
        explain=missing,
    ),
    4: Exercise(
        "that a lower loss counts only on strings that were not trained on",
        compared,
        right=(0.426, 0.464, 0.433, 0.452),
        wrong=[
            (
                (0.426, 0.464, 0.411, 0.480),
                "better on the known strings alone: that is more by heart, not less",
            ),
            (
                (0.426, 0.464, 1.269, 1.277),
                "better on neither the known strings nor the others: it has learned too little",
            ),
            (
                (0.426, 0.464, 0.400, 0.401),
                "below the grammar's own loss on strings drawn by chance: were they trained on?",
            ),
            ((0.426, 0.464, 0.426, 0.464), "both losses are the same: is it the same model?"),
        ],
    ),
}
