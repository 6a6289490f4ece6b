"""Whole sequences against the row-by-row versions and central differences."""

import numpy as np
import pytest

import naive
from benchmarks.calls import calls_per_step
from lstm import recurrence

BLOCKS = {"lstm": 4, "gru": 3, "rnn": 1}
KINDS = sorted(BLOCKS)
SHAPES = [(1, 1), (1, 3), (2, 1), (2, 3), (7, 1), (7, 3), (recurrence.BLOCK * 2 + 3, 2)]
I, H = 3, 4


def problem(kind, T, B, seed=0, dtype=np.float64):
    """Random, non-zero x, state and weights."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: E731
    rows = BLOCKS[kind] * H
    weights = [draw(rows, I), draw(rows, H), draw(rows)] + ([draw(H)] if kind == "gru" else [])
    return draw(T, B, I), tuple(draw(B, H) for _ in ("hc" if kind == "lstm" else "h")), weights


def functions(kind):
    return getattr(recurrence, f"{kind}_forward"), getattr(recurrence, f"{kind}_backward")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T, B", SHAPES)
def test_forward_equals_the_row_by_row_version(kind, T, B):
    x, state, weights = problem(kind, T, B)
    y, last, _ = functions(kind)[0](x, state, *weights)
    expected_y, *expected_last = getattr(naive, kind)(x, *state, *weights)
    np.testing.assert_allclose(y, expected_y, rtol=1e-12, atol=1e-14)
    assert len(last) == len(expected_last)
    for part, expected in zip(last, expected_last):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T, B", SHAPES)
def test_every_gradient_matches_central_differences_of_the_row_by_row_version(kind, T, B):
    x, state, weights = problem(kind, T, B)
    rng = np.random.default_rng(1)
    dy, dlast = rng.normal(size=(T, B, H)), tuple(rng.normal(size=s.shape) for s in state)
    forward, backward = functions(kind)
    _, _, cache = forward(x, state, *weights)
    dx, dstate, dweights = backward(dy, dlast, cache, *weights)

    def loss():
        y, *last = getattr(naive, kind)(x, *state, *weights)
        return (y * dy).sum() + sum((part * d).sum() for part, d in zip(last, dlast))

    assert len(dstate) == len(state) and len(dweights) == len(weights)
    for got, array in zip((dx, *dstate, *dweights), (x, *state, *weights)):
        expected = naive.central_differences(loss, array)
        assert got.shape == array.shape
        assert abs(got - expected).max() < 1e-6 * abs(expected).max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_cut_in_two_equals_the_whole(kind):
    x, state, weights = problem(kind, 17, 3)
    rng = np.random.default_rng(2)
    dy, dlast = rng.normal(size=(17, 3, H)), tuple(rng.normal(size=s.shape) for s in state)
    forward, backward = functions(kind)
    y, last, cache = forward(x, state, *weights)
    dx, dstate, dweights = backward(dy, dlast, cache, *weights)

    y1, middle, cache1 = forward(x[:3], state, *weights)
    y2, end, cache2 = forward(x[3:], middle, *weights)
    dx2, dmiddle, dweights2 = backward(dy[3:], dlast, cache2, *weights)
    dx1, dstart, dweights1 = backward(dy[:3], dmiddle, cache1, *weights)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)  # noqa: E731
    close(np.concatenate([y1, y2]), y)
    close(np.concatenate([dx1, dx2]), dx)
    for a, b in zip(end, last):
        close(a, b)
    for a, b in zip(dstart, dstate):
        close(a, b)
    for a, b, whole in zip(dweights1, dweights2, dweights):
        close(a + b, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_is_linear_in_dy_and_leaves_the_cache_alone(kind):
    x, state, weights = problem(kind, 5, 2)
    forward, backward = functions(kind)
    _, _, cache = forward(x, state, *weights)
    zeros = tuple(np.zeros_like(s) for s in state)
    a, b = np.random.default_rng(3).normal(size=(2, 5, 2, H))
    dx_a, dx_b, dx = (backward(dy, zeros, cache, *weights)[0] for dy in (a, b, 2 * a - 3 * b))
    np.testing.assert_allclose(dx, 2 * dx_a - 3 * dx_b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_not_modified_and_results_do_not_alias(kind):
    x, state, weights = problem(kind, 3, 2)
    arrays = (x, *state, *weights)
    before = [a.copy() for a in arrays]
    forward, backward = functions(kind)
    y, last, cache = forward(x, state, *weights)
    first = backward(np.ones_like(y), last, cache, *weights)[0].copy()
    kept = [part.copy() for part in last]
    y[:] = 99
    for part in last:
        part[:] = 99
    again = backward(np.ones_like(y), tuple(kept), cache, *weights)[0]
    np.testing.assert_array_equal(first, again)
    for a, b in zip(arrays, before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_a_workspace_changes_no_result_and_no_earlier_one(kind):
    forward, backward = functions(kind)
    workspace, earlier = recurrence.Workspace(), []
    for T, B, dtype in [(5, 2, float), (5, 2, float), (3, 4, np.float32), (4, 1, float), (4, 1, float)]:
        x, state, weights = problem(kind, T, B, seed=len(earlier), dtype=dtype)
        dy = np.random.default_rng(T).normal(size=(T, B, H)).astype(dtype)
        results = []
        for memory in (recurrence.Workspace(), workspace):
            y, last, cache = forward(x, state, *weights, memory)
            dx, dstate, dweights = backward(dy, last, cache, *weights, memory)
            results.append([y, *last, dx, *dstate, *dweights])
        earlier.append(results)
    for fresh, reused in earlier:  # compared at the end, when the memory was used again
        for a, b in zip(fresh, reused):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_a_workspace_is_filled_once(kind):
    x, state, weights = problem(kind, 5, 2)
    forward, backward = functions(kind)
    workspace = recurrence.Workspace()
    for call in range(2):
        y, last, cache = forward(x, state, *weights, workspace)
        backward(y, last, cache, *weights, workspace)
        if call == 0:
            before = dict(workspace.arrays)
    assert before.keys() == workspace.arrays.keys()
    assert all(workspace.arrays[name] is array for name, array in before.items())


def test_a_step_of_an_lstm_is_ten_calls_forward_and_nine_backward():
    calls = calls_per_step()
    assert 8 < calls["forward"] <= 10
    assert 7 < calls["backward"] <= 9


def test_the_cache_does_not_change_with_the_callers_x():
    x, state, weights = problem("lstm", 4, 2)
    y, last, cache = recurrence.lstm_forward(x, state, *weights)
    first = recurrence.lstm_backward(y, last, cache, *weights)[2][0]
    x[...] = 99.0
    np.testing.assert_array_equal(recurrence.lstm_backward(y, last, cache, *weights)[2][0], first)


def test_memory_is_kept_from_a_long_sequence_to_a_short_one_and_back():
    workspace = recurrence.Workspace()
    long = workspace.take("z", (5, 3), np.ones(1))
    short = workspace.take("z", (2, 4), np.ones(1))
    assert short.shape == (2, 4) and np.shares_memory(long, short)
    assert np.shares_memory(long, workspace.take("z", (5, 3), np.ones(1)))
    assert not np.shares_memory(long, workspace.take("z", (16, 1), np.ones(1)))
    single = workspace.take("z", (2, 2), np.ones(1, np.float32))
    assert single.dtype == np.float32
