"""Time the package's LSTM against PyTorch's and against its bare matrix products.

``make bench`` runs it. Every subject has a process of its own, and they take turns: in one
process the two libraries' spinning thread pools slow each other a hundredfold. A figure is
the median of the rounds' medians; what matters are ratios, measured side by side.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = [
    (10, 1, 1, 20), (50, 32, 1, 64), (100, 32, 64, 128), (35, 20, 200, 200),
    (200, 16, 32, 256), (50, 64, 256, 512), (35, 64, 1024, 1024),
]  # fmt: skip
SUBJECTS = ("lstm", "torch", "products")
THREADS = 2
PAUSE = 0.3  # seconds before a turn: for that long the threads of the turn before may spin


class Worker:
    """A process that times one subject, a size at a time, when it is asked to."""

    def __init__(self, subject: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        for library in ("OPENBLAS", "OMP", "MKL"):
            environment[f"{library}_NUM_THREADS"] = str(THREADS)
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), subject],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ask(self, task: object) -> float:
        """Return the seconds that one repetition of a task takes (median)."""
        print(json.dumps(task), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(tasks: list[object], subjects: tuple[str, ...], rounds: int) -> dict[str, list[float]]:
    """Return each subject's seconds for each task, the subjects taking turns."""
    workers = {subject: Worker(subject) for subject in subjects}
    seconds = {subject: [] for subject in subjects}
    for task in tasks:
        turns = {subject: [] for subject in subjects}
        for _ in range(rounds):
            for subject, worker in workers.items():
                time.sleep(PAUSE)
                turns[subject].append(worker.ask(task))
        for subject, values in turns.items():
            seconds[subject].append(statistics.median(values))
    for worker in workers.values():
        worker.close()
    return seconds


def report_sizes(rounds: int) -> None:
    """Print forward plus backward, float32, at every size."""
    seconds = measure([{"size": size} for size in SIZES], SUBJECTS, rounds)
    print("| T, B, I, H | lstm, ms | PyTorch, ms | products, ms | PyTorch / lstm | lstm / products |")
    print("|---|---|---|---|---|---|")
    for size, ours, torch, floor in zip(SIZES, *seconds.values()):
        print(
            f"| {', '.join(map(str, size))} | {1e3 * ours:.3g} | {1e3 * torch:.3g} | {1e3 * floor:.3g} "
            f"| {torch / ours:.2f} | {ours / floor:.2f} |"
        )
    ratios = [torch / ours for ours, torch in zip(seconds["lstm"], seconds["torch"])]
    print(f"\ngeometric mean of PyTorch / lstm: {statistics.geometric_mean(ratios):.2f}")


def report_sine(rounds: int) -> None:
    """Print the seed's sine recipe: an epoch of 100 updates of 10 steps."""
    seconds = measure([{"sine_epochs": 5}], ("lstm", "torch"), rounds)
    ours, torch = (100 * seconds[subject][0] for subject in ("lstm", "torch"))
    print(f"sine task, 100 epochs: lstm {ours:.2f} s, PyTorch {torch:.2f} s, ratio {torch / ours:.2f}")


def report_import(rounds: int) -> None:
    """Print how long `import lstm` takes once NumPy is there, in new processes."""
    code = "import time, numpy; t = time.perf_counter(); import lstm; print(time.perf_counter() - t)"
    run = [sys.executable, "-c", code]
    times = [float(subprocess.run(run, stdout=subprocess.PIPE, text=True).stdout) for _ in range(rounds)]
    print(f"import lstm: {1e3 * statistics.median(times):.0f} ms over NumPy's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each subject")
    rounds = parser.parse_args().rounds
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"{THREADS} threads, float32, {rounds} rounds\n")  # fmt: skip
    report_sizes(rounds)
    report_sine(rounds)
    report_import(rounds)


if __name__ == "__main__":
    main()
