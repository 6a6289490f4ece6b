"""What the results say of each goal; the page "Measured" shows these functions and their answers."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("results.json")
Results = dict[str, Any]
Ratios = dict[str, float]


def answers(results: Results, group: str, subject: str) -> dict[str, list[Any]]:
    """Return a subject's answers to the tasks of a group, one for each round."""
    found = results["groups"][group]["answers"]
    return {task: rounds[subject] for task, rounds in found.items()}


def seconds(results: Results, group: str, subject: str) -> dict[str, float]:
    """Return the median over the rounds for each task of a group."""
    return {
        task: statistics.median(rounds)
        for task, rounds in answers(results, group, subject).items()
    }


def ratios(results: Results, group: str, above: str, below: str) -> Ratios:
    """Return the quotient of two subjects' medians for each task of a group."""
    top, bottom = seconds(results, group, above), seconds(results, group, below)
    return {task: top[task] / bottom[task] for task in top}


def variants(results: Results) -> list[str]:
    """Return the names of the variants of the layer, of whose tasks each has several."""
    tasks = results["groups"]["variants"]["answers"]
    return list(dict.fromkeys(task.partition(": ")[0] for task in tasks))


def of_variant(found: Ratios, variant: str) -> Ratios:
    """Return the ratios of one variant's tasks."""
    return {task: ratio for task, ratio in found.items() if task.startswith(f"{variant}: ")}


def at_least_hidden(found: Ratios, hidden: int) -> Ratios:
    """Return the ratios of sizes "T, B, I, H" whose H is at least so large."""
    return {size: ratio for size, ratio in found.items() if int(size.split(", ")[3]) >= hidden}


def growth(results: Results, axis: str) -> dict[int, list[float]]:
    """Return the rounds' seconds for each length of an axis, from the shortest on."""
    found = answers(results, "growth", "lstm")
    points = {task.partition(" = ")[::2]: rounds for task, rounds in found.items()}
    return {int(n): rounds for (name, n), rounds in points.items() if name == axis}


def doublings(rounds: dict[int, list[float]]) -> list[float]:
    """Return how many times longer each doubling takes, at least: beyond the rounds' spread.

    The lower quartile after it over the upper quartile before it.
    """
    quartiles = [statistics.quantiles(r, n=4, method="inclusive") for r in rounds.values()]
    return [after[0] / before[2] for before, after in zip(quartiles, quartiles[1:])]


def exponent(rounds: dict[int, list[float]]) -> float:
    """Return p where the time grows as n to the p, from the shortest to the longest."""
    (first, few), *_, (last, many) = rounds.items()
    return math.log(statistics.median(many) / statistics.median(few)) / math.log(last / first)


def memory(results: Results, *, steps: int | None = None) -> Ratios:
    """Return a training step's largest memory over what it must keep, for each size.

    Parameters
    ----------
    steps : only of sizes with this T, if given
    """
    found = {size: rounds[0] for size, rounds in answers(results, "memory", "lstm").items()}
    wanted = "" if steps is None else f"{steps}, "
    return {
        size: kept["peak"] / kept["needed"]
        for size, kept in found.items() if size.startswith(wanted)
    }  # fmt: skip


class Goal(NamedTuple):
    """One goal, and what was measured."""

    work: str
    figure: str  # what is compared, and how the sizes are summed up
    wanted: float
    at_least: bool
    measured: float

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    @property
    def missing(self) -> float:
        """The share of the goal that is missing, 0 if it is reached."""
        return 0.0 if self.holds else abs(self.measured / self.wanted - 1)


def goals_of_training(results: Results) -> list[Goal]:
    """Return the goals for a forward and a backward pass of one LSTM layer."""
    torch = ratios(results, "training", "PyTorch", "lstm")
    floor = at_least_hidden(ratios(results, "training", "lstm", "products"), 128)
    mean, smallest = statistics.geometric_mean(torch.values()), min(torch.values())
    work = "training, seven sizes"
    found = [
        Goal(work, "PyTorch / lstm, geometric mean", 0.95, True, mean),
        Goal(work, "PyTorch / lstm, smallest", 0.6, True, smallest),
        Goal("training, H from 128", "lstm / bare products, largest", 1.15, False, max(floor.values())),
    ]
    fast = ratios(results, "training", "PyTorch", "fast").values()
    figure = "PyTorch / lstm with the extra fast, geometric mean"
    found.append(Goal(work, figure, 1.1, True, statistics.geometric_mean(fast)))
    for other in ("numpy-ml", "tutorial"):
        slowest = min(ratios(results, "others", other, "lstm").values())
        found.append(Goal(work, f"{other} / lstm, smallest", 4.0, True, slowest))
    return found


def goals_of_others(results: Results) -> list[Goal]:
    """Return the goals for a forward pass alone, for other layers, and for a whole training."""
    found = []
    for other in ("PyTorch", "ONNX Runtime"):
        mean = statistics.geometric_mean(ratios(results, "inference", other, "lstm").values())
        found.append(Goal("inference, seven sizes", f"{other} / lstm, geometric mean", 1.0, True, mean))
    torch = ratios(results, "variants", "PyTorch", "lstm")
    for variant in variants(results):
        smallest = min(of_variant(torch, variant).values())
        found.append(Goal(f"training, {variant}", "PyTorch / lstm, smallest", 0.9, True, smallest))
    sine = ratios(results, "sine", "PyTorch", "lstm")["sine"]
    return [*found, Goal("sine task, 100 epochs", "PyTorch / lstm", 2.0, True, sine)]


def goals_of_growth(results: Results) -> list[Goal]:
    """Return the goals for calls, for time by size, and for memory."""
    (calls,) = answers(results, "calls", "lstm")["a step"]
    found = [
        Goal("a time step forward", "calls of NumPy", 10, False, calls["forward"]),
        Goal("a time step backward", "calls of NumPy", 9, False, calls["backward"]),
    ]
    for axis, most in (("T", 2.0), ("B", 2.0), ("H", 4.0)):
        steepest = max(doublings(growth(results, axis)))
        figure = f"time at 2{axis} / time at {axis}, largest"
        found.append(Goal(f"training, {axis} doubled", figure, most, False, steepest))
    for work, steps in (("seven sizes and T = 100", None), ("T = 100", 100)):
        largest = max(memory(results, steps=steps).values())
        found.append(Goal(f"memory, {work}", "peak / kept arrays, largest", 1.2, False, largest))
    return found


def verdict(goal: Goal) -> str:
    """Return whether a goal is reached, and if not how much is missing."""
    share = f"{100 * goal.missing:.0f} %" if goal.missing >= 0.01 else "less than 1 %"
    return "holds" if goal.holds else f"misses by {share}"


def rows(goals: list[Goal]) -> list[tuple[str, ...]]:
    """Return a table's rows of text: work, figure, goal, measured, verdict."""
    sign: Callable[[Goal], str] = lambda goal: "≥" if goal.at_least else "≤"  # noqa: E731
    return [
        (goal.work, goal.figure, f"{sign(goal)}\N{NO-BREAK SPACE}{goal.wanted:g}", f"{goal.measured:.3g}", verdict(goal))
        for goal in goals
    ]  # fmt: skip


def load() -> Results:
    """Return the stored results."""
    found: Results = json.loads(FILE.read_text())
    return found


def all_goals(results: Results) -> list[Goal]:
    """Return every goal."""
    return [*goals_of_training(results), *goals_of_others(results), *goals_of_growth(results)]
