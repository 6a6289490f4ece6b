"""Forward and gradients against results of PyTorch, stored by tests/data/make_torch.py."""

from pathlib import Path

import numpy as np
import pytest

import lstm

STORED = np.load(Path(__file__).parent / "data" / "torch.npz", allow_pickle=False)
TOLERANCE = {32: {"rtol": 1e-5, "atol": 2e-6}, 64: {"rtol": 1e-10, "atol": 1e-13}}


def stored(case, bits):
    prefix = f"{case}.{bits}."
    return {name.removeprefix(prefix): STORED[name] for name in STORED if name.startswith(prefix)}


def to_package(kind, case, prefix=""):
    """PyTorch's parameters, or their gradients, under the package's names."""
    ih, hh = (case[f"{prefix}bias_{side}_l0"] for side in ("ih", "hh"))
    params = {name: case[prefix + name] for name in ("weight_ih_l0", "weight_hh_l0")}
    H = params["weight_hh_l0"].shape[1]
    if prefix:  # the gradient of each of two summed biases is the gradient of their sum
        params["bias_l0"] = ih
    else:
        params["bias_l0"] = ih + hh if kind != "GRU" else ih + np.r_[hh[: 2 * H], np.zeros(H, ih.dtype)]
    if kind == "GRU":
        params["bias_hn_l0"] = hh[2 * H :]
    return params


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_layer_equals_pytorch_forward_and_backward(kind, bits):
    case = stored(kind, bits)
    close = lambda got, expected: np.testing.assert_allclose(got, expected, **TOLERANCE[bits])  # noqa: E731
    layer = getattr(lstm, kind)(4, 5, dtype=f"float{bits}")
    layer.params = to_package(kind, case)
    names = layer.state_names
    pack = lambda parts: tuple(parts) if len(names) > 1 else parts[0]  # noqa: E731
    unpack = lambda state: state if len(names) > 1 else (state,)  # noqa: E731

    y, last = layer(case["x"], pack([case[f"{n}0"] for n in names]))
    dx, dstate = layer.backward(case["dy"], pack([case[f"d{n}T"] for n in names]))
    close(y, case["y"])
    close(dx, case["dx"])
    for name, part, d in zip(names, unpack(last), unpack(dstate)):
        close(part, case[f"{name}T"])
        close(d, case[f"d{name}0"])
    for name, expected in to_package(kind, case, "d").items():
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
