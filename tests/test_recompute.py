"""Few states kept and the rest run again: the same bytes, and memory as the root of the length."""

import copy
import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm
import naive
from lstm import recompute, recurrence, stack

KINDS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ZoneoutLSTM,
         lstm.ResetFirstGRU, lstm.ReluRNN]  # fmt: skip
STACK = {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.3}
B, I, H = 3, 2, 5
BLOCK = recurrence.BLOCK


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def user_state(kind, arrays):
    return tuple(arrays) if len(kind.state_names) > 1 else arrays[0]


def everything(kind, T, every, dtype=np.float64, lengths=None, **options):
    """Return all that a layer gives for a pass forward and backward from a first state."""
    rng, layer = np.random.default_rng(0), kind(I, H, recompute=every, rng=1, dtype=dtype, **options)
    x, dy = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, layer.directions * H))
    if layer.batch_first:
        x, dy = x.swapaxes(0, 1), dy.swapaxes(0, 1).copy()
    first, last = rng.normal(size=(2, len(kind.state_names), len(layer.runs), B, H))
    y, state = layer(x, user_state(kind, first), lengths)
    dx, dstate = layer.backward(dy, user_state(kind, last))
    traces = [a for trace in layer.traces().values() for a in trace]
    return [y, *parts(state), dx, *parts(dstate), *layer.grads.values(), *traces]


def assert_same_bytes(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(
    kind=st.sampled_from(KINDS), T=st.integers(1, 4 * BLOCK + 5), every=st.integers(1, 60),
    dtype=st.sampled_from([np.float32, np.float64]), options=st.sampled_from([{}, STACK]),
    lengths=st.none() | st.lists(st.integers(1, 4 * BLOCK + 5), min_size=B, max_size=B),
)  # fmt: skip
def test_every_result_is_the_same_to_the_last_bit(kind, T, every, dtype, options, lengths):
    lengths = None if lengths is None else np.minimum(lengths, T)
    plain = everything(kind, T, None, dtype, lengths, **options)
    assert_same_bytes(everything(kind, T, every, dtype, lengths, **options), plain)


@pytest.mark.parametrize("lengths", [None, [2 * BLOCK + 3, 1, BLOCK + 4]], ids=["whole", "lengths"])
@pytest.mark.parametrize("options", [{}, STACK], ids=["one", "four runs"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_grid_of_kinds_is_the_same_to_the_last_bit(kind, options, lengths):
    plain = everything(kind, 2 * BLOCK + 3, None, lengths=lengths, **options)
    for every in (1, BLOCK, BLOCK + 1, 100):
        assert_same_bytes(everything(kind, 2 * BLOCK + 3, every, lengths=lengths, **options), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_every_gradient_matches_central_differences(kind):
    T, lengths, rng = BLOCK + 2, [BLOCK + 2, 3, BLOCK + 1], np.random.default_rng(3)
    layer = kind(I, 3, recompute=1, rng=0, dtype=np.float64)
    x, dy = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, 3))
    first, last = rng.normal(size=(2, len(kind.state_names), 1, B, 3))

    def run():
        if hasattr(layer, "rng"):  # zoneout repeats its draws
            layer.rng.bit_generator.state = np.random.default_rng(4).bit_generator.state
        return layer(x, user_state(kind, first), lengths)

    def loss():
        y, state = run()
        return (y * dy).sum() + sum((a * d).sum() for a, d in zip(parts(state), last))

    run()
    dx, dstate = layer.backward(dy, user_state(kind, last))
    arrays = (x, first, *layer.params.values())
    for got, array in zip((dx, np.stack(parts(dstate)), *layer.grads.values()), arrays, strict=True):
        expected = naive.central_differences(loss, array)
        assert abs(got - expected).max() < 1e-7 * abs(expected).max()


def peak(kind, T, every, size=4, hidden=32, batch=16):
    """Return the bytes of a training step beyond y, dx and the layer's copy of x."""
    layer = kind(size, hidden, rng=0, recompute=every)
    x, dy = np.ones((T, batch, size), np.float32), np.ones((T, batch, hidden), np.float32)
    tracemalloc.start()
    results = layer(x), layer.backward(dy)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found - results[0][0].nbytes - (1 if every is None else 2) * x.nbytes


@pytest.mark.parametrize(
    "kind, kept",  # for the gradient: gates, states and what else of every step
    [(lstm.LSTM, 4 + 3), (lstm.GRU, 3 + 2), (lstm.RNN, 1), (lstm.PeepholeLSTM, 4 + 3)],
)
def test_memory_grows_as_the_root_of_the_length(kind, kept):
    unit = 16 * 32 * 4  # bytes of one array (B, H)
    small, middle, large = (peak(kind, T, round(T**0.5)) / unit for T in (100, 400, 1600))
    # The root grows by 10, then by 20: so many steps more in memory, with their y, and so many
    # states. A state is some hundred bytes of Python too.
    each = kept + 1 + len(kind.state_names) + (4 + 1) / 32
    assert middle - small <= 1.1 * 10 * each and large - middle <= 1.1 * 20 * each
    if kept > 1:
        assert peak(kind, 1600, None) / unit > 12 * large


def test_what_is_read_again_is_the_layers_own():
    layers = [lstm.PeepholeLSTM(I, H, rng=0, recompute=every) for every in (None, 1)]
    results = []
    for layer in layers:
        x = np.random.default_rng(0).normal(size=(3 * BLOCK, B, I)).astype(np.float32)
        first = np.random.default_rng(1).normal(size=(2, 1, B, H)).astype(np.float32)
        y, _ = layer(x, tuple(first))
        dy = y.copy()
        x[...], first[...], y[...] = 0.0, 0.0, 0.0  # the caller's, and used for other things
        dx, dstate = layer.backward(dy)
        lstm.SGD(layer.params, 0.1).step(layer.grads)
        results.append([dx, *dstate, *layer.grads.values(), *layer.trace()])
    assert_same_bytes(*results)


def test_a_backward_pass_can_be_repeated_and_a_forward_pass_after_it():
    layer, plain = (lstm.GRU(I, H, rng=0, recompute=every) for every in (BLOCK, None))
    for T in (35, 12, 48):
        x = np.random.default_rng(T).normal(size=(T, B, I)).astype(np.float32)
        y, expected = layer(x)[0], plain(x)[0]
        right = plain.backward(expected)[0]
        for _ in range(2):
            assert_same_bytes([y, layer.backward(y)[0]], [expected, right])


def test_zoneout_draws_again_what_it_drew_and_goes_on_where_it_was():
    x, results = np.ones((25, B, I), np.float32), []
    for every in (None, 3):
        layer, found = lstm.ZoneoutLSTM(I, H, zoneout_h=0.3, rng=0, recompute=every), []
        for training in (True, False):
            layer.training = training
            y, _ = layer(x)
            layer.training = not training  # settled by the forward pass
            found += [y, *layer.trace(), layer.backward(y)[0], *layer.trace()]
        results.append([*found, layer.rng.random(3)])
    assert_same_bytes(*results)


def test_a_generator_goes_on_where_it_was_after_an_error_too():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    drawn = rng.random()
    now = rng.bit_generator.state
    with pytest.raises(KeyError), recompute.drawing_again(rng, before):
        assert rng.random() == drawn
        raise KeyError
    assert rng.bit_generator.state == now


class Watched:
    """A forward pass that notes how many steps it was given."""

    def __init__(self):
        self.steps = []

    def __call__(self, x, *rest):
        self.steps.append(len(x))
        return recurrence.lstm_forward(x, *rest)


def sparse(T, every, lengths=None):
    """Return what `sparse_forward` returns, its forward pass, and the plain cache."""
    rng, forward = np.random.default_rng(0), Watched()
    weights = rng.normal(size=(4 * H, I)), rng.normal(size=(4 * H, H)), rng.normal(size=4 * H)
    arguments = rng.normal(size=(T, B, I)), tuple(rng.normal(size=(2, B, H))), weights, lengths
    plain = stack.run_forward(recurrence.lstm_forward, *arguments)[2]
    return recompute.sparse_forward(forward, *arguments, every=every), forward, plain, arguments


@pytest.mark.parametrize("T, every, states", [(45, 10, 5), (45, 7, 5), (45, 11, 3), (40, 20, 2), (3, 9, 1)])
def test_a_state_for_every_piece_and_one_more_forward_pass_but_for_the_last(T, every, states):
    (y, _, cache), forward, _, (x, _, weights, _) = sparse(T, every)
    assert len(cache.states) == states and sum(forward.steps) == T
    dstate = tuple(np.ones((2, B, H)))
    stack.run_backward(recurrence.lstm_backward, y, dstate, cache, weights, None, cache.workspace)
    assert sum(forward.steps) == 2 * T - forward.steps[states - 1]
    assert max(forward.steps) <= -(-every // BLOCK) * BLOCK


@given(start=st.integers(0, 44), length=st.integers(1, 45), ended=st.booleans())
def test_any_steps_can_be_asked_for_in_any_order(start, length, ended):
    lengths = np.array([45, 1, 17]) if ended else None
    (_, _, cache), _, plain, _ = sparse(45, 10, lengths)
    for first in (start, 0, min(start + 7, 44)):  # blocks of other sizes, as on a GPU
        steps = slice(first, min(first + length, 45))
        found, expected = cache.part(steps), recurrence.part_of(plain, steps, 45)
        for name in ("h", "c", "gates"):
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
        np.testing.assert_array_equal(found.stacked[:-1], expected.stacked[:-1])


def test_a_cache_of_all_steps_is_made_in_memory_of_its_own():
    (_, _, cache), _, plain, _ = sparse(45, 10)
    whole = recompute.whole_cache(cache)
    assert whole.gates.tobytes() == plain.gates.tobytes()
    assert not any(np.shares_memory(whole.gates, a) for a in cache.workspace.arrays.values())
    assert max(a.size for a in cache.workspace.arrays.values()) < plain.gates.size / 4
    assert recompute.whole_cache(plain) is plain


@pytest.mark.parametrize("every, error", [(0, ValueError), (-1, ValueError), (2.5, TypeError),
                                          (True, TypeError), ("a", TypeError)])  # fmt: skip
def test_what_is_no_number_of_steps_is_refused(every, error):
    expected = "of at least 1, got" if error is ValueError else "as an int, got"
    with pytest.raises(error, match=f"^GRU expected recompute {expected} {every!r}$"):
        lstm.GRU(I, H, recompute=every)


def train(model, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(33, 6, I))
    history = lstm.fit(model, x, x[..., :1], lstm.Adam(model.params, 0.01), epochs=3,
                       batch_size=4, rng=rng, **options)  # fmt: skip
    return [np.array(history.loss), *model.params.values(), *model.grads.values()]


@pytest.mark.parametrize("bptt_length", [None, 12])
@pytest.mark.parametrize(
    "layer",
    [partial(lstm.LSTM, num_layers=2, dropout=0.4), partial(lstm.ZoneoutLSTM, num_layers=2),
     lambda *a, **k: lstm.Reversed(lstm.RNN(*a, **k))],
)  # fmt: skip
def test_a_training_is_the_same_training(layer, bptt_length):
    if layer(I, H).from_end and bptt_length:
        bptt_length = None
    models = [lstm.Regressor(layer(I, H, rng=1, recompute=every), 1, rng=2) for every in (None, 4)]
    assert_same_bytes(*(train(model, bptt_length=bptt_length) for model in models))


def test_a_stateful_layer_carries_its_state():
    x, found = np.random.default_rng(0).normal(size=(50, B, I)), []
    for every in (None, 3):
        layer = lstm.LSTM(I, H, stateful=True, rng=0, dtype=np.float64, recompute=every)
        calls = [a for part in (x[:27], x[27:]) for a in (layer(part)[0], layer.backward(x[: len(part), :, :1] * np.ones(H))[0])]
        found.append([*calls, *layer.state])
    assert_same_bytes(*found)


def test_it_is_kept_in_files_and_older_files_have_none(tmp_path):
    for every in (None, 7):
        layer = lstm.Reversed(lstm.ZoneoutLSTM(I, H, recompute=every, rng=0))
        lstm.save(lstm.Classifier(layer, 3, rng=1), tmp_path / "m")
        assert (b"recompute" in (tmp_path / "m").read_bytes()) == (every is not None)
        assert lstm.load(tmp_path / "m").recurrent.recompute == every


def test_copies_and_pickles_compute_the_same():
    x = np.ones((25, B, I), np.float32)
    layer = lstm.ZoneoutLSTM(I, H, num_layers=2, dropout=0.5, recompute=2, rng=0)
    y, _ = layer(x)
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    expected = layer.backward(y)[0]
    for twin in twins:
        assert_same_bytes([twin.backward(y)[0]], [expected])


def test_instruments_say_the_same():
    x, reports = np.sin(0.3 * np.arange(31)[:, None] + np.arange(8))[..., None], []
    for every in (None, 3):
        model = lstm.LSTMRegressor(1, 4, 1, rng=0, recompute=every)
        found = lstm.diagnose(model, x[:-1], x[1:], lstm.Adam(model.params))
        checks = lstm.sanity_check(model, x[:-1], x[1:], loss=lstm.mean_squared_error,
                                   rng=np.random.default_rng(0))  # fmt: skip
        reports.append((str(found), str(checks), str(lstm.gradient_check(model, x[:12], rng=np.random.default_rng(0)))))
    assert reports[0] == reports[1]
