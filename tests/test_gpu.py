"""The kernels and graphs on a GPU, where there is one: every cell gives NumPy's numbers."""

from __future__ import annotations

import numpy as np
import pytest

import lstm
from lstm.kernels import use_graphs
from test_graphs import one_pass
from test_kernel_layers import FUSED, passes


def why_not() -> str:
    """Return why no GPU can be used here, or nothing."""
    try:
        lstm.resolve_device("cuda")
    except RuntimeError as error:
        return str(error)
    return ""


REASON = why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.mark.parametrize("lengths", [None, [23, 1, 10, 11, 20]], ids=["whole", "lengths"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [*FUSED, lstm.ZoneoutLSTM, lstm.ResetFirstGRU])
def test_a_layer_gives_the_same_on_a_gpu(kind, dtype, lengths):
    options = {"num_layers": 2, "bidirectional": True}
    host = passes(kind, dtype, "cpu", lengths, **options)
    tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
    for name, a in passes(kind, dtype, "cuda", lengths, **options).items():
        np.testing.assert_allclose(a, host[name], tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize("lengths", [None, [23, 1, 10, 11, 20]], ids=["whole", "lengths"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", FUSED)
def test_a_graph_gives_the_same_on_a_gpu(kind, dtype, lengths):
    """The fourth pass repeats what the second recorded, on other numbers."""
    tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
    results = []
    for device in ("cpu", "cuda"):
        layer = kind(3, 7, num_layers=2, bidirectional=True, rng=0, dtype=dtype, device=device)
        use_graphs(layer)
        passes = [one_pass(layer, seed, 23, 5, lengths, device) for seed in range(4)]
        results.append(passes)
    for host, device in zip(*results):
        for a, b in zip(device, host, strict=True):
            np.testing.assert_allclose(a, b, tolerance, tolerance)


def test_out_of_memory_on_a_gpu_loses_nothing():
    import cupy

    layer = lstm.LSTM(1, 512, rng=0, device="cuda", stateful=True)
    x = cupy.zeros((10, 4, 1), np.float32)
    y, _ = layer(x)
    state, pool = layer.state, cupy.get_default_memory_pool()
    pool.set_limit(size=pool.total_bytes() + 2**24)
    try:
        with pytest.raises(MemoryError, match="LSTM ran out of memory"):
            layer(cupy.zeros((400, 64, 1), np.float32), (y[:1, :1].repeat(64, 1),) * 2)
        assert layer.state is state
        layer(x)
    finally:
        pool.set_limit(size=0)
