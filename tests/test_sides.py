"""Lines and networks on series: against loops, on series that are known, and stopped in time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from experiments import digits_by_row, mackey, noise, series_claims, years
from experiments.sides import chosen_line, fitted, lagged, line_error, network_error, stopped
from lstm import LSTM, Linear, Regressor, Sequential


def wave(steps: int, seed: int = 0, deviation: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    s = np.sin(0.3 * np.arange(steps + 1) + 1.0) + rng.normal(0, deviation, steps + 1)
    return s[:-1, None, None], s[1:, None, None]


@pytest.mark.parametrize(("first", "gap"), [(0, 1), (7, 1), (0, 3), (2, 3), (8, 3)])
def test_rows_are_those_of_loops(first: int, gap: int) -> None:
    x = np.random.default_rng(1).normal(size=(10, 2, 1)).astype(np.float32)
    rows = [
        [*(x[t - gap * k, b, 0] for k in range(3)), 1.0]
        for t in range(max(first, 2 * gap), 10) for b in range(2)
    ]  # fmt: skip
    assert np.array_equal(lagged(x, 3, first, gap), rows)


@pytest.mark.parametrize(("order", "gap"), [(0, 1), (11, 1), (2, 0), (4, 4)])
def test_a_reach_beyond_the_series_is_refused(order: int, gap: int) -> None:
    with pytest.raises(ValueError, match=rf"within 10 steps, got {order} and {gap}$"):
        lagged(np.zeros((10, 1)), order, gap=gap)


def test_the_line_of_a_sine_is_its_recurrence() -> None:
    weights = fitted(*wave(60), 2)
    assert np.allclose(weights, [2 * np.cos(0.3), -1, 0])
    assert line_error(weights, *wave(90)) < 1e-20
    x, y = wave(50, deviation=0.2)
    assert np.isclose(line_error([1.0, 0.0], x, y, 20), np.mean((y - x)[20:] ** 2))


def test_the_order_is_chosen_on_validation() -> None:
    train, validation = wave(400, 1, 0.3), wave(400, 2, 0.3)
    errors = {p: line_error(fitted(*train, p), *validation, 200) for p in (1, 2, 20, 200)}
    least = min(errors, key=errors.__getitem__)
    assert len(chosen_line(train, validation, (1, 2, 20, 200), 200)) - 1 == least == 20


def test_the_first_steps_of_a_network_are_not_scored() -> None:
    model, x = Regressor(LSTM(1, 3, rng=0), 1, rng=0), np.ones((5, 1, 1), np.float32)
    y = model(x)[0].copy()
    y[:2] += 9
    assert network_error(model, x, y, 2) == 0 < network_error(model, x, y, 1)


def test_the_best_stop_is_put_back() -> None:
    model = Sequential(readout=Linear(1, 1, rng=0))
    x, y = np.ones((1, 4, 1), np.float32), np.full((1, 4, 1), 3, np.float32)
    seen, said = [], iter([5.0, 2.0, 2.0, 4.0])

    def judge(model: Sequential) -> float:
        seen.append({name: p.copy() for name, p in model.params.items()})
        return next(said)

    assert stopped(model, (x, y), 0.1, [1, 3, 5, 7], judge) == (3, 2.0)
    assert all(np.array_equal(p, seen[1][name]) for name, p in model.params.items())
    assert not np.array_equal(seen[1]["readout.weight"], seen[3]["readout.weight"])


# --- the data of the grids -----------------------------------------------------------------


def test_draws_differ_and_have_their_floor() -> None:
    train, validation, test = noise.draws(0.3, 0)
    assert test.x.shape == (1000, 10, 1) and not np.array_equal(train.y, validation.y)
    assert len({round(float(column.std()), 6) for column in test.x.swapaxes(0, 1)}) == 10
    assert abs(noise.floor_of(test) - 0.09) < 0.005 and noise.floor_of(noise.draws(0.0, 0)[2]) == 0


def test_no_value_of_a_stretch_is_in_another_part() -> None:
    series, kept = mackey.long_series(), []
    for seed in (0, 1):
        train = mackey.stretch(seed)[0]
        start = 200 + seed * mackey.STRETCH
        raw = series[start : start + mackey.PARTS[0]]
        for part in mackey.stretch(seed):
            values = np.concatenate([part.x.ravel(), part.y.ravel()[-mackey.AHEAD :]])
            kept.append(np.round(values * raw.std() + raw.mean(), 9))
            assert np.array_equal(part.x[mackey.AHEAD :], part.y[: -mackey.AHEAD])
        assert np.isclose(train.x.mean(), 0) and np.isclose(train.x.std(), 1)
    assert np.allclose(np.concatenate(kept), series[200 : 200 + 2 * mackey.STRETCH], atol=1e-8)


@pytest.mark.parametrize("model", mackey.NETWORKS)
def test_all_networks_are_scored_at_the_same_targets(model: str) -> None:
    part = mackey.stretch(0)[2]
    x, y, first = mackey.seen(model, part, mackey.FIRST)
    steps = np.asarray(y[first:]).ravel()
    assert np.allclose(steps, part.y[mackey.FIRST :].ravel(), atol=1e-6)
    newest = x[first:, :, 0] if first else x[:, :, 0]
    assert np.allclose(np.asarray(newest).ravel(), part.x[mackey.FIRST :].ravel(), atol=1e-6)


def test_pieces_are_cut_along_time() -> None:
    part = SimpleNamespace(x=np.arange(12.0).reshape(12, 1, 1))
    (x,) = mackey.pieces([part.x], 3)
    assert x[:, 1, 0].tolist() == [4, 5, 6, 7] and x.shape == (4, 3, 1)


def test_a_line_on_sunspots_sees_no_later_year(monkeypatch: pytest.MonkeyPatch) -> None:
    before = years.line(9, years.CHOSEN)
    later = np.where(years.years > years.CHOSEN, 7.0, years.numbers)
    monkeypatch.setattr(years, "numbers", later)
    after, made = years.line(9, years.CHOSEN), years.years[years.origins]
    assert np.array_equal(after[made <= years.CHOSEN], before[made <= years.CHOSEN])
    assert not np.isclose(after[made > years.CHOSEN], before[made > years.CHOSEN]).any()


def test_the_error_is_that_of_the_years_asked_for() -> None:
    said = np.sqrt(years.numbers[years.origins + 1])
    assert years.error(said, 1921, 2008) < 1e-10
    said[years.years[years.origins + 1] == 1950] = -1  # no number is negative, nor a forecast
    truth = years.numbers[years.years == 1950][0]
    assert np.isclose(years.error(said, 1941, 1960), truth / 20**0.5)
    assert years.error(said, 1951, 2008) < 1e-10


def test_digits_are_the_same_whole_and_by_row() -> None:
    for whole, rows in zip(digits_by_row.parts(False), digits_by_row.parts(True)):
        assert np.array_equal(whole.y[0], rows.y) and whole.x.shape == (1, len(rows.y), 64)
        assert np.array_equal(whole.x[0, 3].reshape(8, 8), rows.x[:, 3])
    assert [len(part.y) for part in digits_by_row.parts(True)] == [1000, 297, 500]


# --- what decides ----------------------------------------------------------------------------


def test_seeds_against_a_constant_need_all_of_ten() -> None:
    seeds = np.arange(10.0)
    assert series_claims.under(seeds, 9.5) and not series_claims.under(seeds, 8.5)
    assert not series_claims.under(seeds, -1) and not series_claims.under(seeds[:7], 9.5)


def test_a_model_is_tested_at_the_rate_that_validation_prefers() -> None:
    rows = [
        {"model": m, "rate": rate, "seed": str(seed), "validation": v, "test": t}
        for m, rate, v, t in (("a", "0.1", "2", "1"), ("a", "0.2", "1", "5"), ("b", "0.3", "0", "9"))
        for seed in range(2)
    ]
    assert series_claims.of(rows, "a").tolist() == [5, 5]
