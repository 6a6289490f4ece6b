"""Sanity checks: healthy models pass all of them, each fails on a fault planted for it."""

import copy
import pickle
import sys

import numpy as np
import pytest

import lstm
import strict_cupy
from lstm import sanity as s
from lstm.losses import cross_entropy, mean_squared_error

RECURRENT = [
    lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU,
]  # fmt: skip
OPTIONS = {
    "plain": {}, "float64": {"dtype": np.float64}, "bidirectional": {"bidirectional": True},
    "dropout": {"num_layers": 2, "dropout": 0.5}, "no bias": {"bias": False},
    "stateful": {"stateful": True},
}  # fmt: skip


def series(seed=0, T=30, B=5, features=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, B, features)), rng.normal(size=(T, B, 1))


def utterances(seed=0, classes=4):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 12, size=12)
    return rng.normal(size=(12, 12, 2)), rng.integers(classes, size=12), lengths


def regressor(kind=lstm.Regressor, recurrent=lstm.LSTM, seed=0, hidden=8, **options):
    return kind(recurrent(2, hidden, rng=seed, **options), 1, rng=seed + 1)


def check(model, x, y, loss=mean_squared_error, seed=0, **options):
    return lstm.sanity_check(model, x, y, loss=loss, rng=np.random.default_rng(seed), **options)


def failed(report):
    return [name for name, found in report.items() if found.passed is False]


# --- healthy models ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recurrent", "options"),
    [(kind, {}) for kind in RECURRENT] + [(lstm.LSTM, o) for o in OPTIONS.values()],
)
def test_a_healthy_regressor_passes(recurrent, options):
    report = check(regressor(recurrent=recurrent, **options), *series())
    assert report.ok and failed(report) == [], report
    skipped = ["time", "halves"] if "bidirectional" in options else []
    assert [name for name, found in report.items() if found.passed is None] == skipped


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hidden", [4, 64])
def test_no_false_alarm_at_either_size(hidden, seed):
    report = check(regressor(hidden=hidden, seed=seed), *series(seed), seed=seed + 100)
    assert report.ok, report


@pytest.mark.parametrize(
    ("given", "options", "pool"),
    [(given, OPTIONS[name], pool) for given in (True, False) for name, pool in
     (("plain", "last"), ("bidirectional", "last"), ("bidirectional", "mean"), ("stateful", "mean"))],
)
def test_a_healthy_classifier_passes(given, options, pool):
    x, y, lengths = utterances()
    x[lengths[0] :, 0] = np.nan if given else 0.0  # past an end anything may be
    model = lstm.LSTMClassifier(2, 8, 4, pool=pool, rng=0, **options)
    report = check(model, x, y, cross_entropy, lengths=lengths if given else None)
    assert report.ok, report
    expected = "a bidirectional model reads the future, as it should"
    if not options.get("bidirectional"):
        expected = "it has one output for the whole sequence"
    assert report["time"] == (None, {}, expected)
    assert report["start"].evidence["theory"] == pytest.approx(np.log(4))


def test_labels_at_every_step_lengths_and_a_layer_alone():
    x, y = series()
    labels = np.random.default_rng(1).integers(3, size=(30, 5))
    model = lstm.LSTMRegressor(2, 8, 3, rng=0)
    assert check(model, x, labels, cross_entropy).ok
    y[7:, 2] = np.nan
    report = check(regressor(), x, y, lengths=[30, 9, 7, 30, 12])
    valid = [y[:n, b] for b, n in enumerate([30, 9, 7, 30, 12])]
    assert report.ok and report["start"].evidence["theory"] == pytest.approx(
        (np.concatenate(valid) ** 2).mean()
    )
    assert check(lstm.LSTM(2, 8, rng=0), x, lstm.LSTM(2, 8, rng=9)(x)[0]).ok


def test_the_sine_of_the_book_passes():
    (x, y), _ = lstm.sine_task()
    assert check(lstm.LSTMRegressor(1, 20, 1, rng=0), x, y).ok


def test_a_loss_of_another_kind_needs_its_value():
    def absolute(y, target):
        return abs(y - target).mean(), np.sign(y - target) / y.size

    x, y = series()
    assert failed(check(regressor(), x, y, absolute)) == ["start"]
    assert check(regressor(), x, y, absolute, expected=float(abs(y).mean())).ok


# --- planted faults --------------------------------------------------------------------------


class OverBatch(lstm.Regressor):
    """Takes the mean over the batch off."""

    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x - x.mean(1, keepdims=True), state, lengths)

    def backward(self, dy, dstate=None):
        dx, dstate = super().backward(dy, dstate)
        return dx - dx.mean(1, keepdims=True), dstate


class OverCount(lstm.Regressor):
    """Divides by the number of sequences."""

    def __call__(self, x, state=None, lengths=None):
        y, state = super().__call__(x, state, lengths)
        return y / x.shape[1], state

    def backward(self, dy, dstate=None):
        return super().backward(dy / dy.shape[1], dstate)


class Reversed(lstm.Regressor):
    """Reads from the end."""

    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x[::-1], state, lengths)

    def backward(self, dy, dstate=None):
        dx, dstate = super().backward(dy, dstate)
        return dx[::-1], dstate


class Forgetful(lstm.Regressor):
    """Drops the state that it is given."""

    def __call__(self, x, state=None, lengths=None):
        return super().__call__(x, None, lengths)


class HalfForgetful(lstm.Regressor):
    """Drops the cell state alone."""

    def __call__(self, x, state=None, lengths=None):
        state = None if state is None else (state[0], 0 * state[1])
        return super().__call__(x, state, lengths)


class Blind(lstm.Regressor):
    """Ignores its input."""

    def __call__(self, x, state=None, lengths=None):
        return super().__call__(0 * x, state, lengths)

    def backward(self, dy, dstate=None):
        dx, dstate = super().backward(dy, dstate)
        return 0 * dx, dstate


class CutGradient(lstm.LSTM):
    """Passes no gradient from step to step, as if the state were data."""

    @staticmethod
    def run_backward(dy, dstate, cache, *weights):
        weights = list(weights)
        weights[1] = 0 * weights[1]
        return lstm.LSTM.run_backward(dy, dstate, cache, *weights)


def dead_readout():
    model = regressor(recurrent=lstm.ReluRNN)
    model.params["recurrent.bias_l0"][...] = -100.0
    return model


def too_large():
    model = regressor()
    model.params["linear.weight"][...] *= 100
    return model


def doubled(y, target):
    value, dy = mean_squared_error(y, target)
    return 2 * value, 2 * dy


def wrong_derivative(y, target):
    value, dy = mean_squared_error(y, target)
    return value, dy / 2


FAULTS = {
    "a loss of twice its size": (regressor, doubled, ["start"]),
    "weights too large": (too_large, mean_squared_error, ["start"]),
    "a loss with a wrong derivative": (regressor, wrong_derivative, ["gradients"]),
    "a gradient cut at each step": (
        lambda: regressor(recurrent=CutGradient), mean_squared_error, ["gradients"]),
    "a mean over the batch": (
        lambda: regressor(OverBatch), mean_squared_error, ["batch", "batch size"]),
    "a division by the batch": (lambda: regressor(OverCount), mean_squared_error, ["batch size"]),
    "time reversed": (lambda: regressor(Reversed), mean_squared_error, ["time", "halves"]),
    "the state dropped": (lambda: regressor(Forgetful), mean_squared_error, ["halves"]),
    "half of the state dropped": (lambda: regressor(HalfForgetful), mean_squared_error, ["halves"]),
    "a dead layer": (dead_readout, mean_squared_error, ["overfit", "input"]),
    "no input": (lambda: regressor(Blind), mean_squared_error, ["overfit", "input"]),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_fails_its_check(fault, seed):
    build, loss, names = fault
    report = check(build(), *series(seed), loss, seed=seed)
    assert not report.ok and failed(report) == names, report


def test_targets_that_were_not_scaled():
    x, y = series()
    assert failed(check(regressor(), x, 1e-3 * y)) == ["start"]
    assert "overfit" in failed(check(regressor(), x, 100 + y))


def test_a_loss_that_takes_in_the_padding():
    x, y = series()
    y[9:] = 0.0

    def padded(prediction, target):
        value, dy = mean_squared_error(prediction, target)
        return 9 / 30 * value, 9 / 30 * dy

    assert failed(check(regressor(), x, y, padded, lengths=[9] * 5)) == ["start"]


def test_targets_that_need_no_input_leave_it_open():
    x, _ = series()
    report = check(regressor(), x, np.ones((30, 5, 1)))
    assert report["input"].passed is None and report.ok
    assert report["input"].meaning == "these targets can be learned without any input"


def test_a_training_that_overflows_has_not_learned():
    def nan(y, target):
        return np.float64("nan"), 0 * y

    batch = s.Batch(*series(), None)
    assert s.overfitted_loss(regressor(), batch, nan, 3, 0.1) == np.inf
    assert failed(check(regressor(), *series(), nan))[0] == "start"


# --- parts, checked by hand ----------------------------------------------------------------------


def test_pieces_are_cut_out_of_one_sequence_each_before_its_end():
    T, B, lengths = 9, 3, np.array([9, 4, 6])
    x = (np.arange(T)[:, None] + 100 * np.arange(B))[:, :, None].astype(float)
    for seed in range(20):
        cut = s.pieces(s.Batch(x, -x, lengths), np.random.default_rng(seed), 7, 5)
        assert cut.x.shape == (4, 7, 1) and np.array_equal(cut.y, -cut.x)
        assert np.array_equal(np.diff(cut.x, axis=0), np.ones((3, 7, 1)))
        assert (cut.x[-1, :, 0] % 100 < lengths[(cut.x[0, :, 0] // 100).astype(int)]).all()
        assert len(set(cut.x[0, :3, 0] // 100)) == 3  # each sequence before one comes again


def test_sequences_with_unlike_labels_come_first():
    x, y, lengths = np.arange(40.0).reshape(5, 8, 1), np.array([2, 2, 2, 0, 0, 2, 2, 1]), np.arange(8) % 5 + 1
    few = s.small_batch(s.Batch(x, y, lengths), np.random.default_rng(0))
    assert sorted(few.y) == [0, 1, 2] and len(few.x) == few.lengths.max()
    alike = s.small_batch(s.Batch(x, 0 * y, None), np.random.default_rng(0))
    assert alike.y.shape == (3,) and alike.x.shape == (5, 3, 1)


def test_the_loss_of_zeros():
    assert s.theoretical_loss(s.Batch(None, np.array([0, 3]), None), 5) == np.log(5)
    y = np.array([[1.0, 2.0], [3.0, 9.0]])[:, :, None]
    assert s.theoretical_loss(s.Batch(None, y, None), 1) == (1 + 4 + 9 + 81) / 4
    assert s.theoretical_loss(s.Batch(None, y, np.array([2, 1])), 1) == (1 + 4 + 9) / 3


def test_a_sampled_gradient_leaves_the_array_as_it_was():
    a = np.arange(6.0).reshape(2, 3)
    found = s.sampled_gradient(lambda: (a**3).sum(), a, np.array([5, 1]))
    np.testing.assert_allclose(found, [75, 3], rtol=1e-8)
    np.testing.assert_array_equal(a, np.arange(6.0).reshape(2, 3))


def test_a_working_copy_shares_nothing():
    model = regressor(num_layers=2, dropout=0.5, stateful=True)
    copied = s.working_copy(model, np.float64)
    assert not any(np.shares_memory(p, copied.params[k]) for k, p in model.params.items())
    assert {p.dtype for p in copied.params.values()} == {np.dtype(np.float64)}
    x = series()[0]
    assert np.array_equal(copied(x)[0], copied(x)[0])  # no dropout, no state


def test_model_and_data_stay_as_they_were():
    x, y = series()
    model = regressor(num_layers=2, dropout=0.5, stateful=True)
    model.backward(model(x)[0])
    before = [pickle.dumps(part) for part in (model, x, y)]
    check(model, x, y)
    assert [pickle.dumps(part) for part in (model, x, y)] == before


def test_the_same_generator_gives_the_same_report():
    assert check(regressor(), *series(), seed=3) == check(regressor(), *series(), seed=3)


def test_the_report_is_a_table():
    report = s.SanityReport({
        "start": s.Check(True, {"loss": 0.5, "allowed": 2.0}, "fine"),
        "time": s.Check(None, {}, "no time"),
    })  # fmt: skip
    assert report.ok and str(report) == repr(report)
    assert str(report).splitlines() == [
        "check      passed   evidence",
        "start      yes      loss 0.5, allowed 2",
        "           fine",
        "time       skipped",
        "           no time",
    ]
    report["halves"] = s.Check(False, {"difference": 1.0}, "lost")
    assert not report.ok and "halves     NO       difference 1" in str(report)


# --- what cannot be checked ----------------------------------------------------------------------


def test_one_sequence_and_one_step():
    model = s.working_copy(regressor(), np.float64)
    x, y = series(T=1, B=1)
    rng, batch = np.random.default_rng(0), s.Batch(x, y, None)
    assert s.check_batch(model, batch) == s.check_batch_size(model, batch) == (
        None, {}, "it needs two sequences")  # fmt: skip
    assert s.check_time(model, batch, rng) == s.check_halves(model, batch) == (
        None, {}, "it needs two steps")  # fmt: skip


def test_bad_arguments():
    x, y = series()
    with pytest.raises(ValueError, match="^sanity_check expected x without NaN or infinity, got some$"):
        check(regressor(), np.nan * x, y)
    with pytest.raises(ValueError, match=r"^sanity_check expected y for the steps and sequences of x \(30, 5\), got"):
        check(regressor(), x, y[:-1])
    with pytest.raises(ValueError, match="^sanity_check expected lengths from 1 to 30, got 31 to 31$"):
        check(regressor(), x, y, lengths=[31] * 5)
    with pytest.raises(ValueError, match="^sanity_check expected steps of at least 1, got 0$"):
        check(regressor(), x, y, steps=0)
    with pytest.raises(ValueError, match="^sanity_check expected learning_rate above 0"):
        check(regressor(), x, y, learning_rate=0.0)
    message = (
        r"^sanity_check expected layers with batch_first=False, got recurrent with True; "
        r"fit takes x as \(time, batch, features\)$"
    )
    with pytest.raises(ValueError, match=message):
        check(regressor(batch_first=True), x, y)


@pytest.mark.parametrize("given", [True, False])
def test_on_the_device(monkeypatch, given):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
    x, y, lengths = utterances()
    model = lstm.LSTMClassifier(2, 8, 4, rng=0, device="cuda")
    on = [lstm.to_device(a, "cuda") for a in (x, y)]
    assert check(model, *on, cross_entropy, lengths=lengths if given else None).ok
    x, y = (lstm.to_device(a, "cuda") for a in series())
    model = lstm.LSTMRegressor(2, 8, 1, rng=0, device="cuda")
    assert check(model, x, y, lengths=[30, 20, 9, 8, 7] if given else None).ok
    assert copy.deepcopy(model).params.keys() == model.params.keys()
