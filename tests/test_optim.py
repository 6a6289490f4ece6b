"""Optimizers, clipping, schedules, by hand and against PyTorch's, stored by data/make_optim.py."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lstm import (
    SGD,
    Adam,
    AdamW,
    Momentum,
    Plateau,
    RMSprop,
    clip_grad_norm,
    clip_grad_value,
    cosine,
    warmup_exponential,
)
from lstm.optim import Optimizer, Watch

STORED = np.load(Path(__file__).parent / "data" / "optim.npz", allow_pickle=False)
KINDS = [SGD, Momentum, RMSprop, Adam, AdamW]
LIKE_TORCH = {  # as in make_optim.py
    "SGD": lambda p: SGD(p, 0.015),
    "Momentum": lambda p: Momentum(p, 0.015),
    "Nesterov": lambda p: Momentum(p, 0.015, nesterov=True),
    "RMSprop": lambda p: RMSprop(p),
    "RMSprop_eps": lambda p: RMSprop(p, alpha=0.9, eps=1e-3),
    "Adam": lambda p: Adam(p, 0.05),
    "Adam_eps": lambda p: Adam(p, 0.05, betas=(0.8, 0.95), eps=1e-3),
    "AdamW": lambda p: AdamW(p, 0.05),
    "AdamW_decay": lambda p: AdamW(p, 0.05, betas=(0.8, 0.95), weight_decay=0.5),
}


def bowl(dtype=np.float64):
    """Return the stored problem: the parameters to start from, and their gradient."""
    names = ("weight", "bias")
    scale, best = ({k: STORED[f"{k}.{part}"].astype(dtype) for k in names} for part in ("scale", "best"))
    start = {k: STORED[f"{k}.start"].astype(dtype) for k in names}
    return start, lambda params: {k: scale[k] * (p - best[k]) for k, p in params.items()}


@pytest.mark.parametrize(("bits", "tolerance"), [("", 1e-12), ("32.", 1e-6)])
@pytest.mark.parametrize("name", LIKE_TORCH)
def test_a_hundred_steps_equal_pytorchs(name, bits, tolerance):
    params, gradient = bowl(np.float32 if bits else np.float64)
    optimizer = LIKE_TORCH[name](params)
    for n in range(100):
        optimizer.step(gradient(params))
        for k, p in params.items():
            expected = STORED[f"{bits}{name}.{k}"][n + 1]
            assert p.dtype == expected.dtype
            np.testing.assert_allclose(p, expected, rtol=tolerance, atol=tolerance)


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


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_keep_their_identity_and_dtype(kind):
    p = np.ones(3, np.float32)
    optimizer = kind({"p": p}, 0.1)
    optimizer.step({"p": np.ones(3, np.float32)})
    assert optimizer.params["p"] is p and p.dtype == np.float32 and (p < 1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf")])
def test_a_learning_rate_must_be_positive(kind, rate):
    message = rf"^{kind.__name__} expected learning_rate above 0 and finite, got {rate}$"
    with pytest.raises(ValueError, match=message):
        kind({"p": np.ones(1)}, rate)
    optimizer = kind({"p": np.ones(1)}, 0.5)
    with pytest.raises(ValueError, match=message):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(("grads", "fault"), [
    ({}, "missing: p"),
    ({"q": np.ones(2)}, "missing: p; unexpected: q"),
    ({"p": np.ones(3)}, r"different: p float64 \(3,\) instead of float64 \(2,\)"),
    ({"p": np.ones(2), "q": np.ones(1)}, "unexpected: q"),
])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_must_match_the_parameters(kind, grads, fault):
    p = np.ones(2)
    optimizer = kind({"p": p}, 0.1)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=f"^{kind.__name__}.step expected other arrays; {fault}$"):
        optimizer.step(grads)
    assert p.tolist() == [1.0, 1.0] and all((optimizer.state_dict()[k] == a).all() for k, a in before.items())


def test_adam_refuses_bad_betas_and_eps():
    with pytest.raises(ValueError, match=r"^Adam expected betas from 0 to below 1, got \(0.9, 1.0\)$"):
        Adam({}, 1e-3, betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="^Adam expected eps above 0 and finite, got 0$"):
        Adam({}, 1e-3, eps=0)


def test_momentum_by_hand():
    plain, nesterov = np.array([1.0]), np.array([1.0])
    optimizers = Momentum({"p": plain}, 0.1, 0.5), Momentum({"p": nesterov}, 0.1, 0.5, nesterov=True)
    for dp, after in ((2.0, (0.8, 0.7)), (-1.0, (0.8, 0.8))):  # u: 2, then 0; ahead: 3, then -1
        for optimizer in optimizers:
            optimizer.step({"p": np.array([dp])})
        np.testing.assert_allclose((plain[0], nesterov[0]), after)


def test_rmsprop_by_hand():
    p = np.array([1.0])
    optimizer = RMSprop({"p": p}, 0.1, alpha=0.75)
    optimizer.step({"p": np.array([4.0])})  # v = 16 / 4
    np.testing.assert_allclose(p, 1 - 0.1 * 4 / 2)
    optimizer.step({"p": np.array([0.0])})
    np.testing.assert_allclose((p[0], optimizer.v["p"][0]), (0.8, 3.0))


def test_weight_decay_shrinks_every_entry_by_the_same_factor_whatever_its_gradient():
    p = np.array([1.0, 2.0, -3.0])
    optimizer, free = AdamW({"p": p}, 0.1, weight_decay=0.5), Adam({"q": np.zeros(3)}, 0.1)
    optimizer.step({"p": np.zeros(3)})
    np.testing.assert_allclose(p, [0.95, 1.9, -2.85])
    free.params["q"][...], dp = p, np.array([1e-3, 1.0, 1e3])
    free.steps = 1  # Adam's own part is Adam's
    optimizer.step({"p": dp})
    free.step({"q": dp})
    np.testing.assert_allclose(p, free.params["q"] - 0.05 * np.array([0.95, 1.9, -2.85]), rtol=1e-12)


def test_adamw_without_decay_is_adam():
    paths = [np.ones(3), np.ones(3)]
    optimizers = Adam({"p": paths[0]}, 0.1), AdamW({"p": paths[1]}, 0.1, weight_decay=0.0)
    for dp in np.random.default_rng(0).normal(size=(10, 3)):
        for optimizer in optimizers:
            optimizer.step({"p": dp})
    assert (paths[0] == paths[1]).all()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Momentum({}, 0.1, 1.0), "Momentum expected momentum from 0 to below 1, got 1.0"),
    (lambda: Momentum({}, 0.1, -0.1), "Momentum expected momentum from 0 to below 1, got -0.1"),
    (lambda: RMSprop({}, alpha=1.0), "RMSprop expected alpha from 0 to below 1, got 1.0"),
    (lambda: RMSprop({}, alpha=float("nan")), "RMSprop expected alpha from 0 to below 1, got nan"),
    (lambda: RMSprop({}, eps=0), "RMSprop expected eps above 0 and finite, got 0"),
    (lambda: AdamW({}, betas=(1.0, 0.9)), r"AdamW expected betas from 0 to below 1, got \(1.0, 0.9\)"),
    (lambda: AdamW({}, eps=0), "AdamW expected eps above 0 and finite, got 0"),
    (lambda: AdamW({}, weight_decay=-0.1), "AdamW expected weight_decay at least 0 and finite, got -0.1"),
    (lambda: AdamW({}, weight_decay=np.inf), "AdamW expected weight_decay at least 0 and finite, got inf"),
])  # fmt: skip
def test_bad_values_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_an_optimizer_must_define_update():
    class Lazy(Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="^Lazy must define update$"):
        Lazy({"p": np.ones(1)}, 0.1).step({"p": np.ones(1)})


@pytest.mark.parametrize("name", LIKE_TORCH)
def test_a_loaded_state_goes_on_as_if_nothing_had_happened(name):
    params, gradient = bowl()
    optimizer = LIKE_TORCH[name](params)
    for _ in range(7):
        optimizer.step(gradient(params))
    optimizer.learning_rate = 0.01
    state, copies = optimizer.state_dict(), {k: p.copy() for k, p in params.items()}
    kept = {k: a.copy() for k, a in state.items()}
    other = LIKE_TORCH[name](copies)
    other.load_state_dict(state)
    assert (other.learning_rate, other.steps) == (0.01, 7)
    for _ in range(5):
        optimizer.step(gradient(params))
        other.step(gradient(copies))
    for k in params:
        assert (params[k] == copies[k]).all()
    assert all((state[k] == a).all() for k, a in kept.items())  # both sides hold copies


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_made_of_arrays(kind):
    p = np.ones((2, 3), np.float32)
    state = kind({"p": p}, 0.1).state_dict()
    slots = {SGD: [], Momentum: ["u.p"], RMSprop: ["v.p"]}.get(kind, ["m.p", "v.p"])
    assert list(state) == ["learning_rate", "steps", *slots]
    assert state["learning_rate"].dtype == np.float64 and state["steps"].dtype == np.int64
    assert all(state[k].shape == () for k in ("learning_rate", "steps"))
    assert all(state[k].shape == (2, 3) and state[k].dtype == np.float32 for k in slots)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    optimizer = Adam({"p": np.ones(2), "q": np.ones(3)}, 0.1)
    optimizer.step({"p": np.ones(2), "q": np.ones(3)})
    before = optimizer.state_dict()
    state = {k: 0 * a + 1 for k, a in before.items() if k != "m.p"} | {"u.p": np.ones(2), "v.q": np.ones(4)}
    message = (
        "^Adam.load_state_dict expected other arrays; missing: m.p; unexpected: u.p; "
        r"different: v.q float64 \(4,\) instead of float64 \(3,\)$"
    )
    bad_rate = {k: a + 1 for k, a in before.items()} | {"learning_rate": np.array(-1.0)}
    for given, expected in ((state, message), (bad_rate, "^Adam expected learning_rate above 0")):
        with pytest.raises(ValueError, match=expected):
            optimizer.load_state_dict(given)
        assert all((optimizer.state_dict()[k] == a).all() for k, a in before.items())


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
    with pytest.raises(ValueError, match=r"^warmup_exponential expected floor from 0 to the rate 1.0, got 2.0$"):
        warmup_exponential(1.0, 0.9, floor=2.0)


@pytest.mark.parametrize("make", [
    lambda **given: warmup_exponential(1.0, 0.9, **given), lambda **given: cosine(1.0, 10, **given),
])  # fmt: skip
@pytest.mark.parametrize(("given", "error", "message"), [
    ({"warmup": -1}, ValueError, "expected warmup of at least 0, got -1"),
    ({"warmup": 2.0}, TypeError, "expected warmup as an int, got 2.0"),
    ({"warmup": True}, TypeError, "expected warmup as an int, got True"),
    ({"floor": -1e-3}, ValueError, "expected floor from 0 to the rate 1.0, got -0.001"),
    ({"floor": 1.5}, ValueError, "expected floor from 0 to the rate 1.0, got 1.5"),
    ({"floor": float("nan")}, ValueError, "expected floor from 0 to the rate 1.0, got nan"),
])  # fmt: skip
def test_schedules_refuse_a_bad_warmup_or_floor(make, given, error, message):
    with pytest.raises(error, match=rf"^(warmup_exponential|cosine) {message}$"):
        make(**given)


def test_cosine_by_hand():
    schedule = cosine(1.0, 8, warmup=4, floor=0.5)
    np.testing.assert_allclose([schedule(k) for k in (0, 1, 2, 3)], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose([schedule(k) for k in (4, 6, 8)], [1.0, 0.75, 0.5])
    assert schedule(9) == schedule(1000) == 0.5
    assert cosine(2.0, 5)(5) == 0.0


@pytest.mark.parametrize(("name", "schedule"), [
    ("cosine", cosine(0.1, 100, floor=1e-3)),
    ("warm_cosine", cosine(0.1, 100, warmup=10, floor=1e-3)),
    ("warm_exponential", warmup_exponential(0.1, 0.95, warmup=10)),
])  # fmt: skip
def test_schedules_equal_pytorchs(name, schedule):
    expected = STORED[f"rate.{name}"]
    np.testing.assert_allclose([schedule(k) for k in range(101)], expected, rtol=0, atol=1e-12)


def test_cosine_refuses_bad_steps():
    with pytest.raises(ValueError, match="^cosine expected rate above 0 and finite, got 0$"):
        cosine(0, 10)
    with pytest.raises(ValueError, match="^cosine expected steps above warmup 10, got 10$"):
        cosine(1.0, 10, warmup=10)
    with pytest.raises(TypeError, match="^cosine expected steps as an int, got 10.0$"):
        cosine(1.0, 10.0)


def rates_after(plateau, losses, rate, name="loss"):
    """Return the rate after each of the losses, by the callback as `fit` calls it."""
    optimizer, rates = SGD({"p": np.zeros(1)}, rate), []
    history = SimpleNamespace(loss=[], validation_loss=[])
    for epoch, loss in enumerate(losses):
        history.loss.append(loss if name == "loss" else -1.0 * epoch)
        history.validation_loss += [loss] if name == "validation_loss" else []
        assert plateau(epoch, None, optimizer, history) is None  # it ends no training
        rates.append(optimizer.learning_rate)
    return rates


@pytest.mark.parametrize("name", ["loss", "validation_loss"])
def test_plateau_equals_pytorchs(name):
    plateau = Plateau(factor=0.5, patience=3, threshold=1e-2, floor=1e-3)
    rates = rates_after(plateau, STORED["plateau.loss"].tolist(), 0.1, name)
    np.testing.assert_allclose(rates, STORED["plateau.rate"], rtol=0, atol=1e-12)
    assert len(set(rates)) == 8  # it fell seven times


def test_plateau_by_hand():
    plateau = Plateau(factor=0.5, patience=1, threshold=0.1, floor=0.3)
    losses = [10.0, 9.5, 9.1, 8.9, float("nan"), 8.9, 8.9, 8.9, 1.0]
    assert rates_after(plateau, losses, 1.0) == [1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
    assert rates_after(Plateau(patience=0, factor=0.5), [1.0, 1.0], 1.0) == [1.0, 0.5]
    assert rates_after(Plateau(patience=0, floor=0.3), [1.0] * 3, 0.2) == [0.2] * 3  # never raised


def test_a_watch_takes_neither_an_equal_loss_nor_nan_for_a_better_one():
    watch = Watch()
    seen = [(watch.improved(loss), watch.best, watch.waited) for loss in (2.0, 2.0, np.nan, 1.0, 1.5)]
    assert seen == [(True, 2, 0), (False, 2, 1), (False, 2, 2), (True, 1, 0), (False, 1, 1)]
    assert not watch.improved(0.9, 0.1) and watch.improved(0.89, 0.1)


def test_a_plateau_goes_on_from_its_state():
    losses = STORED["plateau.loss"].tolist()
    whole = rates_after(Plateau(factor=0.5, patience=3), losses, 0.1)
    for cut in range(1, len(losses)):
        first, second = (Plateau(factor=0.5, patience=3) for _ in range(2))
        rates = rates_after(first, losses[:cut], 0.1)
        second.load_state_dict(first.state_dict())
        assert rates + rates_after(second, losses[cut:], rates[-1]) == whole


@pytest.mark.parametrize(("given", "error", "message"), [
    ({"factor": 0.0}, ValueError, "factor above 0 and finite, got 0.0"),
    ({"factor": 1.0}, ValueError, "factor from 0 to below 1, got 1.0"),
    ({"patience": -1}, ValueError, "patience of at least 0, got -1"),
    ({"patience": 1.5}, TypeError, "patience as an int, got 1.5"),
    ({"threshold": 1.0}, ValueError, "threshold from 0 to below 1, got 1.0"),
    ({"floor": -1.0}, ValueError, "floor from 0 and finite, got -1.0"),
    ({"floor": np.nan}, ValueError, "floor from 0 and finite, got nan"),
])  # fmt: skip
def test_plateau_refuses_bad_values(given, error, message):
    with pytest.raises(error, match=f"^Plateau expected {message}$"):
        Plateau(**given)


def test_clipping_by_value_limits_each_entry_in_place():
    a, b = np.array([3.0, -0.5, -7.0], np.float32), np.array([[0.0]])
    clip_grad_value({"a": a, "b": b}, 1.0)
    assert a.tolist() == [1.0, -0.5, -1.0] and b.tolist() == [[0.0]] and a.dtype == np.float32
    with pytest.raises(ValueError, match="^clip_grad_value expected max_value above 0 and finite, got 0$"):
        clip_grad_value({"a": a}, 0)
