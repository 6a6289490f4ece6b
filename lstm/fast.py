"""The switch between NumPy's run of an LSTM and the compiled one of `compiled`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .recurrence import lstm_backward, lstm_forward
from .stack import COMPILED


def use_fast(on: bool = True) -> None:
    """Let every `LSTM` on the processor run compiled from now on, or by NumPy again.

    Layers, caches and results keep their shapes; numbers differ by rounding. Variants,
    `GRU` and `RNN` stay with NumPy, and so does the way back of a layer with ``recompute``.
    Code is compiled when first needed, which takes some seconds, and kept on disk.

    Parameters
    ----------
    on : False for NumPy's runs, to the last bit as they were

    Raises
    ------
    ImportError
        If numba is missing, the extra ``fast``.
    """
    if on and find_spec("numba") is None:
        raise ImportError(
            'use_fast needs numba: run `pip install "lstm-from-scratch[fast]"`'
        )
    COMPILED.clear()
    if on:
        found = import_module("lstm.compiled")
        COMPILED[lstm_forward] = found.fast_forward
        COMPILED[lstm_backward] = found.fast_backward
