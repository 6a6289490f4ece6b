"""PyTorch's layers, eager, on the processor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm

from . import kernels as blas
from . import some_lengths

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def kernels() -> list[str]:
    """Return what PyTorch says of its own kernels, besides the libraries it has loaded."""
    lines = [line.strip(" -") for line in torch.__config__.show().splitlines()]
    own = [line.partition(" for ")[0] for line in lines if "Kernel" in line or "MKL-DNN" in line]
    return [*own, f"vectors: {torch.backends.cpu.get_cpu_capability()}", *blas()]


def training(
    size: Any, kind: str = "LSTM", shortest: float | None = None, **options: Any
) -> Callable[[], object]:
    """Return a forward and a backward pass, with the gradient of x as the package has it."""
    T, B, I, H = size
    layer = getattr(torch.nn, kind)(I, H, **options)
    x = torch.randn(T, B, I, requires_grad=True)
    dy = torch.randn(T, B, H * (2 if layer.bidirectional else 1))
    lengths = None if shortest is None else torch.from_numpy(some_lengths(T, B, shortest))

    def forward() -> Any:
        if lengths is None:
            return layer(x)[0]
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], total_length=T)[0]

    def run() -> None:
        layer.zero_grad()
        x.grad = None
        forward().backward(dy)

    return run


def inference(size: Any) -> Callable[[], object]:
    """Return a forward pass that keeps nothing for a way back."""
    T, B, I, H = size
    layer, x = torch.nn.LSTM(I, H).eval(), torch.randn(T, B, I)

    def run() -> Any:
        with torch.inference_mode():
            return layer(x)

    return run


def sine(epochs: int) -> Callable[[], object]:
    """Return some epochs of the recipe of the sine task, as the package's `fit` makes them."""
    x, y = (torch.from_numpy(a) for a in lstm.sine_task()[0])
    layer, readout = torch.nn.LSTM(1, 20), torch.nn.Linear(20, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=1e-3)

    def run() -> None:
        for _ in range(epochs):
            state = None
            for start in range(0, 1000, 10):
                hidden, state = layer(x[start : start + 10], state)
                loss = torch.nn.functional.mse_loss(readout(hidden), y[start : start + 10])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                state = tuple(part.detach() for part in state)
                loss.item()

    return run
