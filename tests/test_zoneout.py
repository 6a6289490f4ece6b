"""Zoneout: what stays, stays exactly; masks and means against the naive version; draws kept."""

import numpy as np
import pytest

import lstm
import naive
from lstm import variants

T, B, I, H = 6, 3, 2, 4
LENGTHS = np.array([6, 1, 4])


def problem(seed=0):
    """Weights, x, state, and shares that stay: 1 or 0."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in ((4 * H, I), (4 * H, H), 4 * H)]
    keep = (rng.random((T, 2, H, B)) < 0.5).astype(float)
    return weights, rng.normal(size=(T, B, I)), tuple(rng.normal(size=(2, B, H))), keep


def test_masks_and_shares_against_the_naive_version():
    weights, x, state, masks = problem()
    for keep in (masks, np.random.default_rng(1).random((T, 2, H, B)), 0 * masks):
        y, last, cache = variants.zoneout_forward(x, state, *weights, keep)
        expected, *ends = naive.zoneout_lstm(x, *state, *weights, *keep.transpose(1, 0, 3, 2))
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(last, ends, rtol=1e-12, atol=1e-14)
    plain, *_ = naive.lstm(x, *state, *weights)  # nothing stays: an LSTM
    np.testing.assert_allclose(y, plain, rtol=1e-12)


def test_what_stays_stays_to_the_last_bit():
    weights, x, state, keep = problem()
    _, _, cache = variants.zoneout_forward(x, state, *weights, keep)
    for states, share in ((cache.h, keep[:, 0]), (cache.c, keep[:, 1])):
        stayed = states[1:] == states[:-1]
        np.testing.assert_array_equal(stayed, share == 1)


@pytest.mark.parametrize("shares", ["masks", "between"])
def test_every_gradient_with_fixed_shares_against_central_differences(shares):
    weights, x, state, keep = problem()
    rng = np.random.default_rng(2)
    if shares == "between":
        keep = rng.random(keep.shape)
    dy, dlast = rng.normal(size=(T, B, H)), tuple(rng.normal(size=(2, B, H)))

    def loss():
        y, h, c = naive.zoneout_lstm(x, *state, *weights, *keep.transpose(1, 0, 3, 2))
        return (y * dy).sum() + (h * dlast[0]).sum() + (c * dlast[1]).sum()

    _, _, cache = variants.zoneout_forward(x, state, *weights, keep)
    dx, dstate, dweights = variants.zoneout_backward(dy, dlast, cache, *weights)
    for got, array in zip((dx, *dstate, *dweights), (x, *state, *weights), strict=True):
        expected = naive.central_differences(loss, array)
        assert abs(got - expected).max() < 1e-8 * abs(expected).max()


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["all steps", "lengths"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.3}])
def test_every_gradient_of_a_layer_in_training_with_its_draws_repeated(options, lengths):
    layer = lstm.ZoneoutLSTM(I, H, zoneout_h=0.3, zoneout_c=0.4, rng=0, dtype=np.float64, **options)
    rng, runs = np.random.default_rng(3), len(layer.runs)
    x, state = rng.normal(size=(T, B, I)), tuple(rng.normal(size=(2, runs, B, H)))

    def run():
        layer.rng.bit_generator.state = np.random.default_rng(4).bit_generator.state
        return layer(x, state, lengths)

    y, _ = run()
    dy, dlast = rng.normal(size=y.shape), tuple(rng.normal(size=(2, runs, B, H)))
    dx, dstate = layer.backward(dy, dlast)

    def loss():
        y, last = run()
        return (y * dy).sum() + sum((a * d).sum() for a, d in zip(last, dlast))

    arrays = (x, *state, *layer.params.values())
    for got, array in zip((dx, *dstate, *layer.grads.values()), arrays, strict=True):
        expected = naive.central_differences(loss, array)
        assert abs(got - expected).max() < 1e-7 * abs(expected).max()
    if lengths is not None:
        assert not dx[np.arange(T)[:, None] >= LENGTHS].any()


def test_draws_have_their_rates_and_their_mean_is_the_evaluation():
    layer = lstm.ZoneoutLSTM(1, 3, zoneout_h=0.2, zoneout_c=0.6, rng=0, dtype=np.float64)
    copies, rng = 20_000, np.random.default_rng(1)
    x, state = rng.normal(size=(1, 1, 1)), rng.normal(size=(2, 1, 1, 3))
    many = np.broadcast_to(x, (1, copies, 1)), tuple(state.repeat(copies, 2))
    _, drawn = layer(*many)
    layer.training = False
    _, mean = layer(x, tuple(state))
    for new, old, expected, rate in zip(drawn, state, mean, (0.2, 0.6)):
        assert abs((new == old).mean() - rate) < 0.01
        assert abs(new.mean(1) - expected[:, 0]).max() < 6 * (new.std() + 1e-9) / copies**0.5
    again = layer(x, tuple(state))[1]
    np.testing.assert_array_equal(again, mean)


def test_one_seed_gives_one_layer_and_the_weights_of_an_lstm():
    a, b = (lstm.ZoneoutLSTM(I, H, rng=5) for _ in range(2))
    plain, x = lstm.LSTM(I, H, rng=5), np.ones((T, B, I), np.float32)
    for name, p in plain.params.items():
        np.testing.assert_array_equal(a.params[name], p)
    first, second = a(x)[0], a(x)[0]
    np.testing.assert_array_equal(b(x)[0], first)
    assert (first != second).any()
    assert a.trace()._fields == ("i", "f", "g", "o", "c", "h")


def test_bad_rates_are_refused():
    with pytest.raises(ValueError, match="^ZoneoutLSTM expected zoneout_c from 0 to below 1, got 1$"):
        lstm.ZoneoutLSTM(I, H, zoneout_c=1)
    with pytest.raises(ValueError, match="^ZoneoutLSTM expected zoneout_h from 0 to below 1, got -0.1$"):
        lstm.ZoneoutLSTM(I, H, zoneout_h=-0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'zoneout'"):
        lstm.ZoneoutLSTM(I, H, zoneout=0.1)


def test_a_file_without_a_word_for_zoneout_is_not_written(tmp_path):
    onnx = pytest.importorskip("lstm.onnx")
    with pytest.raises(TypeError, match="^to_onnx expected a layer LSTM, .*, or a Regressor or Classifier of one, got ZoneoutLSTM$"):
        onnx.to_onnx(lstm.ZoneoutLSTM(I, H), tmp_path / "z")
