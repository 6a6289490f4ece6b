"""Measure a group: each subject in a process of its own, the processes taking turns.

In one process the two libraries' spinning thread pools slow each other a hundredfold.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from .suite import Group, Task

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.3  # seconds before a turn: for that long the threads of the turn before may spin


def environment(threads: int) -> dict[str, str]:
    """Return this process's environment without settings of OpenBLAS, and with so many threads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return kept | {f"{library}_NUM_THREADS": str(threads) for library in ("OPENBLAS", "OMP", "MKL", "NUMBA")}


class Worker:
    """A process that measures one subject, a task at a time, when it is asked to."""

    def __init__(self, subject: str, threads: int) -> None:
        self.subject = subject
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", subject], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(threads),
        )  # fmt: skip

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # ends its input, and waits

    def ask(self, task: Task) -> Any:
        """Return the answer to a task; a RuntimeError says what went wrong."""
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):  # then there is no line to read, either
            print(json.dumps(task), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": "the process ended"}
        if "error" in reply:
            raise RuntimeError(f"{self.subject} cannot do {task}: {reply['error']}")
        return reply["answer"]


def measure(group: Group, rounds: int | None = None) -> dict[str, dict[str, list[Any]]]:
    """Return the answers of every round: by task, then by subject."""
    found: dict[str, dict[str, list[Any]]] = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, group.threads)) for name in group.subjects]
        for name, task in group.tasks.items():
            found[name] = {worker.subject: [] for worker in workers}
            for _ in range(min(rounds or group.rounds, group.rounds)):
                for worker in workers:
                    time.sleep(PAUSE if len(workers) > 1 else 0.0)
                    found[name][worker.subject].append(worker.ask(task))
    return found
