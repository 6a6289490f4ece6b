"""The process of one subject: reads a task a line from standard input, answers each in JSON.

    python -m benchmarks.worker lstm
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from .suite import SUBJECTS

BUDGET = 0.3  # seconds after which a turn makes no further call


def median_seconds(run: Callable[[], object], budget: float = BUDGET) -> float:
    """Return the median time of as many calls as fit into a budget.

    The first one warms up what slept while others had their turns. It counts only where it
    is the only one, and then it is too long for that to matter.
    """
    times: list[float] = []
    start = time.perf_counter()
    while not times or time.perf_counter() - start < budget:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times[1:] or times)


def answer(subject: ModuleType, task: dict[str, Any], made: dict[str, Any]) -> Any:
    """Return what a task asks for; what was made for it is kept until another one comes."""
    options = {key: value for key, value in task.items() if key not in ("make", "call")}
    if "call" in task:
        return getattr(subject, task["call"])(**options)
    key = json.dumps(task)
    if key not in made:
        made.clear()
        made[key] = getattr(subject, task["make"])(**options)
        made[key]()  # memory is handed out, and code is loaded, at the first call
    return median_seconds(made[key])


def main() -> None:
    """Answer until the input ends."""
    subject = import_module(f".subjects.{SUBJECTS[sys.argv[1]]}", __package__)
    made: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            reply = {"answer": answer(subject, json.loads(line), made)}
        except Exception:
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
