"""Data sets and how they are cut."""

import re

import numpy as np
import pytest

from lstm import data


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
        (np.zeros((5, 1)), 2, 1, "windows expected series with 1 axes (time), got shape (5, 1)"),
        (np.zeros(5), 0, 1, "windows expected length of at least 1, got 0"),
        (np.zeros(5), 2, 0, "windows expected horizon of at least 1, got 0"),
    ],
)
def test_windows_refuse(series, length, horizon, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        data.windows(series, length, horizon)


def test_batches_hold_every_index_once():
    assert [b.tolist() for b in data.batches(5, 2)] == [[0, 1], [2, 3], [4]]
    shuffled = [b.tolist() for b in data.batches(100, 7, np.random.default_rng(0))]
    flat = sum(shuffled, [])
    assert sorted(flat) == list(range(100)) and flat != sorted(flat)
    assert [len(b) for b in shuffled] == [7] * 14 + [2]
