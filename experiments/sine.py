"""The sine task, five seeds in each of twelve ways: forget bias, learning rate, schedule."""

from __future__ import annotations

from lstm import Adam, LSTMRegressor, evaluate, fit, sine_task, warmup_exponential

FILE = "book/bptt/sine_grid.csv"

train, test = sine_task()

SCHEDULES = {
    "constant": lambda rate: warmup_exponential(rate, 1.0),
    "decay": lambda rate: warmup_exponential(rate, 0.95),
    "hold": lambda rate: lambda epoch: rate * 0.7 ** max(0, epoch - 89),
}


def cells(rows):
    return [
        {"forget_bias": forget_bias, "rate": rate, "schedule": schedule, "seed": seed}
        for seed in range(5)
        for forget_bias in (0, 1)
        for rate in (0.001, 0.003)
        for schedule in SCHEDULES
    ]


def learn(forget_bias, rate, schedule, seed=0, epochs=100):
    model = LSTMRegressor(1, 20, 1, forget_bias=forget_bias, rng=seed)
    optimizer = Adam(model.params, rate)
    history = fit(model, *train, optimizer, epochs=epochs, bptt_length=10,
                  schedule=SCHEDULES[schedule](rate))
    return model, history.loss


def measure(forget_bias, rate, schedule, seed):
    model, losses = learn(forget_bias, rate, schedule, seed)
    found = {"frozen": evaluate(model, *train), "cosine": evaluate(model, *test)}
    return found | {f"epoch_{k}": loss for k, loss in enumerate(losses, 1)}
