"""Data sets and how they are cut."""

import hashlib
import re

import numpy as np
import pytest

import lstm
from lstm import data
from lstm.data import SYMBOLS


def test_the_sine_task_is_the_seeds():
    train, test = data.sine_task(np.float64)
    assert train.x.shape == train.y.shape == test.x.shape == test.y.shape == (1000, 1, 1)
    angle = np.linspace(0, 4 * np.pi, 1001)
    np.testing.assert_array_equal(train.x.ravel(), np.sin(angle[:1000]))
    np.testing.assert_array_equal(train.y.ravel(), np.sin(angle[1:]))
    np.testing.assert_array_equal(test.y.ravel(), np.cos(angle[1:]))
    assert data.sine_task()[0].x.dtype == np.float32


def test_persistence_on_the_sine_scores_its_published_loss():
    train, _ = data.sine_task(np.float64)
    step = 4 * np.pi / 1000
    expected = (2 * np.sin(step / 2)) ** 2 / 2  # mean of (2 sin(d/2) cos(a + d/2))**2 over two periods
    assert ((train.y - train.x) ** 2).mean() == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(7.9e-5, rel=0.01)


def test_the_sunspot_series_is_the_published_one():
    years, numbers = data.sunspots()
    assert years.tolist() == list(range(1700, 2009))
    assert numbers.shape == (309,) and numbers.min() == 0.0
    assert years[numbers.argmax()] == 1957 and numbers.max() == 190.2  # the highest cycle known


def test_windows_hold_each_step_and_what_follows_it():
    x, y = data.windows(np.arange(10.0), 4, horizon=3)
    assert x.shape == (4, 4, 1) and y.shape == (4, 4, 3)
    for t in range(4):
        for k in range(4):
            assert x[t, k, 0] == k + t
            assert y[t, k].tolist() == [k + t + 1, k + t + 2, k + t + 3]


def test_windows_of_the_shortest_series():
    x, y = data.windows(np.arange(3.0), 2)
    assert x[:, 0, 0].tolist() == [0, 1] and y[:, 0, 0].tolist() == [1, 2] and x.shape[1] == 1


@pytest.mark.parametrize(
    "series, length, horizon, message",
    [
        (np.zeros(5), 4, 2, "windows expected a series of at least length + horizon = 6 values, got 5"),
        (np.zeros((5, 1, 1)), 2, 1, "windows expected series with 2 axes (time, features), got shape (5, 1, 1)"),
        (np.zeros((5, 0)), 2, 1, "windows expected series without an empty axis, got shape (5, 0)"),
        (np.zeros(5), 0, 1, "windows expected length of at least 1, got 0"),
        (np.zeros(5), 2, 0, "windows expected horizon of at least 1, got 0"),
    ],
)
def test_windows_refuse(series, length, horizon, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        data.windows(series, length, horizon)


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("horizon", [1, 2])
def test_windows_of_several_features_any_stride_apart(stride, horizon):
    series = np.random.default_rng(0).normal(size=(17, 2))
    x, y = data.windows(series, 5, horizon, stride)
    starts = [s for s in range(0, 17, stride) if s + 5 + horizon <= 17]
    assert x.shape == (5, len(starts), 2) and y.shape == (5, len(starts), horizon * 2)
    for k, start in enumerate(starts):
        np.testing.assert_array_equal(x[:, k], series[start : start + 5])
        for t in range(5):
            ahead = series[start + t + 1 : start + t + 1 + horizon]
            np.testing.assert_array_equal(y[t, k], ahead.ravel())


def test_windows_that_follow_each_other_hold_each_value_once_and_are_copies():
    series = np.arange(13)
    x, y = data.windows(series, 4, stride=4)
    assert x[:, :, 0].T.ravel().tolist() == list(range(12)) and y[:, :, 0].T.ravel().tolist() == list(range(1, 13))
    assert x.dtype == series.dtype and not np.shares_memory(x, series)
    with pytest.raises(ValueError, match="^windows expected stride of at least 1, got 0$"):
        data.windows(series, 4, stride=0)


def test_batches_hold_every_index_once():
    assert [b.tolist() for b in data.batches(5, 2)] == [[0, 1], [2, 3], [4]]
    shuffled = [b.tolist() for b in data.batches(100, 7, np.random.default_rng(0))]
    flat = sum(shuffled, [])
    assert sorted(flat) == list(range(100)) and flat != sorted(flat)
    assert [len(b) for b in shuffled] == [7] * 14 + [2]


def test_padding_by_hand():
    a, b = np.array([[1.0], [3.0]]), np.array([[2.0], [0.0], [4.0]])
    x, lengths = data.pad([a, b])
    assert x[..., 0].tolist() == [[1, 2], [3, 0], [0, 4]]
    assert lengths.tolist() == [2, 3] and lengths.dtype.kind == "i"


def test_padding_gives_every_sequence_back_and_zeros_after_it():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 7, 7, 2)]
    x, lengths = data.pad(sequences)
    assert x.shape == (7, 5, 3) and x.dtype == np.float32
    for b, sequence in enumerate(sequences):
        np.testing.assert_array_equal(x[: lengths[b], b], sequence)
        assert not x[lengths[b] :, b].any()
    assert data.pad([*sequences, np.ones((1, 3))])[0].dtype == np.float64  # no digit is lost


@pytest.mark.parametrize(
    "sequences, message",
    [
        ([], "pad expected at least one sequence, got none"),
        ([np.ones((2, 3)), np.ones((2, 4))],
         "pad expected sequence 1 of shape (time, features 3), got (2, 4)"),
        ([np.ones((2, 3)), np.ones(2)],
         "pad expected sequence 1 with 2 axes (time, features), got shape (2,)"),
        ([np.ones((0, 3))], "pad expected sequence 0 without an empty axis, got shape (0, 3)"),
    ],
)  # fmt: skip
def test_pad_refuses(sequences, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        data.pad(sequences)


def test_the_vowels_are_the_published_ones():
    """Counts as the archive's description gives them; values as printed in its first lines."""
    train, test = data.japanese_vowels()
    assert np.bincount(train.labels).tolist() == [30] * 9
    assert np.bincount(test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    for part, steps, longest in ((train, 4274, 26), (test, 5687, 29)):
        assert part.x.shape == (longest, len(part.labels), 12) and part.x.dtype == np.float32
        assert part.lengths.min() == 7 and part.lengths.max() == longest
        assert part.lengths.sum() == steps and np.isfinite(part.x).all()
        past = np.arange(longest)[:, None] >= part.lengths
        assert not part.x[past].any()
        assert part.x[~past].any(1).all()  # no step of an utterance is all zeros
    first = [1.860936, -0.207383, 0.261557, -0.214562, -0.171253, -0.118167, -0.277557]
    np.testing.assert_array_equal(train.x[0, 0, :7], np.float32(first))
    np.testing.assert_array_equal(train.x[0, 1, :1], np.float32([1.303905]))
    assert train.lengths[0] == 20 and train.x[19, 0, 0] == np.float32(1.261441)


def test_no_utterance_is_in_both_parts():
    train, test = data.japanese_vowels()
    starts = [{tuple(step) for step in part.x[0].tolist()} for part in (train, test)]
    assert len(starts[0]) == 270 and len(starts[1]) == 370 and not starts[0] & starts[1]


def test_the_digits_are_the_published_ones():
    """Counts as the archive gives them for its test set; the first as scikit-learn prints it."""
    train, test = lstm.digits()
    assert train.x.shape == (8, 1297, 8) and test.x.shape == (8, 500, 8)
    assert train.x.dtype == np.float32 and lstm.digits(np.float64)[0].x.dtype == np.float64
    labels = np.concatenate([train.y, test.y])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert train.y[:12].tolist() == [*range(10), 0, 1] and test.y.dtype.kind == "i"
    first = [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0], [0, 3, 15, 2, 0, 11, 8, 0]]
    assert (16 * train.x[:3, 0]).tolist() == first
    for part in (train, test):
        assert part.x.min() == 0 and part.x.max() == 1
    images = {tuple(image.ravel()) for x in (train.x, test.x) for image in x.swapaxes(0, 1)}
    assert len(images) == 1797  # none is there twice


def test_the_text_is_pythons_without_its_repetitions():
    part = lstm.characters()
    sizes = [len(tokens) for tokens in part[:3]]
    assert sizes == [302576, 37822, 37822] and len(part.symbols) == 103
    assert list(part.symbols) == sorted(set(part.symbols)) and part.train.dtype.kind == "i"
    text = "".join(part.symbols[k] for tokens in part[:3] for k in tokens)
    assert text.startswith('The "assert" statement\n**********************\n\nAssert statements are')
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_stored_text_is_that_of_its_python():
    raw, text = data._stored("topics")["text"].tobytes(), lstm.characters()
    assert len(raw.decode()) == 464_970  # characters of pydoc_data.topics in Python 3.11.7
    assert hashlib.sha256(raw).hexdigest().startswith("37d06970fc926e60")
    assert set(raw.decode().split("\n\n")) == set(
        "".join(text.symbols[k] for part in text[:3] for k in part).split("\n\n"))


# The embedded Reber grammar

# Written down from the published drawing, without the package's table of states.
AFTER_X = "(?:XT*VP)*(?:S|XT*VV)E"
REBER = f"B(?:TS*X{AFTER_X}|PT*V(?:VE|P{AFTER_X}))"
EMBEDDED = re.compile(f"B([TP]){REBER}\\1E")


def reber(count=2000, seed=0):
    part = lstm.embedded_reber(count, np.random.default_rng(seed))
    words = ["".join(SYMBOLS[k] for k in part.tokens[:n, b]) for b, n in enumerate(part.lengths)]
    return part, words


@pytest.mark.parametrize("word", ["BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXVPSE"])
def test_published_strings_are_in_the_grammar_and_the_expression(word):
    assert re.fullmatch(REBER, word)
    state = 0
    for symbol in word:
        state = data.REBER[state][symbol]
    assert state == len(data.REBER)


@pytest.mark.parametrize("word", ["BTSSPXSE", "BPTVVB", "BTXXVVSE", "BPVSPSE", "BTSSSE"])
def test_published_strings_that_are_not(word):
    assert not re.fullmatch(REBER, word)
    state = 0
    with pytest.raises(KeyError):
        for symbol in word:
            state = data.REBER[state][symbol]


def test_strings_of_the_embedded_grammar_have_its_form_and_lengths():
    part, words = reber()
    assert all(EMBEDDED.fullmatch(word) for word in words)
    assert min(part.lengths) == 9 and part.tokens.shape == (max(part.lengths), 2000)
    # Mean steps from each state of the inner grammar to its end, by their linear equations.
    moves = np.zeros((7, 7))
    for state, edges in enumerate(data.REBER):
        for to in edges.values():
            if to < 7:
                moves[state, to] += 1 / len(edges)
    inner = np.linalg.solve(np.eye(7) - moves, np.ones(7))[0]
    error = part.lengths.std() / 2000**0.5
    assert abs(part.lengths.mean() - (inner + 4)) < 5 * error
    assert abs(np.mean([word[1] == "T" for word in words]) - 0.5) < 5 * 0.5 / 2000**0.5
    past = np.arange(len(part.tokens))[:, None] >= part.lengths
    assert not part.tokens[past].any() and not part.legal[past].any()


def test_what_is_legal_is_what_follows_somewhere_and_each_with_its_share():
    part, words = reber()
    followers = {}
    for word in words:
        for n in range(1, len(word)):
            followers.setdefault(word[:n], []).append(word[n])
    seen = 0
    for b, word in enumerate(words):
        for t in range(len(word)):
            legal = {SYMBOLS[k] for k in np.flatnonzero(part.legal[t, b])}
            after = followers.get(word[: t + 1], [])
            assert set(after) <= legal and bool(legal) == (t < len(word) - 1)
            if len(after) >= 100:
                seen += 1
                assert legal == set(after)
                share = after.count(after[0]) / len(after)
                assert abs(share - 1 / len(legal)) < 5 * 0.5 / len(after) ** 0.5
    assert seen > 2000
    assert part.legal.dtype == bool and part.legal.sum(-1).max() == 2


def test_the_second_symbol_alone_decides_the_last_but_one():
    part, words = reber(300)
    for b, word in enumerate(words):
        n = part.lengths[b]
        assert np.flatnonzero(part.legal[n - 3, b]).tolist() == [SYMBOLS.index(word[1])]
        assert word[-2] == word[1] and word[-1] == "E"


def test_strings_come_from_the_generator_and_a_count_is_checked():
    a, b = (reber(20, seed=3)[0] for _ in range(2))
    for one, other in zip(a, b):
        np.testing.assert_array_equal(one, other)
    assert reber(20, seed=4)[1] != reber(20, seed=3)[1]
    with pytest.raises(ValueError, match="^embedded_reber expected count of at least 1, got 0$"):
        lstm.embedded_reber(0, np.random.default_rng(0))
