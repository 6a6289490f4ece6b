"""A layer that reads from the end to the beginning, against the reverse half of two directions."""

import copy
import pickle

import numpy as np
import pytest

import lstm
from lstm.direction import Reversed

T, B, I, H = 6, 3, 4, 5
KINDS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU, lstm.ReluRNN]
LENGTHS = [None, np.array([4, 6, 1])]


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def layers(kind, seed=0, **options):
    """A layer of two directions, and a reversed one with the weights of its reverse half."""
    both = kind(I, H, bidirectional=True, dtype=np.float64, rng=seed, **options)
    one = Reversed(kind(I, H, dtype=np.float64, **options))
    rng = np.random.default_rng(seed)
    for p in both.params.values():
        p[...] = rng.normal(size=p.shape)
    for name, p in one.params.items():
        p[...] = both.params[f"{name}_reverse"]
    return both, one


def deep(kind):
    """A reversed layer of two layers, all of its parameters random."""
    one = Reversed(kind(I, H, num_layers=2, dtype=np.float64))
    rng = np.random.default_rng(1)
    for p in one.params.values():
        p[...] = 0.5 * rng.normal(size=p.shape)
    return one


def arrays(kind, seed=0):
    rng = np.random.default_rng(seed)
    states = [rng.normal(size=(2, B, H)) for _ in kind.state_names]
    return rng.normal(size=(T, B, I)), states, rng


def one_state(states):
    last = tuple(s[1:] for s in states)
    return last if len(last) > 1 else last[0]


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_reverse_half_of_two_directions(kind, lengths):
    both, one = layers(kind)
    x, states, rng = arrays(kind)
    y, last = both(x, tuple(states) if len(states) > 1 else states[0], lengths)
    mine, end = one(x, one_state(states), lengths)
    np.testing.assert_array_equal(mine, y[:, :, H:])
    for a, b in zip(parts_of(end), parts_of(last), strict=True):
        np.testing.assert_array_equal(a, b[1:])
    dy, dlast = rng.normal(size=mine.shape), [rng.normal(size=s.shape) for s in states]
    silent = [np.concatenate([0 * d[1:], d[1:]]) for d in dlast]  # nothing is asked of the forward half
    whole = np.concatenate([np.zeros_like(dy), dy], -1)
    dx, dfirst = both.backward(whole, tuple(silent) if len(silent) > 1 else silent[0])
    got, dstate = one.backward(dy, one_state(silent))
    np.testing.assert_allclose(got, dx, rtol=1e-12, atol=1e-12)
    for a, b in zip(parts_of(dstate), parts_of(dfirst), strict=True):
        np.testing.assert_allclose(a, b[1:], rtol=1e-12, atol=1e-12)
    for name, g in one.grads.items():
        np.testing.assert_allclose(g, both.grads[f"{name}_reverse"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize("kind", KINDS)
def test_traces_are_in_the_order_of_time(kind, lengths):
    both, one = layers(kind)
    x, _, _ = arrays(kind)
    both(x, None, lengths)
    one(x, None, lengths)
    expected = both.trace("l0_reverse")
    assert type(one.trace()) is type(expected) and list(lstm.traces(one)) == ["Reversed.l0"]
    for trace in (one.trace(), one.traces()["l0"], lstm.traces(one)["Reversed.l0"]):
        for a, b in zip(trace, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    one.trace().h[...] = 9  # a copy
    np.testing.assert_array_equal(one.trace().h, expected.h)


def test_each_sequence_is_turned_by_itself():
    one = deep(lstm.LSTM)
    x, _, _ = arrays(lstm.LSTM)
    y, (h, _) = one(x, None, LENGTHS[1])
    for b, n in enumerate(LENGTHS[1]):
        alone, (end, _) = one.recurrent(x[:n, b : b + 1][::-1])
        np.testing.assert_allclose(y[:n, b : b + 1], alone[::-1], rtol=1e-12)
        np.testing.assert_allclose(h[:, b : b + 1], end, rtol=1e-12)
        assert not y[n:, b].any()


def test_what_lies_past_an_end_is_not_read():
    _, one = layers(lstm.GRU)
    x, _, _ = arrays(lstm.GRU)
    y, _ = one(x, None, LENGTHS[1])
    for b, n in enumerate(LENGTHS[1]):
        x[n:, b] = np.nan
    np.testing.assert_array_equal(one(x, None, LENGTHS[1])[0], y)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_central_differences(kind):
    one = deep(kind)
    x, states, rng = arrays(kind)
    errors = lstm.gradient_check(one, x, tuple(states) if len(states) > 1 else states[0], rng=rng)
    assert errors.keys() > {"x", "state[0]", "weight_ih_l1"} and max(errors.values()) < 1e-6


def test_batch_first():
    _, one = layers(lstm.LSTM)
    rows = Reversed(lstm.LSTM(I, H, dtype=np.float64, batch_first=True))
    rows.params = one.params
    x, states, rng = arrays(lstm.LSTM)
    y, last = one(x, one_state(states), LENGTHS[1])
    mine, end = rows(x.swapaxes(0, 1), one_state(states), LENGTHS[1])
    np.testing.assert_array_equal(mine.swapaxes(0, 1), y)
    np.testing.assert_array_equal(end, last)
    dy = rng.normal(size=y.shape)
    np.testing.assert_array_equal(rows.backward(dy.swapaxes(0, 1))[0].swapaxes(0, 1), one.backward(dy)[0])


def test_its_parameters_are_those_of_the_layer_in_it():
    _, one = layers(lstm.LSTM)
    assert one.params is one.recurrent.params and one.layers == {"Reversed": one}
    lstm.move_model(one, "cpu")
    assert one.params is one.recurrent.params
    x, states, _ = arrays(lstm.LSTM)
    y = one(x)[0]
    one.backward(np.ones_like(y))
    assert one.grads.keys() == one.params.keys()
    one.forget()
    assert one.grads == one.recurrent.grads == {} and vars(one) == {"recurrent": one.recurrent}
    for again in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        np.testing.assert_array_equal(again(x)[0], y)


def test_dropout_is_off_in_evaluation_and_its_generator_known():
    from lstm.checkpoints import generators

    one = Reversed(lstm.LSTM(I, H, num_layers=3, dropout=0.5, rng=0))
    x = np.ones((T, B, I), np.float32)
    assert not np.array_equal(one(x)[0], one(x)[0])
    one.training = False
    np.testing.assert_array_equal(one(x)[0], one(x)[0])
    assert list(generators(one, {})) == ["Reversed.dropout0", "Reversed.dropout1"]


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
def test_it_stands_in_a_model_as_any_recurrent_layer(lengths):
    one, rng = deep(lstm.GRU), np.random.default_rng(2)
    x, states, _ = arrays(lstm.GRU)
    y, h = one(x, states[0], lengths)
    models = [lstm.Regressor(one, 2, rng=0), lstm.Sequential(a=one, b=lstm.Linear(H, 2, rng=0, dtype=np.float64)),
              lstm.Classifier(one, 2, rng=0), lstm.Classifier(one, 2, rng=0, pool="mean")]  # fmt: skip
    counts = np.full(B, T) if lengths is None else lengths
    for model, read in zip(models, (y, y, y[0], y.sum(0) / counts[:, None]), strict=True):
        linear = list(model.layers.values())[1]
        linear.params["bias"][...] = rng.normal(size=2)
        out, last = model(x, states[0], lengths)
        np.testing.assert_allclose(out, read @ linear.params["weight"].T + linear.params["bias"], rtol=1e-12)
        np.testing.assert_array_equal(last, h)
        if isinstance(model, lstm.Classifier):  # in a row only the layer itself is between x and y
            errors = lstm.gradient_check(model, x, states[0], rng=rng)
            assert max(errors.values()) < 1e-6


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="^Reversed expected a layer with bidirectional=False$"):
        Reversed(lstm.LSTM(1, 2, bidirectional=True))
    with pytest.raises(ValueError, match="^Reversed expected a layer with stateful=False$"):
        Reversed(lstm.LSTM(1, 2, stateful=True))
    for other in (lstm.Linear(1, 2), Reversed(lstm.GRU(1, 2))):
        with pytest.raises(TypeError, match=f"^Reversed expected an LSTM, GRU or RNN, got {type(other).__name__}$"):
            Reversed(other)
    one = Reversed(lstm.LSTM(I, H, rng=0))
    with pytest.raises(RuntimeError, match="^Reversed has made no forward pass yet: call it first$"):
        one.backward(np.ones((T, B, H), np.float32))
    with pytest.raises(ValueError, match="^Reversed expected x with 3 axes"):
        one(np.ones((T, I), np.float32))
    x = np.ones((T, B, I), np.float32)
    with pytest.raises(ValueError, match="^Reversed expected lengths from 1 to 6, got 0 to 2$"):
        one(x, None, [1, 0, 2])
    one(x)
    with pytest.raises(ValueError, match="^Reversed expected dy of shape"):
        one.backward(np.ones((T, B, H + 1), np.float32))
    with pytest.raises(ValueError, match=r"^Reversed expected run as one of \['l0'\], got 'l1'$"):
        one.trace("l1")
