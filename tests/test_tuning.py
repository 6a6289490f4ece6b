"""The range test, against a training by hand at each rate."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from lstm import LSTM, SGD, Adam, Dropout, LSTMRegressor, Regressor, mean_squared_error
from lstm.tuning import rate_before_rise, rate_range_test

RATES = [1e-3, 1e-2, 0.1]


def task() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    return LSTMRegressor(1, 4, 1, rng=1, dtype=np.float64), *rng.normal(size=(2, 6, 5, 1))


def by_hand(model: Any, x: Any, y: Any, rates: Any, pieces: Any) -> list[float]:
    """Plain gradient descent over pieces of (steps, sequences), all of them once at each rate."""
    means = []
    for rate in rates:
        losses, state = [], None
        for steps, sequences, first in pieces:
            prediction, state = model(x[steps, sequences], None if first else state)
            loss, dy = mean_squared_error(prediction, y[steps, sequences])
            model.backward(dy)
            for name, parameter in model.params.items():
                parameter -= rate * model.grads[name]
            losses.append(float(loss))
        means.append(sum(losses) / len(losses))
    return means


@pytest.mark.parametrize(
    ("options", "pieces"),
    [
        ({}, [(slice(0, 6), slice(0, 5), True)]),
        ({"batch_size": 3}, [(slice(0, 6), slice(0, 3), True), (slice(0, 6), slice(3, 5), True)]),
        ({"bptt_length": 4}, [(slice(0, 4), slice(0, 5), True), (slice(4, 6), slice(0, 5), False)]),
    ],
    ids=["whole", "batches", "stretches"],
)
def test_losses_are_those_of_training_on_at_rising_rates(options: Any, pieces: Any) -> None:
    model, x, y = task()
    losses = rate_range_test(model, x, y, RATES, optimizer=SGD, **options)
    expected = by_hand(task()[0], x, y, RATES, pieces)
    assert losses.shape == (3,) and losses.dtype == np.float64
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_the_model_stays_as_it_is() -> None:
    _, x, y = task()
    layer = LSTM(1, 4, num_layers=2, dropout=0.5, stateful=True, rng=3, dtype=np.float64)
    model = Regressor(layer, 1, rng=4)
    before, (_, kept) = {k: p.copy() for k, p in model.params.items()}, model(x)
    model.backward(y)
    grads = {k: g.copy() for k, g in model.grads.items()}
    random = layer._between[0].rng.bit_generator.state
    rate_range_test(model, x, y, RATES, optimizer=SGD)
    assert all(np.array_equal(p, before[k]) for k, p in model.params.items())
    assert all(np.array_equal(g, grads[k]) for k, g in model.grads.items())
    assert layer._between[0].rng.bit_generator.state == random
    assert all(np.array_equal(a, b) for a, b in zip(layer.state, kept))
    assert isinstance(layer._between[0], Dropout) and layer.training


def test_two_tests_of_one_model_agree() -> None:
    model, x, y = task()
    first = rate_range_test(model, x, y, RATES)
    assert np.array_equal(first, rate_range_test(model, x, y, RATES))
    assert np.array_equal(first, rate_range_test(model, x, y, np.array(RATES), optimizer=Adam))


def test_infinite_from_the_rate_at_which_it_diverges(recwarn: Any) -> None:
    model, x, y = task()
    losses = rate_range_test(model, 1e200 * x, 1e200 * y, [1e-300, 1.0, 2.0, 3.0], optimizer=SGD)
    assert losses[0] == math.inf and (losses == math.inf).all()
    losses = rate_range_test(model, x, y, [1e-3, 1e300, 2e300], optimizer=SGD, batch_size=1)
    assert math.isfinite(losses[0]) and losses[1:].tolist() == [math.inf] * 2
    assert not recwarn.list


@pytest.mark.parametrize("rates", [[], [0.1, 0.1], [0.1, 0.01]])
def test_rates_must_rise(rates: Any) -> None:
    model, x, y = task()
    message = f"rate_range_test expected rates that rise, got {rates}"
    with pytest.raises(ValueError, match=re.escape(message)):
        rate_range_test(model, x, y, rates)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_rates_must_be_positive(rate: float) -> None:
    model, x, y = task()
    message = f"rate_range_test expected rates above 0 and finite, got {rate!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        rate_range_test(model, x, y, [1e-3, rate])


def test_bad_data_are_refused_as_by_fit() -> None:
    model, x, y = task()
    with pytest.raises(ValueError, match=re.escape("fit expected x without NaN")):
        rate_range_test(model, x * np.nan, y, RATES)


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([4.0, 3.0, 2.0, 1.0], 4),
        ([4.0, 3.0, 2.0, 2.9], 3),
        ([4.0, 2.0, 3.1, 1.0], 2),  # what falls again after a rise does not count
        ([4.0, 2.0, 3.0, 1.0], 4),  # three is no more than half above two
        ([4.0, 2.0, 2.5, math.inf], 2),
        ([4.0, 2.0, math.nan, 1.0], 2),
        ([1.0, 9.0, 0.1, 0.1], 1),
        ([1.0, 1.4, 1.9, 0.1], 1),  # a slow rise, too
    ],
)
def test_the_rate_before_the_rise(losses: Any, best: int) -> None:
    assert rate_before_rise([1, 2, 3, 4], np.array(losses)) == best


def test_how_much_a_rise_is() -> None:
    assert rate_before_rise([1, 2, 3], [4.0, 4.5, 1.0], rise=1.1) == 1
    assert rate_before_rise([1, 2, 3], [4.0, 4.5, 1.0], rise=1.2) == 3
    for rise in (1.0, 0.5, math.inf, math.nan):
        message = f"rate_before_rise expected rise above 1 and finite, got {rise!r}"
        with pytest.raises(ValueError, match=re.escape(message)):
            rate_before_rise([1, 2], [2.0, 1.0], rise=rise)


@pytest.mark.parametrize("losses", [[], [1.0], [math.inf, 1.0], [math.nan, 1.0]])
def test_losses_that_tell_nothing(losses: Any) -> None:
    message = (
        "rate_before_rise expected a loss for each rate, the first one finite, "
        f"got {losses} for 2 rates"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        rate_before_rise([0.1, 0.2], np.array(losses))
