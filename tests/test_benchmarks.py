"""The benchmark: what it counts and compares is right, its results are whole, and the page shows them.

No time decides a test.
"""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import numpy as np
import pytest

import lstm
from benchmarks import __main__ as command
from benchmarks import goals, memory, parts, subjects, turns
from benchmarks.subjects import products, tutorial
from benchmarks.suite import GROUPS, SUBJECTS, VARIANTS, Group
from weave import ROOT

RESULTS = goals.load()
PAGE = ROOT / "book/speed/report.ipynb"


def problems(results: dict[str, Any]) -> list[str]:
    """Name each task of the suite that has no answer, or not one for every round."""
    found = []
    for name, group in GROUPS.items():
        stored = results["groups"].get(name, {"answers": {}, "rounds": 1})
        for task in group.tasks:
            rounds = {s: stored["answers"].get(task, {}).get(s, []) for s in group.subjects}
            found += [f"{name}, {task}, {s}" for s, r in rounds.items() if len(r) != stored["rounds"]]
        found += [f"{name}, {task}: unknown" for task in stored["answers"].keys() - group.tasks]
    return found


def test_every_task_has_an_answer_for_every_round() -> None:
    assert problems(RESULTS) == [], "measure what is missing: make bench"
    assert RESULTS["groups"].keys() == GROUPS.keys()


def test_a_missing_answer_is_named() -> None:
    results = copy.deepcopy(RESULTS)
    results["groups"]["sine"]["answers"]["sine"]["PyTorch"].pop()
    del results["groups"]["calls"]
    results["groups"]["import"]["answers"]["other"] = {}
    assert problems(results) == ["calls, a step, lstm", "import, other: unknown", "sine, sine, PyTorch"]


def test_every_time_is_a_positive_number_measured_more_than_once() -> None:
    for name, group in GROUPS.items():
        if any("make" in task for task in group.tasks.values()):
            assert RESULTS["groups"][name]["rounds"] >= 2, name
            for rounds in RESULTS["groups"][name]["answers"].values():
                assert all(second > 0 for times in rounds.values() for second in times)


def test_other_programs_gave_the_packages_results() -> None:
    (difference,) = RESULTS["groups"]["equality"]["answers"].values()
    assert all(found < 1e-5 for (found,) in difference.values())


# --- the page ------------------------------------------------------------------------------


def test_the_page_shows_every_goal_as_it_stands_in_the_results() -> None:
    text = "".join(
        "".join(output.get("data", {}).get("text/markdown", ""))
        for cell in json.loads(PAGE.read_text())["cells"] for output in cell.get("outputs", [])
    )  # fmt: skip
    missing = [row for row in goals.rows(goals.all_goals(RESULTS)) if " | ".join(row) not in text]
    assert missing == [], "the page was made with other results: make notebooks"


def test_there_is_a_goal_for_each_work() -> None:
    works = " ".join(goal.work for goal in goals.all_goals(RESULTS))
    for word in ("training, seven", "inference", "sine", "memory", "forward", "backward", *VARIANTS):
        assert word in works
    for axis in "TBH":
        assert f"{axis} doubled" in works


# --- what is computed from the results -------------------------------------------------------


def made_up(**groups: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    return {"groups": {name: {"answers": answers} for name, answers in groups.items()}}


def test_a_ratio_is_that_of_medians() -> None:
    results = made_up(g={"a": {"x": [3.0, 9.0, 4.0], "y": [2.0, 1.0, 2.0]}})
    assert goals.ratios(results, "g", "x", "y") == {"a": 2.0}


def test_ratios_are_chosen_by_size_and_by_variant() -> None:
    found = {"1, 1, 1, 64": 1.0, "1, 1, 1, 128": 2.0, "1, 1, 1, 1024": 3.0}
    assert list(goals.at_least_hidden(found, 128).values()) == [2.0, 3.0]
    found = {"two layers: 1, 1": 1.0, "two: 1, 1": 2.0}
    assert goals.of_variant(found, "two") == {"two: 1, 1": 2.0}
    assert goals.variants(RESULTS) == list(VARIANTS)


def test_growth_is_read_from_the_tasks_and_measured_beyond_its_spread() -> None:
    answers = {"T = 10": {"lstm": [1.0, 2.0, 3.0]}, "B = 1": {"lstm": [9.0]}, "T = 20": {"lstm": [4.0, 4.0, 4.0]},
               "T = 40": {"lstm": [32.0, 32.0, 32.0]}}  # fmt: skip
    rounds = goals.growth(made_up(growth=answers), "T")
    assert list(rounds) == [10, 20, 40]
    assert goals.doublings(rounds) == [4.0 / 2.5, 8.0]
    assert goals.exponent(rounds) == pytest.approx(2.0)


def test_memory_is_a_share_of_what_is_kept() -> None:
    answers = {"10, 1": {"lstm": [{"peak": 30, "needed": 10}]}, "100, 1": {"lstm": [{"peak": 3, "needed": 2}]}}
    assert goals.memory(made_up(memory=answers)) == {"10, 1": 3.0, "100, 1": 1.5}
    assert goals.memory(made_up(memory=answers), steps=100) == {"100, 1": 1.5}


@pytest.mark.parametrize(
    ("at_least", "measured", "verdict"),
    [(True, 2.0, "holds"), (True, 1.5, "misses by 25 %"), (False, 2.0, "holds"),
     (False, 2.5, "misses by 25 %"), (False, 2.001, "misses by less than 1 %")],
)  # fmt: skip
def test_a_verdict_says_how_much_is_missing(at_least: bool, measured: float, verdict: str) -> None:
    goal = goals.Goal("work", "figure", 2.0, at_least, measured)
    sign = "≥" if at_least else "≤"
    assert goals.rows([goal]) == [("work", "figure", f"{sign}\N{NO-BREAK SPACE}2", f"{measured:.3g}", verdict)]


# --- what the package is compared with ---------------------------------------------------------


def test_the_tutorials_lstm_gives_the_packages_results() -> None:
    assert tutorial.difference() < 1e-5


def test_a_wrong_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = tutorial.backward

    def wrong(*arguments: Any) -> Any:
        dx, gradients = right(*arguments)
        gradients["f"][1][0, 2] += 0.25
        return dx, gradients

    monkeypatch.setattr(tutorial, "backward", wrong)
    assert tutorial.difference() == pytest.approx(0.25, rel=1e-4)


class Recorded(np.ndarray):
    """An array whose products record how many multiplications they make."""

    multiplications = 0

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None) -> Any:
        plain = [np.asarray(a) for a in inputs]
        result = getattr(function, method)(*plain)
        if function is np.matmul:
            Recorded.multiplications += result.size * plain[0].shape[-1]
        return result.view(Recorded)


def test_the_bare_products_are_all_products_of_the_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    T, B, I, H = size = (7, 3, 5, 4)
    monkeypatch.setattr(products, "normal", lambda *s: [a.view(Recorded) for a in subjects.normal(*s)])
    for make, passes in ((products.inference, 1), (products.training, 3)):
        run, Recorded.multiplications = make(size), 0
        run()
        assert Recorded.multiplications == passes * T * B * 4 * H * (I + H)


def test_lengths_reach_from_the_shortest_to_all_steps() -> None:
    lengths = subjects.some_lengths(10, 500, 0.5)
    assert (min(lengths), max(lengths), len(lengths)) == (5, 10, 500)
    assert min(subjects.some_lengths(10, 500, 0.0)) == 1
    assert subjects.some_lengths(10, 1, 0.0) == [10]


# --- what is counted --------------------------------------------------------------------------


def test_what_must_be_kept_are_the_arrays_of_the_pass() -> None:
    T, B, I, H = size = (7, 3, 5, 4)
    layer = lstm.LSTM(I, H, rng=0)
    x, dy = subjects.normal((T, B, I), (T, B, H))
    y, dx = layer(x)[0], layer.backward(dy)[0]
    (cache,) = layer.kept().runs
    arrays = [cache.gates, cache.c[1:], cache.tanh_c, cache.h[1:], x, y, dx, *layer.grads.values()]
    assert memory.bytes_to_keep(size) == sum(a.nbytes for a in arrays)
    found = memory.memory_of_step(size)
    assert found["needed"] == memory.bytes_to_keep(size) < found["peak"]
    assert not found["buffers"].keys() & {"gates", "c", "tanh_c", "stacked"}
    assert found["buffers"]["packed"] == 4 * 4 * H * (I + H + 1)


def test_the_parts_of_a_pass_are_its_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(parts.time, "perf_counter", lambda: float(next(ticks)))
    found = parts.parts((12, 3, 5, 4), repeats=1)
    # Each clocked call takes one tick: products and steps of 12 steps; sums of 2 blocks.
    assert found["forward"][parts.PRODUCTS] == found["forward"][parts.POINTWISE] == 12
    assert found["backward"][parts.STEPS] == 12
    assert found["backward"][parts.FACTORS] == 2
    assert found["backward"][parts.PRODUCTS] == 12 + 2 * 2
    assert found["backward"][parts.COPYING] == 2 * 2
    assert found["forward"][parts.COPYING] == 3


def test_clocks_leave_the_pass_as_it_is() -> None:
    before = dict(vars(parts.recurrence))
    parts.parts((3, 2, 2, 2), repeats=1)
    assert vars(parts.recurrence) == before


# --- turns -------------------------------------------------------------------------------------


def test_a_worker_knows_nothing_of_this_process_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = turns.environment(2)
    assert {k: v for k, v in found.items() if k.startswith("OPENBLAS_")} == {"OPENBLAS_NUM_THREADS": "2"}
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"


def test_subjects_take_turns_and_a_failure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PAUSE", 0.0)
    task = {"make": "training", "size": [2, 1, 1, 1]}
    found = turns.measure(Group(("lstm", "tutorial"), {"small": task}, 3), rounds=2)
    assert list(found) == ["small"]
    assert {name: len(rounds) for name, rounds in found["small"].items()} == {"lstm": 2, "tutorial": 2}
    with pytest.raises(RuntimeError, match=r"^products cannot do \{'call': 'nothing'\}: (?s:.*)nothing"):
        turns.measure(Group(("products",), {"x": {"call": "nothing"}}))


def test_a_process_that_ends_is_named() -> None:
    with turns.Worker("products", 1) as worker:
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(RuntimeError, match="^products cannot do .*: the process ended$"):
            worker.ask({"call": "kernels"})


def test_a_part_measured_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    about = RESULTS["machine"]
    assert command.kept(about, ["sine"]) == RESULTS["groups"] and command.kept({}, []) == {}
    with pytest.raises(SystemExit, match="differs in numpy: measure all"):
        command.kept(about | {"numpy": "0"}, ["sine"])


def test_results_are_stored_as_they_are_read() -> None:
    text = goals.FILE.read_text()
    assert command.as_text(json.loads(text)) == text
    assert command.rounded({"a": [1.23456, 7], "b": "x"}) == {"a": [1.235, 7], "b": "x"}


def test_every_subject_is_a_module() -> None:
    found = {path.stem for path in (ROOT / "benchmarks/subjects").glob("*.py")}
    assert set(SUBJECTS.values()) == found - {"__init__"}
