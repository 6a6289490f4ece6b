"""Weights from and to Keras' recurrent layers, as lists of arrays in Keras' order.

Keras keeps kernels transposed, (I, rows) and (H, rows), and takes (B, T, features). Its
LSTM has the blocks i, f, c, o, our i, f, g, o; its GRU z, r, h, which are z, r, n.
Keras itself is not needed: ``layer.get_weights()`` gives the list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backend import Array, to_numpy
from .layers import GRU, LSTM, RNN, Recurrent
from .variants import ResetFirstGRU

KINDS: dict[str, type[Recurrent]] = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": RNN}
UPDATE_FIRST = (1, 0, 2)  # z, r, n from r, z, n, and back


def turned(kind: type[Recurrent], a: Array) -> Array:
    """Return rows (blocks * H, ...) in the other library's order; twice, the same again."""
    if not issubclass(kind, GRU):
        return a
    return a.reshape(3, -1, *a.shape[1:])[list(UPDATE_FIRST)].reshape(a.shape)


def keras_kind(name: str, reset_after: bool) -> type[Recurrent]:
    """Return the class that computes what a layer of Keras does.

    Raises
    ------
    ValueError
        If the name is none of ``LSTM``, ``GRU`` and ``SimpleRNN``.
    """
    if name not in KINDS:
        raise ValueError(f"from_keras expected kind as one of {list(KINDS)}, got {name!r}")
    return KINDS[name] if name != "GRU" or reset_after else ResetFirstGRU


def check_keras_shapes(
    kind: type[Recurrent], I: int, H: int, weights: Sequence[Array]
) -> None:
    """Raise a ValueError unless the arrays are those of one direction of a kind's layer."""
    rows = kind.blocks * H
    bias = (2, rows) if kind is GRU else (rows,)
    expected = [(I, rows), (H, rows), bias][: len(weights)]
    got = [np.shape(w) for w in weights]
    if got != expected:
        raise ValueError(
            f"from_keras expected arrays {expected} of a {kind.__name__}, got {got}"
        )


def run_from_keras(kind: type[Recurrent], weights: Sequence[Array]) -> dict[str, Array]:
    """Return one direction's weights under this package's names, without the run's name."""
    kernel, recurrent, *bias = (np.asarray(w) for w in weights)
    run = {"weight_ih": turned(kind, kernel.T), "weight_hh": turned(kind, recurrent.T)}
    if not bias:
        return run
    if kind is not GRU:
        return run | {"bias": turned(kind, bias[0])}
    (b_ih, b_hh), H = (turned(kind, b) for b in bias[0]), len(recurrent)
    summed = b_ih + b_hh * (np.arange(3 * H) < 2 * H)
    return run | {"bias": summed, "bias_hn": b_hh[2 * H :]}


def from_keras(
    weights: Sequence[Array], kind: str = "LSTM", *, reset_after: bool = True
) -> Recurrent:
    """Return the layer that computes what a layer of Keras with these weights computes.

    Parameters
    ----------
    weights : ``layer.get_weights()``: kernel (I, rows), recurrent kernel (H, rows) and, if
        it has one, bias; twice as many arrays for ``Bidirectional``, forward first
    kind : ``"LSTM"``, ``"GRU"`` or ``"SimpleRNN"``
    reset_after : the GRU's option of that name

    Returns
    -------
    The layer, with ``batch_first``: x is (B, T, I) as in Keras.

    Raises
    ------
    ValueError
        If the kind is unknown, or the number of arrays or a shape does not fit.
    """
    chosen, count = keras_kind(kind, reset_after), len(weights)
    if count not in (2, 3, 4, 6):
        raise ValueError(
            f"from_keras expected 2 or 3 arrays, or 4 or 6 for two directions, got {count}"
        )
    D = 1 + (count > 3)
    I, H = np.shape(weights[0])[0], np.shape(weights[1])[0]
    layer = chosen(
        I, H, bidirectional=D == 2, bias=count // D == 3, batch_first=True,
        dtype=np.asarray(weights[0]).dtype, device="cpu",
    )  # fmt: skip
    for d, run in enumerate(layer.runs):
        part = weights[d * count // D : (d + 1) * count // D]
        check_keras_shapes(chosen, I, H, part)
        for name, a in run_from_keras(chosen, part).items():
            layer.params[f"{name}_{run}"] = np.array(a, layer.dtype, order="C")
    return layer


def to_keras(layer: Recurrent) -> list[Array]:
    """Return a layer's weights as ``set_weights`` of Keras' layer of its kind takes them.

    Raises
    ------
    ValueError
        If the layer has more than one layer; Keras stacks them itself.
    TypeError
        If Keras has no layer of this kind.
    """
    kind = type(layer)
    if kind not in (*KINDS.values(), ResetFirstGRU):
        raise TypeError(f"to_keras expected an LSTM, GRU or RNN, got {kind.__name__}")
    if layer.num_layers > 1:
        raise ValueError(f"to_keras expected num_layers=1, got {layer.num_layers}")
    weights, H = [], layer.hidden_size
    for W, U, b, *extra in ((to_numpy(a) for a in run) for run in layer.weights()):
        weights += [turned(kind, W).T, turned(kind, U).T]
        if layer.bias:
            second = np.concatenate([np.zeros(2 * H, b.dtype), *extra]) if extra else None
            both = [turned(kind, a) for a in ([b] if second is None else [b, second])]
            weights.append(both[0] if second is None else np.stack(both))
    return [np.ascontiguousarray(a) for a in weights]
