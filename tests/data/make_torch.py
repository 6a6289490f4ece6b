"""Store what PyTorch computes for small layers and losses, for tests/test_torch.py.

Run with PyTorch 2.13.0: ``python tests/data/make_torch.py``. Writes torch.npz beside it.
"""

from pathlib import Path

import numpy as np
import torch

T, B, I, H = 7, 3, 4, 5
LENGTHS = (4, 7, 1)
# The options of torch.nn's layers, each with its default first, and "lengths", ours.
OPTIONS = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"bias": False, "batch_first": True},
    {"lengths": LENGTHS},
    {"num_layers": 3, "bidirectional": True, "lengths": LENGTHS},
]


def run(layer: torch.nn.Module, x: torch.Tensor, state: object, lengths: tuple[int, ...] | None):
    """Return y and the last state; with lengths, of a packed batch, padded again."""
    if lengths is None:
        return layer(x, state)
    options = {"batch_first": layer.batch_first}
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    y, last = layer(pack(x, torch.tensor(lengths), enforce_sorted=False, **options), state)
    return pad(y, total_length=T, **options)[0], last


def recurrent_case(kind: str, dtype: torch.dtype, lengths=None, **options) -> dict[str, np.ndarray]:
    """One layer: weights, inputs, outputs, and every gradient of sum(y*dy) + sum(state*dstate)."""
    layer = getattr(torch.nn, kind)(I, H, dtype=dtype, **options)
    parts = ("h", "c") if kind == "LSTM" else ("h",)
    runs = layer.num_layers * (1 + layer.bidirectional)
    shape = (B, T, I) if layer.batch_first else (T, B, I)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    state = [torch.randn(runs, B, H, dtype=dtype, requires_grad=True) for _ in parts]
    y, last = run(layer, x, tuple(state) if len(state) > 1 else state[0], lengths)
    last = last if isinstance(last, tuple) else (last,)
    dy, dlast = torch.randn_like(y), [torch.randn_like(part) for part in last]
    loss = (y * dy).sum() + sum((part * d).sum() for part, d in zip(last, dlast))
    loss.backward()
    arrays = {"x": x, "y": y, "dy": dy, "dx": x.grad}
    for name, first, end, d in zip(parts, state, last, dlast):
        arrays |= {f"{name}0": first, f"{name}T": end, f"d{name}T": d, f"d{name}0": first.grad}
    for name, p in layer.named_parameters():
        arrays |= {name: p, f"d{name}": p.grad}
    return {k: a.detach().numpy() for k, a in arrays.items()}


def loss_case(dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Mean squared error and cross-entropy with their gradients."""
    y, target = torch.randn(T, B, H, dtype=dtype, requires_grad=True), torch.randn(T, B, H, dtype=dtype)
    mse = torch.nn.functional.mse_loss(y, target)
    mse.backward()
    logits = (4 * torch.randn(T, B, H, dtype=dtype)).requires_grad_()
    labels = torch.randint(H, (T, B))
    entropy = torch.nn.functional.cross_entropy(logits.reshape(-1, H), labels.reshape(-1))
    entropy.backward()
    arrays = {"y": y, "target": target, "mse": mse, "dy": y.grad, "logits": logits,
              "labels": labels, "cross_entropy": entropy, "dlogits": logits.grad}  # fmt: skip
    return {k: a.detach().numpy() for k, a in arrays.items()}


def main() -> None:
    torch.manual_seed(0)
    stored = {"torch_version": np.array(torch.__version__)}
    for dtype in (torch.float32, torch.float64):
        bits = str(dtype).rpartition("float")[2]
        cases = {
            f"{kind}{n}": recurrent_case(kind, dtype, **options)
            for kind in ("LSTM", "GRU", "RNN")
            for n, options in enumerate(OPTIONS)
        }
        cases["losses"] = loss_case(dtype)
        for kind, arrays in cases.items():
            stored |= {f"{kind}.{bits}.{name}": a for name, a in arrays.items()}
    np.savez_compressed(Path(__file__).with_name("torch.npz"), **stored)


if __name__ == "__main__":
    main()
