"""The nine LSTMs of Greff et al.: against a version gate by gate, and by their gradients."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from experiments import ablations, parts
from experiments.ablations import KINDS, Change, ChangedLSTM, FullLSTM, used
from experiments.sweep import ROOT
from lstm import LSTM, CoupledLSTM, PeepholeLSTM, gradient_check
from naive import sigmoid

HELD = {"NIG": 0, "NFG": 1, "NOG": 3}
each_kind = pytest.mark.parametrize("kind", KINDS)


def made(kind: str) -> Any:
    """Return a layer with random parameters, but for the rows that hold a gate."""
    layer, rng = KINDS[kind](2, 3, dtype=np.float64), np.random.default_rng(1)
    for name, p in layer.params.items():
        rows = p.reshape(-1, 3, *p.shape[1:]) if "between" not in name else p
        drawn = rng.normal(size=rows.shape)
        if kind in HELD and "peephole" not in name:
            drawn[HELD[kind]] = rows[HELD[kind]]
        if kind in HELD and "peephole" in name:
            drawn.reshape(3, 3)[ablations.GATES.index(HELD[kind])] = 0.0
        p[...] = drawn.reshape(p.shape)
    return layer


def data(T: int = 12) -> tuple[Any, ...]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(T, 4, 2)), tuple(rng.normal(size=(1, 4, 3)) for _ in "hc")


def by_gates(kind: str, layer: Any, x: Any, h: Any, c: Any) -> Any:
    """Return y (T, H) of one sequence x (T, I), each gate by its own weights."""
    W, U, b = (layer.params[f"{name}_l0"].reshape(4, 3, -1) for name in ("weight_ih", "weight_hh", "bias"))
    p = layer.params.get("weight_peephole_l0", np.zeros((3, 3)))
    R = layer.params.get("weight_between_l0", np.zeros((9, 9))).reshape(3, 3, 3, 3)
    before, y = np.zeros((3, 3)), []
    for v in x:
        a = [W[k] @ v + U[k] @ h + b[k, :, 0] for k in range(4)]
        seen = [sum(R[to, :, of] @ before[of] for of in range(3)) for to in range(3)]
        i = 1.0 if kind == "NIG" else sigmoid(a[0] + seen[0] + p[0] * c)
        f = 1.0 if kind == "NFG" else sigmoid(a[1] + seen[1] + p[1] * c)
        i = 1 - f if kind == "CIFG" else i
        c = f * c + i * (a[2] if kind == "NIAF" else np.tanh(a[2]))
        o = 1.0 if kind == "NOG" else sigmoid(a[3] + seen[2] + p[2] * c)
        h = o * (c if kind == "NOAF" else np.tanh(c))
        before = np.array([i + 0 * c, f + 0 * c, o + 0 * c])
        y.append(h)
    return y


@each_kind
def test_a_kind_is_its_version_gate_by_gate(kind: str) -> None:
    layer, (x, state) = made(kind), data()
    y, _ = layer(x, state)
    for b in range(4):
        expected = by_gates(kind, layer, x[:, b], state[0][0, b], state[1][0, b])
        np.testing.assert_allclose(y[:, b], expected, rtol=1e-10, atol=1e-12)


@each_kind
@pytest.mark.parametrize("lengths", [None, np.array([12, 1, 5, 11])])
def test_gradients_are_those_of_central_differences(kind: str, lengths: Any) -> None:
    layer, (x, state) = made(kind), data()
    dy, dstate = np.random.default_rng(3).normal(size=(12, 4, 3)), data(1)[1]

    def loss() -> float:
        y, last = layer(x, state, lengths)
        return float((y * dy).sum() + sum((a * b).sum() for a, b in zip(last, dstate)))

    loss()
    dx, dfirst = layer.backward(dy, dstate)
    grads = layer.grads
    for array, exact in ((x, dx), *zip(state, dfirst), *((layer.params[k], grads[k]) for k in grads)):
        for index in np.random.default_rng(4).permutation(array.size)[:30]:
            places, entry = [], np.unravel_index(index, array.shape)
            kept = array[entry]
            for step in (1e-5, -1e-5):
                array[entry] = kept + step
                places.append(loss())
            array[entry] = kept
            assert abs((places[0] - places[1]) / 2e-5 - exact[entry]) < 1e-7


@each_kind
def test_the_numbers_that_count_are_those_with_a_gradient(kind: str) -> None:
    layer, (x, state) = made(kind), data()
    gradient_check(layer, x, state, rng=np.random.default_rng(0))
    assert sum((d != 0).sum() for d in layer.grads.values()) == used(kind, 2, 3)


@each_kind
def test_all_kinds_begin_with_the_same_numbers(kind: str) -> None:
    layer, vanilla = (KINDS[k](2, 3, rng=5) for k in (kind, "V"))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_l0"):
        a, b = (k.params[name].reshape(4, -1) for k in (layer, vanilla))
        same = [block for block in range(4) if block != HELD.get(kind)]
        assert (a[same] == b[same]).all()
    added = [p for k, p in layer.params.items() if "peephole" in k or "between" in k]
    assert not any(p.any() for p in added)


def test_without_its_additions_a_kind_is_one_of_the_package() -> None:
    x, state = data()
    rng = np.random.default_rng(6)
    weights = {k: rng.normal(size=p.shape) for k, p in LSTM(2, 3).params.items()}
    layers = [LSTM(2, 3, dtype=np.float64), ChangedLSTM(2, 3, change=Change(), dtype=np.float64)]
    layers += [FullLSTM(2, 3, dtype=np.float64), PeepholeLSTM(2, 3, dtype=np.float64)]
    for layer in layers:
        layer.params |= weights
        np.testing.assert_allclose(layer(x, state)[0], layers[0](x, state)[0], rtol=1e-12)
    coupled, ours = CoupledLSTM(2, 3, dtype=np.float64), KINDS["CIFG"](2, 3, dtype=np.float64)
    ours.params |= weights
    coupled.params |= {k: w[3:] for k, w in weights.items()}
    np.testing.assert_allclose(ours(x, state)[0], coupled(x, state)[0], rtol=1e-12)


def test_the_divergence_is_nothing_for_who_knows_and_a_logarithm_for_a_guess() -> None:
    legal = parts.streams(7, 50, 20).legal
    knows = np.where(legal, 3.0, -1e3)
    assert parts.divergence(knows, legal) == pytest.approx(0.0, abs=1e-12)
    guess = np.log(7) - np.log(legal.sum(-1)).mean()
    assert parts.divergence(np.full(legal.shape, 2.0), legal) == pytest.approx(guess)
    assert parts.divergence(np.array([[[800.0, 0, 0]]]), np.array([[[True, True, False]]])) == (
        pytest.approx(400 - np.log(2)))  # fmt: skip


def test_utterances_to_learn_from_choose_by_and_compare_are_others() -> None:
    known, chosen, test = parts.utterances()
    assert [len(part.labels) for part in (known, chosen, test)] == [180, 90, 370]
    whole = [{x[:4].tobytes() for x in part.x.swapaxes(0, 1)} for part in (known, chosen, test)]
    assert not (whole[0] & whole[1] | whole[0] & whole[2] | whole[1] & whole[2])
    steps = np.concatenate([known.x[:n, b] for b, n in enumerate(known.lengths)])
    np.testing.assert_allclose([steps.mean(0), steps.std(0)], [[0.0] * 12, [1.0] * 12], atol=1e-5)


def rows_of(errors: dict[float, list[float]]) -> list[dict[str, str]]:
    return [{"task": "vowels", "kind": "V", "rate": str(rate), "seed": str(seed), "validation": str(e), "test": "9"}
            for rate, each in errors.items() for seed, e in enumerate(each)]  # fmt: skip


def test_a_rate_is_chosen_by_the_median_of_its_search_alone() -> None:
    tried = rows_of({0.01: [3, 3, 0], 0.03: [2, 2, 9], 0.1: [4, 1, 4]})
    final = [{"task": "vowels", "kind": "V", "rate": 0.03, "seed": seed} for seed in range(3, 13)]
    later = {**tried[0], "seed": "3", "validation": "0"}  # does not choose
    for rows, expected in ((tried, final), (tried[:-1], []), ([*tried, later], final)):
        assert [cell for cell in parts.cells(rows) if cell["seed"] >= 3] == expected


def test_a_run_that_ends_in_infinity_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*cell: Any) -> Any:
        raise FloatingPointError("the loss is nan")

    failed = {"validation": parts.FAILED, "test": parts.FAILED}
    for task in (broken, lambda *cell: [0.1, np.inf], lambda *cell: [np.nan, 0.1]):
        monkeypatch.setitem(parts.TASKS, "vowels", task)
        assert parts.measure("vowels", "V", 0.01, 0) == failed


@pytest.mark.parametrize("gate", "ifo")
def test_the_page_holds_a_gate_as_the_grid_does(gate: str) -> None:
    cells = json.loads((ROOT / "book/evidence/parts.ipynb").read_text())["cells"]
    (text,) = ("".join(c["source"]) for c in cells if "def held(gate)" in "".join(c["source"]))
    scope: dict[str, Any] = {"PeepholeLSTM": PeepholeLSTM}
    exec(text.partition("\nlayer = ")[0], scope)  # noqa: S102
    ours = ablations.HeldPeepholeLSTM(2, 3, held=gate, rng=5)
    pages = scope["held"](gate)(2, 3, rng=5)
    assert all((p == pages.params[name]).all() for name, p in ours.params.items())
