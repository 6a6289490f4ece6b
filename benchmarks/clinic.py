"""Plant every fault of tests/faults.py on tasks B, diagnose, and store how it was named.

    python benchmarks/clinic.py              about 20 minutes on one core
    python benchmarks/clinic.py --jobs 2     on two

Writes book/debugging/clinic.csv: a row a run, with the place of the planted fault among the
findings (0 if it is not among them), the first two findings, and how many are above a note.
Healthy runs are planted with nothing. And book/debugging/clinic_strengths.csv: the same for
faults that are planted milder and milder.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults import FAULTS  # noqa: E402
from lstm.diagnosis import judge, measure  # noqa: E402
from patients import HEALTHY, STRENGTHS, TASKS  # noqa: E402

SEEDS, HEALTHY_SEEDS, STRENGTH_SEEDS = range(400, 405), range(400, 403), range(400, 403)
COLUMNS = ("fault", "task", "seed", "place", "first", "second", "above")
STRENGTH_COLUMNS = ("fault", "strength", *COLUMNS[2:])


def plans() -> list[tuple[str, str, int]]:
    """Return fault, task and seed of every run of the table."""
    healthy = [("healthy", task, seed) for task in HEALTHY for seed in HEALTHY_SEEDS]
    sick = [(name, task, seed) for name, f in FAULTS.items() for task in f.tasks for seed in SEEDS]
    return healthy + sick


def strengths() -> list[tuple[str, str, int]]:
    """Return fault, strength and seed of every run of the second table."""
    return [
        (name, strength, seed)
        for name, (_, values) in STRENGTHS.items() for strength in values
        for seed in STRENGTH_SEEDS
    ]  # fmt: skip


def named(fault: str, run: object) -> list[str]:
    """Diagnose a run; return the last four columns of its row."""
    found = [finding.name for finding in judge(measure(run)) if finding.severity != "note"]
    place = found.index(fault) + 1 if fault in found else 0
    first, second = (*found, "", "")[:2]
    return [str(place), first, second, str(len(found))]


def row(plan: tuple[str, str, int]) -> list[str]:
    """Make one run of the table, and diagnose it."""
    fault, task, seed = plan
    if fault == "healthy":
        return [fault, task, str(seed), *named(fault, HEALTHY[task](seed))]
    run = FAULTS[fault].plant(TASKS["B"][task](seed))
    return [fault, task, str(seed), *named(fault, run)]


def strength_row(plan: tuple[str, str, int]) -> list[str]:
    """Make one run of the second table, and diagnose it."""
    fault, strength, seed = plan
    task = TASKS["B"][STRENGTHS[fault][0]]
    run = FAULTS[fault].plant(task(seed), float(strength))
    return [fault, strength, str(seed), *named(fault, run)]


def write(path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def main() -> None:
    """Run all, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    jobs = parser.parse_args().jobs
    folder = ROOT / "book" / "debugging"
    with ProcessPoolExecutor(jobs) as pool:
        rows = list(pool.map(row, plans()))
        write(folder / "clinic.csv", COLUMNS, rows)
        sick = [r for r in rows if r[0] != "healthy"]
        print(f"{sum(r[3] in '12' for r in sick)} of {len(sick)} faults named first or second")
        print(f"{sum(r[6] != '0' for r in rows if r[0] == 'healthy')} false alarms")
        mild = list(pool.map(strength_row, strengths()))
        write(folder / "clinic_strengths.csv", STRENGTH_COLUMNS, mild)


if __name__ == "__main__":
    main()
