"""Optimizers, clipping, schedules; PyTorch's trajectories are in test_optim_torch below."""

import numpy as np
import pytest

from lstm import SGD, Adam, clip_grad_norm, warmup_exponential


def test_sgd_by_hand_and_in_place():
    p = np.array([1.0, 2.0])
    SGD({"p": p}, 0.1).step({"p": np.array([1.0, -2.0])})
    np.testing.assert_allclose(p, [0.9, 2.2])


def test_adam_equals_algorithm_1_written_out():
    rng = np.random.default_rng(0)
    p, gradients = rng.normal(size=(3, 2)), rng.normal(size=(20, 3, 2))
    expected, m, v = p.copy(), np.zeros((3, 2)), np.zeros((3, 2))
    optimizer = Adam({"p": p}, 0.01, betas=(0.8, 0.95), eps=1e-3)
    for t, g in enumerate(gradients, 1):
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g**2
        expected -= 0.01 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        optimizer.step({"p": g})
        np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    p = np.zeros(4)
    Adam({"p": p}, 0.01).step({"p": np.array([1e-3, -1.0, 50.0, 0.0])})
    np.testing.assert_allclose(p, [-0.01, 0.01, -0.01, 0.0], rtol=1e-4)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_parameters_keep_their_identity_and_dtype(kind):
    p = np.ones(3, np.float32)
    optimizer = kind({"p": p}, 0.1)
    optimizer.step({"p": np.ones(3, np.float32)})
    assert optimizer.params["p"] is p and p.dtype == np.float32 and (p < 1).all()


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf")])
def test_a_learning_rate_must_be_positive(kind, rate):
    message = rf"^{kind.__name__} expected learning_rate above 0 and finite, got {rate}$"
    with pytest.raises(ValueError, match=message):
        kind({"p": np.ones(1)}, rate)
    optimizer = kind({"p": np.ones(1)}, 0.5)
    with pytest.raises(ValueError, match=message):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize("grads", [{}, {"q": np.ones(2)}, {"p": np.ones(3)}, {"p": np.ones(2), "q": np.ones(1)}])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_gradients_must_match_the_parameters(kind, grads):
    p = np.ones(2)
    with pytest.raises(ValueError, match=rf"^{kind.__name__}.step expected gradients .*'p': \(2,\)"):
        kind({"p": p}, 0.1).step(grads)
    assert p.tolist() == [1.0, 1.0]


def test_adam_refuses_bad_betas_and_eps():
    with pytest.raises(ValueError, match=r"^Adam expected betas from 0 to below 1, got \(0.9, 1.0\)$"):
        Adam({}, 1e-3, betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="^Adam expected eps above 0 and finite, got 0$"):
        Adam({}, 1e-3, eps=0)


def test_clipping_scales_the_joint_norm_in_place_and_keeps_the_direction():
    a, b = np.array([3.0, 0.0]), np.array([[4.0]])
    assert clip_grad_norm({"a": a, "b": b}, 1.0) == 5.0
    np.testing.assert_allclose(a, [0.6, 0.0])
    np.testing.assert_allclose(b, [[0.8]])


def test_clipping_leaves_small_and_zero_gradients_alone():
    a = np.array([0.3, 0.4], np.float32)
    norm = clip_grad_norm({"a": a}, 1.0)
    assert norm == pytest.approx(0.5) and a.tolist() == np.array([0.3, 0.4], np.float32).tolist()
    zero = np.zeros(2)
    with np.errstate(all="raise"):
        assert clip_grad_norm({"a": zero}, 1.0) == 0.0


def test_clipping_refuses_a_bad_norm():
    with pytest.raises(ValueError, match="^clip_grad_norm expected max_norm above 0"):
        clip_grad_norm({"a": np.ones(1)}, 0.0)


def test_schedule_warms_up_decays_and_stops_at_the_floor():
    schedule = warmup_exponential(1.0, 0.5, warmup=4, floor=0.1)
    assert [schedule(k) for k in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [schedule(k) for k in range(4, 10)] == [1.0, 0.5, 0.25, 0.125, 0.1, 0.1]
    assert warmup_exponential(2.0, 1.0)(1000) == 2.0


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.1])
def test_schedule_refuses_bad_arguments(decay):
    with pytest.raises(ValueError, match="^warmup_exponential expected decay above 0 and at most 1"):
        warmup_exponential(1.0, decay)
    with pytest.raises(ValueError, match="^warmup_exponential expected rate above 0"):
        warmup_exponential(0.0, 0.9)
