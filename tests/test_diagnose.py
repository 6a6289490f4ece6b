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
from lstm import findings
from lstm.diagnosis import JUDGES, Facts, Report, judge, measure
from lstm.findings import SEVERITIES, Finding
from lstm.rehearsal import Run
from patients import HEALTHY, TASKS

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


def raising(*arguments: object, **named: object) -> None:
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
        assert f"weave:tests.faults.{fault.plant.__name__}" in woven
        assert f'"{name}"' in (ROOT / "lstm" / "findings.py").read_text()


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
    text = "error: gates alike\n  correlation: 0.999; kind: copied\n  Draw.\n  a.html#gates-alike"
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
