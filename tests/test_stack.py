"""Stacks, directions and lengths against each sequence by itself, and by their symmetries."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm
import naive
from lstm import stack, variants

KINDS = {
    lstm.LSTM: naive.lstm, lstm.GRU: naive.gru, lstm.RNN: naive.rnn,
    variants.PeepholeLSTM: naive.peephole_lstm, variants.CoupledLSTM: naive.coupled_lstm,
    variants.ZoneoutLSTM: partial(naive.zoneout_lstm, keep_h=0.05, keep_c=0.5),  # in evaluation
    variants.ResetFirstGRU: naive.reset_first_gru, variants.ReluRNN: naive.relu_rnn,
}  # fmt: skip
I, H = 3, 2


def by_itself(layer, x, parts, lengths):
    """Run a layer's naive version over each sequence alone; return y and the parts."""
    D, runs = layer.directions, layer.weights()
    y = np.zeros((*x.shape[:2], D * H))
    last = [np.empty_like(part) for part in parts]
    for b, end in enumerate(lengths):
        v = x[:end, b : b + 1]
        for k in range(layer.num_layers):
            outputs = []
            for d in range(D):
                n = k * D + d
                step = -1 if d else 1
                out, *ends = KINDS[type(layer)](v[::step], *(p[n, b : b + 1] for p in parts), *runs[n])
                outputs.append(out[::step])
                for part, value in zip(last, ends):
                    part[n, b] = value[0]
            v = np.concatenate(outputs, -1)
        y[:end, b] = v[:, 0]
    return y, last


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def packed(parts):
    return tuple(parts) if len(parts) > 1 else parts[0]


def problem(kind, T, B, layers, both, bias=True, seed=0):
    rng = np.random.default_rng(seed)
    layer = kind(I, H, num_layers=layers, bidirectional=both, bias=bias, rng=rng, dtype=np.float64)
    layer.training = False
    for name, p in layer.params.items():
        p += 0.0 if name.startswith(("weight_ih", "weight_hh")) else rng.normal(size=p.shape)
    shape = (layers * layer.directions, B, H)
    parts = tuple(rng.normal(size=shape) for _ in layer.state_names)
    return layer, rng.normal(size=(T, B, I)), parts, rng.integers(1, T + 1, size=B)


configurations = {
    "kind": st.sampled_from(list(KINDS)), "T": st.integers(1, 12), "B": st.integers(1, 3),
    "layers": st.integers(1, 3), "both": st.booleans(), "bias": st.booleans(),
    "ends": st.booleans(), "seed": st.integers(0, 2**16),
}  # fmt: skip


@given(**configurations)
def test_forward_equals_each_sequence_by_itself(kind, T, B, layers, both, bias, ends, seed):
    layer, x, parts, lengths = problem(kind, T, B, layers, both, bias, seed)
    expected, last = by_itself(layer, x, parts, lengths if ends else [T] * B)
    y, state = layer(x, packed(parts), lengths if ends else None)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    for got, part in zip(parts_of(state), last):
        np.testing.assert_allclose(got, part, rtol=1e-10, atol=1e-12)


@given(**configurations | {"T": st.integers(1, 5), "B": st.integers(1, 2)})
def test_every_gradient_matches_differences_of_the_naive_version(kind, T, B, layers, both, bias, ends, seed):
    layer, x, parts, lengths = problem(kind, T, B, layers, both, bias, seed)
    lengths = lengths if ends else None
    rng = np.random.default_rng(seed + 1)
    y, state = layer(x, packed(parts), lengths)
    dy, dlast = rng.normal(size=y.shape), [rng.normal(size=p.shape) for p in parts]
    dx, dstate = layer.backward(dy, packed(dlast))

    def loss():
        y, last = by_itself(layer, x, parts, [T] * B if lengths is None else lengths)
        return (y * dy).sum() + sum((p * d).sum() for p, d in zip(last, dlast))

    arrays = {"x": x, **layer.params} | {n: p for n, p in zip(layer.state_names, parts)}
    grads = {"x": dx, **layer.grads} | {n: d for n, d in zip(layer.state_names, parts_of(dstate))}
    assert arrays.keys() == grads.keys()
    for name, array in arrays.items():
        expected = naive.central_differences(loss, array)
        scale = max(abs(expected).max(), 1e-3)
        assert abs(grads[name] - expected).max() < 1e-6 * scale, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both", [False, True])
def test_what_lies_past_an_end_matters_nowhere_and_gets_nothing(kind, both):
    layer, x, parts, _ = problem(kind, 6, 3, 2, both)
    lengths = np.array([6, 1, 4])
    y, state = layer(x, packed(parts), lengths)
    dy = np.random.default_rng(1).normal(size=y.shape)
    dx, dstate = layer.backward(dy, packed(parts))
    expected = [y, dx, *parts_of(state), *parts_of(dstate), *layer.grads.values()]
    junk, djunk = x.copy(), dy.copy()
    past = np.arange(6)[:, None] >= lengths
    junk[past], djunk[past] = np.nan, np.inf
    y, state = layer(junk, packed(parts), lengths)
    dx, dstate = layer.backward(djunk, packed(parts))
    for a, b in zip(expected, [y, dx, *parts_of(state), *parts_of(dstate), *layer.grads.values()]):
        np.testing.assert_array_equal(a, b)
    assert not y[past].any() and not dx[past].any()
    assert np.isnan(junk[past]).all() and np.isinf(djunk[past]).all()  # the inputs are left alone


@pytest.mark.parametrize("kind", KINDS)
def test_states_stay_past_the_end_in_a_trace(kind):
    layer, x, parts, _ = problem(kind, 6, 2, 2, True)
    lengths = np.array([4, 6])
    _, state = layer(x, packed(parts), lengths)
    for run in layer.runs:
        trace, n = layer.trace(run), layer.runs.index(run)
        last = 0 if run.endswith("reverse") else 3
        for name, part in zip(layer.state_names, parts_of(state)):
            np.testing.assert_array_equal(getattr(trace, name)[last, 0], part[n, 0])
            np.testing.assert_array_equal(getattr(trace, name)[4:, 0], np.stack([part[n, 0]] * 2))
    if kind is lstm.LSTM:
        gates = np.stack(layer.trace("l1_reverse")[:4])[:, 4:, 0]
        np.testing.assert_array_equal(gates, np.broadcast_to([[[0.0]], [[1]], [[0]], [[0]]], gates.shape))


@pytest.mark.parametrize("kind", KINDS)
def test_the_reverse_direction_is_the_forward_one_on_reversed_time(kind):
    layer, x, parts, lengths = problem(kind, 6, 3, 1, True)
    y, _ = layer(x, packed(parts), lengths)
    single = kind(I, H, dtype=np.float64)
    single.training = False
    single.params = {k.removesuffix("_reverse"): p for k, p in layer.params.items() if "reverse" in k}
    other, _ = single(stack.reverse(x, lengths), packed([p[1:] for p in parts]), lengths)
    np.testing.assert_allclose(stack.reverse(other, lengths), y[:, :, H:], rtol=1e-12)
    np.testing.assert_array_equal(layer.trace("l0_reverse").h[0], y[0, :, H:])


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_the_batch_permutes_everything(kind):
    layer, x, parts, lengths = problem(kind, 5, 4, 2, True)
    order = np.array([2, 0, 3, 1])
    y, state = layer(x, packed(parts), lengths)
    dx, dstate = layer.backward(y, state)
    grads = layer.grads
    y2, state2 = layer(x[:, order], packed([p[:, order] for p in parts]), lengths[order])
    dx2, dstate2 = layer.backward(y2, state2)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)  # noqa: E731
    close(y2, y[:, order])
    close(dx2, dx[:, order])
    for a, b in zip((*parts_of(state2), *parts_of(dstate2)), (*parts_of(state), *parts_of(dstate))):
        close(a, b[:, order])
    for name, g in grads.items():
        close(layer.grads[name], g)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_cut_in_two_equals_the_whole(kind):
    layer, x, parts, _ = problem(kind, 7, 2, 3, False)
    y, state = layer(x, packed(parts))
    dy = np.random.default_rng(1).normal(size=y.shape)
    dx, dfirst = layer.backward(dy, state)
    grads = layer.grads
    first, middle = layer(x[:3], packed(parts))
    second, end = layer(x[3:], middle)
    dx2, dmiddle = layer.backward(dy[3:], end)
    late = layer.grads
    layer(x[:3], packed(parts))
    dx1, dstart = layer.backward(dy[:3], dmiddle)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)  # noqa: E731
    close(np.concatenate([first, second]), y)
    close(np.concatenate([dx1, dx2]), dx)
    for a, b in zip((*parts_of(end), *parts_of(dstart)), (*parts_of(state), *parts_of(dfirst))):
        close(a, b)
    for name, whole in grads.items():
        close(layer.grads[name] + late[name], whole)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_first_swaps_the_first_two_axes_and_nothing_else(kind):
    layer, x, parts, lengths = problem(kind, 5, 3, 2, True)
    other = kind(I, H, num_layers=2, bidirectional=True, batch_first=True, dtype=np.float64)
    other.params, other.training = layer.params, False
    y, state = layer(x, packed(parts), lengths)
    dx, _ = layer.backward(y, state)
    y2, state2 = other(x.swapaxes(0, 1), packed(parts), lengths)
    dx2, _ = other.backward(y2, state2)
    np.testing.assert_array_equal(y2.swapaxes(0, 1), y)
    np.testing.assert_array_equal(dx2.swapaxes(0, 1), dx)
    message = r"^\w+ expected x of shape \(batch, time, features 3\), got \(3, 5, 2\)$"
    with pytest.raises(ValueError, match=message):
        other(np.ones((3, 5, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_without_biases_is_one_whose_biases_are_zero(kind):
    without = kind(I, H, num_layers=2, bias=False, rng=0, dtype=np.float64)
    layer = kind(I, H, num_layers=2, rng=0, dtype=np.float64)
    assert without.params.keys() == {k for k in layer.params if not k.startswith("bias")}
    for name, p in layer.params.items():
        p[...] = without.params.get(name, 0.0)
    x = np.random.default_rng(0).normal(size=(4, 2, I))
    np.testing.assert_array_equal(layer(x)[0], without(x)[0])
    without.backward(without(x)[0])
    assert without.grads.keys() == without.params.keys()


def test_a_stateful_layer_goes_on_where_it_ended_and_refuses_another_batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 2, I))
    layer = lstm.LSTM(I, H, stateful=True, rng=0, dtype=np.float64)
    whole, _ = lstm.LSTM(I, H, rng=0, dtype=np.float64)(x)
    np.testing.assert_allclose(np.concatenate([layer(x[:2])[0], layer(x[2:])[0]]), whole, rtol=1e-12)
    with pytest.raises(ValueError, match=r"got one for 2; .* call reset_state\(\)"):
        layer(x[:, :1])
    layer.reset_state()
    np.testing.assert_allclose(layer(x)[0], whole, rtol=1e-12)
    layer.forget()
    np.testing.assert_allclose(layer(x)[0], whole, rtol=1e-12)


def test_dropout_keeps_the_mean_in_training_and_everything_in_evaluation():
    x = np.ones((100, 20, 50))
    dropout = lstm.Dropout(0.3, rng=0)
    y = dropout(x)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    # the share of zeros among n is known to sqrt(p (1 - p) / n); five of those
    assert abs((y == 0).mean() - 0.3) < 5 * (0.21 / y.size) ** 0.5
    np.testing.assert_array_equal(dropout.backward(2 * x), 2 * y)
    dropout.training = False
    assert dropout(x) is x and dropout.backward(x) is x


def test_dropout_between_layers_is_seeded_and_off_where_training_is_off():
    x = np.random.default_rng(0).normal(size=(4, 3, I))
    layers = [lstm.LSTM(I, 30, num_layers=2, dropout=0.5, rng=3, dtype=np.float64) for _ in range(2)]
    plain = lstm.LSTM(I, 30, num_layers=2, rng=3, dtype=np.float64)
    a, b = (layer(x)[0] for layer in layers)
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, plain(x)[0])
    layers[0].training = False
    np.testing.assert_array_equal(layers[0](x)[0], plain(x)[0])


def test_dropouts_gradient_with_its_mask_held():
    rng = np.random.default_rng(0)
    layer = lstm.GRU(I, 4, num_layers=3, dropout=0.5, bidirectional=True, rng=0, dtype=np.float64)
    x, seeds = rng.normal(size=(3, 2, I)), [d.rng.bit_generator.state for d in layer._between]

    def forward():
        for d, seed in zip(layer._between, seeds):
            d.rng.bit_generator.state = seed
        return layer(x)[0]

    dy = rng.normal(size=forward().shape)
    dx, _ = layer.backward(dy)
    grads = {"x": dx, **layer.grads}
    for name, array in {"x": x, **layer.params}.items():
        expected = naive.central_differences(lambda: (forward() * dy).sum(), array)
        assert abs(grads[name] - expected).max() < 1e-6 * max(abs(expected).max(), 1e-3), name


X = np.ones((5, 4, I))


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([5, 5, 5], ValueError, r"lengths of shape \(4,\), got \(3,\)"),
        ([5, 5, 5, 0], ValueError, "lengths from 1 to 5, got 0 to 5"),
        ([5, 5, 6, 1], ValueError, "lengths from 1 to 5, got 1 to 6"),
        ([5.0, 5, 5, 5], TypeError, "lengths as whole numbers, got float64"),
        ("long", TypeError, "lengths as whole numbers, got <U4"),
    ],
)
def test_bad_lengths_are_refused(lengths, error, message):
    with pytest.raises(error, match=f"^LSTM expected {message}$"):
        lstm.LSTM(I, H, rng=0, dtype=np.float64)(X, None, lengths)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "LSTM expected num_layers of at least 1, got 0"),
        ({"dropout": 1.0}, "LSTM expected dropout from 0 to below 1, got 1.0"),
        ({"dropout": float("nan")}, "LSTM expected dropout from 0 to below 1, got nan"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        lstm.LSTM(I, H, **options)


def test_an_unknown_run_is_refused():
    layer = lstm.LSTM(I, H, num_layers=2, dtype=np.float64)
    layer(X)
    with pytest.raises(ValueError, match=r"expected run as one of \['l0', 'l1'\], got 'l2'"):
        layer.trace("l2")
