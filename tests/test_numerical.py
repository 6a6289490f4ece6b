"""Difference quotients and the comparison with them, on known answers."""

import numpy as np
import pytest

import lstm
from lstm import numerical as n


def test_numerical_gradient_of_a_cubic_and_its_array_put_back():
    a = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = a.copy()
    got = n.numerical_gradient(lambda: (a**3).sum(), a)
    np.testing.assert_allclose(got, 3 * a**2, rtol=1e-8)
    np.testing.assert_array_equal(a, before)


def test_a_quotient_divides_by_the_distance_that_was_moved():
    a = np.array([1000.0], np.float32)  # one rounding is 6e-5, so a step of 1e-4 is not 1e-4
    assert n.difference_quotient(lambda: 3.0 * float(a[0]), a, (0,), 1e-4) == pytest.approx(3.0, rel=1e-12)
    assert a[0] == 1000.0


def test_a_step_that_moves_nothing_is_refused():
    a = np.array([1000.0], np.float32)
    message = "^difference_quotient expected a step that moves 1e.03 in float32, got 1e-06$"
    with pytest.raises(ValueError, match=message):
        n.difference_quotient(lambda: float(a[0]), a, (0,), 1e-6)


def test_relative_error():
    assert n.relative_error(np.array([1.0, 10.0]), np.array([1.0, 8.0])) == pytest.approx(0.2)
    assert n.relative_error(np.zeros(2), np.zeros(2)) == 0.0
    assert n.relative_error(np.zeros(2), np.array([0.0, 1e-9])) == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_equal(bad):
    broken, sound = np.array([bad, 1.0]), np.ones(2)
    for pair in ((broken, sound), (sound, broken), (broken, broken)):
        with np.errstate(invalid="ignore"):
            assert n.relative_error(*pair) == np.inf


def some_layer(kind=lstm.LSTM, dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    layer = kind(3, 4, rng=rng, dtype=dtype, **options)
    return layer, rng.normal(size=(5, 2, 3)).astype(dtype), rng


def test_the_random_loss_is_the_sum_of_its_terms_and_has_these_gradients():
    layer, x, rng = some_layer()
    loss = n.RandomLoss(layer, x, None, None, rng)
    y, (h, c) = layer(x)
    expected = sum((w * part).sum() for w, part in zip(loss.weights, (y, h, c)))
    assert loss() == pytest.approx(expected, rel=1e-12)
    gradients = loss.gradients()
    layer(x)
    dx, dstate = layer.backward(loss.weights[0], tuple(loss.weights[1:]))
    for name, expected in {"x": dx, "state[0]": dstate[0], "state[1]": dstate[1], **layer.grads}.items():
        np.testing.assert_array_equal(gradients[name], expected)


def test_entries_are_drawn_and_names_chosen():
    layer, x, rng = some_layer()
    whole = n.compare_gradients(layer, x, rng=np.random.default_rng(1))
    found = n.compare_gradients(layer, x, rng=np.random.default_rng(1), entries=7, names=["weight_hh_l0", "bias_l0"])
    assert list(found) == ["weight_hh_l0", "bias_l0"]
    for name, c in found.items():
        assert len(set(c.places.tolist())) == 7 and c.shape == layer.params[name].shape
        np.testing.assert_array_equal(c.exact, whole[name].exact[c.places])
        np.testing.assert_allclose(c.numerical, whole[name].numerical[c.places], rtol=1e-9)
    everything = n.compare_gradients(layer, x, rng=rng, entries=10**6, names=["bias_l0"])
    assert everything["bias_l0"].places.tolist() == list(range(16))


@pytest.mark.parametrize("lengths", [[5, 1], [2, 5]])
@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_lengths_are_honoured(kind, lengths):
    layer, x, rng = some_layer(kind, bidirectional=True)
    found = n.compare_gradients(layer, x, rng=rng, lengths=lengths)
    assert max(c.error for c in found.values()) < 1e-6
    past = np.arange(5)[:, None] >= np.array(lengths)
    assert not found["x"].exact.reshape(x.shape)[past].any()
    assert abs(found["x"].exact.reshape(x.shape)[~past]).min() > 0


def test_what_cannot_be_checked_is_refused():
    layer, x, rng = some_layer()
    message = r"^gradient_check expected names among \['x', 'weight_ih_l0', .*\], got 'weight'$"
    with pytest.raises(ValueError, match=message):
        n.compare_gradients(layer, x, rng=rng, names=["weight"])
    with pytest.raises(TypeError, match="^gradient_check expected x in float32 or float64, got float16$"):
        n.compare_gradients(layer, x.astype(np.float16), rng=rng)
    with pytest.raises(ValueError, match="^gradient_check expected entries of at least 1, got 0$"):
        n.compare_gradients(layer, x, rng=rng, entries=0)


@pytest.mark.parametrize("options", [{"num_layers": 2, "dropout": 0.5}, {"stateful": True}])
def test_a_layer_that_does_not_repeat_itself_is_refused(options):
    layer, x, rng = some_layer(**options)
    with pytest.raises(ValueError, match="expected a layer that returns the same twice: turn dropout off"):
        n.compare_gradients(layer, x, rng=rng)
    layer.training = layer.stateful = False
    layer.forget()
    assert max(c.error for c in n.compare_gradients(layer, x, rng=rng).values()) < 1e-6


def test_verdicts():
    a = np.array([1.0, 2.0])
    make = lambda exact, noise: n.Comparison(exact, a, np.arange(2), (2,), noise)  # noqa: E731
    assert make(a + 1e-6, 0.0).verdict == "right"
    assert make(a + 1e-3, 2e-3).verdict == "noise" and make(a + 1e-3, 2e-3).visible == pytest.approx(1e-3, rel=1e-2)
    assert make(a + 1e-3, 5e-4).verdict == "wrong"
    assert make(a * np.nan, 1.0).verdict == "wrong"
    assert n.Comparison(0 * a, 0 * a, np.arange(2), (2,), 1.0).verdict == "right"


CELLS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU]


@pytest.mark.parametrize("kind", CELLS)
def test_float32_derivatives_that_are_right_are_never_called_wrong(kind):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        T, B, H = (int(rng.choice(sizes)) for sizes in ((1, 3, 30), (1, 8), (2, 24)))
        layer = kind(2, H, rng=seed)
        for p in layer.params.values():
            p *= np.float32(rng.choice([0.1, 1.0, 3.0]))
        x = rng.normal(size=(T, B, 2)).astype(np.float32) * np.float32(rng.choice([0.1, 1.0, 5.0]))
        found = n.compare_gradients(layer, x, rng=rng, entries=5)
        assert "wrong" not in {c.verdict for c in found.values()}, seed


def test_a_gradient_lost_in_rounding_is_not_called_wrong():
    model = lstm.LSTMRegressor(1, 3, 1, rng=0, dtype=np.float64)
    model.recurrent.params["bias_l0"][:] = 20.0
    x = np.random.default_rng(0).normal(size=(6, 2, 1))
    found = n.compare_gradients(model, x, rng=np.random.default_rng(1))
    assert {c.verdict for c in found.values()} <= {"right", "noise"}
    assert found["recurrent.weight_ih_l0"].verdict == "noise"
