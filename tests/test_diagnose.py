"""`diagnose`: every planted fault is named, healthy runs are left alone, nothing is touched."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import lstm
from faults import FAULTS
from lstm import datafacts, findings, modelfacts, stepfacts
from lstm.diagnosis import JUDGES, Facts, Report, judge, measure
from lstm.diagnostics import gate_blocks
from lstm.findings import SEVERITIES, Finding
from lstm.rehearsal import Run, batches_of, flat, rehearse
from patients import HEALTHY, TASKS, ending_series, oscillation

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book" / "debugging"
NIGHTLY = int(os.environ.get("EXAMPLES", "100")) >= 1000
QUICK = ("springs", "echoes", "sine", "stateful sine", "two pieces", "dropout", "RNN", "no forget bias, short lag")


def names(run: Run) -> list[str]:
    return [finding.name for finding in judge(measure(run)) if finding.severity != "note"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(name: str) -> None:
    fault = FAULTS[name]
    for task in fault.tasks if NIGHTLY else fault.tasks[:1]:
        assert name in names(fault.plant(TASKS["A"][task](7)))[:2], task


@pytest.mark.parametrize("name", HEALTHY if NIGHTLY else QUICK)
def test_a_healthy_run_is_left_alone(name: str) -> None:
    report = measure(HEALTHY[name](11))
    assert [f for f in judge(report) if f.severity != "note"] == [] and report.failed == {}


@pytest.mark.parametrize("name", ["healthy", *FAULTS])
def test_nothing_that_was_handed_over_is_changed(name: str) -> None:
    if name == "healthy":
        run = replace(TASKS["A"]["labels"](3), clip_norm=1.0)
    else:
        run = FAULTS[name].plant(TASKS["A"][FAULTS[name].tasks[-1]](3))
    assert run.rng is None or run.rng.bit_generator.state

    def content() -> list[object]:
        arrays = {**run.model.params, **run.optimizer.state_dict(), "x": run.x, "y": run.y}
        kept = [(k, a.dtype, a.shape, a.tobytes()) for k, a in arrays.items()]
        layers = [
            sorted((k, id(v)) for k, v in vars(layer).items() if k != "grads")
            for layer in run.model.layers.values()
        ]
        loose = sorted(vars(run.model)), sorted(vars(run.optimizer)), run.optimizer.steps
        return [kept, layers, loose, run.rng and str(run.rng.bit_generator.state)]

    before = content()
    report = lstm.diagnose(**vars(run))
    assert content() == before
    assert isinstance(str(report), str)


def wreck(**changes: object) -> list[Finding]:
    run = TASKS["A"]["waves"](0)
    return lstm.diagnose(**vars(run) | changes).findings


def broken_model(value: float) -> dict[str, object]:
    model = lstm.LSTMRegressor(1, 4, 1, rng=0)
    model.recurrent.params["weight_hh_l0"][0, 0] = value
    return {"model": model, "optimizer": lstm.Adam(model.params)}


def raising(*arguments: object) -> None:
    raise RuntimeError("of the reader")


HOLE = np.full((30, 48, 1), np.nan, np.float32)
WRECKS = {
    "NaN in a parameter": (broken_model(np.nan), "parameters not finite"),
    "infinity in a parameter": (broken_model(np.inf), "parameters not finite"),
    "NaN in x": ({"x": HOLE}, "data not finite"),
    "NaN in y": ({"y": HOLE}, "data not finite"),
    "a step that raises": ({"step": raising}, "not measured"),
    "a loss that raises": ({"loss": raising}, "not measured"),
    "targets of another length": ({"y": HOLE[:3] * 0}, "not measured"),
    "integers for inputs": ({"x": HOLE.astype(bool)}, "not measured"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("changes, expected", WRECKS.values(), ids=WRECKS)
def test_a_wreck_gives_a_report_and_no_error(changes: dict[str, object], expected: str) -> None:
    assert expected in [finding.name for finding in wreck(**changes)]


def test_what_could_not_be_measured_is_told_with_its_error() -> None:
    (note,) = [finding for finding in wreck(step=raising) if finding.severity == "note"]
    assert note.evidence["step"] == "RuntimeError: of the reader"
    assert set(note.evidence) == {"gradient", "step", "trial"}


# --- the table ------------------------------------------------------------------------------


def stored(name: str) -> list[dict[str, str]]:
    with (BOOK / name).open() as file:
        return list(csv.DictReader(file))


def test_the_table_is_complete() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import clinic

    rows = stored("clinic.csv")
    assert [(r["fault"], r["task"], int(r["seed"])) for r in rows] == clinic.plans()
    mild = stored("clinic_strengths.csv")
    assert [(r["fault"], r["strength"], int(r["seed"])) for r in mild] == clinic.strengths()
    assert len({r["task"] for r in rows if r["fault"] == "healthy"}) >= 20


def test_the_table_holds_what_the_closing_note_says() -> None:
    rows = stored("clinic.csv")
    sick = [r for r in rows if r["fault"] != "healthy"]
    assert sum(r["place"] in "12" for r in sick) >= 0.9 * len(sick)
    assert [r for r in rows if r["fault"] == "healthy" and r["above"] != "0"] == []


@pytest.mark.parametrize("number", [30, 140, 300, 420, 560] if not NIGHTLY else range(0, 570, 19))
def test_the_table_is_what_the_code_gives(number: int) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import clinic

    row = stored("clinic.csv")[number]
    plan = row["fault"], row["task"], int(row["seed"])
    assert clinic.row(plan) == list(row.values())


def test_the_second_table_is_what_the_code_gives() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import clinic

    rows = stored("clinic_strengths.csv")
    for number in (0, 20):
        row = rows[number]
        plan = row["fault"], row["strength"], int(row["seed"])
        assert clinic.strength_row(plan) == list(row.values())


# --- the pages ------------------------------------------------------------------------------


def cells() -> dict[str, list[dict[str, object]]]:
    return {path.stem: json.loads(path.read_text())["cells"] for path in BOOK.glob("*.ipynb")}


def test_every_finding_has_its_section() -> None:
    source = (ROOT / "lstm" / "findings.py").read_text()
    found = re.findall(r'Finding\(\s*"([^"]+)", "(\w+)",.*?, (DATA|MODEL|TRAINING)\s*,?\s*\)', source, re.S)
    assert len(found) == len(JUDGES)
    for name, severity, place in found:
        page = Path(getattr(findings, place)).stem
        headings = [
            line.removeprefix("## ").lower()
            for cell in cells()[page] if cell["cell_type"] == "markdown"
            for line in "".join(cell["source"]).splitlines() if line.startswith("## ")
        ]  # fmt: skip
        assert name in headings, (page, name)
        assert severity in SEVERITIES


def test_every_fault_has_its_section_and_its_own_finding() -> None:
    woven = {
        tag for page in cells().values() for cell in page for tag in cell["metadata"].get("tags", [])
    }
    for name, fault in FAULTS.items():
        assert f"weave:faults.{fault.plant.__name__}" in woven
        assert f'"{name}"' in (ROOT / "lstm" / "findings.py").read_text()


# --- the parts, against other ways to compute them ------------------------------------------------


def naive_roughness(x: np.ndarray, axis: int) -> float:
    x = np.moveaxis(x, axis, 0)
    pairs = [(x[k + 1, b, i] - x[k, b, i]) ** 2 for k in range(len(x) - 1)
             for b in range(x.shape[1]) for i in range(x.shape[2])]  # fmt: skip
    spread = [(x[..., i] - x[..., i].mean()) ** 2 for i in range(x.shape[2])]
    return float(np.mean(pairs) / 2 / np.mean(spread))


def test_roughness() -> None:
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).cumsum(0)
    for axis in (0, 1):
        assert datafacts.roughness(x, axis) == pytest.approx(naive_roughness(x, axis))
    assert datafacts.roughness(np.ones((4, 3, 1)), 0) == 1.0
    assert datafacts.roughness(np.ones((1, 3, 1)), 0) == 1.0


def test_correlation() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    assert datafacts.correlation(a, b) == pytest.approx(abs(np.corrcoef(a, b)[0, 1]))
    assert datafacts.correlation(a, -2 * a) == pytest.approx(1.0)
    assert datafacts.correlation(a, np.ones(30)) == 0.0


def test_lags() -> None:
    x = np.random.default_rng(0).normal(size=(25, 40, 2))
    assert datafacts.best_lag(x[7:], x[:-7, :, 1:], 0) == (pytest.approx(1.0), 7)
    assert datafacts.best_lag(x[:, 3:], x[:, :-3], 1)[1] == 3
    sine = np.sin(0.5 * np.arange(60))[:, None, None] * np.ones((1, 3, 1))
    assert datafacts.best_lag(sine[:-1], sine[1:], 0)[1] in (-1, 0)  # not a period later
    labels = (x[4, :, 0] > 0).astype(int)
    assert datafacts.label_lag(np.tile(x, (1, 5, 1)), np.tile(labels, 5))[1] == 25 - 1 - 4


def test_padding() -> None:
    x, lengths = lstm.pad([np.ones((n, 2)) for n in (5, 3, 4, 5)])
    assert datafacts.padding(x) == pytest.approx(1 - lengths.mean() / 5)
    assert datafacts.padding(np.ones((4, 3, 2))) == 0.0
    assert datafacts.padding(np.ones((4, 3, 2)) * np.array([1, 1, 0, 0])[:, None, None]) == 0.0


@pytest.mark.parametrize("window", [1, 6, 20])
def test_a_series_is_put_together_from_its_windows(window: int) -> None:
    series = np.random.default_rng(0).normal(size=50)
    x, y = lstm.windows(series, window)
    found = datafacts.series_of(x, y)[:, 0]
    np.testing.assert_array_equal(found[:50], series[: len(found)])
    assert len(found) >= 49


def test_leaks_of_both_kinds_and_none() -> None:
    s = oscillation(np.random.default_rng(1), 200, 1, 1.5, -0.8)[:, 0] + 0.02 * np.arange(200)
    for scale in (lambda a, b: (a - b.mean()) / b.std(), lambda a, b: (a - b.mean()) / b.std(ddof=1),
                  lambda a, b: (a - b.min()) / np.ptp(b)):  # fmt: skip
        for known, leaks in ((s, True), (s[:140], False)):
            own, later = (lstm.windows(scale(part, known), 10) for part in (s[:140], s[140:]))
            assert (datafacts.leak(*own, later) > findings.LEAKED) is leaks


def test_continuing_batches() -> None:
    run = HEALTHY["stateful sine"](0)
    assert modelfacts.continues(run) == pytest.approx(1.0, abs=0.01)
    assert modelfacts.continues(TASKS["A"]["waves"](0)) < 0.4
    assert modelfacts.continues(TASKS["A"]["labels"](0)) == 0.0
    assert np.isnan(modelfacts.continues(TASKS["A"]["recall"](0)))  # noise: nobody can tell


def test_the_best_order_undoes_a_permutation() -> None:
    run = ending_series(0)
    batch = next(batches_of(run.copy()))
    assert modelfacts.best_order(run, batch)[0] == "ifgo"
    for order in ((1, 0, 2, 3), (3, 0, 1, 2)):
        moved = replace(run, model=modelfacts.reordered(run.model, order))
        found, gain, trivial = modelfacts.best_order(moved, batch)
        undone = [order.index("ifgo".index(k)) for k in "ifgo"]
        assert found == "".join("ifgo"[k] for k in undone)
        assert gain < 1 and trivial < 1


def test_a_rehearsal_is_what_fit_does() -> None:
    run = replace(TASKS["A"]["waves"](0), clip_norm=0.5, schedule=lstm.warmup_exponential(4e-3, 0.8))
    seen = rehearse(run, 12)  # two epochs of six updates
    trained = run.copy()
    history = lstm.fit(
        trained.model, run.x, run.y, trained.optimizer, epochs=2, batch_size=8, clip_norm=0.5,
        schedule=run.schedule, rng=trained.rng,
    )  # fmt: skip
    losses, rates = ([getattr(u, k) for u in seen.updates] for k in ("loss", "rate"))
    assert [np.mean(losses[:6]), np.mean(losses[6:])] == pytest.approx(history.loss)
    assert [rates[0], rates[6]] == history.learning_rate
    assert max(u.norm for u in seen.updates[:6]) == pytest.approx(history.grad_norm[0])
    assert max(u.given for u in seen.updates) == pytest.approx(0.5)
    assert seen.updates[3].cosine == pytest.approx(1.0)
    assert rehearse(run, 3, factor=0.1).updates[0].rate == pytest.approx(0.1 * rates[0])


def test_a_rehearsal_with_carried_state_is_what_fit_does() -> None:
    run = HEALTHY["sine"](0)
    trained = run.copy()
    history = lstm.fit(trained.model, run.x, run.y, trained.optimizer, epochs=1, bptt_length=10)
    assert np.mean([u.loss for u in rehearse(run, 100).updates]) == pytest.approx(history.loss[0])


def test_a_rehearsal_ends_where_the_loss_does() -> None:
    run = TASKS["A"]["waves"](0)

    def loss(y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, dy = lstm.mean_squared_error(y, target)
        return value * np.where(value < 0.45, np.nan, 1.0), dy

    seen = rehearse(replace(run, loss=loss), 20)
    assert 0 < len(seen.updates) < 20
    assert re.match(rf"update {len(seen.updates) + 1}: the loss became nan", seen.broken)


def test_slopes_and_mismatches() -> None:
    rng = np.random.default_rng(0)
    p = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    before = flat(p)
    grads = {name: np.cos(a) for name, a in p.items()}
    ways = stepfacts.directions(p, 3)

    def loss() -> float:
        return float(sum(np.sin(a).sum() for a in p.values()))

    assert stepfacts.slope(loss, p, ways[0]) == pytest.approx(stepfacts.along(grads, ways[0]), rel=1e-7)
    assert stepfacts.mismatch(loss, p, grads, ways) < 1e-7
    assert stepfacts.mismatch(loss, p, {k: -g for k, g in grads.items()}, ways) == pytest.approx(2)
    np.testing.assert_allclose(flat(p), before, rtol=1e-12)
    again = stepfacts.unflat(before, p)
    assert all(np.allclose(again[name], p[name]) for name in p)


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.CoupledLSTM, lstm.PeepholeLSTM])
def test_gradients_of_right_layers_are_right(kind: type) -> None:
    model = lstm.Regressor(kind(1, 5, rng=0), 1, rng=0)
    run = TASKS["A"]["waves"](0)
    facts = stepfacts.gradient_facts(replace(run, model=model, optimizer=lstm.SGD(model.params)))
    assert max(facts.alone, facts.joined, facts.step, *facts.gates.values()) < 1e-6


@pytest.mark.parametrize("gate", range(4))
def test_the_wrong_gate_is_told(gate: int) -> None:
    from lstm.gates import lstm_step_backward
    from lstm.recurrence import lstm_backward

    def step(dh: np.ndarray, dc: np.ndarray, dz: np.ndarray, *rest: np.ndarray) -> None:
        lstm_step_backward(dh, dc, dz, *rest)
        dz[gate] *= 1.1

    layer = lstm.LSTM(2, 4, num_layers=2, rng=0, dtype=np.float64)
    layer.run_backward = lambda *arguments: lstm_backward(*arguments, step=step)
    errors = stepfacts.gate_errors(layer, np.random.default_rng(0))
    assert [k for k, error in errors.items() if error > findings.WRONG] == ["ifgo"[gate]]


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.CoupledLSTM])
def test_units_that_are_held(kind: type) -> None:
    layer = kind(1, 4, rng=0)
    letters = next(iter(gate_blocks(layer).values()))
    bias = np.zeros((layer.blocks, 4))
    bias[[k for k, gate in enumerate(letters) if gate not in "gn"]] = [5.0, -5.0, 2.9, 0.0]
    assert modelfacts.held_by_bias(layer, bias.ravel()) == 0.5
    bias[0, :2] = 0.0
    assert modelfacts.held_by_bias(layer, bias.ravel()) == 0.0


def test_first_changes_of_optimizers() -> None:
    run = TASKS["A"]["waves"](0)
    batch = next(batches_of(run.copy()))
    for betas, used in (((0.9, 0.999), 0), ((0.5, 0.9), 30)):
        optimizer = lstm.Adam(run.model.params, 1e-3, betas)
        optimizer.steps = used
        found = stepfacts.first_change(replace(run, optimizer=optimizer), batch)
        assert found == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(stepfacts.first_change(replace(run, optimizer=lstm.SGD(run.model.params)), batch))


# --- findings and reports -------------------------------------------------------------------------


def test_a_judge_is_asked_only_about_what_was_measured() -> None:
    assert judge(Facts({})) == []
    (note,) = judge(Facts({"data": "ValueError: no"}))
    assert (note.name, note.severity) == ("not measured", "note")


def test_findings_are_sorted_by_severity_and_cause() -> None:
    facts = measure(TASKS["A"]["waves"](0))
    facts.data = facts.data._replace(center=9.0, copied=1.0, finite=False)
    facts.weights = facts.weights._replace(held=1.0)
    found = judge(facts)
    assert [f.name for f in found] == [
        "data not finite", "target in the input", "gates saturated", "input not scaled",
    ]  # fmt: skip
    assert [f.severity for f in found] == ["error"] * 3 + ["warning"]


def test_facts_have_a_judge_each() -> None:
    asked = {part for parts, _ in JUDGES for part in parts.split()}
    assert asked == {f.name for f in fields(Facts)} - {"failed"}


def test_text_of_a_finding_and_of_a_report() -> None:
    finding = Finding("gates alike", "error", {"correlation": 0.99912, "kind": "copied"}, "Draw.", "a.html")
    text = "error: gates alike\n  correlation 0.999, kind copied\n  Draw.\n  a.html#gates-alike"
    assert str(finding) == text
    assert str(Report([finding], Facts({}))) == text
    assert str(Report([], Facts({}))) == "nothing found"
    facts = measure(TASKS["A"]["waves"](0))
    first = str(Report([], facts)).splitlines()[0]
    assert re.fullmatch(
        r"20 updates: loss 0\.\d+ -> 0\.\d+; with a tenth of the rate 0\.\d+, "
        r"with a hundred times [\d.]+", first,
    )  # fmt: skip


def test_an_unknown_option_is_refused() -> None:
    run = TASKS["A"]["waves"](0)
    with pytest.raises(TypeError, match="epochs"):
        lstm.diagnose(run.model, run.x, run.y, run.optimizer, epochs=3)


def test_the_figure() -> None:
    run = TASKS["A"]["waves"](0)
    left, right = lstm.diagnose(**vars(FAULTS["rate too high"].plant(run))).plot()
    title = left.get_title("left") + left.get_title("center")  # by the style
    assert title == "First finding: rate too high"
    assert len(left.get_lines()) == 3 and len(right.get_lines()) == 5
    assert len(left.get_lines()[0].get_xdata()) == 20
