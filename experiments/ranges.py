"""Range tests of nine pairs of a task and an optimizer: 26 rates, an epoch each."""

from __future__ import annotations

import numpy as np

from lstm.tuning import rate_range_test

from .tasks import OPTIMIZERS, task

FILE = "book/debugging/tuning_ranges.csv"
RATES = np.geomspace(1e-4, 10, 26)


def cells(rows):
    cases = [("sine", name) for name in ("SGD", "Momentum", "RMSprop", "Adam")]
    cases += [("waves", name) for name in ("SGD", "Momentum", "Adam")]
    cases += [("vowels", name) for name in ("SGD", "Adam")]
    return [
        {"name": name, "optimizer": optimizer, "seed": seed}
        for name, optimizer in cases for seed in range(6)
    ]  # fmt: skip


def measure(name, optimizer, seed):
    model, x, y, options = task(name, seed)
    losses = rate_range_test(model, x, y, RATES, optimizer=OPTIMIZERS[optimizer], **options)
    return {f"{rate:.1e}": float(loss) for rate, loss in zip(RATES, losses)}
