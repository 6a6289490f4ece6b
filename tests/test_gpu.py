"""The kernels on a GPU, where there is one: every cell gives NumPy's numbers."""

from __future__ import annotations

import numpy as np
import pytest

import lstm
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
