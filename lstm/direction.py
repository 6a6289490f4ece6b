"""A recurrent layer that reads from the end to the beginning."""

from __future__ import annotations

from typing import Any

from .backend import Array
from .checks import check_lengths
from .layers import Output, Recurrent
from .stack import reverse


def check_one_way(owner: str, layer: Any) -> Recurrent:
    """Return a layer that can be turned around.

    Raises
    ------
    TypeError, ValueError
        If it is no recurrent layer, or is turned around already; if it has two directions,
        or carries a state, since what follows would have to be read first.
    """
    if not isinstance(layer, Recurrent) or isinstance(layer, Reversed):
        got = type(layer).__name__
        raise TypeError(f"{owner} expected an LSTM, GRU or RNN, got {got}")
    if layer.directions > 1:
        raise ValueError(f"{owner} expected a layer with bidirectional=False")
    if layer.stateful:
        raise ValueError(f"{owner} expected a layer with stateful=False")
    return layer


class Reversed(Recurrent):
    """A recurrent layer that reads each sequence from its end to its beginning.

    It is called as the layer in it is, and everything that goes in or comes out is in the
    order of time: the first state is the one after each sequence's end, the last state is
    the one at step 0. Parameters, gradients and options are those of the layer in it.

    Parameters
    ----------
    recurrent : an `LSTM`, `GRU` or `RNN`, checked by `check_one_way`
    """

    from_end = True

    def __init__(self, recurrent: Recurrent) -> None:
        self.recurrent = check_one_way(self.name, recurrent)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the layer: this one has none but the layer itself."""
        if name == "recurrent":  # not there yet, while a copy is made
            raise AttributeError(name)
        return getattr(self.recurrent, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of the layer."""
        if name == "recurrent":
            super().__setattr__(name, value)
        else:
            setattr(self.recurrent, name, value)

    def turned(self, a: Array, lengths: Array | None) -> Array:
        """Return a sequence, as users pass and get it, turned around by `stack.reverse`."""
        if self.batch_first:
            return reverse(a.swapaxes(0, 1), lengths).swapaxes(0, 1)
        return reverse(a, lengths)

    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Run from each sequence's end to its beginning; return y and the state there."""
        checked = self.sequence("x", x, None, None, self.input_size)
        lengths = check_lengths(self.name, lengths, checked)
        y, state = self.recurrent(self.turned(x, lengths), state, lengths)
        return self.turned(y, lengths), state

    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        _, lengths, T, B = self.kept()
        self.sequence("dy", dy, T, B, self.hidden_size)
        dx, dstate = self.recurrent.backward(self.turned(dy, lengths), dstate)
        return self.turned(dx, lengths), dstate

    def traces(self) -> dict[str, Any]:
        """Return the traces of all runs, in the order of time."""
        lengths = self.kept().lengths
        return {
            run: type(trace)(*(reverse(a, lengths).copy() for a in trace))
            for run, trace in self.recurrent.traces().items()
        }
