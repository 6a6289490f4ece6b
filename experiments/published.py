"""The tasks of the papers until the papers' criteria are met, in sequences and in seconds."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from lstm import LSTM, Adam, adding_task, cross_entropy, embedded_reber, to_device
from lstm.training import train_step

from .grammar import judge, language_model, logits_of, some
from .online import TASKS, opened, unseen, updates
from .published_claims import CLAIMS  # noqa: F401 - where the page of claims looks for them

FILE = "book/evidence/published.csv"


class Setting(NamedTuple):
    """How a task is run: sizes, initial biases of two gates, the most sequences.

    `goal` is what the mean loss of the last 2000 sequences has to fall below; None where each
    of them has to be right. `stop` says whether a run ends there.
    """

    units: int
    batch: int
    forget: float
    enter: float
    most: int
    goal: float | None = None
    stop: bool = True
    seeds: int = 10


SETTINGS = {
    "order of two": Setting(4, 16, 5.0, -2.0, 64_000),
    "order of three": Setting(6, 16, 5.0, -2.0, 128_000),
    "Reber": Setting(6, 4, 1.0, 0.0, 40_000),
    "parity": Setting(4, 16, 1.0, 0.0, 64_000),
    "adding, 1997": Setting(4, 32, 5.0, -3.0, 148_000),
    "copy": Setting(48, 16, 1.0, 0.0, 96_000, TASKS["copy"].guess / 4, seeds=5),
    "adding, -1 to 1": Setting(8, 32, 1.0, 0.0, 256_000, 8e-4, stop=False, seeds=5),
}
RATES = (0.005, 0.01, 0.02)
GIVEN = {"adding, -1 to 1": 0.005}  # the peer's; it is halved after every 48,000 sequences
POINTS = 32  # of a run's curve


def cells(rows):
    """Three rates for each task and two seeds, and then the best with other seeds.

    For copy the search is all: none of its runs reached the goal. The modern adding task has
    a grid of its own, `adding`.
    """
    found = [{"task": "guess", "stage": "final", "rate": 0, "seed": seed} for seed in range(10)]
    for task in (task for task in SETTINGS if task not in GIVEN):
        search = [
            {"task": task, "stage": "search", "rate": rate, "seed": seed}
            for rate in RATES for seed in (100, 101)
        ]  # fmt: skip
        known = [row for row in rows if (row["task"], row["stage"]) == (task, "search")]
        found += search
        if len(known) == len(search) and task != "copy":
            found += [{"task": task, "stage": "final", "rate": chosen(known), "seed": seed}
                      for seed in range(SETTINGS[task].seeds)]
    return found + [{"task": task, "stage": "final", "rate": rate, "seed": seed}
                    for task, rate in GIVEN.items() for seed in range(SETTINGS[task].seeds)]


def chosen(known):
    """The rate with the fewest sequences, or the lowest loss where none reached the goal."""
    def score(rate):
        runs = [row for row in known if float(row["rate"]) == rate]
        return [np.median([float(row[name]) for row in runs]) for name in ("sequences", "loss")]

    return min(RATES, key=score)


def strings(units, batch, rate, seed, most, every=128):
    """Train on 256 strings until all of them and all of 256 others are right; yield as `updates`.

    After every so many strings both sets are judged. A judgment repeats 2000 times what it
    says, True or False, so that one that is all right ends the run.
    """
    known, others = (embedded_reber(256, np.random.default_rng([k, seed])) for k in (9, 10))
    model, rng = language_model(LSTM, units, seed), np.random.default_rng([7, seed])
    optimizer = Adam(model.params, rate)
    for shown in range(batch, most + 1, batch):
        part = some(known, rng.integers(0, 256, batch))
        steps = part.lengths.max()
        x, y = to_device(part.tokens[: steps - 1]), to_device(part.tokens[1:steps])
        loss, _, _ = train_step(model, x, y, None, optimizer, cross_entropy, 1.0,
                                lengths=part.lengths - 1)
        right = shown % every == 0 and all(
            judge(logits_of(model, part), part)[0] == 1 for part in (known, others)
        )
        yield shown, loss, np.full(2000, right)


def start_run(task, rate, seed, most):
    """The updates of a task's run, and the model that they train, None for the grammar's."""
    setting = SETTINGS[task]
    if task == "Reber":
        return strings(setting.units, setting.batch, rate, seed, most), None
    model = opened(TASKS[task], setting.units, seed, setting.forget, setting.enter)
    halved = 48_000 if task in GIVEN else math.inf
    return updates(TASKS[task], model, setting.batch, rate, seed, most, halved), model


def curve(losses, size):
    """Means of the losses of so many updates each, None past the end of a run."""
    parts = [losses[k * size : (k + 1) * size] for k in range(POINTS)]
    means = [float(np.mean(part)) if len(part) == size else None for part in parts]
    return {f"at_{k + 1}": mean for k, mean in enumerate(means)}


def guess(seed):
    """The squared error of the guess 1 on 200,000 sequences of the modern adding task."""
    _, y = adding_task(2, 200_000, np.random.default_rng([11, seed]), np.float64)
    return {"sequences": math.inf, "until": math.inf, "loss": float(((y - 1) ** 2).mean()),
            "unseen": None, "wrong": None} | curve([], 1)


def measure(task, stage, rate, seed):
    if task == "guess":
        return guess(seed)
    setting, start = SETTINGS[task], time.process_time()
    most = setting.most // 2 if stage == "search" else setting.most
    run, model = start_run(task, rate, seed, most)
    losses, last, streak = [], 2000 // setting.batch, 0
    found = {"sequences": math.inf, "until": math.inf}
    for shown, loss, right in run:
        losses.append(loss)
        streak = streak + len(right) if right.all() else int(right[::-1].argmin())
        low = setting.goal and len(losses) >= last and np.mean(losses[-last:]) < setting.goal
        if (low or (setting.goal is None and streak >= 2000)) and math.isinf(found["until"]):
            found = {"sequences": shown, "until": time.process_time() - start}
            if setting.stop or stage == "search":
                break
    new = unseen(TASKS[task], model, seed) if model else (None, None)
    found |= {"loss": float(np.mean(losses[-last:])), "unseen": new[0], "wrong": new[1]}
    return found | curve(losses, most // setting.batch // POINTS)
