"""Data of the book: stored series, texts and pictures, a grammar; windows, padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .backend import Array, get_array_module
from .checks import check_shape, check_size


class Split(NamedTuple):
    """Inputs and targets, each (T, B, features)."""

    x: Array
    y: Array


def sine_task(dtype: type = np.float32) -> tuple[Split, Split]:
    """Return the sine task: from each point of a sine, predict the next.

    Two periods, 0 to 4 pi, at 1001 evenly spaced points: x holds points 0 to 999 and y
    points 1 to 1000, each (1000, 1, 1). The test set is the cosine at the same points.

    Returns
    -------
    train, test : `Split`
    """
    angle = np.linspace(0.0, 4.0 * np.pi, 1001).reshape(-1, 1, 1)
    sine: Array = np.sin(angle).astype(dtype)
    cosine: Array = np.cos(angle).astype(dtype)
    return Split(sine[:-1], sine[1:]), Split(cosine[:-1], cosine[1:])


def sunspots() -> tuple[Array, Array]:
    """Return the yearly mean sunspot numbers, 1700 to 2008: years (309,), numbers (309,).

    The series was taken from statsmodels, whose source is the U.S. National Geophysical
    Data Center (now NOAA NCEI); it is in the public domain.
    """
    from importlib import resources  # here: it would double the time of `import lstm`

    with (resources.files(__package__) / "sunspots.csv").open() as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    return table[:, 0].astype(int), table[:, 1]


def windows(series: Array, length: int, horizon: int = 1, stride: int = 1) -> Split:
    """Cut a series into windows, with the values that follow each step as targets.

    Parameters
    ----------
    series : (n,) one value a step, or (n, F); n at least length + horizon
    length : T, steps in a window
    horizon : how many steps ahead are the targets of each step
    stride : steps from the start of a window to that of the next: 1 for all windows; with
        ``stride=length`` each begins where the one before ends

    Returns
    -------
    x : (length, windows, F), x[t, k] = series[k * stride + t]
    y : (length, windows, horizon * F), the values at k * stride + t + 1 and so on
    """
    steps = series[:, None] if series.ndim == 1 else series
    check_shape("windows", "series", steps, {"time": None, "features": None})
    for name, size in (("length", length), ("horizon", horizon), ("stride", stride)):
        check_size("windows", name, size)
    starts = len(steps) - length - horizon + 1
    if starts < 1:
        raise ValueError(
            f"windows expected a series of at least length + horizon = {length + horizon} "
            f"values, got {len(steps)}"
        )
    xp = get_array_module(steps)
    place = xp.arange(length)[:, None] + xp.arange(0, starts, stride)
    ahead = steps[place[:, :, None] + xp.arange(1, horizon + 1)]
    return Split(steps[place], ahead.reshape(*place.shape, -1))


def pad(sequences: Sequence[Array]) -> tuple[Array, Array]:
    """Put sequences of different length side by side, with zeros past their ends.

    Parameters
    ----------
    sequences : arrays (n_b, F), at least one, all with the same F

    Returns
    -------
    x : (T, B, F), T the longest length; x[: lengths[b], b] is sequences[b]
    lengths : (B,) whole numbers

    Raises
    ------
    ValueError
        If there is no sequence, or one is empty or of another shape than (n_b, F).
    """
    if not len(sequences):
        raise ValueError("pad expected at least one sequence, got none")
    xp, features = get_array_module(*sequences), sequences[0].shape[-1]
    axes = {"time": None, "features": features}
    for b, sequence in enumerate(sequences):
        check_shape("pad", f"sequence {b}", sequence, axes)
    lengths = [len(sequence) for sequence in sequences]
    x = xp.zeros((max(lengths), len(lengths), features), xp.result_type(*sequences))
    for b, sequence in enumerate(sequences):
        x[: lengths[b], b] = sequence
    return x, xp.array(lengths)


def _stored(name: str) -> dict[str, Array]:
    """Return the arrays of a file that comes with the package."""
    from importlib import resources  # as in `sunspots`

    file = resources.files(__package__) / f"{name}.npz"
    with file.open("rb") as data, np.load(data, allow_pickle=False) as arrays:
        return dict(arrays)


class Labelled(NamedTuple):
    """Padded sequences x (T, B, F), their lengths (B,), and one label each, (B,)."""

    x: Array
    lengths: Array
    labels: Array


def japanese_vowels() -> tuple[Labelled, Labelled]:
    """Return utterances of the vowels "ae" by nine speakers: 270 to train, 370 to test.

    A step is 12 LPC cepstrum coefficients of 25.6 ms of sound, 6.4 ms after the one before;
    x is float32, lengths go from 7 to 29, labels from 0 to 8.

    Returns
    -------
    train, test : `Labelled`

    References
    ----------
    Kudo, Toyama and Shimbo (1999), Japanese Vowels, UCI Machine Learning Repository,
    doi:10.24432/C5NS47, licensed CC BY 4.0. Taken from aeon, exact to the six decimals
    that are published: the file holds whole millionths.
    """
    stored = _stored("japanese_vowels")

    def part(name: str) -> Labelled:
        steps = (stored[name] / 1e6).astype(np.float32)
        ends = np.cumsum(stored[f"{name}_lengths"])
        x, lengths = pad(np.split(steps, ends[:-1]))
        return Labelled(x, lengths, stored[f"{name}_labels"])

    return part("train"), part("test")


def digits(dtype: type = np.float32) -> tuple[Split, Split]:
    """Return handwritten digits, a row of pixels a step: 1297 to train, 500 to test.

    x is (8, B, 8), the rows from the top and in each the pixels from the left, 0 to 1 in
    sixteenths; y is (B,), from 0 to 9. The order is that of the source, in which digits of
    one writer lie together, so the last 500, of other writers, are the test.

    Returns
    -------
    train, test : `Split`

    References
    ----------
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, dataset 80, licensed CC BY 4.0: the 1797 digits by 13
    writers of its test set. Taken from scikit-learn.
    """
    stored = _stored("digits")
    x: Array = (stored["images"].transpose(1, 0, 2) / 16.0).astype(dtype)
    y = stored["labels"].astype(np.int64)
    return Split(x[:, :1297], y[:1297]), Split(x[:, 1297:], y[1297:])


class Text(NamedTuple):
    """Tokens of three parts of a text, each (n,); token k is the character symbols[k]."""

    train: Array
    validation: Array
    test: Array
    symbols: str


def characters() -> Text:
    """Return a text on the Python language, a token a character, cut at 80 and 90 per cent.

    About 380,000 characters, 103 different ones. The source says some paragraphs twice or
    more; each is kept where it stands first, or parts of the test would have been trained
    on.

    References
    ----------
    The topics of ``help()`` in Python 3.11.7, ``pydoc_data.topics``, in their order,
    copyright 2001 to 2023 Python Software Foundation, under its license, version 2.
    """
    paragraphs = _stored("topics")["text"].tobytes().decode().split("\n\n")
    text = "\n\n".join(dict.fromkeys(paragraphs))
    symbols = "".join(sorted(set(text)))
    tokens = np.array([symbols.index(character) for character in text])
    train, validation, test = np.split(tokens, [len(text) * 8 // 10, len(text) * 9 // 10])
    return Text(train, validation, test, symbols)


SYMBOLS = "BTPSXVE"  # of the Reber grammar: token k is SYMBOLS[k]

# Reber's grammar: what may come next in each state, and to which state it leads.
REBER = (
    {"B": 1}, {"T": 2, "P": 3}, {"S": 2, "X": 4}, {"T": 3, "V": 5}, {"X": 3, "S": 6},
    {"P": 4, "V": 6}, {"E": 7},
)


def embedded_grammar() -> list[dict[str, int]]:
    """Return the states of the embedded Reber grammar, in the form of `REBER`.

    State 0 is the first, 1 decides between T and P. Behind either stands Reber's grammar,
    and then the same symbol once more; state 19, after the E, is no longer in the list.
    """
    grammar = [{"B": 1}, {"T": 2, "P": 10}]
    for symbol, first in (("T", 2), ("P", 10)):
        grammar += [{s: first + to for s, to in state.items()} for state in REBER]
        grammar.append({symbol: 18})
    return [*grammar, {"E": 19}]


class Strings(NamedTuple):
    """Padded tokens (T, B), lengths (B,), and which of K symbols may follow, (T, B, K)."""

    tokens: Array
    lengths: Array
    legal: Array


def pad_strings(rows: Sequence[Array]) -> Strings:
    """Pad strings, each a table (n_b, 1 + K): a token, and 1 for each that may follow."""
    table, lengths = pad(rows)
    return Strings(table[:, :, 0], lengths, table[:, :, 1:] == 1)


def walk(
    grammar: Sequence[dict[str, int]], rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield the steps of one way through a machine, until a state from which none leads on.

    A step is the symbol's place in `SYMBOLS`, and for each symbol 1 if it may follow, else
    0. From each state the ways are taken with the same probability.

    Parameters
    ----------
    grammar : for each state what may come next, and to which state it leads
    """
    state = 0
    while grammar[state]:
        symbol, state = list(grammar[state].items())[rng.integers(len(grammar[state]))]
        yield [SYMBOLS.index(symbol), *(int(s in grammar[state]) for s in SYMBOLS)]


def embedded_reber(count: int, rng: np.random.Generator) -> Strings:
    """Return strings of the embedded Reber grammar: B, T or P, a string, that T or P, E.

    Where two symbols may follow, each does with probability 1/2. The string in between is
    one of Reber's grammar, so the whole has 9 symbols at least; there is no longest one.

    Parameters
    ----------
    count : B, number of strings
    rng : generator to draw from

    Returns
    -------
    tokens : whole numbers, places in `SYMBOLS`; 0 past a string's end
    lengths : numbers of symbols
    legal : True where a symbol may follow the string up to and with a step; after the last
        symbol none may

    References
    ----------
    Reber (1967); Hochreiter and Schmidhuber (1997), experiment 1.
    """
    check_size("embedded_reber", "count", count)
    grammar = [*embedded_grammar(), {}]
    return pad_strings([np.array([*walk(grammar, rng)]) for _ in range(count)])


def batches(
    count: int, size: int, rng: np.random.Generator | None = None
) -> Iterator[Array]:
    """Yield the indices 0 to count - 1 in groups of a size (the last may be smaller).

    Parameters
    ----------
    rng : shuffles the indices first; None keeps their order
    """
    check_size("batches", "size", size)
    order = np.arange(count) if rng is None else rng.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]
