"""The task of the grids on truncation, clipping and first weights, against slow counts."""

import json

import numpy as np
import pytest

from experiments import clipped, orthogonal, recall, truncation
from lstm import LSTM, Adam, Linear, Sequential
from lstm.numerical import numerical_gradient, relative_error
from lstm.training import train_step
from weave import ROOT


def test_a_sequence_is_a_sign_and_noise():
    x, y = recall.recall_task(20, 2000, np.random.default_rng(0))
    assert x.shape == (21, 2000, 2) and {*y} == {0, 1} and abs(y.mean() - 0.5) < 0.05
    assert (x[0, :, 0] == 2 * y - 1).all() and not x[1:, :, 0].any() and not x[0, :, 1].any()
    assert x[1:, :, 1].std() == pytest.approx(recall.NOISE, rel=0.02)


@pytest.mark.parametrize("mixed", [False, True])
def test_every_question_is_about_the_last_sign(mixed):
    x, y = recall.recall_stream(400, 30, 7, np.random.default_rng(1), mixed)
    lags, pauses, answers = [], [], []
    for b in range(30):
        shown, asked = np.flatnonzero(x[:, b, 0]), np.flatnonzero(y[:, b] >= 0)
        assert (np.flatnonzero(x[:, b, 2]) == asked).all() and len(shown) == len(asked)
        assert (x[shown, b, 0] == 2 * y[asked, b] - 1).all()
        assert (asked[:-1] < shown[1:]).all()
        lags += [*(asked - shown)]
        pauses += [*(shown[1:] - asked[:-1] - 1)]
        answers += [*y[asked, b]]
    assert {*lags} == ({*range(1, 8)} if mixed else {7})
    assert {*pauses} == {*range(recall.PAUSE)} and abs(np.mean(answers) - 0.5) < 0.05
    assert x[:, :, 1].std() == pytest.approx(recall.NOISE, rel=0.02)


def test_pieces_stand_in_the_order_of_time():
    x = np.arange(12 * 2 * 3).reshape(12, 2, 3)
    slow = [x[start : start + 4, b] for start in (0, 4, 8) for b in range(2)]
    assert (recall.cut(x, 4) == np.stack(slow, 1)).all()
    assert (recall.cut(x[..., 0], 4) == np.stack(slow, 1)[..., 0]).all()


def test_the_loss_is_that_of_the_questions():
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(4, 3, 2)), np.array([[0, -1, 1], [-1] * 3, [1, 1, -1], [0] * 3])
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    slow = [-log_p[t, b, labels[t, b]] for t in range(4) for b in range(3) if labels[t, b] >= 0]
    loss, gradient = recall.asked_loss(logits, labels)
    assert len(slow) == 7 and loss == pytest.approx(np.mean(slow), rel=1e-12)
    numerical = numerical_gradient(lambda: recall.asked_loss(logits, labels)[0], logits)
    assert relative_error(gradient, numerical) < 1e-8
    nothing, zeros = recall.asked_loss(logits, np.full((4, 3), -1))
    assert nothing == 0 and zeros.shape == logits.shape and not zeros.any()


def test_errors_are_counted_where_something_is_asked():
    logits = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]], "f4")

    def model(x):
        return logits, None

    assert recall.wrong(model, np.zeros(1), np.array([[1, 1], [-1, -1]])) == 0.5
    draws = []

    def draw(rng):
        draws.append(rng.random())
        return np.zeros(1), np.array([[1, 0], [-1, 1]])

    found = recall.judged(model, draw, 0)
    assert found == {"validation": pytest.approx(1 / 3), "wrong": pytest.approx(1 / 3)}
    assert len({*draws}) == 2


@pytest.mark.parametrize("way", truncation.WAYS)
def test_windows_start_from_the_state_before_or_from_zeros(way):
    model = truncation.train(way, 6, 10, 0.01, 3, updates=4)
    rng = np.random.default_rng([1, 3])
    x, y = recall.recall_stream(40, 64, 6, rng, mixed=way == "mixed")
    rng = np.random.default_rng([2, 3])
    slow = Sequential(recurrent=LSTM(3, 8, forget_bias=1.0, rng=rng), readout=Linear(8, 2, rng=rng))
    optimizer, state = Adam(slow.params, 0.01), None
    for start in range(0, 40, 10):
        part = slice(start, start + 10)
        _, _, state = train_step(
            slow, x[part], y[part], None if way == "reset" else state, optimizer,
            recall.asked_loss, clip_norm=1.0,
        )  # fmt: skip
    for name, value in slow.params.items():
        np.testing.assert_allclose(model.params[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", orthogonal.CELLS)
def test_each_gate_starts_from_weights_of_its_own(cell):
    model = orthogonal.started(cell, "orthogonal", np.random.default_rng(0))
    gates = model.params["recurrent.weight_hh_l0"].reshape(-1, 16, 16)
    assert len(gates) == {"LSTM": 4, "RNN": 1}[cell]
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(16), atol=1e-5)
    assert len(gates) == 1 or abs(gates[0] - gates[1]).max() > 0.1


@pytest.mark.parametrize(
    ("kind", "deviation"),
    [("gaussian 0.5", 0.5), ("gaussian 1", 1), ("gaussian 1.5", 1.5), ("uniform", 3**-0.5), ("orthogonal", 1)],
)
def test_first_weights_have_their_size(kind, deviation):
    assert (orthogonal.square("identity", 3, None) == np.eye(3)).all()
    U = orthogonal.square(kind, 100, np.random.default_rng(0))
    assert U.std() * 10 == pytest.approx(deviation, rel=0.03)


def test_a_run_that_breaks_off_says_so(monkeypatch):
    monkeypatch.setattr(clipped, "UPDATES", 2)
    found = clipped.measure("RNN", "SGD", 0.1, None, 0)
    assert found["diverged"] == 0 and 0 < found["norm"] < 100 and 0 <= found["wrong"] <= 1

    def broken(*arguments):
        raise FloatingPointError

    monkeypatch.setattr(clipped, "learn_recall", broken)
    assert clipped.measure("RNN", "SGD", 0.1, None, 0)["diverged"] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: recall.recall_task(0, 1, rng), "recall_task expected lag of at least 1, got 0"),
        (lambda rng: recall.recall_stream(9, 1, 0, rng), "recall_stream expected lag of at least 1, got 0"),
        (lambda rng: recall.cut(np.zeros((10, 2)), 4), "cut expected length as a divisor of 10 steps, got 4"),
        (lambda rng: orthogonal.square("zero", 4, rng), "square expected kind as one of .*, got 'zero'"),
        (lambda rng: truncation.train("kept", 4, 5, 0.01, 0), "train expected way as one of .*, got 'kept'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))


def test_the_page_has_the_sizes_of_the_grids():
    cells = json.loads((ROOT / "book/evidence/choices.ipynb").read_text())["cells"]
    page = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    for module in (recall, truncation, clipped, orthogonal):
        lines = (ROOT / f"experiments/{module.__name__.split('.')[1]}.py").read_text().splitlines()
        sizes = [line for line in lines if line.split(" ")[0].rstrip(",").isupper() and line[0] != "#"]
        kept = [line for line in sizes if not line.startswith(("FILE", "CELLS", "RATES"))]
        assert kept and [line for line in kept if line not in page] == []
