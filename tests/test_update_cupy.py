"""What one update of `fit` asks of a GPU: launches, transfers, waiting. Counted on the stand-in."""

import sys

import numpy as np
import pytest

import lstm
import strict_cupy

UPDATES = 4  # in an epoch


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())


def per_epoch(model, x, y, optimizer, **options):
    """Return what an epoch adds to each count: that of three without that of one.

    The first fit of all sends what is kept from then on, the factors of the gates.
    """
    found = []
    for epochs in (1, 1, 3):
        steps = optimizer(model.params, 0.01)
        with strict_cupy.counted() as counts:
            lstm.fit(model, x, y, steps, epochs=epochs, **options)
        found.append(counts)
    return {name: (found[2][name] - n) / 2 for name, n in found[1].items()}


def waves(T=20, B=4):
    steps = np.arange(T)[:, None, None] + np.arange(B)[:, None]
    return lstm.to_device(np.sin(0.3 * steps), "cuda")


OPTIONS = {
    "SGD": (lstm.SGD, {}),
    "Adam": (lstm.Adam, {}),
    "Adam, norm clipped": (lstm.Adam, {"clip_norm": 0.1}),
    "Adam, entries clipped": (lstm.Adam, {"clip_value": 0.1}),
    "AdamW, shuffled": (lstm.AdamW, {"rng": np.random.default_rng(0)}),
}


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
@pytest.mark.parametrize("optimizer, options", OPTIONS.values(), ids=OPTIONS)
def test_an_update_waits_once_and_an_epoch_sends_once(kind, optimizer, options):
    x, model = waves(), lstm.Regressor(kind(1, 5, num_layers=2, rng=0, device="cuda"), 1, rng=0)
    counts = per_epoch(model, x, x, optimizer, bptt_length=5, **options)
    print(counts)
    assert counts["syncs"] == counts["downloads"] == UPDATES  # the loss and the norm, together
    assert counts["uploads"] == 1  # which sequences are in which update


def test_labels_wait_no_more_than_numbers():
    x, y = waves(), lstm.to_device(np.arange(4) % 3, "cuda")
    model = lstm.LSTMClassifier(1, 5, 3, rng=0, device="cuda")
    counts = per_epoch(model, x, y, lstm.Adam, loss=lstm.cross_entropy, batch_size=1)
    print(counts)
    assert counts["syncs"] == counts["downloads"] == UPDATES
    assert counts["uploads"] == 1


@pytest.mark.parametrize("bad", [3, -1])
def test_a_label_that_is_no_class_makes_the_loss_nan_without_waiting(bad):
    logits, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, bad, 2])
    arrays = [lstm.to_device(a, "cuda") for a in (logits, labels)]
    with strict_cupy.without_waiting(uploads=0):
        loss, dlogits = lstm.cross_entropy(*arrays)
    assert np.isnan(float(loss)) and np.isfinite(dlogits.get()).all()
    x, model = waves(), lstm.LSTMClassifier(1, 5, 3, rng=0, device="cuda")
    before = {name: p.get() for name, p in model.params.items()}
    with pytest.raises(FloatingPointError, match="^update 1 of the epoch: the loss became nan"):
        lstm.fit(model, x, lstm.to_device(labels, "cuda"), lstm.Adam(model.params), epochs=1,
                 loss=lstm.cross_entropy)  # fmt: skip
    for name, p in model.params.items():
        np.testing.assert_array_equal(p.get(), before[name])


def test_scalars_are_read_together():
    on = [lstm.to_device(np.array(a), "cuda") for a in (1.5, np.float32(2.5))]
    from lstm.backend import to_floats

    with strict_cupy.counted() as counts:
        assert to_floats(*on, 3.0) == [1.5, 2.5, 3.0]
    assert counts["syncs"] == counts["downloads"] == 1
    assert to_floats(np.float32(1.5), 2) == [1.5, 2.0]


def test_a_gradient_that_is_not_finite_is_named_before_it_is_clipped():
    x, model = waves(), lstm.LSTMRegressor(1, 3, 1, rng=0, device="cuda")

    def steep(y, target):
        loss, dy = lstm.mean_squared_error(y, target)
        return loss, dy * 1e38

    with pytest.raises(
        FloatingPointError, match="the gradient of .* has no finite square; the para"
    ):
        lstm.fit(model, x, x, lstm.Adam(model.params), epochs=1, loss=steep, clip_value=0.1)


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU])
def test_a_step_more_is_one_launch_more_in_each_direction_of_each_layer(kind):
    launches = []
    for steps in (5, 10):
        x, model = (
            waves(4 * steps),
            lstm.Regressor(kind(1, 5, num_layers=2, rng=0, device="cuda"), 1, rng=0),
        )
        counts = per_epoch(model, x, x, lstm.SGD, bptt_length=steps)
        launches.append(counts["launches"] / UPDATES)
    assert launches[1] - launches[0] == 5 * 2 * 2


def test_what_optimizers_and_clipping_launch_for_each_parameter():
    def launches(optimizer, **options):
        model = lstm.LSTMRegressor(1, 5, 1, rng=0, device="cuda")
        counts = per_epoch(model, x, x, optimizer, bptt_length=5, **options)
        return counts["launches"] / UPDATES, len(model.params)

    x = waves()
    plain, number = launches(lstm.SGD)
    assert launches(lstm.Adam)[0] - plain == 11 * number
    assert launches(lstm.SGD, clip_norm=0.1)[0] - plain == number + 2  # and the factor, for all
    assert launches(lstm.SGD, clip_value=0.1)[0] - plain == number
    assert plain < 100
