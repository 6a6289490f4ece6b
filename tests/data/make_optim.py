"""Store what PyTorch's optimizers do to a small fixed problem, for the chapter on training.

Run with PyTorch 2.13.0: ``python tests/data/make_optim.py``. Writes optim.npz beside it.

The problem is a quadratic bowl in two parameters, float64: L = sum(scale * (p - best)**2) / 2,
with scales drawn between 0.01 and 100, so that one learning rate cannot suit all entries.
"""

from pathlib import Path

import numpy as np
import torch

STEPS = 100
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.015),
    "Momentum": lambda p: torch.optim.SGD(p, lr=0.015, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "Adam_eps": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
}


def path(name: str, problem: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters before the first step and after each, and the gradient at each step."""
    kinds = ("weight", "bias")
    start, scale, best = (
        {kind: torch.tensor(problem[f"{kind}.{part}"]) for kind in kinds}
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


def main() -> None:
    rng = np.random.default_rng(0)
    problem = {}
    for kind, shape in {"weight": (2, 3), "bias": (2,)}.items():
        problem[f"{kind}.start"], problem[f"{kind}.best"] = rng.normal(size=(2, *shape))
        problem[f"{kind}.scale"] = 10.0 ** rng.uniform(-2, 2, shape)
    stored = {"torch_version": np.array(torch.__version__.partition("+")[0])} | problem
    for name in OPTIMIZERS:
        stored |= path(name, problem)
    np.savez_compressed(Path(__file__).with_name("optim.npz"), **stored)


if __name__ == "__main__":
    main()
