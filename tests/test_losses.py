"""Losses against their definitions; PyTorch's values are in test_torch.py."""

import numpy as np
import pytest

from lstm import cross_entropy, mean_squared_error
from naive import central_differences


def test_mean_squared_error_by_hand_and_by_differences():
    y, target = np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.0, 1.0])
    loss, dy = mean_squared_error(y, target)
    assert loss == (0 + 4 + 9) / 3
    np.testing.assert_allclose(dy, [0, 4 / 3, 2.0])
    expected = central_differences(lambda: ((y - target) ** 2).sum() / 3, y)
    np.testing.assert_allclose(dy, expected, atol=1e-9)


def test_shapes_that_would_broadcast_are_refused():
    message = r"^mean_squared_error expected target of y's shape \(5, 1\), got \(5,\)$"
    with pytest.raises(ValueError, match=message):
        mean_squared_error(np.zeros((5, 1)), np.zeros(5))


def test_cross_entropy_by_hand_and_by_differences():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3, 5)), rng.integers(5, size=(4, 3))

    def loss():
        total = 0.0
        for row, label in zip(logits.reshape(-1, 5), labels.ravel()):
            total -= np.log(np.exp(row[label]) / np.exp(row).sum())
        return total / labels.size

    value, dlogits = cross_entropy(logits, labels)
    assert value == pytest.approx(loss(), rel=1e-12)
    np.testing.assert_allclose(dlogits, central_differences(loss, logits), atol=1e-9)


def test_cross_entropy_of_equal_logits_is_log_k_and_huge_logits_do_not_overflow():
    value, _ = cross_entropy(np.zeros((2, 7)), np.array([0, 6]))
    assert value == pytest.approx(np.log(7))
    with np.errstate(over="raise", invalid="raise"):
        value, dlogits = cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1]))
    assert value == 2e4 and dlogits.dtype == np.float32 and np.isfinite(dlogits).all()


@pytest.mark.parametrize(
    "labels, error, message",
    [
        (np.array([0.0, 1.0]), TypeError, "expected labels of an integer dtype, got float64"),
        (np.array([[0], [1]]), ValueError, r"expected labels of shape \(2,\), got \(2, 1\)"),
        (np.array([0, 3]), ValueError, "expected labels from 0 to 2, got 0 to 3"),
        (np.array([-1, 0]), ValueError, "expected labels from 0 to 2, got -1 to 0"),
    ],
)
def test_bad_labels(labels, error, message):
    with pytest.raises(error, match=f"^cross_entropy {message}$"):
        cross_entropy(np.zeros((2, 3)), labels)
