"""The models: their layers joined, for every step or for a sequence as a whole."""

import copy
import pickle

import numpy as np
import pytest

import lstm
from lstm.model import pool_weights
from lstm.training import evaluating
from naive import central_differences


def test_it_is_the_layer_and_the_readout_in_a_row():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    y, (h, c) = model(x)
    hidden, state = model.recurrent(x)
    np.testing.assert_array_equal(y, model.linear(hidden))
    np.testing.assert_array_equal((h, c), state)
    assert y.shape == (5, 4, 1)


def test_parameters_are_joined_under_the_layers_names_and_are_the_arrays_themselves():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    assert list(model.params) == [
        "recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "recurrent.bias_l0",
        "linear.weight", "linear.bias",
    ]  # fmt: skip
    assert model.params["linear.bias"] is model.linear.params["bias"]
    assert sum(p.size for p in model.params.values()) == 4 * 3 * (2 + 3 + 1) + 3 + 1


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_every_gradient_against_central_differences(kind):
    rng = np.random.default_rng(0)
    model = lstm.Regressor(kind(2, 3, rng=rng, dtype=np.float64), 2, rng=rng)
    x, target = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))

    def loss():
        return ((model(x)[0] - target) ** 2).mean()

    _, dy = lstm.mean_squared_error(model(x)[0], target)
    dx, _ = model.backward(dy)
    for got, array in zip((dx, *model.grads.values()), (x, *model.params.values())):
        expected = central_differences(loss, array)
        assert abs(got - expected).max() < 1e-6 * abs(expected).max()


def test_the_same_seed_gives_the_same_model_and_the_readout_shares_no_draws():
    a, b = (lstm.LSTMRegressor(3, 3, 3, rng=5).params for _ in range(2))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    readout = a["linear.weight"].ravel()
    assert not np.isin(readout, a["recurrent.weight_ih_l0"]).any()


def test_backward_before_forward_and_a_bad_readout():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    with pytest.raises(RuntimeError, match="^Linear has made no forward pass yet"):
        model.backward(np.zeros((1, 1, 1)))
    with pytest.raises(ValueError, match="^Linear expected output_size of at least 1, got 0$"):
        lstm.LSTMRegressor(2, 3, 0)


# A label for a whole sequence

LENGTHS = np.array([5, 1, 3, 4])
POOLS, DIRECTIONS = ["last", "mean"], [False, True]


def classifier(kind, pool, bidirectional, seed=0):
    """Return a float64 classifier of 3 classes whose biases are not zero, and x (5, 4, 2)."""
    rng = np.random.default_rng(seed)
    layer = kind(2, 3, bidirectional=bidirectional, rng=rng, dtype=np.float64)
    model = lstm.Classifier(layer, 3, pool=pool, rng=rng)
    for p in model.params.values():
        p += rng.normal(size=p.shape) * 0.3
    return model, rng.normal(size=(5, 4, 2))


def alone(model, sequence, pool):
    """Return the logits (K,) of one sequence (T, I) with no other beside it, pooled by hand."""
    hidden = model.recurrent(sequence[:, None])[0][:, 0]
    pooled = hidden.mean(0)
    if pool == "last":
        pooled = np.concatenate([hidden[-1, :3], hidden[0, 3:]])  # backward ends at the first
    return model.linear.params["weight"] @ pooled + model.linear.params["bias"]


@pytest.mark.parametrize("given", [True, False], ids=["lengths", "all steps"])
@pytest.mark.parametrize("bidirectional", DIRECTIONS, ids=["forward", "both"])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_a_batch_is_labelled_as_each_of_its_sequences_alone(kind, pool, bidirectional, given):
    model, x = classifier(kind, pool, bidirectional)
    lengths = LENGTHS if given else np.full(4, 5)
    expected = [alone(model, x[:end, b], pool) for b, end in enumerate(lengths)]
    logits, _ = model(x, None, lengths if given else None)
    np.testing.assert_allclose(logits, expected, rtol=1e-12)


@pytest.mark.parametrize("given", [True, False], ids=["lengths", "all steps"])
@pytest.mark.parametrize("bidirectional", DIRECTIONS, ids=["forward", "both"])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU])
def test_every_gradient_of_a_classifier_against_central_differences(
    kind, pool, bidirectional, given
):
    model, x = classifier(kind, pool, bidirectional)
    lengths, labels = LENGTHS if given else None, np.array([2, 0, 1, 2])
    rng = np.random.default_rng(1)
    _, last = model(x, None, lengths)
    seen = tuple(rng.normal(size=s.shape) for s in (last if isinstance(last, tuple) else (last,)))

    def loss():  # looks at the logits and at the last state
        logits, last = model(x, None, lengths)
        parts = last if isinstance(last, tuple) else (last,)
        return lstm.cross_entropy(logits, labels)[0] + sum((w * s).sum() for w, s in zip(seen, parts))

    _, dlogits = lstm.cross_entropy(model(x, None, lengths)[0], labels)
    dx, _ = model.backward(dlogits, seen if len(seen) > 1 else seen[0])
    got = {"x": dx, **model.grads}
    for name, array in {"x": x, **model.params}.items():
        expected = central_differences(loss, array)
        assert abs(got[name] - expected).max() < 1e-6 * abs(expected).max(), name
    if given:
        assert not dx[np.arange(5)[:, None] >= LENGTHS].any()


@pytest.mark.parametrize("pool", POOLS)
def test_nothing_past_an_end_is_read(pool):
    model, x = classifier(lstm.LSTM, pool, True)
    logits, _ = model(x, None, LENGTHS)
    spoilt = np.concatenate([x, x])  # another padding, and more of it
    spoilt[np.arange(10)[:, None] >= LENGTHS] = np.nan
    np.testing.assert_allclose(model(spoilt, None, LENGTHS)[0], logits, rtol=1e-12)


def test_the_weights_of_a_pool_by_hand():
    lengths = np.array([2, 3])
    mean, last = (pool_weights(pool, lengths, 3, 2) for pool in ("mean", "last"))
    column = [[1 / 2, 1 / 3], [1 / 2, 1 / 3], [0, 1 / 3]]
    np.testing.assert_allclose(mean, np.stack([column, column], -1), rtol=1e-15)
    assert last[..., 0].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert last[..., 1].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert pool_weights("last", lengths, 3, 1).shape == (3, 2, 1)


def test_a_classifier_of_an_lstm_by_sizes():
    model = lstm.LSTMClassifier(2, 3, 4, pool="mean", bidirectional=True, rng=0)
    assert model.params["linear.weight"].shape == (4, 6) and model.recurrent.input_size == 2
    logits, (h, _) = model(np.ones((5, 7, 2), np.float32))
    assert logits.shape == (7, 4) and logits.dtype == np.float32 and h.shape == (2, 7, 3)
    twin = lstm.LSTMClassifier(2, 3, 4, pool="mean", bidirectional=True, rng=0)
    for name, p in twin.params.items():
        np.testing.assert_array_equal(p, model.params[name])


def test_a_classifier_refuses():
    with pytest.raises(ValueError, match=r"^Classifier expected pool 'last' or 'mean', got 'max'$"):
        lstm.LSTMClassifier(2, 3, 4, pool="max")
    with pytest.raises(ValueError, match=r"^Classifier expected a layer with batch_first=False$"):
        lstm.LSTMClassifier(2, 3, 4, batch_first=True)
    with pytest.raises(ValueError, match=r"^Linear expected output_size of at least 1, got 0$"):
        lstm.LSTMClassifier(2, 3, 0)
    model = lstm.LSTMClassifier(2, 3, 4, rng=0)
    with pytest.raises(ValueError, match=r"^LSTM expected lengths from 1 to 5, got 0 to 5$"):
        model(np.ones((5, 2, 2), np.float32), None, [0, 5])


# Layers in a row


def row(*kinds, **options):
    """Return an embedding, layers of these kinds with dropout before each, and a readout."""
    rng, size, layers = np.random.default_rng(0), 3, {}
    for n, kind in enumerate(kinds):
        layer = kind(size, 4 - n, rng=rng, dtype=np.float64, **options)
        layers |= {f"dropout{n}": lstm.Dropout(0.5, rng=rng), f"recurrent{n}": layer}
        size = layer.directions * layer.hidden_size
    embedding = lstm.Embedding(5, 3, rng=rng, dtype=np.float64)
    readout = lstm.Linear(size, 2, rng=rng, dtype=np.float64)
    model = lstm.Sequential(embedding=embedding, **layers, readout=readout)
    for p in model.params.values():
        p += rng.normal(size=p.shape) * 0.3
    return model


TOKENS = np.random.default_rng(3).integers(0, 5, size=(5, 4))


def by_hand(model, x, states, lengths):
    """Call the layers one by one; return y and the list of their states."""
    after = []
    for layer in model.layers.values():
        if hasattr(layer, "traces"):
            x, last = layer(x, states[len(after)], lengths)
            after.append(last)
        else:
            x = layer(x)
    return x, after


def leaves(state):
    """Return the arrays of a state, however deep."""
    if isinstance(state, tuple):
        return [a for part in state for a in leaves(part)]
    return [] if state is None else [state]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["all steps", "lengths"])
@pytest.mark.parametrize("kinds", [(), (lstm.LSTM,), (lstm.GRU, lstm.LSTM), (lstm.RNN, lstm.GRU)])
def test_a_row_computes_what_its_layers_do_one_by_one(kinds, lengths):
    model = row(*kinds)
    with evaluating(model):
        y, state = model(TOKENS, None, lengths)
        expected, after = by_hand(model, TOKENS, [None] * len(kinds), lengths)
        again, _ = model(TOKENS, state, lengths)
        carried, _ = by_hand(model, TOKENS, after, lengths)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(again, carried)
    if len(kinds) == 1:
        after = after[0]
    assert [a.shape for a in leaves(state)] == [a.shape for a in leaves(tuple(after))]
    assert {0: state is None, 1: True, 2: isinstance(state, tuple) and len(state) == 2}[len(kinds)]
    for a, b in zip(leaves(state), leaves(tuple(after))):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bidirectional", DIRECTIONS, ids=["forward", "both"])
@pytest.mark.parametrize("given", [True, False], ids=["lengths", "all steps"])
@pytest.mark.parametrize("kinds", [(), (lstm.LSTM,), (lstm.GRU, lstm.LSTM), (lstm.RNN, lstm.GRU)])
def test_every_gradient_of_a_row_against_central_differences(kinds, given, bidirectional):
    model, lengths = row(*kinds, bidirectional=bidirectional), LENGTHS if given else None
    rng = np.random.default_rng(1)
    dropouts = [k for k in model.layers.values() if isinstance(k, lstm.Dropout)]

    def run(state):
        for seed, dropout in enumerate(dropouts):
            dropout.rng = np.random.default_rng(seed)  # the same masks at every call
        return model(TOKENS, state, lengths)

    y, state = run(None)
    for a in leaves(state):
        a += rng.normal(size=a.shape)
    seen = [rng.normal(size=a.shape) for a in (y, *leaves(state))]

    def loss():
        y, last = run(state)
        return sum((w * a).sum() for w, a in zip(seen, (y, *leaves(last))))

    def like(state, parts):
        if isinstance(state, tuple):
            return tuple(like(part, parts) for part in state)
        return None if state is None else next(parts)

    y, last = run(state)
    dx, dstate = model.backward(seen[0], like(last, iter(seen[1:])))
    assert dx is None
    assert list(model.grads) == list(model.params)
    got = [*leaves(dstate), *model.grads.values()]
    for exact, array in zip(got, [*leaves(state), *model.params.values()], strict=True):
        expected = central_differences(loss, array)
        assert abs(exact - expected).max() < 1e-6 * abs(expected).max()


def test_the_gradient_check_leaves_tokens_out_and_names_the_parts_of_every_state():
    model = row(lstm.GRU, lstm.LSTM)
    rng = np.random.default_rng(4)
    with evaluating(model):
        _, (a, (h, c)) = model(TOKENS)
        errors = lstm.gradient_check(model, TOKENS, (a, (h, c)), rng=rng)
        assert list(errors) == ["state[0]", "state[1][0]", "state[1][1]", *model.params]
        assert max(errors.values()) < 1e-6
        still = row()
        assert max(lstm.gradient_check(still, TOKENS, rng=rng).values()) < 1e-6


def test_a_row_over_numbers_returns_dx():
    layer = lstm.LSTM(2, 3, rng=0, dtype=np.float64)
    model = lstm.Sequential(recurrent=layer)
    x = np.random.default_rng(0).normal(size=(5, 4, 2))
    y, _ = model(x)
    dx, (dh, dc) = model.backward(y)
    other, (dh2, dc2) = layer.backward(y)
    np.testing.assert_array_equal(dx, other)
    np.testing.assert_array_equal((dh, dc), (dh2, dc2))


def test_parameters_traces_and_copies_of_a_row():
    model = row(lstm.GRU, lstm.LSTM)
    assert list(model.params)[:2] == ["embedding.weight", "recurrent0.weight_ih_l0"]
    assert list(model.params)[-1] == "readout.bias"
    model(TOKENS)
    assert list(lstm.traces(model)) == ["recurrent0.l0", "recurrent1.l0"]
    with evaluating(model):
        y = model(TOKENS)[0]
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(twin(TOKENS)[0], y)
    assert all(layer.training for layer in model.layers.values())


def test_a_regressor_is_a_row():
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    assert isinstance(model, lstm.Sequential)
    assert list(model.layers) == ["recurrent", "linear"]
    twin = copy.deepcopy(model)
    assert twin.recurrent is twin.layers["recurrent"] and twin.linear is twin.layers["linear"]


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ({}, ValueError, "Sequential expected at least one layer, got none"),
        ({"a": 3}, TypeError, "Sequential expected a as a layer, got int"),
        ({"a": lstm.Linear}, TypeError, "Sequential expected a as a layer, got type"),
        ({"a.b": lstm.Linear(1, 1)}, ValueError, "Sequential expected names of layers like 'a_1', got 'a.b'"),
        (dict.fromkeys("ab", lstm.Linear(1, 1)), ValueError,
         "Sequential expected each layer once, got one under two names"),
        ({"a": lstm.GRU(1, 1), "b": lstm.GRU(1, 1, batch_first=True)}, ValueError,
         "Sequential expected one batch_first for all layers, got both"),
    ],
)  # fmt: skip
def test_a_row_refuses_layers(layers, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        lstm.Sequential(**layers)


def test_a_row_refuses_states():
    model = row(lstm.GRU, lstm.LSTM)
    expected = r"^Sequential expected state as a tuple \(recurrent0, recurrent1\), got "
    for state, got in ((np.ones(1), "ndarray"), ((None,) * 3, "a tuple of 3"), ([None] * 2, "list")):
        with pytest.raises(TypeError, match=expected + got):
            model(TOKENS, state)
    y, _ = model(TOKENS)
    with pytest.raises(TypeError, match="^Sequential expected dstate as a tuple"):
        model.backward(y, (None,))
    with pytest.raises(TypeError, match="^Sequential expected state as None, got a tuple of 0$"):
        row()(TOKENS, ())
    with pytest.raises(TypeError, match="^Embedding expected x of an integer dtype, got float64$"):
        row()(TOKENS * 1.0)
    with pytest.raises(TypeError, match="^Dropout expected x of a floating dtype, got int64$"):
        lstm.Sequential(dropout=lstm.Dropout(), embedding=lstm.Embedding(5, 2))(TOKENS)
