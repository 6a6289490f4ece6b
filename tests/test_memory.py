"""How far back a model reaches: against derivatives written out, one output at a time."""

import numpy as np
import pytest

import lstm
from lstm import memory as m

KINDS = [lstm.LSTM, lstm.GRU, lstm.RNN]


def naive_influence(model, x, state=None, lengths=None):
    """Central differences, one number of the input at a time."""
    y0 = model(x, state, lengths)[0]
    T, B, I = x.shape
    rows = T if y0.ndim == 3 else 1
    squares = np.zeros((rows, T))
    for t, b, k in np.ndindex(T, B, I):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[t, b, k] += sign * 1e-5
            ends.append(model(moved, state, lengths)[0].reshape(rows, B, -1))
        squares[:, t] += (((ends[0] - ends[1]) / 2e-5) ** 2).sum(2).mean(1)
    return np.sqrt(squares)


def some_model(kind, **options):
    rng = np.random.default_rng(0)
    layer = kind(2, 3, rng=rng, dtype=np.float64, **options)
    return layer, rng.normal(size=(5, 2, 2)), rng


@pytest.mark.parametrize("lengths", [None, [5, 2]])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_influence_is_the_norm_of_the_derivative(kind, options, lengths):
    layer, x, rng = some_model(kind, **options)
    _, state = layer(x)
    found = m.influence(layer, x, state=state, lengths=lengths)
    np.testing.assert_allclose(found, naive_influence(layer, x, state, lengths), rtol=1e-6, atol=1e-9)


def test_influence_of_models_and_no_look_ahead():
    layer, x, rng = some_model(lstm.LSTM)
    model = lstm.Regressor(layer, 2, rng=0)
    found = m.influence(model, x)
    np.testing.assert_allclose(found, naive_influence(model, x), rtol=1e-6, atol=1e-9)
    assert not np.triu(found, 1).any() and (np.diag(found) > 0).all()
    classifier = lstm.Classifier(layer, 4, pool="mean", rng=0)
    found = m.influence(classifier, x, lengths=[3, 5])
    assert found.shape == (1, 5)
    np.testing.assert_allclose(found, naive_influence(classifier, x, None, [3, 5]), rtol=1e-6, atol=1e-9)


def test_random_signs_are_right_on_average_and_exact_for_one_output():
    layer, x, rng = some_model(lstm.LSTM)
    exact = m.influence(layer, x)
    squares = np.mean([m.influence(layer, x, rng=rng) ** 2 for _ in range(400)], 0)
    np.testing.assert_allclose(np.sqrt(squares), exact, rtol=0.15, atol=1e-12)
    model = lstm.Regressor(layer, 1, rng=0)
    np.testing.assert_allclose(m.influence(model, x, rng=rng), m.influence(model, x), rtol=1e-12)


@pytest.mark.parametrize("instrument", [m.influence, m.spectral_radius])
def test_a_model_is_left_as_it_was(instrument):
    layer = lstm.LSTM(2, 3, num_layers=2, dropout=0.5, stateful=True, rng=0)
    x = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    y, state = layer(x)
    layer.backward(y)
    before, kept, generator = dict(layer.grads), layer.state, layer._between[0].rng.bit_generator.state
    first = instrument(layer, x)  # from zeros
    assert np.array_equal(first, instrument(layer, x, state=tuple(0 * part for part in state)))
    assert layer.training and layer.stateful and layer.state is kept and layer._between[0].rng.bit_generator.state == generator
    assert all(layer.grads[name] is g for name, g in before.items())


def test_a_half_life_comes_back_as_the_memory_length():
    for half in (1.0, 3.0, 10.0):
        lag = np.arange(200)[:, None] - np.arange(200)
        decaying = np.where(lag >= 0, 0.5 ** (np.abs(lag) / half), 0.0)
        assert m.memory_length(decaying) == pytest.approx(half, abs=0.06)
        assert m.memory_length(decaying[-1:]) == pytest.approx(half, abs=0.06)
    assert m.memory_length(np.eye(5)) == 0.5  # all of it within the one step
    assert m.memory_length(np.tril(np.ones((8, 8)))) == pytest.approx(4.0)
    assert np.isnan(m.memory_length(np.zeros((3, 3))))
    ahead = np.triu(np.ones((6, 6)), 1) * 100 + np.eye(6)
    assert m.memory_length(ahead) == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_the_jacobian_is_that_of_central_differences(kind):
    layer, x, rng = some_model(kind, num_layers=2)
    _, state = layer(x)
    parts = m.state_parts(state)
    found = m.state_jacobian(layer, x[:1], state)
    n = len(parts) * 2 * 3
    assert found.shape == (2, n, n)
    flat = lambda s: np.concatenate([p.swapaxes(0, 1).reshape(2, -1) for p in m.state_parts(s)], 1)  # noqa: E731
    column = 0
    for part in parts:
        for run, unit in np.ndindex(2, 3):
            ends = []
            for sign in (1, -1):
                part[run, :, unit] += sign * 1e-5
                ends.append(flat(layer(x[:1], state)[1]))
                part[run, :, unit] -= sign * 1e-5
            np.testing.assert_allclose(found[:, :, column], (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-9)
            column += 1


def test_the_spectral_radius_of_a_linear_rnn_is_that_of_its_weights():
    layer = lstm.RNN(2, 16, rng=0, dtype=np.float64)
    x = np.zeros((20, 3, 2))  # tanh has the slope 1 there
    radius = abs(np.linalg.eigvals(layer.params["weight_hh_l0"])).max()
    assert m.spectral_radius(layer, x) == pytest.approx(radius, rel=1e-9)
    layer.params["weight_hh_l0"] *= 2.0
    assert m.spectral_radius(lstm.Regressor(layer, 1, rng=0), x) == pytest.approx(2 * radius, rel=1e-9)


def test_the_spectral_radius_of_a_cell_without_recurrence_is_its_forget_gate():
    layer = lstm.LSTM(1, 4, rng=0, dtype=np.float64, forget_bias=2.0)
    layer.params["weight_hh_l0"][:] = layer.params["weight_ih_l0"][:] = 0.0
    assert m.spectral_radius(layer, np.zeros((10, 2, 1))) == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-9)


def test_what_is_refused():
    x = np.zeros((4, 2, 2), np.float32)
    with pytest.raises(ValueError, match="^influence expected layers with batch_first=False, got LSTM$"):
        m.influence(lstm.LSTM(2, 3, batch_first=True), x)
    with pytest.raises(ValueError, match="^spectral_radius expected one direction, got two in recurrent$"):
        m.spectral_radius(lstm.LSTMRegressor(2, 3, 1, bidirectional=True), x)
    with pytest.raises(ValueError, match="^spectral_radius expected x of at least 2 steps, got 1$"):
        m.spectral_radius(lstm.LSTM(2, 3), x[:1])
    with pytest.raises(ValueError, match="^spectral_radius expected steps of at least 1, got 0$"):
        m.spectral_radius(lstm.LSTM(2, 3), x, steps=0)
    with pytest.raises(ValueError, match="^state_jacobian expected layers with batch_first=False, got GRU$"):
        m.state_jacobian(lstm.GRU(2, 3, batch_first=True), x[:1], None)


@pytest.mark.parametrize("instrument", [m.influence, m.spectral_radius])
def test_what_is_no_sequence_of_numbers_is_refused_by_name(instrument):
    layer, name = lstm.LSTM(2, 3, rng=0), instrument.__name__
    with pytest.raises(TypeError, match=f"^{name} expected x as an array, got list$"):
        instrument(layer, [[[1.0, 2.0]]])
    with pytest.raises(TypeError, match=f"^{name} expected x of a floating dtype, got int64$"):
        instrument(layer, np.ones((4, 3), np.int64))
    with pytest.raises(ValueError, match=rf"^{name} expected x with 3 axes .*, got shape \(4,\)$"):
        instrument(layer, np.ones(4))
    with pytest.raises(ValueError, match=rf"^{name} expected x without an empty axis, got shape \(4, 0, 2\)$"):
        instrument(layer, np.ones((4, 0, 2)))


def test_a_radius_is_that_of_one_recurrent_layer_on_finite_numbers():
    x = np.ones((4, 1, 2))
    two = lstm.Sequential(a=lstm.LSTM(2, 3, rng=0), b=lstm.GRU(3, 3, rng=0))
    for model, found in ((two, 2), (lstm.Linear(2, 2), 0)):
        with pytest.raises(ValueError, match=f"^spectral_radius expected one recurrent layer, got {found}$"):
            m.spectral_radius(model, x)
    with pytest.raises(ValueError, match="^spectral_radius expected x without NaN or infinity, got some$"):
        m.spectral_radius(lstm.LSTM(2, 3, rng=0), x * np.nan)
