"""The training loop: what it cuts, carries, refuses and leaves."""

import copy

import numpy as np
import pytest

import lstm
from lstm import training


class Recorder:
    """A model that is not one: notes what fit hands it."""

    def __init__(self):
        self.params = {"p": np.zeros(1)}
        self.grads = {"p": np.ones(1)}
        self.layers = {}
        self.calls = []

    def __call__(self, x, state=None, lengths=None):
        self.calls.append((x.copy(), state))
        return x * 0.0, len(self.calls)

    def backward(self, dy, dstate=None):
        return dy, None


def test_the_sequence_is_cut_and_the_state_carried_within_an_epoch():
    model, x = Recorder(), np.arange(7.0).reshape(7, 1, 1)
    lstm.fit(model, x, x, lstm.SGD(model.params, 0.1), epochs=2, bptt_length=3)
    pieces = [call.ravel().tolist() for call, _ in model.calls]
    assert pieces == [[0, 1, 2], [3, 4, 5], [6]] * 2
    assert [state for _, state in model.calls] == [None, 1, 2, None, 4, 5]


def test_batches_of_sequences_start_from_zeros_and_are_shuffled():
    model, x = Recorder(), np.tile(np.arange(10.0).reshape(1, 10, 1), (4, 1, 1))
    lstm.fit(
        model, x, x, lstm.SGD(model.params, 0.1), epochs=1, batch_size=4, bptt_length=2,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert [state for _, state in model.calls] == [None, 1, None, 3, None, 5]
    seen = [call[0, :, 0].tolist() for call, _ in model.calls]
    assert seen[0] == seen[1] and seen[2] == seen[3]
    assert sorted(seen[0] + seen[2] + seen[4]) == list(range(10)) and seen[0] != [0, 1, 2, 3]


def test_an_epochs_loss_is_the_mean_of_its_updates_and_the_norm_their_largest():
    model, x = Recorder(), np.array([1.0, 1.0, 3.0]).reshape(3, 1, 1)
    history = lstm.fit(
        model, x, x, lstm.SGD(model.params, 0.1), epochs=2, bptt_length=2, clip_norm=0.5,
        schedule=lambda epoch: 0.1 / (epoch + 1),
    )  # fmt: skip
    assert history.loss == [(1 + 9) / 2] * 2
    assert history.learning_rate == [0.1, 0.05]
    assert history.grad_norm[0] == 1.0


def test_one_update_equals_a_gradient_step_by_hand():
    rng = np.random.default_rng(0)
    model = lstm.LSTMRegressor(2, 3, 1, rng=0, dtype=np.float64)
    twin = copy.deepcopy(model)
    x, y = rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 1))
    lstm.fit(model, x, y, lstm.SGD(model.params, 0.3), epochs=1)
    prediction, _ = twin(x)
    twin.backward(2 * (prediction - y) / y.size)
    for name, p in twin.params.items():
        np.testing.assert_allclose(model.params[name], p - 0.3 * twin.grads[name], rtol=1e-12)


def test_the_gradient_stops_at_the_cut():
    """At a tiny rate the two stretches' gradients add (each a mean over half the steps), but for
    the link that was cut: the readout has none, the recurrent layer has."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 1, 1)), rng.normal(size=(6, 1, 1))
    moved = {}
    for length in (3, 6):
        model = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64)
        before = copy.deepcopy(model.params)
        lstm.fit(model, x, y, lstm.SGD(model.params, 1e-6), epochs=1, bptt_length=length)
        moved[length] = {k: p - before[k] for k, p in model.params.items()}
    np.testing.assert_allclose(moved[3]["linear.bias"], 2 * moved[6]["linear.bias"], rtol=1e-3)
    difference = abs(moved[3]["recurrent.bias_l0"] / 2 - moved[6]["recurrent.bias_l0"]).max()
    assert difference > 0.01 * abs(moved[6]["recurrent.bias_l0"]).max()


def test_training_learns_the_sine_below_doing_nothing():
    train, _ = lstm.sine_task()
    model = lstm.LSTMRegressor(1, 20, 1, rng=0)
    schedule = lstm.warmup_exponential(3e-3, 0.8)
    history = lstm.fit(
        model, *train, lstm.Adam(model.params), epochs=20, bptt_length=10, schedule=schedule
    )
    assert history.loss[-1] < 7.9e-5 < history.loss[0]
    assert lstm.evaluate(model, *train) < 7.9e-5


def test_evaluate_is_the_loss_from_a_fresh_state():
    model = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 2, 1))
    assert lstm.evaluate(model, x, x) == pytest.approx(((model(x)[0] - x) ** 2).mean(), rel=1e-12)


def test_a_loss_that_becomes_nan_stops_before_the_update():
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    x = np.ones((4, 2, 1), np.float32)
    before = copy.deepcopy(model.params)
    with pytest.raises(FloatingPointError, match="^update 1 of the epoch: the loss became nan; the parameters were not changed$"):
        lstm.fit(
            model, x, x, lstm.Adam(model.params), epochs=1,
            loss=lambda y, t: (np.float32("nan"), np.full_like(y, np.nan)),
        )  # fmt: skip
    for name, p in model.params.items():
        np.testing.assert_array_equal(p, before[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "y"])
def test_nan_and_infinity_in_the_data_are_refused(value, where):
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    data = {"x": np.ones((4, 2, 1)), "y": np.ones((4, 2, 1))}
    data[where][1, 1] = value
    message = f"expected {where} without NaN or infinity, got some$"
    with pytest.raises(ValueError, match="^fit " + message):
        lstm.fit(model, data["x"], data["y"], lstm.Adam(model.params), epochs=1)
    with pytest.raises(ValueError, match="^evaluate " + message):
        lstm.evaluate(model, data["x"], data["y"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"epochs": 0}, "fit expected epochs of at least 1, got 0"),
        ({"epochs": 1, "bptt_length": 0}, "fit expected bptt_length of at least 1, got 0"),
        ({"epochs": 1, "batch_size": -1}, "fit expected batch_size of at least 1, got -1"),
        ({"epochs": 1, "clip_norm": 0}, "clip_grad_norm expected max_norm above 0"),
        ({"epochs": 1, "clip_value": 0}, "clip_grad_value expected max_value above 0"),
        ({"epochs": 1, "clip_norm": 1.0, "clip_value": 0.5},
         "clip expected clip_norm or clip_value, got both, 1.0 and 0.5$"),
        ({"epochs": 1, "validation": (np.ones((4, 2, 1)), np.ones((4, 3, 1)))},
         r"fit, in validation, expected y for the steps and sequences of x \(4, 2\), got \(4, 3\)$"),
        ({"epochs": 1, "validation": (np.ones((4, 2, 1)), np.full((4, 2, 1), np.nan))},
         "fit, in validation, expected y without NaN or infinity, got some$"),
        ({"epochs": 1, "validation": (np.ones((4, 2, 1)), np.ones((4, 2, 1)), [4, 5])},
         "fit, in validation, expected lengths from 1 to 4, got 4 to 5$"),
    ],
)
def test_bad_options(options, message):
    model, x = lstm.LSTMRegressor(1, 3, 1, rng=0), np.ones((4, 2, 1))
    before = copy.deepcopy(model.params)
    with pytest.raises(ValueError, match=f"^{message}"):
        lstm.fit(model, x, x, lstm.Adam(model.params), **options)
    for name, p in model.params.items():
        np.testing.assert_array_equal(p, before[name])


@pytest.mark.parametrize("validation, got", [
    (np.ones((4, 2, 1)), "ndarray"), ([1, 2], "list"), ((1,), "tuple of 1"), ((1, 2, 3, 4), "tuple of 4"),
])  # fmt: skip
def test_validation_is_a_tuple_of_two_or_three(validation, got):
    model, x = lstm.LSTMRegressor(1, 3, 1, rng=0), np.ones((4, 2, 1))
    message = rf"^fit expected validation as a tuple \(x, y\) or \(x, y, lengths\), got {got}$"
    with pytest.raises(TypeError, match=message):
        lstm.fit(model, x, x, lstm.SGD(model.params), epochs=1, validation=validation)


def test_the_validations_loss_is_that_of_the_model_after_each_epoch():
    """Also with dropout, which stays on in training and draws the same numbers as without."""
    model, x, y = ragged()
    layer = lstm.LSTM(2, 3, num_layers=2, dropout=0.5, rng=0, dtype=np.float64)
    model, twin = (copy.deepcopy(lstm.Regressor(layer, 2, rng=1)) for _ in range(2))
    seen = []
    history = lstm.fit(
        model, x, y, lstm.SGD(model.params, 0.1), epochs=4, validation=(-x, y, LENGTHS),
        callbacks=[lambda *_: seen.append(lstm.evaluate(model, -x, y, lengths=LENGTHS))],
    )  # fmt: skip
    assert history.validation_loss == seen and len(set(seen)) == 4
    assert history.loss == lstm.fit(twin, x, y, lstm.SGD(twin.params, 0.1), epochs=4).loss
    labels = np.array([1, 0, 1])
    model = lstm.LSTMClassifier(2, 3, 2, rng=0, dtype=np.float64)
    history = lstm.fit(model, x, labels, lstm.SGD(model.params, 0.1), epochs=1, loss=lstm.cross_entropy,
                       validation=(x[:, :2], labels[:2]))  # fmt: skip
    assert history.validation_loss == [lstm.evaluate(model, x[:, :2], labels[:2], lstm.cross_entropy)]


def test_a_history_says_which_epochs_were_validated_and_clipped():
    model, x = Recorder(), np.ones((2, 1, 1))
    history = lstm.fit(model, x, x, lstm.SGD(model.params), epochs=2)
    assert history.validation_loss == history.grad_norm == []
    options = {"history": history, "validation": (x, 3 * x), "clip_norm": 1.0}
    lstm.fit(model, x, x, lstm.SGD(model.params), epochs=4, **options)
    np.testing.assert_array_equal(history.validation_loss, [np.nan, np.nan, 9, 9])
    np.testing.assert_array_equal(history.grad_norm, [np.nan, np.nan, 1, 1])


@pytest.mark.parametrize("options, change", [({"clip_norm": 1.0}, [0.06, 0.08]), ({"clip_value": 1.0}, [0.1, 0.1]),
                                             ({}, [0.3, 0.4])])  # fmt: skip
def test_gradients_are_clipped_by_norm_or_by_value(options, change):
    model, x = Recorder(), np.ones((2, 1, 1))
    model.params = {"a": np.zeros(1), "b": np.zeros(1)}
    model.grads = {"a": np.array([-3.0]), "b": np.array([-4.0])}
    history = lstm.fit(model, x, x, lstm.SGD(model.params, 0.1), epochs=1, **options)
    np.testing.assert_allclose([model.params["a"][0], model.params["b"][0]], change)
    assert history.grad_norm == ([5.0] if "clip_norm" in options else [])


def test_a_stateful_layer_goes_on_from_epoch_to_epoch_and_is_evaluated_from_zeros():
    rng = np.random.default_rng(0)
    x, y, other = rng.normal(size=(6, 2, 1)), rng.normal(size=(6, 2, 1)), rng.normal(size=(4, 5, 1))
    model = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64, stateful=True)
    twin, state = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64), None
    fresh = lstm.evaluate(model, other, other)
    optimizer = lstm.SGD(twin.params, 0.1)
    lstm.fit(model, x, y, lstm.SGD(model.params, 0.1), epochs=3, bptt_length=4, validation=(other, other))
    for _ in range(3):
        for piece in (slice(0, 4), slice(4, 6)):
            predicted, state = twin(x[piece], state)
            twin.backward(lstm.mean_squared_error(predicted, y[piece])[1])
            optimizer.step(twin.grads)
    for name, p in twin.params.items():
        np.testing.assert_array_equal(model.params[name], p)
    for a, b in zip(model.recurrent.state, state):
        np.testing.assert_array_equal(a, b)
    assert lstm.evaluate(model, other, other) == lstm.evaluate(twin, other, other) != fresh
    np.testing.assert_array_equal(model.recurrent.state, state)  # set aside, and put back


def test_windows_that_follow_each_other_are_the_series_with_its_state_carried():
    """Consecutive windows, one an update, and one long sequence cut as long: the same training."""
    series = np.random.default_rng(0).normal(size=25)
    x, y = lstm.windows(series, 6, stride=6)
    model, cut = (lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64, stateful=s) for s in (True, False))
    lstm.fit(model, x, y, lstm.SGD(model.params, 0.1), epochs=1, batch_size=1)
    lstm.fit(cut, series[:24, None, None], series[1:, None, None], lstm.SGD(cut.params, 0.1),
             epochs=1, bptt_length=6)  # fmt: skip
    for name, p in cut.params.items():
        np.testing.assert_array_equal(model.params[name], p)
    streams = lstm.windows(series, 12, stride=12)  # two halves side by side, cut along time
    model, calls = Recorder(), []
    lstm.fit(model, *streams, lstm.SGD(model.params, 0.1), epochs=1, bptt_length=6)
    calls = [call[:, :, 0].T.tolist() for call, _ in model.calls]
    assert calls == [[series[:6].tolist(), series[12:18].tolist()], [series[6:12].tolist(), series[18:24].tolist()]]
    assert [state for _, state in model.calls] == [None, 1]


def test_windows_are_shuffled_in_batches_that_hold_each_once():
    series = np.arange(30.0)
    model, split = Recorder(), lstm.windows(series, 4)
    lstm.fit(model, *split, lstm.SGD(model.params, 0.1), epochs=1, batch_size=5, rng=np.random.default_rng(0))
    starts = [int(s) for call, _ in model.calls for s in call[0, :, 0]]
    assert sorted(starts) == list(range(26)) and starts != list(range(26))
    for call, state in model.calls:
        assert state is None and (np.diff(call[:, :, 0], axis=0) == 1).all()


def test_targets_for_other_steps_are_refused():
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    message = r"^fit expected y for the steps and sequences of x \(4, 2\), got \(4, 3\)$"
    with pytest.raises(ValueError, match=message):
        lstm.fit(model, np.ones((4, 2, 1)), np.ones((4, 3, 1)), lstm.Adam(model.params), epochs=1)


def test_the_progress_bar_counts_epochs_and_names_what_it_needs(monkeypatch):
    assert list(training.progress_bar(3, False)) == list(training.progress_bar(3, True)) == [0, 1, 2]
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        training.progress_bar(3, True)


# Sequences of different length

LENGTHS = np.array([4, 1, 3])


def ragged(outputs=2):
    """Return a float64 regressor, and x (4, 3, 2) and y (4, 3, outputs) for it."""
    rng = np.random.default_rng(0)
    model = lstm.LSTMRegressor(2, 3, outputs, rng=rng, dtype=np.float64)
    return model, rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, outputs))


def steps_before_the_ends():
    return [(t, b) for b, end in enumerate(LENGTHS) for t in range(end)]


def test_a_loss_to_the_ends_is_one_over_the_valid_steps():
    model, x, y = ragged()
    predicted = [model(x[:end, b : b + 1])[0] for b, end in enumerate(LENGTHS)]
    expected = np.mean([(predicted[b][t, 0] - y[t, b]) ** 2 for t, b in steps_before_the_ends()])
    assert lstm.evaluate(model, x, y, lengths=LENGTHS) == pytest.approx(expected, rel=1e-12)
    labels = np.random.default_rng(1).integers(2, size=(4, 3))
    each = [
        -np.log(np.exp(s[labels[t, b]]) / np.exp(s).sum())
        for t, b in steps_before_the_ends() for s in [predicted[b][t, 0]]
    ]
    got = lstm.evaluate(model, x, labels, lstm.cross_entropy, LENGTHS)
    assert got == pytest.approx(np.mean(each), rel=1e-12)


def test_the_gradient_of_a_loss_to_the_ends():
    _, x, y = ragged()
    prediction = np.random.default_rng(2).normal(size=y.shape)
    _, dy = training.loss_to_ends(lstm.mean_squared_error, prediction, y, LENGTHS)
    expected = np.zeros_like(y)
    for t, b in steps_before_the_ends():
        expected[t, b] = 2 * (prediction[t, b] - y[t, b]) / (8 * 2)
    np.testing.assert_allclose(dy, expected, rtol=1e-12)


def test_what_lies_past_the_ends_is_no_matter_to_training():
    model, x, y = ragged()
    twin = copy.deepcopy(model)
    past = np.arange(4)[:, None] >= LENGTHS
    spoilt = [np.where(past[..., None], np.nan, a) for a in (x, y)]
    options = {"epochs": 3, "lengths": LENGTHS}
    history = lstm.fit(model, x, y, lstm.SGD(model.params, 0.1), **options)
    again = lstm.fit(twin, *spoilt, lstm.SGD(twin.params, 0.1), **options)
    assert again.loss == history.loss and np.isfinite(history.loss).all()
    for name, p in model.params.items():
        np.testing.assert_array_equal(twin.params[name], p)
    assert lstm.evaluate(twin, *spoilt, lengths=LENGTHS) == lstm.evaluate(model, x, y, lengths=LENGTHS)


def test_nan_before_an_end_is_still_refused():
    model, x, y = ragged()
    x[2, 2] = np.nan  # the last step of the third sequence
    with pytest.raises(ValueError, match="^fit expected x without NaN or infinity, got some$"):
        lstm.fit(model, x, y, lstm.SGD(model.params, 0.1), epochs=1, lengths=LENGTHS)


def test_one_label_a_sequence_goes_with_its_sequence_and_its_length():
    """Batches of shuffled sequences: the update is a gradient step by hand on each in turn."""
    rng = np.random.default_rng(0)
    model = lstm.LSTMClassifier(2, 3, 4, rng=rng, dtype=np.float64)
    twin, x, labels = copy.deepcopy(model), rng.normal(size=(4, 3, 2)), np.array([3, 0, 2])
    lstm.fit(model, x, labels, lstm.SGD(model.params, 0.3), epochs=1, batch_size=1,
             lengths=LENGTHS, loss=lstm.cross_entropy, rng=np.random.default_rng(5))  # fmt: skip
    for b in np.random.default_rng(5).permutation(3):
        logits, _ = twin(x[: LENGTHS[b], b : b + 1])
        p = np.exp(logits) / np.exp(logits).sum()
        p[0, labels[b]] -= 1
        twin.backward(p)
        for name, g in twin.grads.items():
            twin.params[name] -= 0.3 * g
    for name, p in twin.params.items():
        np.testing.assert_allclose(model.params[name], p, rtol=1e-12)


def test_a_class_at_every_step_is_learned_from_the_steps_before_the_ends():
    """Logits (T, B, K), labels (T, B) that are no class past the ends, shuffled groups of two."""
    rng = np.random.default_rng(0)
    model = lstm.Regressor(lstm.LSTM(2, 3, bidirectional=True, rng=rng, dtype=np.float64), 5, rng=rng)
    twin, x = copy.deepcopy(model), rng.normal(size=(4, 3, 2))
    labels = np.where(np.arange(4)[:, None] < LENGTHS, rng.integers(5, size=(4, 3)), -1)
    lstm.fit(model, x, labels, lstm.SGD(model.params, 0.3), epochs=1, batch_size=2,
             lengths=LENGTHS, loss=lstm.cross_entropy, rng=np.random.default_rng(5))  # fmt: skip
    order = np.random.default_rng(5).permutation(3)
    for group in (order[:2], order[2:]):
        sums = {name: 0.0 for name in twin.params}
        for b in group:
            logits, _ = twin(x[: LENGTHS[b], b : b + 1])
            p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
            p[np.arange(LENGTHS[b]), 0, labels[: LENGTHS[b], b]] -= 1
            twin.backward(p / LENGTHS[group].sum())
            sums = {name: sums[name] + g for name, g in twin.grads.items()}
        for name, p in twin.params.items():
            p -= 0.3 * sums[name]
    for name, p in twin.params.items():
        np.testing.assert_allclose(model.params[name], p, rtol=1e-12)


def test_a_class_at_every_step_with_the_state_carried_over_cuts():
    rng = np.random.default_rng(0)
    model = lstm.LSTMRegressor(2, 3, 5, rng=rng, dtype=np.float64)
    twin, x, labels = copy.deepcopy(model), rng.normal(size=(6, 3, 2)), rng.integers(5, size=(6, 3))
    lstm.fit(model, x, labels, lstm.SGD(model.params, 0.3), epochs=1, bptt_length=4, loss=lstm.cross_entropy)
    state = None
    for piece in (slice(0, 4), slice(4, 6)):
        logits, state = twin(x[piece], state)
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        twin.backward((p - (labels[piece, :, None] == np.arange(5))) / labels[piece].size)
        for name, g in twin.grads.items():
            twin.params[name] -= 0.3 * g
    for name, p in twin.params.items():
        np.testing.assert_allclose(model.params[name], p, rtol=1e-12)


def test_evaluate_turns_dropout_off_and_back_also_after_an_error():
    rng = np.random.default_rng(0)
    model = lstm.LSTMClassifier(2, 8, 4, num_layers=2, dropout=0.5, rng=rng, dtype=np.float64)
    x, labels = rng.normal(size=(4, 3, 2)), np.array([3, 0, 2])
    arguments = x, labels, lstm.cross_entropy, LENGTHS
    assert lstm.evaluate(model, *arguments) == lstm.evaluate(model, *arguments)
    assert model.recurrent.training and model.linear.training
    assert not np.array_equal(model(x)[0], model(x)[0])  # dropout is on again
    model.recurrent.training = False
    with pytest.raises(ValueError, match="^cross_entropy expected labels from 0 to 3, got 0 to 9$"):
        lstm.evaluate(model, x, np.array([9, 0, 2]), lstm.cross_entropy, LENGTHS)
    assert not model.recurrent.training and model.linear.training


def test_lengths_are_refused_with_a_cut_and_where_they_do_not_fit():
    model, x, y = ragged()
    message = (
        "^fit expected bptt_length=None with lengths, got 2: "
        "a cut could leave a sequence without a step$"
    )
    optimizer = lstm.SGD(model.params, 0.1)
    with pytest.raises(ValueError, match=message):
        lstm.fit(model, x, y, optimizer, epochs=1, bptt_length=2, lengths=LENGTHS)
    for owner, call in {
        "fit": lambda n: lstm.fit(model, x, y, optimizer, epochs=1, lengths=n),
        "evaluate": lambda n: lstm.evaluate(model, x, y, lengths=n),
    }.items():
        with pytest.raises(ValueError, match=rf"^{owner} expected lengths of shape \(3,\), got \(2,\)$"):
            call([4, 1])


def test_labels_for_other_sequences_are_refused():
    model, x = lstm.LSTMClassifier(2, 3, 4, rng=0), np.ones((4, 3, 2))
    message = r"^fit expected y for the steps and sequences of x \(3,\), got \(2,\)$"
    with pytest.raises(ValueError, match=message):
        lstm.fit(model, x, np.array([0, 1]), lstm.SGD(model.params, 0.1), epochs=1,
                 loss=lstm.cross_entropy)  # fmt: skip


def test_the_error_of_a_nan_names_the_update_and_the_first_broken_parameter():
    model, x = lstm.LSTMRegressor(1, 3, 1, rng=0), np.ones((7, 2, 1), np.float32)

    def breaks(epoch, model, optimizer, history):
        model.params["recurrent.bias_l0"][0] = np.inf
        model.params["linear.weight"][0] = np.nan

    message = (
        "^update 1 of the epoch: the loss became nan; the parameters were not changed, "
        "but recurrent.bias_l0 was already not finite$"
    )
    with pytest.raises(FloatingPointError, match=message):
        lstm.fit(model, x, x, lstm.SGD(model.params), epochs=2, bptt_length=2, callbacks=[breaks])
    calls = iter([1.0, 1.0, np.inf])
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    with pytest.raises(FloatingPointError, match="^update 3 of the epoch: the loss became inf; the parameters were not changed$"):
        lstm.fit(model, x, x, lstm.SGD(model.params), epochs=1, bptt_length=2,
                 loss=lambda y, t: (next(calls), 0 * y))  # fmt: skip


def test_callbacks_are_all_called_after_every_epoch_and_a_true_ends_the_training():
    model, x, calls = Recorder(), np.ones((2, 1, 1)), []

    class Stops:
        def __call__(self, epoch, *rest):
            calls.append(("stops", epoch))
            return epoch == 2

        def finish(self, model):
            calls.append(("finish", model))

    def notes(epoch, model, optimizer, history):
        calls.append((len(history.loss), history.stopped))

    optimizer = lstm.SGD(model.params, 0.1)
    history = lstm.fit(model, x, x, optimizer, epochs=9, callbacks=[Stops(), notes])
    assert calls == [("stops", 0), (1, False), ("stops", 1), (2, False), ("stops", 2), (3, True),
                     ("finish", model)]  # fmt: skip
    assert len(history.loss) == 3 and history.stopped


def test_epochs_are_counted_on_from_a_history():
    model, x, seen = Recorder(), np.ones((2, 1, 1)), []
    options = {"schedule": lambda epoch: seen.append(epoch) or 0.1 / (epoch + 1)}
    optimizer = lstm.SGD(model.params, 0.1)
    first = lstm.fit(model, x, x, optimizer, epochs=2, **options)
    whole = lstm.fit(model, x, x, optimizer, epochs=5, history=first, **options)
    assert whole is first and seen == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(whole.learning_rate, [0.1 / (k + 1) for k in range(5)])
    assert len(lstm.fit(model, x, x, optimizer, epochs=3, history=whole).loss) == 5
    assert list(training.progress_bar(5, False, 3)) == list(training.progress_bar(5, True, 3)) == [3, 4]


def language(seed=0):
    """Tokens (T, B) of different length in which each is followed by its successor of five."""
    rng = np.random.default_rng(seed)
    tokens = (np.arange(9)[:, None] + rng.integers(0, 5, size=8)) % 5
    lengths = rng.integers(3, 9, size=8)
    return tokens[:-1], tokens[1:].copy(), lengths


def speaker(seed=0, **options):
    rng = np.random.default_rng(seed)
    return lstm.Sequential(
        embedding=lstm.Embedding(5, 3, rng=rng), recurrent=lstm.GRU(3, 8, rng=rng, **options),
        dropout=lstm.Dropout(0.1, rng=rng), readout=lstm.Linear(8, 5, rng=rng),
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"bptt_length": 3}, {"batch_size": 3}])
def test_tokens_are_learned_with_labels_at_every_step(options):
    x, y, lengths = language()
    model = speaker()
    if "bptt_length" not in options:
        options = options | {"lengths": lengths}
    lstm.fit(model, x, y, lstm.Adam(model.params, 0.03), loss=lstm.cross_entropy, epochs=60, **options)
    assert lstm.evaluate(model, x, y, lstm.cross_entropy, options.get("lengths")) < 0.1


def test_what_lies_past_an_end_of_tokens_changes_nothing():
    x, y, lengths = language()
    losses = []
    for padding in (0, 4):
        past = np.arange(8)[:, None] >= lengths
        x[past], y[past] = padding, padding
        model = speaker()
        history = lstm.fit(model, x, y, lstm.Adam(model.params, 0.03), loss=lstm.cross_entropy, epochs=3, lengths=lengths)
        losses.append([*history.loss, lstm.evaluate(model, x, y, lstm.cross_entropy, lengths)])
    assert losses[0] == losses[1]


def test_the_loss_at_every_step_is_the_mean_over_the_steps_before_the_ends():
    x, y, lengths = language()
    model = speaker()
    with training.evaluating(model):
        logits = model(x, None, lengths)[0].astype(float)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    terms = [-np.log(p[t, b, y[t, b]]) for b, n in enumerate(lengths) for t in range(n)]
    assert abs(lstm.evaluate(model, x, y, lstm.cross_entropy, lengths) - np.mean(terms)) < 1e-6


@pytest.mark.parametrize(
    "x, y, error, text",
    [
        ([[[1.0]]], np.ones((1, 1, 1)), TypeError, "x as an array, got list"),
        (np.ones((1, 1, 1)), [[[1.0]]], TypeError, "y as an array, got list"),
        (np.ones(3), np.ones(3), ValueError, r"x with axes time and batch, none empty, got shape \(3,\)"),
        (np.ones((3, 0, 1)), np.ones((3, 0, 1)), ValueError, r"x with .*, got shape \(3, 0, 1\)"),
        (np.ones((0, 2, 1)), np.ones((0, 2, 1)), ValueError, r"x with .*, got shape \(0, 2, 1\)"),
    ],
)  # fmt: skip
def test_data_that_hold_no_sequences_are_refused_by_name(x, y, error, text):
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    for owner in ("fit", "evaluate"):
        with pytest.raises(error, match=f"^{owner} expected {text}$"):
            if owner == "fit":
                lstm.fit(model, x, y, lstm.Adam(model.params), epochs=1)
            else:
                lstm.evaluate(model, x, y)
