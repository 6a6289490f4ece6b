"""Any array at all: the right answer or a clear refusal, never a changed input or shared memory."""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lstm
import naive

I, H = 2, 3
MANY = settings(max_examples=50 * settings().max_examples)  # 5,000 unless told otherwise
DTYPES = ["f2", "f4", "f8", ">f8", "i1", "i8", "u2", "?", "c16", "U3", "S2", "O", "M8[s]"]


@st.composite
def any_arrays(draw):
    """Arrays of any dtype, shape, order and strides, read-only or not."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if draw(st.booleans()):  # half of them of a shape that could be right
        shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([I, I, 1])))
    else:
        shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    values = st.floats(-8, 8, width=16) if dtype.kind == "f" else None
    array = draw(hnp.arrays(dtype, shape, elements=values if dtype.kind != "O" else st.none()))
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    if array.ndim and draw(st.booleans()):
        array = np.repeat(array, 2, axis=0)[::-2]
    array.flags.writeable = draw(st.booleans())
    return array


def same(a, b):
    return a.tobytes() == b.tobytes() and a.shape == b.shape and a.dtype == b.dtype


@MANY
@given(x=any_arrays(), seed=st.integers(0, 3), both=st.booleans())
def test_any_x_is_computed_or_refused_and_left_alone(x, seed, both):
    layer = lstm.LSTM(I, H, rng=seed, dtype=np.float64, bidirectional=both)
    before = x.copy()
    fits = x.ndim == 3 and x.size > 0 and x.shape[2] == I and x.dtype.kind == "f"
    try:
        y, state = layer(x)
    except (ValueError, TypeError) as error:
        assert not fits and str(error).startswith("LSTM expected x")
    else:
        assert fits
        zeros = np.zeros((x.shape[1], H))
        expected, *_ = naive.lstm(x.astype(float), zeros, zeros, *layer.weights()[0])
        np.testing.assert_allclose(y[:, :, :H], expected, rtol=1e-10, atol=1e-12)
    assert x.dtype.kind == "O" or same(x, before)


@MANY
@given(part=any_arrays(), which=st.sampled_from(["h", "c", "dy"]))
def test_any_state_or_gradient_is_computed_or_refused_and_left_alone(part, which):
    layer = lstm.LSTM(I, H, rng=0, dtype=np.float64)
    x, good, before = np.ones((2, 2, I)), np.ones((1, 2, H)), part.copy()
    shape = (2, 2, H) if which == "dy" else (1, 2, H)
    fits = part.shape == shape and part.dtype.kind == "f"
    try:
        if which == "dy":
            layer(x)
            layer.backward(part)
        else:
            layer(x, (part, good) if which == "h" else (good, part))
    except (ValueError, TypeError) as error:
        assert not fits and str(error).startswith(f"LSTM expected {which} ")
    else:
        assert fits
    assert part.dtype.kind == "O" or same(part, before)


KINDS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ZoneoutLSTM,
         lstm.ResetFirstGRU, lstm.ReluRNN]  # fmt: skip


def results(layer, x, dy, lengths):
    """Everything a forward and a backward pass returns or leaves to its user."""
    y, state = layer(x, None, lengths)
    dx, dstate = layer.backward(dy)
    parts = [p for s in (state, dstate) for p in (s if isinstance(s, tuple) else (s,))]
    traces = [a for trace in layer.traces().values() for a in trace]
    return [y, dx, *parts, *layer.grads.values(), *traces]


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_results_share_no_memory_with_the_layer_or_each_other(kind, hidden, B):
    for options in ({}, {"bidirectional": True}, {"num_layers": 2, "batch_first": True}):
        rng = np.random.default_rng(0)
        layer = kind(I, hidden, rng=0, dtype=np.float64, **options)
        layer.training = False  # zoneout draws
        shape = (B, 4) if layer.batch_first else (4, B)
        x = rng.normal(size=(*shape, I))
        dy = rng.normal(size=(*shape, hidden * layer.directions))
        for lengths in (None, rng.integers(1, 5, size=B)):
            first = results(layer, x, dy, lengths)
            kept = [a.copy() for a in first]
            again = results(layer, x, dy, lengths)
            for a, b in zip(first, kept):
                np.testing.assert_array_equal(a, b)  # the second call changed nothing
            for a in again:
                a[...] = 99.0  # and what a user does to results changes no later one
            for a, b in zip(results(layer, x, dy, lengths), kept):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles_compute_the_same_and_share_nothing(kind):
    x = np.random.default_rng(0).normal(size=(4, 2, I))
    model = lstm.Regressor(kind(I, H, num_layers=2, dropout=0.5, rng=0, dtype=np.float64), 1, rng=0)
    model(x)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    y = model(x)[0]
    for twin in twins:
        np.testing.assert_array_equal(twin(x)[0], y)  # the same dropout, too
        for name, p in twin.params.items():
            assert not np.shares_memory(p, model.params[name])
            p[...] = 0.0
    assert all(p.any() for name, p in model.params.items() if "weight_ih" in name)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_a_training_that_is_copied_or_pickled_whole_goes_on_alike(again):
    """The copied optimizer steps the copied model, and the first pair feels nothing of it."""
    x = np.random.default_rng(0).normal(size=(4, 2, I))
    model = lstm.LSTMRegressor(I, H, I, num_layers=2, dropout=0.5, rng=0, dtype=np.float64)
    parts = model, lstm.Adam(model.params, 0.1), np.random.default_rng(1)
    options = {"batch_size": 1, "validation": (x, -x)}
    history = lstm.fit(model, x, x, parts[1], epochs=2, rng=parts[2], **options)
    twins = again((*parts, history))
    for pair_model, optimizer, rng, past in ((*parts, history), twins):
        lstm.fit(pair_model, x, x, optimizer, epochs=5, rng=rng, history=past, **options)
    assert twins[3] == history and len(history.validation_loss) == 5
    for name, p in model.params.items():
        np.testing.assert_array_equal(twins[0].params[name], p)


def test_two_threads_with_two_models_do_not_disturb_each_other():
    x = np.random.default_rng(0).normal(size=(50, 8, I))

    def train(seed, losses):
        model = lstm.LSTMRegressor(I, 8, I, rng=seed, dtype=np.float64)
        losses[seed] = lstm.fit(model, x, x, lstm.Adam(model.params, 0.01), epochs=20).loss

    alone, together = {}, {}
    for seed in (0, 1):
        train(seed, alone)
    threads = [threading.Thread(target=train, args=(seed, together)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == together


@pytest.mark.parametrize(
    "kind, kept",  # for the gradient: gates, states and what else of every step, but x
    [(lstm.LSTM, 4 + 3), (lstm.PeepholeLSTM, 4 + 3), (lstm.CoupledLSTM, 3 + 3), (lstm.RNN, 1),
     (lstm.GRU, 3 + 2), (lstm.ResetFirstGRU, 3 + 2)],
)  # fmt: skip
def test_a_training_step_takes_little_more_memory_than_it_must_keep(kind, kept):
    T, B, size, hidden = 100, 32, 16, 64
    layer = kind(size, hidden, rng=0)
    x, dy = np.ones((T, B, size), np.float32), np.ones((T, B, hidden), np.float32)
    unit = T * B * hidden * 4  # bytes of one array (T, B, H)
    # For the caller: y, dx, and the weights' gradients.
    weights = sum(p.nbytes for p in layer.params.values())
    needed = kept * unit + x.nbytes + unit + x.nbytes + weights
    tracemalloc.start()
    results = layer(x), layer.backward(dy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert results and peak <= 1.25 * needed
