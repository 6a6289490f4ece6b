"""Layers: shapes, names, state, what the seed's own tests asked for, and bad input."""

import copy
import re

import numpy as np
import pytest

import lstm
from lstm.layers import pack_state
from naive import central_differences

KINDS = [lstm.LSTM, lstm.GRU, lstm.RNN]


def layer_and_x(kind=lstm.LSTM, T=5, B=4, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return kind(3, 2, rng=rng, dtype=dtype), rng.normal(size=(T, B, 3)).astype(dtype)


def snapshot(layer):
    return copy.deepcopy((layer.params, layer.grads, layer._cache))


def assert_same(a, b):
    if a is None or isinstance(a, (int, float)):
        assert a == b
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        assert_same(tuple(a.values()), tuple(b.values()))
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for left, right in zip(a, b):
            assert_same(left, right)
    else:
        np.testing.assert_array_equal(a, b)


# What a layer is


def test_names_and_shapes_are_pytorchs_with_one_bias():
    shapes = {k: p.shape for k, p in lstm.LSTM(3, 5, rng=0).params.items()}
    assert shapes == {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5), "bias_l0": (20,)}
    shapes = {k: p.shape for k, p in lstm.GRU(3, 5, rng=0).params.items()}
    assert shapes == {
        "weight_ih_l0": (15, 3), "weight_hh_l0": (15, 5), "bias_l0": (15,), "bias_hn_l0": (5,),
    }  # fmt: skip
    shapes = {k: p.shape for k, p in lstm.RNN(3, 5, rng=0).params.items()}
    assert shapes == {"weight_ih_l0": (5, 3), "weight_hh_l0": (5, 5), "bias_l0": (5,)}
    assert {k: p.shape for k, p in lstm.Linear(3, 2, rng=0).params.items()} == {
        "weight": (2, 3), "bias": (2,),
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_initial_scale_is_one_over_the_root_of_fan_in(kind):
    params = kind(64, 100, rng=0).params
    for name, fan_in in (("weight_ih_l0", 64), ("weight_hh_l0", 100)):
        weights = params[name]
        # the standard deviation of n Gaussian draws is known to 1 / sqrt(2n); five of those
        assert abs(weights.std() * fan_in**0.5 - 1) < 5 / (2 * weights.size) ** 0.5


def test_only_the_forget_gates_bias_is_not_zero():
    for forget_bias in (0.0, 1.0, 2.5):
        bias = lstm.LSTM(1, 3, rng=0, forget_bias=forget_bias).params["bias_l0"]
        assert bias.reshape(4, 3).tolist() == [[0.0] * 3, [forget_bias] * 3, [0.0] * 3, [0.0] * 3]


def test_no_two_gates_start_alike():
    gates = lstm.LSTM(3, 5, rng=0).params["weight_ih_l0"].reshape(4, -1)
    assert len({gate.tobytes() for gate in gates}) == 4


def test_a_seed_a_generator_and_none():
    same = [lstm.LSTM(2, 3, rng=rng).params for rng in (7, np.random.default_rng(7))]
    assert_same(*same)
    assert lstm.LSTM(2, 3).params["weight_hh_l0"].tolist() != lstm.LSTM(2, 3).params["weight_hh_l0"].tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_dtype_is_that_of_everything(kind, dtype):
    layer = kind(3, 2, rng=0, dtype=dtype)
    for given in (np.float32, np.float64):
        y, state = layer(np.ones((4, 2, 3), given))
        dx, dstate = layer.backward(np.ones((4, 2, 2), given))
        parts = [p for s in (state, dstate) for p in (s if isinstance(s, tuple) else (s,))]
        arrays = [y, dx, *parts, *layer.params.values(), *layer.grads.values()]
        assert {a.dtype for a in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_out(kind):
    layer, x = layer_and_x(kind, T=5, B=4)
    y, state = layer(x)
    dx, dstate = layer.backward(y)
    assert y.shape == (5, 4, 2) and dx.shape == x.shape
    for s in (state, dstate):
        parts = s if isinstance(s, tuple) else (s,)
        assert isinstance(s, tuple) == (kind is lstm.LSTM)
        assert [p.shape for p in parts] == [(1, 4, 2)] * len(layer.state_names)
    assert {k: g.shape for k, g in layer.grads.items()} == {k: p.shape for k, p in layer.params.items()}


# State


@pytest.mark.parametrize("kind", KINDS)
def test_no_state_is_a_state_of_zeros(kind):
    layer, x = layer_and_x(kind)
    zeros = pack_state(tuple(np.zeros((1, 4, 2)) for _ in layer.state_names))
    assert_same(layer(x), layer(x, zeros))


@pytest.mark.parametrize("kind", KINDS)
def test_state_carried_between_calls_equals_one_call(kind):
    layer, x = layer_and_x(kind, T=9)
    whole, last = layer(x)
    state, pieces = None, []
    for start in (0, 2, 3):
        y, state = layer(x[start : {0: 2, 2: 3, 3: 9}[start]], state)
        pieces.append(y)
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-12)
    np.testing.assert_allclose(np.stack(state), np.stack(last), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_without_state_starts_anew_whatever_came_before(kind):
    layer, x = layer_and_x(kind)
    first = layer(x)
    layer(x[:, :2], None)  # another batch size in between
    assert_same(layer(x), first)


@pytest.mark.parametrize("kind", KINDS)
def test_the_batchs_rows_do_not_see_each_other(kind):
    layer, x = layer_and_x(kind)
    y, _ = layer(x)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(layer(x[:, order])[0], y[:, order], rtol=1e-12)
    np.testing.assert_allclose(layer(x[:, 1:2])[0], y[:, 1:2], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_single_step_zero_input_and_a_thousand_steps(kind):
    layer, _ = layer_and_x(kind)
    y, _ = layer(np.zeros((1, 2, 3)))
    assert y.shape == (1, 2, 2) and not y.any()  # no input, no state, no bias but the forget gate's
    y, _ = layer(np.random.default_rng(0).normal(size=(1000, 2, 3)))
    assert np.isfinite(y).all() and abs(y).max() <= 1


def test_nan_passes_through_to_its_own_sequence_alone():
    layer, x = layer_and_x()
    x[2, 1, 0] = np.nan
    y, _ = layer(x)
    assert np.isnan(y[2:, 1]).all() and np.isfinite(np.delete(y, 1, axis=1)).all()
    assert np.isfinite(y[:2]).all()


# Gates laid open


def test_the_lstms_trace_satisfies_the_equations():
    layer, x = layer_and_x(T=6)
    y, (h, c) = layer(x)
    trace = layer.trace()
    assert {a.shape for a in trace} == {y.shape}
    c_prev = np.concatenate([np.zeros((1, 4, 2)), trace.c[:-1]])
    np.testing.assert_allclose(trace.c, trace.f * c_prev + trace.i * trace.g, rtol=1e-12)
    np.testing.assert_allclose(trace.h, trace.o * np.tanh(trace.c), rtol=1e-12)
    np.testing.assert_array_equal(trace.h, y)
    np.testing.assert_array_equal(trace.c[-1], c[0])
    W, U, b = layer.params.values()
    h_prev = np.concatenate([np.zeros((1, 4, 2)), y[:-1]])
    z = (x @ W.T + h_prev @ U.T + b).reshape(6, 4, 4, 2)
    np.testing.assert_allclose(trace.f, 1 / (1 + np.exp(-z[:, :, 1])), rtol=1e-12)
    np.testing.assert_allclose(trace.g, np.tanh(z[:, :, 2]), rtol=1e-12)


def test_the_grus_trace_satisfies_its_equation():
    layer, x = layer_and_x(lstm.GRU, T=6)
    y, _ = layer(x)
    r, z, n, h = layer.trace()
    h_prev = np.concatenate([np.zeros((1, 4, 2)), y[:-1]])
    np.testing.assert_allclose(h, (1 - z) * n + z * h_prev, rtol=1e-12)
    W, U, b, _ = layer.params.values()
    expected = 1 / (1 + np.exp(-(x @ W[:2].T + h_prev @ U[:2].T + b[:2])))
    np.testing.assert_allclose(r, expected, rtol=1e-12)


def test_a_trace_is_a_copy():
    layer, x = layer_and_x()
    y, _ = layer(x)
    before = layer.backward(y)[0]
    for array in layer.trace():
        array[:] = 99
    np.testing.assert_array_equal(layer.backward(y)[0], before)


def test_backward_twice_replaces_the_gradients():
    layer, x = layer_and_x()
    y, _ = layer(x)
    layer.backward(y)
    first = copy.deepcopy(layer.grads)
    layer.backward(y)
    assert_same(layer.grads, first)


# Linear


def test_linear_is_weighted_sums_with_their_gradients():
    rng = np.random.default_rng(0)
    layer, x, dy = lstm.Linear(3, 2, rng=0, dtype=np.float64), rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5, 2))
    layer.params["bias"][:] = 1.0, -2.0
    W, b = layer.params["weight"], layer.params["bias"]
    y = layer(x)
    for t in range(4):
        for row in range(5):
            np.testing.assert_allclose(y[t, row], W @ x[t, row] + b, rtol=1e-12)
    from naive import central_differences

    def loss():
        return (np.einsum("tbi,oi->tbo", x, W) * dy).sum() + (b * dy).sum()

    np.testing.assert_allclose(layer.backward(dy), central_differences(loss, x), rtol=1e-7)
    np.testing.assert_allclose(layer.grads["weight"], central_differences(loss, W), rtol=1e-7)
    np.testing.assert_allclose(layer.grads["bias"], central_differences(loss, b), rtol=1e-7)


# Bad input: the exact message, and nothing changed

F = np.zeros
BAD_X = [
    (F((10, 4)), ValueError, "LSTM expected x with 3 axes (time, batch, features), got shape (10, 4)"),
    (F((5, 4, 7)), ValueError, "LSTM expected x of shape (time, batch, features 3), got (5, 4, 7)"),
    (F((0, 4, 3)), ValueError, "LSTM expected x without an empty axis, got shape (0, 4, 3)"),
    (F((5, 0, 3)), ValueError, "LSTM expected x without an empty axis, got shape (5, 0, 3)"),
    (F((5, 4, 3), int), TypeError, "LSTM expected x of a floating dtype, got int64"),
    (F((5, 4, 3), complex), TypeError, "LSTM expected x of a floating dtype, got complex128"),
    (np.full((5, 4, 3), "a"), TypeError, "LSTM expected x of a floating dtype, got <U1"),
    ([[[0.0, 0.0, 0.0]]], TypeError, "LSTM expected x as an array, got list"),
    ("sine", TypeError, "LSTM expected x as an array, got str"),
    (None, TypeError, "LSTM expected x as an array, got NoneType"),
]


@pytest.mark.parametrize("x, error, message", BAD_X, ids=[m for *_, m in BAD_X])
def test_bad_x_is_refused_and_nothing_changes(x, error, message):
    layer, good = layer_and_x()
    layer.backward(layer(good)[0])
    before = snapshot(layer)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        layer(x)
    assert_same(snapshot(layer), before)


H = F((1, 4, 2))
BAD_STATE = [
    (H, TypeError, "LSTM expected state as a tuple (h, c), got ndarray"),
    ((H,), TypeError, "LSTM expected state as a tuple (h, c), got a tuple of 1"),
    ((H, H, H), TypeError, "LSTM expected state as a tuple (h, c), got a tuple of 3"),
    ((F((1, 3, 2)), H), ValueError,
     "LSTM expected h for a batch of 4, got one for 3; to start new sequences pass state=None, and call reset_state() if the layer is stateful"),
    ((H, F((1, 4, 5))), ValueError,
     "LSTM expected c of shape (layers 1, batch, hidden 2), got (1, 4, 5)"),
    ((F((4, 2)), H), ValueError,
     "LSTM expected h with 3 axes (layers, batch, hidden), got shape (4, 2)"),
    ((F((2, 4, 2)), H), ValueError,
     "LSTM expected h of shape (layers 1, batch, hidden 2), got (2, 4, 2)"),
    ((H, F((1, 4, 2), int)), TypeError, "LSTM expected c of a floating dtype, got int64"),
    ((H, None), TypeError, "LSTM expected c as an array, got NoneType"),
]  # fmt: skip


@pytest.mark.parametrize("state, error, message", BAD_STATE, ids=[m for *_, m in BAD_STATE])
def test_a_bad_state_is_refused_and_nothing_changes(state, error, message):
    layer, x = layer_and_x()
    layer(x)
    before = snapshot(layer)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        layer(x, state)
    assert_same(snapshot(layer), before)


def test_a_gru_takes_one_array_as_state():
    layer, x = layer_and_x(lstm.GRU)
    with pytest.raises(TypeError, match=r"^GRU expected state as one array h, got a tuple of 2$"):
        layer(x, (H, H))


BAD_DY = [
    (F((5, 4)), ValueError, "LSTM expected dy with 3 axes (time, batch, features), got shape (5, 4)"),
    (F((6, 4, 2)), ValueError, "LSTM expected dy of shape (time 5, batch 4, features 2), got (6, 4, 2)"),
    (F((5, 4, 2), int), TypeError, "LSTM expected dy of a floating dtype, got int64"),
]


@pytest.mark.parametrize("dy, error, message", BAD_DY, ids=[m for *_, m in BAD_DY])
def test_a_bad_dy_is_refused_and_nothing_changes(dy, error, message):
    layer, x = layer_and_x()
    layer.backward(layer(x)[0])
    before = snapshot(layer)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        layer.backward(dy)
    assert_same(snapshot(layer), before)


def test_a_bad_dstate_is_named_as_such():
    layer, x = layer_and_x()
    y, _ = layer(x)
    with pytest.raises(ValueError, match=r"^LSTM expected dc of shape \(layers 1, batch, hidden 2\)"):
        layer.backward(y, (H, F((1, 4, 3))))


@pytest.mark.parametrize("kind", [*KINDS, lstm.Linear])
def test_backward_before_forward(kind):
    layer = kind(3, 2, rng=0)
    with pytest.raises(RuntimeError, match=rf"^{kind.__name__} has made no forward pass yet"):
        layer.backward(F((5, 4, 2)))
    if hasattr(layer, "trace"):
        with pytest.raises(RuntimeError, match="has made no forward pass yet"):
            layer.trace()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sizes, error, message",
    [
        ((3, 0), ValueError, "expected hidden_size of at least 1, got 0"),
        ((3, -2), ValueError, "expected hidden_size of at least 1, got -2"),
        ((0, 2), ValueError, "expected input_size of at least 1, got 0"),
        ((3, 2.0), TypeError, "expected hidden_size as an int, got 2.0"),
        ((3, "2"), TypeError, "expected hidden_size as an int, got '2'"),
        ((True, 2), TypeError, "expected input_size as an int, got True"),
    ],
)
def test_bad_sizes(kind, sizes, error, message):
    with pytest.raises(error, match=f"^{kind.__name__} {re.escape(message)}$"):
        kind(*sizes)


def test_bad_dtype_and_device():
    with pytest.raises(ValueError, match="^LSTM expected dtype float32 or float64, got int64$"):
        lstm.LSTM(3, 2, dtype=np.int64)
    with pytest.raises(ValueError, match="^expected device 'cpu' or 'cuda', got 'tpu'$"):
        lstm.LSTM(3, 2, device="tpu")


def test_linear_refuses_bad_input():
    layer = lstm.Linear(3, 2, rng=0)
    with pytest.raises(ValueError, match=r"^Linear expected x of shape \(time, batch, features 3\)"):
        layer(F((5, 4, 2)))
    layer(F((5, 4, 3)))
    with pytest.raises(ValueError, match=r"^Linear expected dy of shape \(time 5, batch 4, features 2\)"):
        layer.backward(F((5, 4, 3)))


# Tokens


def embedding(**options):
    return lstm.Embedding(5, 3, rng=0, dtype=np.float64, **options)


TOKENS = np.array([[0, 4, 2], [4, 4, 1], [2, 0, 4], [4, 1, 4]])  # (4, 3); 3 never occurs


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8, ">i2"])
def test_an_embedding_is_a_product_with_one_hot_rows(dtype):
    layer, tokens = embedding(), TOKENS.astype(dtype)
    y, dy = layer(tokens), np.random.default_rng(1).normal(size=(4, 3, 3))
    one_hot = np.eye(5)[TOKENS]
    np.testing.assert_array_equal(y, one_hot @ layer.params["weight"])
    assert layer.backward(dy) is None
    expected = np.einsum("tbk,tbe->ke", one_hot, dy)
    np.testing.assert_allclose(layer.grads["weight"], expected, rtol=1e-13)
    assert not layer.grads["weight"][3].any()
    assert layer.grads["weight"].dtype == np.float64


def test_an_embedding_against_central_differences():
    layer, weigh = embedding(), np.random.default_rng(2).normal(size=(4, 3, 3))
    layer(TOKENS)
    layer.backward(2 * weigh * layer(TOKENS))
    expected = central_differences(lambda: (weigh * layer(TOKENS) ** 2).sum(), layer.params["weight"])
    assert abs(layer.grads["weight"] - expected).max() < 1e-8 * abs(expected).max()


def test_an_embedding_starts_as_pytorch_s_does_and_by_its_seed():
    weight = lstm.Embedding(200, 50, rng=0).params["weight"]
    assert weight.shape == (200, 50) and weight.dtype == np.float32
    assert abs(weight.mean()) < 0.02 and abs(weight.std() - 1) < 0.02
    np.testing.assert_array_equal(weight, lstm.Embedding(200, 50, rng=0).params["weight"])


def test_an_embedding_lends_nothing_and_reads_the_tokens_of_its_call():
    layer, tokens = embedding(), TOKENS.copy()
    y = layer(tokens)
    y[...] = 9.0
    np.testing.assert_array_equal(layer(tokens), np.eye(5)[TOKENS] @ layer.params["weight"])
    tokens[...] = 3
    layer.backward(np.ones((4, 3, 3)))
    assert not layer.grads["weight"][3].any()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[1]], TypeError, "Embedding expected x as an array, got list"),
        (TOKENS * 1.0, TypeError, "Embedding expected x of an integer dtype, got float64"),
        (TOKENS > 1, TypeError, "Embedding expected x of an integer dtype, got bool"),
        (TOKENS[0], ValueError, r"Embedding expected x with 2 axes \(time, batch\), got shape \(3,\)"),
        (TOKENS[:0], ValueError, r"Embedding expected x without an empty axis, got shape \(0, 3\)"),
        (TOKENS + 1, ValueError, "Embedding expected x from 0 to 4, got 5"),
        (TOKENS - 1, ValueError, "Embedding expected x from 0 to 4, got -1"),
        (np.full((1, 1), 2**64 - 1, np.uint64), ValueError, f"Embedding expected x from 0 to 4, got {2**64 - 1}"),
    ],
)  # fmt: skip
def test_an_embedding_refuses(x, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        embedding()(x)


def test_an_embedding_refuses_sizes_and_gradients():
    with pytest.raises(ValueError, match="^Embedding expected num_embeddings of at least 1, got 0$"):
        lstm.Embedding(0, 3)
    with pytest.raises(TypeError, match="^Embedding expected embedding_size as an int, got 2.5$"):
        lstm.Embedding(3, 2.5)
    layer = embedding()
    with pytest.raises(RuntimeError, match="^Embedding has made no forward pass yet: call it first$"):
        layer.backward(np.ones((4, 3, 3)))
    layer(TOKENS)
    message = r"^Embedding expected dy of shape \(time 4, batch 3, features 3\), got \(4, 3, 5\)$"
    with pytest.raises(ValueError, match=message):
        layer.backward(np.ones((4, 3, 5)))


def test_dropout_refuses_tokens():
    with pytest.raises(TypeError, match="^Dropout expected x of a floating dtype, got int64$"):
        lstm.Dropout(0.5)(TOKENS)
