"""ONNX Runtime, on a file that the package writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import onnxruntime

import lstm
from lstm.onnx import to_onnx

from . import kernels, normal

__all__ = ["inference", "kernels"]


def inference(size: Any) -> Callable[[], object]:
    """Return a forward pass."""
    T, B, I, H = size
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    with tempfile.TemporaryDirectory() as folder:
        to_onnx(lstm.LSTM(I, H, rng=0), f"{folder}/layer.onnx")
        session = onnxruntime.InferenceSession(
            f"{folder}/layer.onnx", options, providers=["CPUExecutionProvider"]
        )
    (x,) = normal((T, B, I))
    return lambda: session.run(None, {"x": x})
