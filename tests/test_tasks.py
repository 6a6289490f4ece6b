"""The published tasks: their form, their statistics, and what a guess scores on them."""

import math
import re
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

import lstm
from lstm import tasks
from lstm.data import SYMBOLS

MANY = 20_000


def rng(seed=0):
    return np.random.default_rng(seed)


def close(sample, expected, deviation):
    """Whether the mean of a sample is where the law of large numbers wants it."""
    return abs(np.mean(sample) - expected) < 5 * deviation / len(sample) ** 0.5


def uniform(values, least, most):
    """Whether whole numbers fill a range, each with its share."""
    shares = np.bincount(np.asarray(values) - least, minlength=most - least + 1) / len(values)
    share = 1 / (most - least + 1)
    error = 5 * (share * (1 - share) / len(values)) ** 0.5
    return len(shares) == most - least + 1 and (abs(shares - share) < error).all()


# --- adding -------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 7, 50])
def test_two_numbers_are_marked_one_in_each_half_and_the_target_is_their_sum(steps):
    x, y = lstm.adding_task(steps, 300, rng())
    assert x.shape == (steps, 300, 2) and y.shape == (300,) and x.dtype == y.dtype == np.float32
    for b in range(300):
        first, second = np.flatnonzero(x[:, b, 1])
        assert first < steps // 2 <= second and x[first, b, 1] == x[second, b, 1] == 1
        assert y[b] == x[first, b, 0] + x[second, b, 0]


def test_the_marks_of_adding_and_its_numbers_are_uniform():
    x, _ = lstm.adding_task(9, MANY, rng(1), np.float64)
    places = [np.flatnonzero(row) for row in x[:, :, 1].T]
    assert uniform([p[0] for p in places], 0, 3) and uniform([p[1] for p in places], 4, 8)
    numbers = x[:, :, 0].ravel()
    assert numbers.min() >= 0 and numbers.max() < 1
    assert uniform((numbers * 16).astype(int), 0, 15)
    assert abs(np.corrcoef(x[0, :, 0], x[1, :, 0])[0, 1]) < 5 / MANY**0.5


def test_the_variance_of_adding_is_one_sixth_and_not_0_1767():
    """By the density of the sum, 1 - abs(s - 1), in whole numbers; then in a sample."""
    moment = {k: 2 * (Fraction(1, k + 1) - Fraction(1, k + 2)) for k in (2, 4)}
    assert moment[2] == Fraction(1, 6)
    _, y = lstm.adding_task(2, 200_000, rng(2))
    squares, deviation = (y - 1.0) ** 2, float(moment[4] - moment[2] ** 2) ** 0.5
    assert close(squares, 1 / 6, deviation)
    assert not close(squares, 0.1767, deviation)


def test_adding_of_1997_has_the_form_of_the_paper():
    x, lengths, y = lstm.adding_task_1997(40, 2000, rng())
    assert x.shape == (lengths.max(), 2000, 2) and x.dtype == y.dtype == np.float32
    assert uniform(lengths, 40, 44)
    zeros = 0
    for b, n in enumerate(lengths):
        numbers, marks = x[:n, b].T
        assert marks[0] == marks[-1] == -1 and not x[n:, b].any()
        marked = np.flatnonzero(marks == 1)
        assert len(marked) in (1, 2) and (marks == 0).sum() == n - 2 - len(marked)
        assert marked.min() < 10 or len(marked) == 1
        assert marked.max() < 20  # the second is among the first 19 of the 39 or so unmarked
        assert y[b] == pytest.approx(0.5 + numbers[marked].sum() / 4, abs=1e-6)
        zeros += len(marked) == 1
    assert close(np.arange(2000) < zeros, 0.1 + 0.9 / 19, 0.4)
    assert y.min() >= 0 and y.max() <= 1


def test_the_numbers_and_the_variance_of_adding_of_1997():
    x, lengths, y = lstm.adding_task_1997(20, MANY, rng(3), np.float64)
    numbers = x[:20, :, 0].ravel()
    assert uniform(np.floor(8 * numbers).astype(int), -8, 7)
    # X has variance 1/3. One place in ten is the first of all for x1; for x2, one in T/2 - 1.
    share = (1 - 1 / 10) + (1 - 0.9 / 9)
    assert close((y - 0.5) ** 2, share / 3 / 16, 0.06)


def test_places_of_the_marks_of_1997():
    x, _, _ = lstm.adding_task_1997(30, MANY, rng(4))
    both = (x[:, :, 1] == 1).sum(0) == 2
    places = np.array([np.flatnonzero(row == 1) for row in x[:, both, 1].T])
    pairs = [(a, b) for a in range(1, 10) for b in {*range(15)} - {a, 0}]
    # the second is drawn from fourteen, which are 0 to 14 without the first
    expected = dict.fromkeys(pairs, 1 / 10 / 14)
    found = {pair: 0.0 for a, b in pairs for pair in [(min(a, b), max(a, b))]}
    chances = dict.fromkeys(found, 0.0)
    for a, b in pairs:
        chances[min(a, b), max(a, b)] += expected[a, b]
    for a, b in places:
        found[a, b] += 1 / MANY
    for pair, chance in chances.items():
        assert abs(found[pair] - chance) < 5 * (chance / MANY) ** 0.5


# --- copy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 2, 30])
def test_copy_has_the_form_of_the_paper(delay):
    x, y = lstm.copy_task(delay, 200, rng())
    assert x.shape == y.shape == (delay + 20, 200) and x.dtype.kind == y.dtype.kind == "i"
    for b in range(200):
        symbols = x[:10, b].tolist()
        assert max(symbols) < 8
        assert x[:, b].tolist() == symbols + [8] * (delay - 1) + [9] + [8] * 10
        assert y[:, b].tolist() == [8] * (delay + 10) + symbols
    assert uniform(x[:10].ravel(), 0, 7)


@pytest.mark.parametrize("delay", [10, 100])
def test_the_guess_without_memory_scores_the_published_loss_on_copy(delay):
    _, y = lstm.copy_task(delay, 50, rng(1))
    logits = np.full((*y.shape, 10), -1e4)
    logits[: delay + 10, :, 8] = 0.0
    logits[delay + 10 :, :, :8] = 0.0
    loss, _ = lstm.cross_entropy(logits, y)
    assert loss == pytest.approx(10 * math.log(8) / (delay + 20), rel=1e-12)


# --- temporal order -----------------------------------------------------------------------


def test_temporal_order_has_the_form_of_the_paper():
    x, lengths, labels = lstm.temporal_order_task(MANY, rng())
    text = np.array(list(tasks.ORDER))[x]
    assert uniform(lengths, 100, 110) and uniform(labels, 0, 7)
    classes = ["".join(kinds) for kinds in product("XY", repeat=3)]
    places = []
    for b in range(2000):
        word = "".join(text[: lengths[b], b])
        assert re.fullmatch("E[abcdXY]{98,108}B", word) and not x[lengths[b] :, b].any()
        found = [t for t, symbol in enumerate(word) if symbol in "XY"]
        assert classes[labels[b]] == "".join(word[t] for t in found)
        places.append(found)
    for column, start in zip(np.transpose(places), (10, 33, 66)):
        assert uniform(column, start, start + 10)
    assert uniform(x[1], 2, 5)


# --- continual Reber ----------------------------------------------------------------------

AFTER_X = "(?:XT*VP)*(?:S|XT*VV)E"
EMBEDDED = f"B([TP])B(?:TS*X{AFTER_X}|PT*V(?:VE|P{AFTER_X}))\\1E"


def test_a_continual_stream_is_strings_of_the_grammar_one_behind_the_other():
    part = lstm.continual_reber(500, 20, rng())
    assert part.tokens.shape == (500, 20) and part.legal.shape == (500, 20, 7)
    assert (part.lengths == 500).all()
    for b in range(20):
        stream = "".join(SYMBOLS[k] for k in part.tokens[:, b])
        cuts = [m.end() for m in re.finditer("(?<=[TP])E(?=B)|(?<=[TP])E$", stream)]
        assert len(cuts) > 25
        for start, end in pairwise([0, *cuts]):
            assert re.fullmatch(EMBEDDED, stream[start:end])
            assert np.flatnonzero(part.legal[end - 1, b]).tolist() == [0]  # B, which begins
        for t, follower in enumerate(stream[1:]):
            assert part.legal[t, b, SYMBOLS.index(follower)]


def test_strings_of_a_stream_are_as_long_as_single_ones():
    single = lstm.embedded_reber(4000, rng(1)).lengths
    tokens = lstm.continual_reber(4000, 12, rng(2)).tokens.T
    ends = ((tokens[:, 1:-1] == 6) & (tokens[:, :-2] != 3) & (tokens[:, 2:] == 0)
            & np.isin(tokens[:, :-2], (1, 2))).sum()  # fmt: skip
    assert abs(tokens.size / ends / single.mean() - 1) < 0.03


# --- counting -----------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["ab", "abc", "xyzw"])
def test_what_may_follow_is_what_follows_in_some_string_of_the_language(letters):
    longest, symbols = 7, "ST" + letters
    words = ["S" + "".join(s * n for s in letters) + "T" for n in range(1, longest + 2)]
    part = lstm.counting_task(range(1, longest + 1), letters)
    assert part.tokens.shape == (part.lengths.max(), longest) and part.legal.dtype == bool
    assert part.legal.shape == (*part.tokens.shape, len(symbols))
    for b, word in enumerate(words[:-1]):
        n = part.lengths[b]
        assert "".join(symbols[k] for k in part.tokens[:n, b]) == word
        assert not part.tokens[n:, b].any() and not part.legal[n:, b].any()
        for t in range(n):
            begun = word[: t + 1]
            after = {w[t + 1] for w in words if w.startswith(begun) and len(w) > t + 1}
            assert {s for s, may in zip(symbols, part.legal[t, b]) if may} == after


# --- parity -------------------------------------------------------------------------------


def test_parity_is_that_of_the_ones_so_far():
    x, y = lstm.parity_task(6, MANY, rng())
    assert x.shape == (6, MANY, 1) and x.dtype == np.float32 and y.dtype.kind == "i"
    for b in range(500):
        odd = False
        for bit, target in zip(x[:, b, 0], y[:, b]):
            odd ^= bool(bit)
            assert target == odd
    assert uniform(x.astype(int).ravel(), 0, 1)
    for t in range(5):  # all bits but the last say nothing
        assert abs(np.corrcoef(y[t], y[5])[0, 1]) < 5 / MANY**0.5


# --- the noisy sine ----------------------------------------------------------------------


def test_the_sine_without_noise_is_the_sine_task():
    for noisy, clean in zip(lstm.noisy_sine_task(0.0, rng()), lstm.sine_task()):
        np.testing.assert_array_equal(noisy.x, clean.x)
        np.testing.assert_array_equal(noisy.y, clean.y)
        assert noisy.x.dtype == np.float32


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_the_noise_is_that_of_one_series_and_is_the_floor(noise):
    clean = lstm.sine_task(np.float64)
    parts = lstm.noisy_sine_task(noise, rng(1), np.float64)
    residuals = [noisy.y - wave.y for noisy, wave in zip(parts, clean)]
    for part, residual in zip(parts, residuals):
        np.testing.assert_array_equal(part.x[1:], part.y[:-1])
        # who knows the wave itself scores the floor, and the noise tells nothing of its next
        assert close(residual.ravel() ** 2, noise**2, 2**0.5 * noise**2)
        a = residual.ravel()
        assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 5 / 1000**0.5
    assert abs(np.corrcoef(residuals[0].ravel(), residuals[1].ravel())[0, 1]) < 5 / 1000**0.5


# --- Mackey-Glass -------------------------------------------------------------------------


def method_of_steps(units, parts):
    """Solve interval by interval: on each the delayed values are known, so x is an integral."""
    t = np.arange(17 * parts + 1) / parts
    x = 1.2 * np.exp(-0.1 * t)
    pieces = [x[::parts]]
    while len(pieces) * 17 < units:
        driven = np.exp(0.1 * t) * 0.2 * x / (1 + x**10)
        area = np.concatenate([[0], np.cumsum(driven[1:] + driven[:-1]) / (2 * parts)])
        x = np.exp(-0.1 * t) * (x[-1] + area)
        pieces.append(x[parts::parts])
    return np.concatenate(pieces)[:units]


def test_mackey_glass_agrees_with_another_method_on_a_fine_grid():
    coarse, fine = method_of_steps(400, 100), method_of_steps(400, 200)
    exact = fine + (fine - coarse) / 3  # the trapezoid's error is quadratic
    errors = [abs(lstm.mackey_glass(400, parts) - exact).max() for parts in (5, 10)]
    assert errors[1] < 2e-8 and 14 < errors[0] / errors[1] < 18  # of the fourth order
    assert lstm.mackey_glass(400).dtype == np.float64


def test_mackey_glass_begins_and_stays_where_it_is_known_to():
    x = lstm.mackey_glass(6000)
    np.testing.assert_allclose(x[:18], 1.2 * np.exp(-0.1 * np.arange(18)), rtol=1e-9)
    settled = x[200:]
    assert 0.4 < settled.min() < 0.45 and 1.3 < settled.max() < 1.4
    assert settled.mean() == pytest.approx(0.93, abs=0.01)
    assert settled.std() == pytest.approx(0.226, abs=0.005)
    for count in (1, 17, 18, 19):
        np.testing.assert_array_equal(lstm.mackey_glass(count), x[:count])


@pytest.mark.parametrize("horizon", [1, 84])
def test_the_target_of_mackey_glass_is_the_value_so_far_ahead(horizon):
    series = lstm.mackey_glass(5600).astype(np.float32)
    parts = lstm.mackey_glass_task(horizon) if horizon != 84 else lstm.mackey_glass_task()
    for part, start, steps in zip(parts, (200, 5000), (3000, 500)):
        assert part.x.shape == part.y.shape == (steps, 1, 1) and part.x.dtype == np.float32
        np.testing.assert_array_equal(part.x.ravel(), series[start : start + steps])
        ahead = start + horizon
        np.testing.assert_array_equal(part.y.ravel(), series[ahead : ahead + steps])


# --- all ----------------------------------------------------------------------------------


def test_one_hot_rows():
    rows = lstm.one_hot(np.array([[2, 0], [1, 2]]), 3)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[[0, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]]


DRAWN = {
    "adding_task": (5, 3), "adding_task_1997": (20, 3), "copy_task": (5, 3),
    "temporal_order_task": (3,), "continual_reber": (30, 3), "parity_task": (5, 3),
    "noisy_sine_task": (0.1,),
}  # fmt: skip


def leaves(part):
    return [a for item in part for a in (item if isinstance(item, tuple) else (item,))]


@pytest.mark.parametrize("name", DRAWN)
def test_a_task_is_what_its_generator_draws(name):
    task = getattr(lstm, name)
    first, again, other = (leaves(task(*DRAWN[name], rng(seed))) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other))
    with pytest.raises(TypeError, match=rf"^{name} expected rng as a numpy.random.Generator, got 0$"):
        task(*DRAWN[name], 0)


@pytest.mark.parametrize("name", ["adding_task", "adding_task_1997", "parity_task", "noisy_sine_task"])
def test_double_precision_holds_the_same_draw(name):
    task = getattr(lstm, name)
    for a, b in zip(leaves(task(*DRAWN[name], rng())), leaves(task(*DRAWN[name], rng(), np.float64))):
        assert a.dtype == b.dtype or (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: lstm.adding_task(1, 2, rng()), ValueError, "adding_task expected steps of at least 2, got 1"),
        (lambda: lstm.adding_task(2.0, 2, rng()), TypeError, "adding_task expected steps as an int, got 2.0"),
        (lambda: lstm.adding_task(2, 0, rng()), ValueError, "adding_task expected count of at least 1, got 0"),
        (lambda: lstm.adding_task_1997(19, 2, rng()), ValueError,
         "adding_task_1997 expected steps of at least 20, got 19"),
        (lambda: lstm.copy_task(0, 2, rng()), ValueError, "copy_task expected delay of at least 1, got 0"),
        (lambda: lstm.temporal_order_task(0, rng()), ValueError,
         "temporal_order_task expected count of at least 1, got 0"),
        (lambda: lstm.continual_reber(0, 1, rng()), ValueError,
         "continual_reber expected steps of at least 1, got 0"),
        (lambda: lstm.parity_task(3, True, rng()), TypeError, "parity_task expected count as an int, got True"),
        (lambda: lstm.noisy_sine_task(-0.1, rng()), ValueError,
         "noisy_sine_task expected noise of at least 0 and finite, got -0.1"),
        (lambda: lstm.noisy_sine_task(math.nan, rng()), ValueError,
         "noisy_sine_task expected noise of at least 0 and finite, got nan"),
        (lambda: lstm.counting_task([2, 0]), ValueError, "counting_task expected sizes of at least 1, got 0"),
        (lambda: lstm.counting_task([]), ValueError, "counting_task expected at least one size, got none"),
        (lambda: lstm.counting_task(3), TypeError, "counting_task expected sizes as a list of ints, got 3"),
        *((lambda letters=letters: lstm.counting_task([1], letters), ValueError,
           "counting_task expected letters as two or more, all different, without S and T, "
           f"got {letters!r}") for letters in ("a", "aa", "aT", "")),
        (lambda: lstm.mackey_glass(0), ValueError, "mackey_glass expected count of at least 1, got 0"),
        (lambda: lstm.mackey_glass(5, 0), ValueError, "mackey_glass expected substeps of at least 1, got 0"),
        (lambda: lstm.mackey_glass_task(0), ValueError,
         "mackey_glass_task expected horizon of at least 1, got 0"),
        (lambda: lstm.one_hot(np.array([[0, 3]]), 3), ValueError,
         "one_hot expected tokens from 0 to 2, got 3"),
        (lambda: lstm.one_hot(np.array([[-1]]), 3), ValueError,
         "one_hot expected tokens from 0 to 2, got -1"),
        (lambda: lstm.one_hot(np.array([[1.0]]), 3), TypeError,
         "one_hot expected tokens of an integer dtype, got float64"),
        (lambda: lstm.one_hot(np.array([[1]]), 0), ValueError, "one_hot expected count of at least 1, got 0"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
