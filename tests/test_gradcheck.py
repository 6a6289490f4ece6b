"""The gradient check names what is wrong: each suspicion is proven by a planted fault."""

import numpy as np
import pytest

import lstm
from lstm import gradcheck as g
from lstm.numerical import Comparison

T, B, H = 6, 3, 4


def some_layer(kind=lstm.LSTM, dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    layer = kind(4, H, rng=rng, dtype=dtype, **options)
    state = tuple(rng.normal(size=(1, B, H)).astype(dtype) for _ in layer.state_names)
    return layer, rng.normal(size=(T, B, 4)).astype(dtype), state if len(state) > 1 else state[0], rng


def planted(fault, kind=lstm.LSTM, dtype=np.float64):
    """Return the report on a layer whose backward pass returns what the fault makes of it."""
    layer, x, state, rng = some_layer(kind, dtype)

    def faulty(*arguments):
        dx, dstate, dweights = type(layer).run_backward(*arguments)
        parts = {"x": dx, "state": dstate, **dict(zip(layer._shapes, dweights))}
        parts |= {name: change(parts[name]) for name, change in fault.items()}
        return parts["x"], parts["state"], tuple(parts[name] for name in layer._shapes)

    layer.run_backward = faulty
    return lstm.gradient_check(layer, x, state, rng=rng)


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_a_right_layer_passes_and_everything_is_covered(kind):
    layer, x, state, rng = some_layer(kind)
    report = lstm.gradient_check(layer, x, state, rng=rng)
    states = [f"state[{k}]" for k in range(len(layer.state_names))]
    assert list(report) == ["x", *states, *layer.params]
    assert max(report.values()) < 1e-6 and report.ok and report.faults == []
    assert {c.verdict for c in report.comparisons.values()} == {"right"}


def block(k, change):
    """Return a change of the block k of rows alone."""

    def changed(a):
        a = a.copy()
        parts = a.reshape(4, H, -1)
        parts[k] = change(parts[k])
        return a

    return changed


def blocks(order):
    return lambda a: a.reshape(4, H, -1)[list(order)].reshape(a.shape)


def from_step(first):
    """Return a change that loses the gradient of x before a step."""
    return lambda dx: dx * (np.arange(T) >= first)[:, None, None]


FAULTS = {
    "half": ("weight_hh", lambda a: 0.5 * a, "the two differ by a constant factor 0.5"),
    "no sum over the batch": ("bias", lambda a: a / B, "a constant factor 0.333, which is 1/B"),
    "a sum for a mean": ("weight_ih", lambda a: a * T, "a constant factor 6, which is T"),
    "both": ("weight_ih", lambda a: a / T / B, "a constant factor 0.0556, which is 1/(T B)"),
    "sign": ("bias", lambda a: -a, "the sign is wrong"),
    "zero": ("weight_hh", lambda a: 0 * a, "the gradient is zero where the difference quotient is not"),
    "nan": ("weight_ih", lambda a: a * np.nan, "the gradient is NaN or infinite"),
    "i and f": ("weight_hh", blocks([1, 0, 2, 3]), "blocks i and f are exchanged"),
    "order i, f, o, g": ("weight_ih", blocks([0, 1, 3, 2]), "blocks g and o are exchanged"),
    "order f, g, o, i": ("bias", blocks([1, 2, 3, 0]), "the blocks i, f, g, o hold those of f, g, o, i"),
    "forget": ("weight_hh", block(1, lambda a: 1.01 * a),
               "only block f; the two differ by a constant factor 1.01"),
    "forget zero": ("bias", block(1, lambda a: 0 * a),
                    "only block f; the gradient is zero where the difference quotient is not"),
    "candidate": ("weight_ih", block(2, lambda a: a**3), "only block g"),
    "transposed": ("weight_hh", lambda a: a.reshape(4, H, H).swapaxes(1, 2).reshape(a.shape),
                   "rows and columns of each block are exchanged"),
    "units turned": ("bias", lambda a: a.reshape(4, H)[:, ::-1].ravel(), "the order of the rows is turned around"),
    "permuted": ("weight_hh", lambda a: np.random.default_rng(5).permutation(a.ravel()).reshape(a.shape),
                 "the right numbers stand in other places"),
    "one unit": ("weight_hh", lambda a: a + 0.1 * (np.arange(16) % H == 2)[:, None], "only row 2"),
    "columns": ("weight_ih", lambda a: a + 0.1 * (np.arange(4) > 1), "only columns 2 to 3"),
    "time turned": ("x", lambda a: a[::-1], "the order of the steps is turned around"),
    "lost in time": ("x", from_step(4), "only steps 0 to 3; the gradient is zero where the difference quotient is not"),
    "a sequence": ("x", lambda a: a * np.array([1, 1, 0.5])[:, None], "only sequence 2"),
    "squared": ("weight_hh", lambda a: a**2, "no pattern that is known"),
    "slightly": ("bias", lambda a: a * (1 + 3e-6 * np.arange(16)), "an approximation somewhere: the two differ by little"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_suspected_for_what_it_is(fault):
    name, change, expected = fault
    report = planted({name: change})
    full = name if name == "x" else f"{name}_l0"
    assert not report.ok and [found.name for found in report.faults] == [full]
    assert {k for k, error in report.items() if error > 1e-6} == {full}
    assert report.faults[0].suspicion.endswith(expected) or expected in report.faults[0].suspicion


def test_a_fault_is_found_where_it_is():
    def nudge(a):
        a = a.copy()
        a[9, 2] += 0.25  # block g, which is the third of four
        return a

    (fault,) = planted({"weight_hh": nudge}).faults
    assert (fault.name, fault.gate, fault.entry) == ("weight_hh_l0", "g", (9, 2))
    assert fault.exact - fault.numerical == pytest.approx(0.25, abs=1e-6)
    assert fault.suspicion == "only block g; only row 1; only column 2"


@pytest.mark.parametrize("kind, gate, rows", [(lstm.GRU, "z", slice(H, 2 * H)), (lstm.RNN, "h", slice(0, H))])
def test_gates_of_other_cells(kind, gate, rows):
    def nudge(a):
        a = a.copy()
        a[rows] *= 2.0
        return a

    (fault,) = planted({"weight_hh": nudge}, kind).faults
    assert fault.gate == gate and "constant factor 2" in fault.suspicion


def test_the_bias_of_a_reset_gate_belongs_to_the_candidate():
    (fault,) = planted({"bias_hn": lambda a: -a}, lstm.GRU).faults
    assert (fault.name, fault.gate, fault.suspicion) == ("bias_hn_l0", "n", "the sign is wrong")


def test_a_state_whose_gradient_is_lost():
    report = planted({"state": lambda s: tuple(0 * part for part in s)})
    assert [f.name for f in report.faults] == ["state[0]", "state[1]"]
    assert all("is zero" in f.suspicion and f.gate == "" for f in report.faults)


@pytest.mark.parametrize("factor", [0.5, 0.98, 1.02, -1.0])
def test_a_wrong_float32_derivative_is_told_from_rounding(factor):
    report = planted({"weight_hh": lambda a: a * np.float32(factor)}, dtype=np.float32)
    assert [fault.name for fault in report.faults] == ["weight_hh_l0"]
    assert report.comparisons["weight_ih_l0"].verdict == "noise"
    sound = planted({}, dtype=np.float32)
    assert sound.ok and max(sound.values()) > 1e-6


def test_a_sample_of_entries_is_enough_for_a_factor():
    layer, x, state, rng = some_layer()
    right = type(layer).run_backward
    layer.run_backward = lambda *a: (*(r := right(*a))[:2], (r[2][0], 2 * r[2][1], r[2][2]))
    report = lstm.gradient_check(layer, x, state, rng=rng, entries=5)
    assert [f.suspicion for f in report.faults] == ["the two differ by a constant factor 2"]
    assert len(report.comparisons["weight_hh_l0"].places) == 5


def test_the_report_reads_as_a_table():
    report = planted({"bias": lambda a: 0.5 * a})
    lines = str(report).split("\n")
    assert repr(report) == str(report) and lines[0].split() == ["error", "visible", "from", "verdict"]
    assert [line.split()[0] for line in lines[1:7]] == list(report)
    assert [line.split()[-1] for line in lines[1:7]] == ["right"] * 5 + ["wrong"]
    fault = report.faults[0]
    assert lines[7] == (f"bias_l0, block {fault.gate}, entry {fault.entry}: backward pass {fault.exact:.6g}, "
                        f"difference quotient {fault.numerical:.6g}")  # fmt: skip
    assert lines[8] == "    suspected: the two differ by a constant factor 0.5" and len(lines) == 9


def test_models_and_lengths():
    rng = np.random.default_rng(0)
    model = lstm.LSTMClassifier(2, 3, 4, bidirectional=True, pool="mean", rng=0, dtype=np.float64)
    report = lstm.gradient_check(model, rng.normal(size=(5, 2, 2)), rng=rng, lengths=[5, 2])
    assert report.ok and "linear.weight" in report

    class Half(lstm.LSTMRegressor):
        def backward(self, dy, dstate=None):
            return self.recurrent.backward(0.5 * self.linear.backward(dy), dstate)

    report = lstm.gradient_check(Half(2, 3, 1, rng=0, dtype=np.float64), rng.normal(size=(5, 2, 2)), rng=rng)
    assert {"recurrent.weight_hh_l0", "x"} <= {f.name for f in report.faults}
    assert not any(f.name.startswith("linear") for f in report.faults)


def test_a_loss_that_is_not_finite_is_named():
    layer, x, state, rng = some_layer()
    x[2, 0, 0] = np.nan
    report = lstm.gradient_check(layer, x, state, rng=rng, names=["bias_l0"])
    assert not report.ok and "NaN" in report.faults[0].suspicion
    c = Comparison(np.ones(2), np.array([1.0, np.nan]), np.arange(2), (2,), 0.0)
    assert g.suspicion(c, "", ("row",), {}) == "the loss is NaN or infinite"


def test_spans():
    assert [g.spans(np.array(a)) for a in ([2], [0, 1, 2], [0, 2, 5])] == ["2", "0 to 2", "0, 2, 5"]
