"""The package with an LSTM's runs compiled: the extra `fast`."""

from __future__ import annotations

import lstm

from . import kernels
from .package import training

__all__ = ["kernels", "training"]

lstm.use_fast()
