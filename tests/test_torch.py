"""Forward and gradients against results of PyTorch, stored by tests/data/make_torch.py."""

from pathlib import Path

import numpy as np
import pytest

import lstm

LENGTHS = (4, 7, 1)
OPTIONS = [  # as in make_torch.py
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"bias": False, "batch_first": True},
    {"lengths": LENGTHS},
    {"num_layers": 3, "bidirectional": True, "lengths": LENGTHS},
]
STORED = np.load(Path(__file__).parent / "data" / "torch.npz", allow_pickle=False)
TOLERANCE = {32: {"rtol": 1e-5, "atol": 2e-6}, 64: {"rtol": 1e-10, "atol": 1e-13}}


def stored(case, bits):
    prefix = f"{case}.{bits}."
    return {name.removeprefix(prefix): STORED[name] for name in STORED if name.startswith(prefix)}


def to_package(layer, case, prefix=""):
    """PyTorch's parameters, or their gradients, under the package's names."""
    H, params = layer.hidden_size, {}
    for run in layer.runs:
        params |= {f"{w}_{run}": case[f"{prefix}{w}_{run}"] for w in ("weight_ih", "weight_hh")}
        if not layer.bias:
            continue
        ih, hh = (case[f"{prefix}bias_{side}_{run}"] for side in ("ih", "hh"))
        if prefix:  # the gradient of each of two summed biases is the gradient of their sum
            params[f"bias_{run}"] = ih
        else:
            kept = 2 * H if isinstance(layer, lstm.GRU) else len(hh)
            params[f"bias_{run}"] = ih + np.r_[hh[:kept], np.zeros(len(hh) - kept, hh.dtype)]
        if isinstance(layer, lstm.GRU):
            params[f"bias_hn_{run}"] = hh[2 * H :]
    return params


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("number", range(len(OPTIONS)), ids=map(str, OPTIONS))
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_layer_equals_pytorch_forward_and_backward(kind, number, bits):
    case, options = stored(f"{kind}{number}", bits), dict(OPTIONS[number])
    lengths = options.pop("lengths", None)
    close = lambda got, expected: np.testing.assert_allclose(got, expected, **TOLERANCE[bits])  # noqa: E731
    layer = getattr(lstm, kind)(4, 5, dtype=f"float{bits}", **options)
    layer.params = to_package(layer, case)
    names = layer.state_names
    pack = lambda parts: tuple(parts) if len(names) > 1 else parts[0]  # noqa: E731
    unpack = lambda state: state if len(names) > 1 else (state,)  # noqa: E731

    y, last = layer(case["x"], pack([case[f"{n}0"] for n in names]), lengths)
    dx, dstate = layer.backward(case["dy"], pack([case[f"d{n}T"] for n in names]))
    close(y, case["y"])
    close(dx, case["dx"])
    for name, part, d in zip(names, unpack(last), unpack(dstate)):
        close(part, case[f"{name}T"])
        close(d, case[f"d{name}0"])
    for name, expected in to_package(layer, case, "d").items():
        close(layer.grads[name], expected)
        assert layer.grads[name].dtype == expected.dtype


@pytest.mark.parametrize("bits", [32, 64])
def test_losses_equal_pytorch(bits):
    case = stored("losses", bits)
    close = lambda got, expected: np.testing.assert_allclose(got, expected, **TOLERANCE[bits])  # noqa: E731
    loss, dy = lstm.mean_squared_error(case["y"], case["target"])
    close(loss, case["mse"])
    close(dy, case["dy"])
    loss, dlogits = lstm.cross_entropy(case["logits"], case["labels"])
    close(loss, case["cross_entropy"])
    close(dlogits, case["dlogits"])
