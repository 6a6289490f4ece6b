"""Run the long grids of the book: ``make evidence``, or ``python -m experiments.sweep NAME...``.

A grid is a module of this folder. It has FILE, the table of results, a path from the root;
``measure(**cell)``, which returns a dict of results; and ``cells(rows)``, which returns the
cells, dicts of parameters: it is called again with all stored rows until it has no new one.

The table is replaced by a longer one whenever a result comes, so a killed sweep continues where
it was. A cell that fails is named at the end, costs no other, and is tried again by the next run.
Cells run in processes of this machine, or with ``--scheduler ADDRESS`` on a Dask cluster whose
scheduler and workers find the same source. A cell whose worker dies goes to another worker.
The first line holds a digest of the source that made the table, the grid's and that of each
module of the experiments and of the package that it uses; a table of another is refused.
Each row ends with the seconds of processor time that its cell took, unless it says them itself.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
GRIDS = (
    "sine", "optimizers", "rates", "ranges", "hidden", "sizes", "clipping", "schedules", "dropout",
    "grammar",
    "noise", "mackey", "years", "digits_by_row",
    "forget_bias", "continual", "counting",
    "parts",
    "lags", "ranking",
    "truncation", "clipped", "orthogonal",
    "characters",
    "published", "adding",
)  # fmt: skip
Cell = dict[str, Any]
Row = dict[str, str]


def texts(values: Cell) -> Row:
    """Return values as a table holds them: nothing for None."""
    return {name: "" if value is None else str(value) for name, value in values.items()}


def digest(grid: ModuleType) -> str:
    """Return a short name of the source of a grid and of what it imports from here.

    What changes no result does not count: comments, docstrings, FILE, `cells`.
    """
    found, queue = hashlib.sha256(), [grid]
    for module in queue:
        tree = ast.parse(Path(str(module.__file__)).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                node.body = [part for part in node.body if not aside(part)]
        found.update(ast.unparse(tree).encode())
        queue += [module for module in imported(module) if module not in queue]
    return found.hexdigest()[:12]


def imported(module: ModuleType) -> list[ModuleType]:
    """Return the modules of the experiments and of the package that a module takes things from.

    What runs grids and what judges their results makes none: it is left out.
    """
    values = vars(module).values()
    names = {getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in values}
    own, judges = (str(module.__package__), "lstm"), (f"{__package__}.sweep", f"{__package__}.claims")
    used = sorted(n for n in names if n and n.split(".")[0] in own and n not in judges)
    return [sys.modules[n] for n in used]


def aside(node: ast.stmt) -> bool:
    """Say whether a statement of a grid's source changes no result."""
    words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return words or getattr(node, "name", "") == "cells" or ast.unparse(node)[:6] == "FILE ="


def read(path: Path) -> tuple[str, list[Row]]:
    """Return the first line of a table and its rows; nothing where there is none."""
    head, *lines = path.read_text().splitlines() if path.exists() else [""]
    return head, list(csv.DictReader(lines))


def write(path: Path, head: str, rows: list[Row]) -> None:
    """Replace a table by another, in one step."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        file.write(f"{head}\n")
        table.writeheader()
        table.writerows(rows)
    os.replace(temporary, path)


def attempt(measure: Callable[..., Cell], cell: Cell) -> tuple[Row, Row, str]:
    """Measure one cell with one thread of BLAS; return it, and its results or its error's text.

    Cells are what runs side by side: threads of their own would wait for each other.
    """
    found, error, start = {}, "", time.process_time()
    try:
        with threadpool_limits(1):
            found = measure(**cell)
    except Exception:
        error = traceback.format_exc()
    rounded = {name: f"{v:.2e}" if isinstance(v, float) else v for name, v in found.items()}
    rounded.setdefault("seconds", f"{time.process_time() - start:.1f}")
    return texts(cell), texts(rounded), error


def find(cell: Cell, rows: list[Row]) -> Row | None:
    """Return the row of a cell, None where it is not stored."""
    wanted = texts(cell).items()
    return next((row for row in rows if wanted <= row.items()), None)


def sweep(
    measure: Callable[..., Cell], cells: Callable[[list[Row]], list[Cell]], path: Path, head: str
) -> list[str]:
    """Measure what a table lacks, on the cores or machines of joblib's `parallel_config`.

    Returns
    -------
    For each cell that failed, what it was and its error.
    """
    found, rows = read(path)
    if rows and found != head:
        raise ValueError(f"{path.name} was made by another source: {found!r}, now {head!r}")
    failed: dict[str, str] = {}
    while todo := [c for c in cells(rows) if not find(c, rows) and str(texts(c)) not in failed]:
        tasks = [delayed(attempt)(measure, cell) for cell in todo]
        for done, (cell, result, error) in enumerate(
            Parallel(return_as="generator_unordered", batch_size=1)(tasks), 1
        ):
            if error:
                failed[str(cell)] = f"{cell}: {error}"
            else:
                rows.append(cell | result)
                write(path, head, rows)
            print(f"{path.name}: {done} of {len(todo)}, {cell}", "FAILED" * bool(error), flush=True)
    if ordered := [row for cell in cells(rows) if (row := find(cell, rows))]:
        write(path, head, ordered)
    return list(failed.values())


@contextmanager
def places(jobs: int, scheduler: str | None) -> Iterator[None]:
    """Let joblib run cells on a number of this machine's cores, or on a Dask cluster."""
    if scheduler is None:
        with parallel_config("loky", n_jobs=jobs):
            yield
        return
    from dask.distributed import Client  # here: a sweep on one machine needs no Dask

    from experiments.cluster import Cluster

    with Client(scheduler) as client, parallel_config(Cluster(client=client)):
        yield


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if a cell failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("grids", nargs="*", default=GRIDS, metavar="NAME", help=", ".join(GRIDS))
    parser.add_argument("--jobs", type=int, default=-1, help="processes, -1 for one a core")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, to run there")
    parser.add_argument("--fresh", action="store_true", help="measure anew what is stored")
    options = parser.parse_args(arguments)
    failed = []
    for name in options.grids:
        grid = import_module(f"experiments.{name}")
        head = f"# python -m experiments.sweep {name}; source {digest(grid)}"
        if options.fresh:
            (ROOT / grid.FILE).unlink(missing_ok=True)
        with places(options.jobs, options.scheduler):
            failed += sweep(grid.measure, grid.cells, ROOT / grid.FILE, head)
    print(*failed, sep="\n")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
