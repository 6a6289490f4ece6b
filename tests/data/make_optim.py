"""Store what PyTorch's optimizers and schedules do to a small fixed problem, for two chapters.

Run with PyTorch 2.13.0: ``python tests/data/make_optim.py``. Writes optim.npz beside it.

The problem is a quadratic bowl in two parameters: L = sum(scale * (p - best)**2) / 2,
with scales drawn between 0.01 and 100, so that one learning rate cannot suit all entries.
Names without a number are of float64, names that begin with "32." of float32.
"""

from pathlib import Path

import numpy as np
import torch

STEPS = 100
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.015),
    "Momentum": lambda p: torch.optim.SGD(p, lr=0.015, momentum=0.9),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.015, momentum=0.9, nesterov=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "RMSprop_eps": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-3),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "Adam_eps": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05),
    "AdamW_decay": lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), weight_decay=0.5),
}
SCHEDULES = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=1e-3),
    "warm_cosine": lambda o: warmed(
        o, torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS - 10, eta_min=1e-3)
    ),
    "warm_exponential": lambda o: warmed(o, torch.optim.lr_scheduler.ExponentialLR(o, 0.95)),
}


def path(name: str, problem: dict[str, np.ndarray], dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Parameters before the first step and after each, and the gradient at each step."""
    kinds = ("weight", "bias")
    start, scale, best = (
        {kind: torch.tensor(problem[f"{kind}.{part}"], dtype=dtype) for kind in kinds}
        for part in ("start", "scale", "best")
    )
    p = {kind: torch.nn.Parameter(start[kind].clone()) for kind in kinds}
    optimizer = OPTIMIZERS[name](list(p.values()))
    stored = {f"{name}.{kind}": [start[kind].numpy()] for kind in kinds}
    stored |= {f"{name}.d{kind}": [] for kind in kinds}
    for _ in range(STEPS):
        optimizer.zero_grad()
        sum((scale[kind] * (p[kind] - best[kind]) ** 2).sum() / 2 for kind in kinds).backward()
        optimizer.step()
        for kind in kinds:
            stored[f"{name}.{kind}"].append(p[kind].detach().numpy().copy())
            stored[f"{name}.d{kind}"].append(p[kind].grad.numpy().copy())
    return {key: np.stack(values) for key, values in stored.items()}


def warmed(optimizer, schedule):
    """Let a schedule begin after ten steps of linear warm-up."""
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=9)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, schedule], [10])


def rates(name: str) -> np.ndarray:
    """The learning rate of each step of a schedule whose highest rate is 0.1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule, found = SCHEDULES[name](optimizer), []
    for _ in range(STEPS + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(found)


def plateau(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Losses that fall with noise, then stand still, and the rate after each."""
    losses = np.exp(-np.minimum(np.arange(STEPS), 60) / 20) * (1 + 0.05 * rng.normal(size=STEPS))
    losses[5] = np.nan
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=3, threshold=1e-2, min_lr=1e-3, eps=0.0
    )
    found = []
    for loss in losses.tolist():
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    return {"plateau.loss": losses, "plateau.rate": np.array(found)}


def main() -> None:
    rng = np.random.default_rng(0)
    problem = {}
    for kind, shape in {"weight": (2, 3), "bias": (2,)}.items():
        problem[f"{kind}.start"], problem[f"{kind}.best"] = rng.normal(size=(2, *shape))
        problem[f"{kind}.scale"] = 10.0 ** rng.uniform(-2, 2, shape)
    stored = {"torch_version": np.array(torch.__version__.partition("+")[0])} | problem
    for name in OPTIMIZERS:
        stored |= path(name, problem, torch.float64)
        single = path(name, problem, torch.float32)
        stored |= {f"32.{k}": single[k] for k in (f"{name}.weight", f"{name}.bias")}
    stored |= {f"rate.{name}": rates(name) for name in SCHEDULES} | plateau(rng)
    np.savez_compressed(Path(__file__).with_name("optim.npz"), **stored)


if __name__ == "__main__":
    main()
