"""Train the models that two of the figures to play with show, and store what these need.

`climb` draws a training epoch by epoch, so it holds the losses and the forecasts; `gates` runs a
trained model over the sunspots itself, so it holds its parameters. tests/test_figures.py trains
again and compares. After a change of the recipes, this writes both into `book/figures`:

    .venv/bin/python tests/train_figures.py && .venv/bin/python tests/draw_figures.py
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lstm import (
    LSTM,
    Adam,
    LSTMRegressor,
    Regressor,
    fit,
    mean_squared_error,
    sine_task,
    sunspots,
    warmup_exponential,
    windows,
)
from lstm.training import evaluate

FIGURES = Path(__file__).resolve().parents[1] / "book" / "figures"
EPOCHS, RATE, DECAY = 50, 3e-3, 0.95
SHOWN = np.linspace(0, 999, 61).round().astype(int)  # of the 1000 steps, those that are drawn
FITTED, WINDOW, UNITS = 1920, 22, 8  # of the sunspots: as on their page


@cache
def climb() -> tuple[Any, Any]:
    """Return the losses (51,), held still, and the forecasts (51, 61), before and after epochs."""
    train, _ = sine_task(np.float64)
    model = LSTMRegressor(1, 20, 1, forget_bias=1.0, rng=0, dtype=np.float64)
    forecasts = [model(train.x)[0][SHOWN, 0, 0].copy()]
    losses = [evaluate(model, *train)]

    def look(*_: Any) -> None:
        forecasts.append(model(train.x)[0][SHOWN, 0, 0].copy())

    history = fit(
        model, *train, Adam(model.params, RATE), epochs=EPOCHS, bptt_length=10,
        schedule=warmup_exponential(RATE, DECAY), validation=tuple(train), callbacks=[look],
    )  # fmt: skip
    return np.array(losses + history.validation_loss), np.array(forecasts)


def last_step_error(y: Any, target: Any) -> tuple[Any, Any]:
    loss, dy_last = mean_squared_error(y[-1], target[-1])
    dy = 0 * y
    dy[-1] = dy_last
    return loss, dy


@cache
def gates() -> tuple[Any, float, float]:
    """Return the LSTM of the page on sunspots, one year ahead, seed 0; mean and std of roots."""
    years, numbers = sunspots()
    rng = np.random.default_rng(0)
    model = Regressor(LSTM(1, UNITS, rng=rng, dtype=np.float64), 1, rng=rng)
    u = np.sqrt(numbers[years <= FITTED])
    x, y = windows((u - u.mean()) / u.std(), WINDOW)
    fit(model, x, y, Adam(model.params, 0.02), epochs=20, batch_size=80, clip_norm=1.0,
        loss=last_step_error, rng=rng)  # fmt: skip
    return model, u.mean(), u.std()


def digits(array: Any) -> Any:
    """Return an array as nested lists of numbers with 12 digits."""
    if np.ndim(array):
        return [digits(row) for row in array]
    return float(f"{array:.12g}")


def stored() -> dict[str, dict[str, Any]]:
    """Return what each of the figures holds."""
    losses, forecasts = climb()
    model, mean, std = gates()
    p = {name.partition(".")[2]: digits(value) for name, value in model.params.items()}
    return {
        "climb": {
            "loss": digits(losses), "steps": SHOWN.tolist(),
            "forecast": (1e4 * forecasts).round().astype(int).tolist(),
        },
        "gates": {
            "numbers": digits(sunspots()[1]), "mean": digits(mean), "std": digits(std),
            "W": p["weight_ih_l0"], "U": p["weight_hh_l0"], "b": p["bias_l0"],
            "V": p["weight"], "a": p["bias"],
        },
    }  # fmt: skip


def main() -> None:
    for name, data in stored().items():
        file = FIGURES / f"{name}.html"
        before, after = re.split(r'(?<=json">)[^<]*', file.read_text())
        whole = before + json.dumps(data, separators=(",", ":")) + after
        file.write_text(whole)
        print(f"stored: {file.name}, {len(whole) / 1000:.1f} kB")


if __name__ == "__main__":
    main()
