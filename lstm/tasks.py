"""Published tasks that are drawn: each says what it demands and what a guess scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from .backend import Array, device_of, get_array_module
from .checks import check_size, check_tokens
from .data import (
    Labelled,
    Split,
    Strings,
    embedded_grammar,
    pad_strings,
    sine_task,
    walk,
)


def check_draw(owner: str, rng: Any, **sizes: tuple[Any, int]) -> None:
    """Refuse what cannot be drawn from, and sizes that are too small.

    Parameters
    ----------
    rng : has to be a `numpy.random.Generator`
    **sizes : for each name the value, and the least that it may be

    Raises
    ------
    TypeError, ValueError
        The error names the argument.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{owner} expected rng as a numpy.random.Generator, got {rng!r}")
    for name, (value, least) in sizes.items():
        if check_size(owner, name, value) < least:
            raise ValueError(f"{owner} expected {name} of at least {least}, got {value}")


def one_hot(tokens: Array, count: int, dtype: type = np.float32) -> Array:
    """Return for each token (T, B) a row of zeros with a 1 at its place, (T, B, K).

    Parameters
    ----------
    count : K; tokens are whole numbers from 0 to K - 1, else the error is that of
        `check_tokens`
    """
    check_size("one_hot", "count", count)
    known = check_tokens("one_hot", "tokens", tokens, count, device_of(tokens))
    places = get_array_module(known).arange(count)
    rows: Array = (known[..., None] == places).astype(dtype)
    return rows


def adding_task(
    steps: int, count: int, rng: np.random.Generator, dtype: type = np.float32
) -> Split:
    """Return sequences of numbers of which two are marked; the target is their sum.

    The numbers are uniform from 0 to 1. One of the first ``steps // 2`` is marked, and one
    of the others. The variance of the sum, and so the loss of the guess 1, is 1/6.

    Parameters
    ----------
    steps, count : T, at least 2, and B

    Returns
    -------
    x : (T, B, 2), the numbers, and 1 at the two that are marked, else 0
    y : (B,)

    References
    ----------
    The form of Le, Jaitly and Hinton (2015) and Arjovsky, Shah and Bengio (2016), after
    Hochreiter and Schmidhuber (1997), experiment 4.
    """
    check_draw("adding_task", rng, steps=(steps, 2), count=(count, 1))
    x: Array = np.zeros((steps, count, 2), dtype)
    x[:, :, 0] = rng.random((steps, count))
    for start, end in ((0, steps // 2), (steps // 2, steps)):
        x[rng.integers(start, end, count), np.arange(count), 1] = 1
    return Split(x, (x[:, :, 0] * x[:, :, 1]).sum(0))


def adding_task_1997(
    steps: int, count: int, rng: np.random.Generator, dtype: type = np.float32
) -> Labelled:
    """Return the adding task as it was first posed, with ends of different length.

    The numbers x are uniform from -1 to 1, the lengths from T to T + T/10. A mark of 1
    stands at one of the first ten numbers, and at one of the first T/2 - 1 that are still
    unmarked; a mark of -1 at the first and at the last. Where the first number would get
    both, the -1 stands and the number counts as 0. The target is 0.5 + (x1 + x2) / 4.

    Parameters
    ----------
    steps, count : T, at least 20, and B

    Returns
    -------
    x : (longest, B, 2), numbers and marks; zeros past an end
    lengths : (B,)
    labels : (B,), the targets, 0 to 1

    References
    ----------
    Hochreiter and Schmidhuber (1997), LSTM Can Solve Hard Long Time Lag Problems, NIPS 9,
    experiment 1, the task of experiment 4 of their paper in Neural Computation.
    """
    check_draw("adding_task_1997", rng, steps=(steps, 20), count=(count, 1))
    lengths, each = rng.integers(steps, steps + steps // 10 + 1, count), np.arange(count)
    x = np.zeros((lengths.max(), count, 2), dtype)
    x[:, :, 0] = rng.uniform(-1.0, 1.0, x.shape[:2])
    x[:, :, 0] *= np.arange(len(x))[:, None] < lengths
    first, second = rng.integers(0, 10, count), rng.integers(0, steps // 2 - 1, count)
    second += second >= first  # counted among those that are unmarked
    for marked in (first, second):
        x[marked, each, 1] = 1
    x[0, :, 1] = x[lengths - 1, each, 1] = -1
    sums = (x[:, :, 0] * (x[:, :, 1] == 1)).sum(0)
    return Labelled(x, lengths, 0.5 + sums / 4)


def copy_task(delay: int, count: int, rng: np.random.Generator) -> Split:
    """Return ten symbols, and after a delay the request to write them down again.

    Tokens 0 to 7 are the symbols, 8 is the blank and 9 the request. Of T + 20 steps the
    first ten are symbols and the others blanks, but for the request, ten steps before
    the last ten. The target is blank, and in the last ten steps the symbols in their order.
    A guess that knows the step, and no symbol, has a cross-entropy of 10 log(8) / (T + 20).

    Parameters
    ----------
    delay, count : T, at least 1, and B

    Returns
    -------
    x, y : (T + 20, B), whole numbers

    References
    ----------
    Arjovsky, Shah and Bengio (2016), after Hochreiter and Schmidhuber (1997).
    """
    check_draw("copy_task", rng, delay=(delay, 1), count=(count, 1))
    x = np.full((delay + 20, count), 8)
    y = x.copy()
    x[:10] = y[-10:] = rng.integers(0, 8, (10, count))
    x[-11] = 9
    return Split(x, y)


ORDER = "EBabcdXY"  # symbols of the temporal order: token k is ORDER[k]


def temporal_order_task(count: int, rng: np.random.Generator) -> Labelled:
    """Return sequences with an X or Y at three places; their order is the class, of eight.

    A sequence begins with E, ends with B, and has a length of 100 to 110. The places are
    steps 10 to 20, 33 to 43 and 66 to 76, where E is step 0; what stands elsewhere is one
    of a, b, c, d. All choices are uniform, so that a guess is right with probability 1/8.

    Parameters
    ----------
    count : B

    Returns
    -------
    x : (longest, B), places in `ORDER`; 0 past an end
    lengths : (B,)
    labels : (B,), from 0 for XXX, 1 for XXY, to 7 for YYY

    References
    ----------
    Hochreiter and Schmidhuber (1997), experiment 6b.
    """
    check_draw("temporal_order_task", rng, count=(count, 1))
    lengths, each = rng.integers(100, 111, count), np.arange(count)
    x = rng.integers(2, 6, (lengths.max(), count))
    x *= np.arange(len(x))[:, None] < lengths
    x[0], x[lengths - 1, each] = ORDER.index("E"), ORDER.index("B")
    kinds = rng.integers(0, 2, (3, count))
    for kind, start in zip(kinds, (10, 33, 66)):
        x[rng.integers(start, start + 11, count), each] = ORDER.index("X") + kind
    return Labelled(x, lengths, np.array([4, 2, 1]) @ kinds)


def continual_reber(steps: int, count: int, rng: np.random.Generator) -> Strings:
    """Return streams of the embedded Reber grammar: after each string the next begins.

    Nothing but the symbols says where a string ends. The lengths are all T.

    Parameters
    ----------
    steps, count : T and B

    Returns
    -------
    As `embedded_reber`; after the E that ends a string, B may follow.

    References
    ----------
    Gers, Schmidhuber and Cummins (2000).
    """
    check_draw("continual_reber", rng, steps=(steps, 1), count=(count, 1))
    circle = [*embedded_grammar()[:-1], {"E": 0}]
    return pad_strings(
        [np.array([*islice(walk(circle, rng), steps)]) for _ in range(count)]
    )


def counting_task(sizes: Sequence[int], letters: str = "ab") -> Strings:
    """Return the strings S a...a b...b T with n of each letter, for each size n.

    Token k is the symbol k of ``"ST" + letters``. After the first letter the same and the
    second one may follow; from then on one symbol alone may, which only a count tells.
    Nothing is drawn: which sizes to train on and which to test on is the task.

    Parameters
    ----------
    sizes : n of each string, at least 1
    letters : two or more, all different, without S and T; ``"abc"`` for a^n b^n c^n

    Returns
    -------
    tokens (T, B), lengths (B,), legal (T, B, K), as of `embedded_reber`; K = 2 + letters

    References
    ----------
    Gers and Schmidhuber (2001), with n of at least 1.
    """
    if len(letters) < 2 or len({*"ST", *letters}) < 2 + len(letters):
        raise ValueError(
            "counting_task expected letters as two or more, all different, without S and "
            f"T, got {letters!r}"
        )
    if not hasattr(sizes, "__len__"):
        raise TypeError(f"counting_task expected sizes as a list of ints, got {sizes!r}")
    if not len(sizes):
        raise ValueError("counting_task expected at least one size, got none")
    strings, kinds = [], len(letters)
    for size in sizes:
        repeats = [1, *[check_size("counting_task", "sizes", size)] * kinds, 1]
        tokens = np.repeat([0, *range(2, 2 + kinds), 1], repeats)
        legal = np.zeros((len(tokens), 2 + kinds), int)
        legal[np.arange(len(tokens) - 1), tokens[1:]] = 1
        legal[tokens == 2, 2:4] = 1
        strings.append(np.column_stack([tokens, legal]))
    return pad_strings(strings)


def parity_task(
    steps: int, count: int, rng: np.random.Generator, dtype: type = np.float32
) -> Split:
    """Return random bits, and at each step whether the ones up to it are odd in number.

    Parameters
    ----------
    steps, count : T and B

    Returns
    -------
    x : (T, B, 1), 0 or 1 with the same probability
    y : (T, B), 0 for even, 1 for odd; y[-1] is that of the whole sequence

    References
    ----------
    Hochreiter and Schmidhuber (1996), Bridging Long Time Lags by Weight Guessing and "Long
    Short-Term Memory", on parity of a whole sequence as a task of earlier papers.
    """
    check_draw("parity_task", rng, steps=(steps, 1), count=(count, 1))
    bits = rng.integers(0, 2, (steps, count))
    return Split(bits[:, :, None].astype(dtype), bits.cumsum(0) % 2)


def noisy_sine_task(
    noise: float, rng: np.random.Generator, dtype: type = np.float32
) -> tuple[Split, Split]:
    """Return the sine task with noise on every value, those that are targets included.

    A series is all that a forecaster has, so the target is its next value, noise and all.
    The noise of that value is independent of everything before it: no predictor's expected
    loss is below ``noise**2``. `sine_task` holds the same values without noise.

    Parameters
    ----------
    noise : standard deviation of the normal noise, at least 0; the sine's is 0.71

    Returns
    -------
    train, test : `Split`, each (1000, 1, 1)
    """
    check_draw("noisy_sine_task", rng)
    if not 0 <= noise < math.inf:
        raise ValueError(
            f"noisy_sine_task expected noise of at least 0 and finite, got {noise!r}"
        )
    parts = []
    for part in sine_task(np.float64):
        series = np.concatenate([part.x, part.y[-1:]])
        series = (series + rng.normal(0.0, noise, series.shape)).astype(dtype)
        parts.append(Split(series[:-1], series[1:]))
    return parts[0], parts[1]


def feedback(x: float) -> float:
    """Return what the Mackey-Glass equation makes of the value 17 units of time ago.

    The power is one of products, which are the same on every machine: in a chaotic series a
    difference in the last digit becomes one in the first.
    """
    square = x * x
    fourth = square * square
    return 0.2 * x / (1.0 + fourth * fourth * square)


def mackey_glass(count: int, substeps: int = 10) -> Array:
    """Return the Mackey-Glass series of delay 17 at times 0, 1, 2 and so on.

    It solves dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)**10) - 0.1 x(t) with x(0) = 1.2 and
    x = 0 before, by the fourth-order method of Runge and Kutta. In the middle of a step,
    where the method asks for the delayed value, it is that of the cubic with the values and
    slopes of the delayed step's two ends. After some 200 units of time x stays between 0.4
    and 1.4.

    Parameters
    ----------
    count : n
    substeps : steps of the method in a unit of time

    Returns
    -------
    x : (n,) float64

    References
    ----------
    Mackey and Glass (1977); delay and step as in Gers, Eck and Schmidhuber (2001).
    """
    steps = (check_size("mackey_glass", "count", count) - 1) * substeps
    h, lag = 1.0 / check_size("mackey_glass", "substeps", substeps), 17 * substeps
    x, middles = [1.2], [0.0] * lag  # of the steps before time 0, then of those after
    for k in range(steps):
        start, end = x[k - lag : k - lag + 2] if k >= lag else (0.0, 0.0)
        first, half, last = feedback(start), feedback(middles[k]), feedback(end)
        s1 = first - 0.1 * x[k]
        s2 = half - 0.1 * (x[k] + 0.5 * h * s1)
        s3 = half - 0.1 * (x[k] + 0.5 * h * s2)
        s4 = last - 0.1 * (x[k] + h * s3)
        x.append(x[k] + h / 6.0 * (s1 + 2.0 * s2 + 2.0 * s3 + s4))
        bend = h / 8.0 * (s1 - last + 0.1 * x[-1])
        middles.append((x[k] + x[-1]) / 2.0 + bend)
    return np.array(x[::substeps])


def mackey_glass_task(
    horizon: int = 84, dtype: type = np.float32
) -> tuple[Split, Split]:
    """Return the Mackey-Glass series, with the value some steps ahead as the target.

    A step is a unit of time. x holds times 200 to 3199 for training and 5000 to 5499 for
    the test.

    Parameters
    ----------
    horizon : steps ahead

    Returns
    -------
    train, test : `Split`, (3000, 1, 1) and (500, 1, 1)
    """
    check_size("mackey_glass_task", "horizon", horizon)
    series: Array = mackey_glass(5500 + horizon).astype(dtype)[:, None, None]
    ahead = series[horizon:]
    train, test = (
        Split(series[start:end], ahead[start:end])
        for start, end in ((200, 3200), (5000, 5500))
    )
    return train, test
