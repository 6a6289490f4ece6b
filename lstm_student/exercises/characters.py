"""Exercises of *A model of text, character by character*."""

from __future__ import annotations

import numpy as np

from lstm_student.exercise import Exercise

TEXT = (
    'def add(x, y="a b"):\n    """Adds 12 to [x]."""\n        if not x: return {x: 3, "k": y[0]}\n'
    '\n  The *name* of f2 (see 1.4) is\nnot "bound" yet.\n'
)


def temperature(answer):
    """Return a number above 0."""
    if not float(answer) > 0:
        raise ValueError(f"expected a temperature above 0, got {answer}")
    return float(answer)


def drawn_from(first_of):
    """Return what is left of some probabilities if the k most probable may come."""
    four, six = [0.1, 0.4, 0.3, 0.2], [0.05, 0.3, 0.1, 0.15, 0.22, 0.18]
    cases = ((four, 2), (four, 1), (four, 4), (six, 3))
    return [np.asarray(first_of(np.array(p), k), float) for p, k in cases]


def cut(keep):
    """Return a function that keeps some of the probabilities and brings their sum to 1."""

    def first_of(p, k):
        kept = keep(p, k)
        return kept / kept.sum()

    return first_of


def most_probable(p, k):
    kept = np.zeros_like(p)
    for place in sorted(range(len(p)), key=lambda place: -p[place])[:k]:
        kept[place] = p[place]
    return kept


def bits(bits_at):
    """Return the bits of random logits at three temperatures."""
    rng = np.random.default_rng(4)
    logits, y = 2 * rng.normal(size=(6, 2, 5)), rng.integers(0, 5, (6, 2))
    return [float(bits_at(logits.copy(), y.copy(), tau)) for tau in (0.5, 1.0, 2.0)]


def naive_bits(logits, y, tau):
    needed = []
    for scores, k in zip(logits.reshape(-1, logits.shape[-1]), y.ravel()):
        shares = np.exp(scores / tau)
        needed.append(-np.log2(shares[k] / shares.sum()))
    return np.mean(needed)


def own_four():
    """Return the page's properties of the short text, which leaves nothing open."""
    letters, lines = np.array([*TEXT]), TEXT.splitlines(keepends=True)
    opened, closed, marks = (np.isin(letters, [*these]).cumsum() for these in ("([{", ")]}", '"'))
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines]
    return {
        "quotes": marks % 2,
        "brackets": opened > closed,
        "column": [k % len(line) for line in lines for k in range(1, len(line) + 1)],
        "indentation": [
            min(k, some) * (k < len(line))
            for line, some in zip(lines, spaces)
            for k in range(1, len(line) + 1)
        ],
    }


def judged(follows):
    """Return whether a property can be followed, and whether it is one of the page's."""
    made = np.asarray(follows(TEXT), float)
    if made.shape != (len(TEXT),):
        raise ValueError(f"expected {len(TEXT)} numbers, one a character, got shape {made.shape}")
    varies = bool(made.std() > 0)
    near = [
        name
        for name, numbers in own_four().items()
        if varies and abs(np.corrcoef(made, np.asarray(numbers, float))[0, 1]) > 0.95
    ]
    return {
        "varies": varies,
        "known without what follows": np.array_equal(made[:60], follows(TEXT[:60])),
        "on the page as": (*near, "none of the four")[0],
    }


def to_the_end(letters):
    """Return how many characters of its line are still to come."""
    return [len(line) - k for line in letters.splitlines(True) for k in range(1, len(line) + 1)]


def in_square(letters):
    depth = np.cumsum([(letter == "[") - (letter == "]") for letter in letters])
    return (depth > 0).astype(int)


def explained(found):
    if found["on the page as"] != "none of the four":
        return f"that is the page's {found['on the page as']}: what else is there?"
    return f"not yet: {found}"


EXERCISES = {
    1: Exercise(
        "that a temperature raises the ratio of two probabilities to a power",
        temperature,
        right=np.log(4) / np.log(9),
        wrong=[
            (np.log(9) / np.log(4), "upside down: above 1 a temperature makes the two more alike"),
            (0.8 / 0.9, "a temperature divides logits, not probabilities"),
            (4 / 9, "the right ratios; a temperature is in the exponent of the first"),
            (0.5, "near, but that makes the ratio 16"),
        ],
        explain=lambda tau: f"at that temperature 0.8 becomes {1 / (1 + 4 ** (-1 / tau)):.3f}",
    ),
    2: Exercise(
        "that a draw can be cut to its k most probable characters and keep their ratios",
        drawn_from,
        right=cut(most_probable),
        wrong=[
            (most_probable, "in the right ratios, but probabilities add up to 1"),
            (
                cut(lambda p, k: np.where(p <= np.sort(p)[k - 1], p, 0)),
                "these are the k least probable ones",
            ),
            (
                cut(lambda p, k: (most_probable(p, k) > 0).astype(float)),
                "all that may come are as probable: their old ratios are to stay",
            ),
            (
                cut(lambda p, k: np.sort(p)[::-1][:k]),
                "sorted, they have lost their characters: each stays in its place",
            ),
            (
                cut(lambda p, k: np.where(np.arange(len(p)) < k, p, 0)),
                "these are the first k characters, not the most probable",
            ),
        ],
        explain=lambda found: f"two of 0.1, 0.4, 0.3, 0.2 may come, and yours are {found[0]}",
    ),
    3: Exercise(
        "that dividing the logits before the softmax changes how sure a model is",
        bits,
        right=naive_bits,
        wrong=[
            (
                lambda logits, y, tau: tau * naive_bits(logits, y, 1),
                "the bits are multiplied: divide the logits before the softmax",
            ),
            (
                lambda logits, y, tau: naive_bits(logits, y, tau) * np.log(2),
                "these are natural logarithms: a bit is one of base 2",
            ),
            (
                lambda logits, y, tau: naive_bits(logits, y, 1 / tau),
                "a temperature above 1 has to make the model less sure, not more",
            ),
            (
                lambda logits, y, tau: naive_bits(logits, y, tau) * y.size,
                "that is of all characters together: divide by their number",
            ),
            (
                lambda logits, y, tau: naive_bits(logits, y, 1),
                "the temperature changes nothing here",
            ),
        ],
        explain=lambda found: f"of random logits the bits at 0.5, 1 and 2 are {np.round(found, 2)}",
    ),
    4: Exercise(
        "that what a unit may follow has to vary and to be known from what was read",
        judged,
        right=in_square,
        wrong=[
            (
                lambda letters: np.zeros(len(letters)),
                "it is the same everywhere: nothing could follow it",
            ),
            (to_the_end, "that depends on what is still to come, which no unit has read"),
            (
                lambda letters: np.cumsum([letter == '"' for letter in letters]) % 2,
                "these are the quotes, which the page has",
            ),
        ],
        explain=explained,
    ),
}
