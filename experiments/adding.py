"""The modern adding task at four lengths: how far, after how many sequences, by two starts."""

from __future__ import annotations

import math
import time

import numpy as np

from .adding_claims import CLAIMS  # noqa: F401 - where the page of claims looks for them
from .online import TASKS, opened, unseen, updates
from .published import POINTS, RATES, curve

FILE = "book/evidence/adding.csv"
UNITS, BATCH, OPEN = 8, 32, (3.0, 0.0)  # sizes, and the biases of gates that start open
MOST, HALVED = 32_000, 16_000  # sequences of a run, and after which the rate is halved
GOALS = {"hundredth": 1e-2, "fine": 8e-4}  # the second is the peer's


def cells(rows):
    """The rate is searched for each start at T = 100, with two seeds and half the sequences."""
    from .claims import best  # here: that module makes no result

    def cell(steps, start, stage, rate, seed):
        return {"steps": steps, "start": start, "stage": stage, "rate": rate, "seed": seed}

    found = []
    for start, lengths in (("signed", (100,)), ("closed", (100, 50, 200, 400)), ("open", (100, 50))):
        search = [cell(100, start, "search", r, s) for r in RATES for s in (100, 101)]
        known = [row for row in rows if (row["start"], row["stage"]) == (start, "search")]
        found += search
        if len(known) == len(search):
            rate = float(best(known, "loss", "rate"))
            found += [cell(steps, start, "final", rate, seed)
                      for steps in lengths for seed in range(5)]
    return found


def gates(steps, start):
    """Initial biases of the forget gate and of the input gate.

    "closed" keeps 1/e of a cell over T steps, and lets as little in: log T and -log T. So does
    "signed", which stands for numbers from -1 to 1, T = 100.
    """
    return OPEN if start == "open" else (math.log(steps), -math.log(steps))


def measure(steps, start, stage, rate, seed):
    begun = time.process_time()
    task = TASKS["adding, -1 to 1" if start == "signed" else f"adding {steps}"]
    most, last = MOST // 2 if stage == "search" else MOST, 2000 // BATCH
    model = opened(task, UNITS, seed, *gates(steps, start))
    found = {f"{result}_{goal}": math.inf for goal in GOALS for result in ("sequences", "until")}
    losses = []
    for shown, loss, _ in updates(task, model, BATCH, rate, seed, most, HALVED):
        losses.append(loss)
        recent = np.mean(losses[-last:]) if len(losses) >= last else math.inf
        for goal, bound in GOALS.items():
            if recent < bound and math.isinf(found[f"until_{goal}"]):
                found[f"sequences_{goal}"] = shown
                found[f"until_{goal}"] = time.process_time() - begun
    found["loss"] = float(np.mean(losses[-last:]))
    found["unseen"], found["wrong"] = unseen(task, model, seed)
    return found | curve(losses, most // BATCH // POINTS)
