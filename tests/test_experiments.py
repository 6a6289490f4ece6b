"""The runner of long grids: killed and continued, with failures, with stale tables; and its grids."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from joblib import parallel_config

from experiments import sweep as runner
from weave import ROOT

HEAD = "# toy; source 1"


def squares(x: int) -> dict[str, Any]:
    return {"square": float(x * x), "sign": x > 0, "nothing": None}


def numbers(*values: int) -> Any:
    return lambda rows: [{"x": x} for x in values]


def sweep(measure: Any, cells: Any, path: Path, head: str = HEAD) -> list[str]:
    with parallel_config(n_jobs=1):
        return runner.sweep(measure, cells, path, head)


# --- one sweep -----------------------------------------------------------------------------


def test_a_table_holds_the_command_and_a_row_a_cell(tmp_path: Path, capsys: Any) -> None:
    assert sweep(squares, numbers(3, 12), tmp_path / "t.csv") == []
    assert (tmp_path / "t.csv").read_text() == (
        f"{HEAD}\nx,square,sign,nothing,seconds\n3,9.00e+00,True,,0.0\n12,1.44e+02,True,,0.0\n"
    )
    assert "t.csv: 2 of 2" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_row_says_its_processor_time(tmp_path: Path) -> None:
    def work(x: int) -> dict[str, Any]:
        start = time.process_time()
        while time.process_time() < start + 0.2:
            pass
        time.sleep(0.5)  # is no work
        return {"seconds": 7.0} if x == 2 else {}

    sweep(work, numbers(1, 2), tmp_path / "t.csv")
    first, own = (float(row["seconds"]) for row in runner.read(tmp_path / "t.csv")[1])
    assert 0.2 <= first < 0.5 and own == 7.0


def test_what_is_stored_is_not_measured_again(tmp_path: Path) -> None:
    seen = []

    def measure(x: int) -> dict[str, Any]:
        seen.append(x)
        return {"y": x}

    sweep(measure, numbers(1, 3), tmp_path / "t.csv")
    sweep(measure, numbers(1, 2, 3), tmp_path / "t.csv")
    assert seen == [1, 3, 2]
    assert runner.read(tmp_path / "t.csv")[1] == [
        {"x": str(x), "y": str(x), "seconds": "0.0"} for x in (1, 2, 3)
    ]


def test_a_cell_that_left_the_grid_leaves_the_table(tmp_path: Path) -> None:
    sweep(squares, numbers(1, 2), tmp_path / "t.csv")
    sweep(squares, numbers(2), tmp_path / "t.csv")
    assert [row["x"] for row in runner.read(tmp_path / "t.csv")[1]] == ["2"]


def test_a_failure_costs_no_other_cell_and_is_tried_again(tmp_path: Path) -> None:
    broken = {2}

    def measure(x: int) -> dict[str, Any]:
        if x in broken:
            raise ArithmeticError(f"no {x}")
        return {"y": x}

    (failure,) = sweep(measure, numbers(1, 2, 3), tmp_path / "t.csv")
    assert failure.startswith("{'x': '2'}: Traceback") and "ArithmeticError: no 2" in failure
    assert [row["x"] for row in runner.read(tmp_path / "t.csv")[1]] == ["1", "3"]
    broken.clear()
    assert sweep(measure, numbers(1, 2, 3), tmp_path / "t.csv") == []
    assert [row["x"] for row in runner.read(tmp_path / "t.csv")[1]] == ["1", "2", "3"]


def test_a_grid_may_go_on_from_its_results(tmp_path: Path) -> None:
    def cells(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
        found = {row["x"]: float(row["square"]) for row in rows if abs(int(row["x"])) < 10}
        more = [{"x": 10 * int(max(found, key=found.__getitem__))}] if len(found) == 3 else []
        return [{"x": -3}, *more, {"x": 1}, {"x": 2}]

    assert sweep(squares, cells, tmp_path / "t.csv") == []
    assert [row["x"] for row in runner.read(tmp_path / "t.csv")[1]] == ["-3", "-30", "1", "2"]


def test_a_table_of_another_source_is_refused_and_left(tmp_path: Path) -> None:
    sweep(squares, numbers(1), tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_text()
    with pytest.raises(ValueError) as error:
        sweep(squares, numbers(1, 2), tmp_path / "t.csv", "# toy; source 2")
    assert str(error.value) == (
        "t.csv was made by another source: '# toy; source 1', now '# toy; source 2'"
    )
    assert (tmp_path / "t.csv").read_text() == before


# --- killed, and continued -----------------------------------------------------------------

SCRIPT = """
import sys, time
from pathlib import Path
from joblib import parallel_config
from experiments.sweep import sweep

folder = Path(sys.argv[1])

def measure(x):
    with (folder / f"begun_{x}").open("a") as file:
        file.write("x")
    time.sleep(0.2)
    return {"y": 2.0 * x}

def cells(rows):
    return [{"x": x} for x in range(12)]

if __name__ == "__main__":
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        assert sweep(measure, cells, folder / "t.csv", "# toy; source 1") == []
"""


def rows_of(path: Path) -> int:
    return len(runner.read(path)[1])


def test_a_killed_sweep_continues_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    first = subprocess.Popen(command, env=environment, start_new_session=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    limit = time.monotonic() + 60
    while rows_of(tmp_path / "t.csv") < 3 and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)  # the workers too
    assert first.wait() == -signal.SIGKILL
    kept = runner.read(tmp_path / "t.csv")[1]
    assert 3 <= len(kept) < 12
    second = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert runner.read(tmp_path / "t.csv")[1] == [
        {"x": str(x), "y": f"{2.0 * x:.2e}", "seconds": "0.0"} for x in range(12)
    ]
    begun = [len((tmp_path / f"begun_{x}").read_text()) for x in range(12)]
    assert all(begun[int(row["x"])] == 1 for row in kept)  # nothing that was stored is done again


# --- on a cluster, with one thread a cell ------------------------------------------------------

TOY = """
import os, time
from pathlib import Path
import numpy
from threadpoolctl import threadpool_info

FILE, HERE = "t.csv", Path(__file__).parent

def threads():
    return max(library["num_threads"] for library in threadpool_info())

BEFORE = threads()

def cells(rows):
    return [{"x": x} for x in range(10)]

def measure(x):
    with (HERE / f"begun_{x}").open("a") as file:
        file.write(f"{os.getpid()} ")
    time.sleep(0.1)
    while (HERE / f"hold_{x}").exists():
        time.sleep(0.01)
    if (HERE / f"poison_{x}").exists():
        os.kill(os.getpid(), 9)
    return {"y": 2.0 * x, "before": BEFORE, "threads": threads()}
"""
COMMAND = """
import sys
from pathlib import Path
import toy
from experiments import sweep

sys.modules["experiments.toy"], sweep.ROOT = toy, Path(toy.__file__).parent
if __name__ == "__main__":
    sys.exit(sweep.main(["toy", *sys.argv[1:]]))
"""
DOUBLES = [f"{2.0 * x:.2e}" for x in range(10)]


def toy_sweep(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command on a grid of its own; BLAS would like two threads."""
    folder.mkdir(exist_ok=True)
    (folder / "toy.py").write_text(TOY)
    (folder / "command.py").write_text(COMMAND)
    return subprocess.Popen(
        [sys.executable, str(folder / "command.py"), *options], text=True,
        env=toy_environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def toy_environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(folder)])
    return os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "2"}


def measured(folder: Path, process: subprocess.Popen[str]) -> list[dict[str, str]]:
    """Return the rows of a sweep that has to succeed."""
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, output + error
    return runner.read(folder / "t.csv")[1]


def one_thread(rows: list[dict[str, str]]) -> bool:
    """Say whether cells had one thread, where BLAS had more before (on more than one core)."""
    more = str(min(2, os.cpu_count() or 1))
    return {(row["before"], row["threads"]) for row in rows} == {(more, "1")}


def wait_for(condition: Any) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: Any) -> Any:
    """Yield the address of a Dask cluster of two processes."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    for name, value in toy_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(tmp_path))  # the scheduler, in this process, reads the tasks
    settings = {"distributed.nanny.pre-spawn-environ": {}}  # by itself Dask would say 1 thread
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with dask.config.set(settings), distributed.LocalCluster(**options) as cluster:
        yield cluster.scheduler_address
    sys.modules.pop("toy", None)


def test_a_cell_has_one_thread_of_blas(tmp_path: Path) -> None:
    rows = measured(tmp_path, toy_sweep(tmp_path, "--jobs", "2"))
    assert [row["y"] for row in rows] == DOUBLES and one_thread(rows)


def test_a_cluster_that_loses_a_worker_loses_no_result(tmp_path: Path, cluster: str) -> None:
    hold, begun = tmp_path / "hold_5", tmp_path / "begun_5"
    hold.touch()
    process = toy_sweep(tmp_path, "--scheduler", cluster)
    wait_for(lambda: rows_of(tmp_path / "t.csv") >= 3 and begun.exists() and begun.read_text())
    stored = {row["x"] for row in runner.read(tmp_path / "t.csv")[1]}
    os.kill(int(begun.read_text()), signal.SIGKILL)
    hold.unlink()
    rows = measured(tmp_path, process)
    assert [row["y"] for row in rows] == DOUBLES and one_thread(rows)
    pids = {str(x): (tmp_path / f"begun_{x}").read_text().split() for x in range(10)}
    assert len(set(pids["5"])) == 2  # the worker that died, and another
    assert all(len(pids[x]) == 1 for x in stored)  # what was stored is not done again

    (tmp_path / "t.csv").unlink()  # what the table of a plain sweep is, but for its seconds
    plain = measured(tmp_path, toy_sweep(tmp_path, "--jobs", "1"))
    assert [row | {"seconds": ""} for row in plain] == [row | {"seconds": ""} for row in rows]


def test_a_cell_that_kills_every_worker_ends_the_sweep(tmp_path: Path, cluster: str) -> None:
    (tmp_path / "poison_4").touch()
    output, error = toy_sweep(tmp_path, "--scheduler", cluster).communicate(timeout=60)
    assert "KilledWorker" in error
    assert 4 <= rows_of(tmp_path / "t.csv") < 10


# --- stale or not ----------------------------------------------------------------------------

GRID = '''"""A grid."""

from .tool import double

FILE = "t.csv"


def cells(rows):
    return [{"x": 1}]


def measure(x):
    """Measure."""
    return {"y": double(x)}
'''
NUMBERS = count()  # a package of the same name would be taken from Python's memory
TOOL = "def double(x):\n    return 2 * x\n"


def grid(folder: Path, text: str, tool: str = TOOL) -> ModuleType:
    """Return a grid of a new package in a folder."""
    package = folder / f"toygrids{next(NUMBERS)}"
    package.mkdir()
    for name, content in (("__init__", ""), ("grid", text), ("tool", tool)):
        (package / f"{name}.py").write_text(content)
    sys.path.insert(0, str(folder))
    try:
        return import_module(f"{package.name}.grid")
    finally:
        sys.path.remove(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("return {", "# a comment\n    return {", True),
        ('"""Measure."""', '"""Measure it."""', True),
        ('[{"x": 1}]', '[{"x": 1}, {"x": 2}]', True),
        ('FILE = "t.csv"', 'FILE = "u.csv"', True),
        ("double(x)}", "double(x) + 1}", False),
        ('"y": ', '"z": ', False),
    ],
)
def test_the_digest_sees_what_changes_a_result(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    assert old in GRID
    before = runner.digest(grid(tmp_path, GRID))
    assert (runner.digest(grid(tmp_path, GRID.replace(old, new))) == before) is same


def test_the_digest_sees_a_change_in_a_helper(tmp_path: Path) -> None:
    helper = TOOL.replace("2 * x", "3 * x")
    before = runner.digest(grid(tmp_path, GRID))
    assert runner.digest(grid(tmp_path, GRID, helper)) != before
    assert runner.digest(grid(tmp_path, GRID, f"# doubles\n{TOOL}")) == before


def test_the_digest_does_not_see_what_judges(tmp_path: Path) -> None:
    text = GRID.replace("import double\n", "import double\nfrom experiments.claims import Claim, best\n")
    assert text != GRID
    assert [module.__name__.partition(".")[2] for module in runner.imported(grid(tmp_path, text))] == [
        "grid", "tool",
    ]  # fmt: skip


# --- the command, and the grids of the book --------------------------------------------------


def test_the_command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    toy = grid(tmp_path, GRID.replace("double(x)", "double(x) // (x - 1)"))
    monkeypatch.setitem(sys.modules, "experiments.toy", toy)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    assert runner.main(["toy", "--jobs", "1"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out and not (tmp_path / "t.csv").exists()
    monkeypatch.setattr(toy, "cells", lambda rows: [{"x": 1}, {"x": 2}])
    assert runner.main(["toy", "--jobs", "1"]) == 1
    (tmp_path / "t.csv").write_text("# another\nx,y\n2,5\n")
    with pytest.raises(ValueError, match="another source"):
        runner.main(["toy", "--jobs", "1"])
    monkeypatch.setattr(toy, "cells", lambda rows: [{"x": 2}])
    assert runner.main(["toy", "--jobs", "1", "--fresh"]) == 0
    head, rows = runner.read(tmp_path / "t.csv")
    assert head == f"# python -m experiments.sweep toy; source {runner.digest(toy)}"
    assert rows == [{"x": "2", "y": "4", "seconds": "0.0"}]


def test_every_grid_is_in_the_list() -> None:
    modules = {path.stem for path in (ROOT / "experiments").glob("*.py")}
    found = {name for name in modules if "FILE = " in (ROOT / f"experiments/{name}.py").read_text()}
    lost = (found - {"sweep"}) ^ set(runner.GRIDS)
    assert not lost, f"in experiments/ or in GRIDS of experiments/sweep.py, not in both: {lost}"


@pytest.mark.parametrize("name", runner.GRIDS)
def test_a_stored_table_is_that_of_its_grid(name: str) -> None:
    module = import_module(f"experiments.{name}")
    head, rows = runner.read(ROOT / module.FILE)
    fault = f"run `make evidence GRID={name}`"
    expected = f"# python -m experiments.sweep {name}; source {runner.digest(module)}"
    assert head == expected, (
        f"{module.FILE} was measured with other code: undo the change of the code it uses, put new "
        f'functions into a module of their own, or run `make evidence GRID="{name} --fresh"`'
    )
    cells = [runner.texts(cell) for cell in module.cells(rows)]
    assert [{k: row[k] for k in cell} for cell, row in zip(cells, rows)] == cells, fault
    assert len(rows) == len(cells), fault


@pytest.mark.parametrize(
    ("name", "shared"),
    [("sine", "learn"), ("optimizers", "learn"), ("grammar", "words some learn logits_of")],
)
def test_the_page_trains_as_its_grid_does(name: str, shared: str) -> None:
    module = import_module(f"experiments.{name}")
    page = ROOT / module.FILE.replace("_grid.csv", ".ipynb")
    cells = ["".join(cell["source"]) for cell in json.loads(page.read_text())["cells"]]
    for function in shared.split():
        text = inspect.getsource(getattr(module, function)).strip()
        assert any(text in cell for cell in cells), (
            f"{page.relative_to(ROOT)} has no cell with the text of {module.__name__}.{function}: "
            "copy it there, or move the change into both"
        )
