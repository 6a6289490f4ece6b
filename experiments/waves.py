"""The task of the grids on tuning: waves of random period and phase, in noise."""

from __future__ import annotations

import math
import time

import numpy as np

from lstm import Adam, LSTMRegressor, cosine, evaluate, fit, warmup_exponential
from lstm.data import Split

SCHEDULES = {
    "constant": lambda rate, n, w: warmup_exponential(rate, 1.0, warmup=w),
    "exponential": lambda rate, n, w: warmup_exponential(
        rate, 0.01 ** (1 / (n - w)), warmup=w
    ),
    "cosine": lambda rate, n, w: cosine(rate, n, warmup=w),
}


def waves(count, steps, rng):
    """Return noisy waves (steps, count, 1), and as targets the next values, noiseless."""
    t, period = np.arange(steps + 1)[:, None, None], rng.uniform(8, 32, (count, 1))
    wave = np.sin(2 * np.pi * (t / period + rng.uniform(0, 1, (count, 1))))
    noise = rng.normal(0, 0.3, (steps, count, 1))
    return Split((wave[:-1] + noise).astype("f4"), wave[1:].astype("f4"))


def learn(*, steps=30, batch=16, hidden=16, optimizer=Adam, rate=0.03, schedule="cosine",
          warmup=0, clip=None, passes=20, seed=0):
    """Train on 256 waves; return the loss on 512 others, and the processor's seconds."""
    train = waves(256, steps, np.random.default_rng([1, seed]))
    model = LSTMRegressor(1, hidden, 1, forget_bias=1.0, rng=seed)
    start = time.process_time()
    try:
        with np.errstate(all="ignore"):
            fit(model, *train, optimizer(model.params, rate), epochs=passes,
                batch_size=batch, clip_norm=clip,
                schedule=SCHEDULES[schedule](rate, passes, warmup),
                rng=np.random.default_rng(seed))
    except FloatingPointError:
        return {"loss": math.inf, "seconds": time.process_time() - start}
    seconds = time.process_time() - start
    return {"loss": evaluate(model, *waves(512, steps, np.random.default_rng(2))),
            "seconds": seconds}
