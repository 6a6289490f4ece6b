"""A recurrent layer that reads from the end to the beginning."""

from __future__ import annotations

from typing import Any

from .backend import Array
from .checks import check_lengths
from .layers import Layer, Output, Recurrent
from .stack import reverse


class Reversed(Layer):
    """A recurrent layer that reads each sequence from its end to its beginning.

    It is called as the layer in it is: ``y, state = layer(x, state=None, lengths=None)``
    and ``dx, dstate = layer.backward(dy, dstate=None)``. All are in the order of time; the
    first state is the one after each sequence's end, the last one that at step 0.

    Parameters
    ----------
    recurrent : the layer, of one direction and not stateful; its parameters are this one's

    Raises
    ------
    TypeError, ValueError
        If it is another layer; if it has two directions, or carries a state, since what
        follows would have to be read first.
    """

    def __init__(self, recurrent: Recurrent) -> None:
        if not isinstance(recurrent, Recurrent):
            got = type(recurrent).__name__
            raise TypeError(f"{self.name} expected an LSTM, GRU or RNN, got {got}")
        if recurrent.directions > 1:
            raise ValueError(f"{self.name} expected a layer with bidirectional=False")
        if recurrent.stateful:
            raise ValueError(f"{self.name} expected a layer with stateful=False")
        self.recurrent, self.dtype, self.training = recurrent, recurrent.dtype, True
        self._between = recurrent._between  # dropout, whose generators a checkpoint keeps
        self.forget()

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of the layer, under its names."""
        return self.recurrent.params

    @params.setter
    def params(self, params: dict[str, Array]) -> None:
        self.recurrent.params = params

    def forget(self) -> None:
        """Drop the gradients and what the last forward pass kept."""
        super().forget()
        self.recurrent.forget()

    def turned(self, a: Array, lengths: Array | None) -> Array:
        """Return a sequence, as users pass and get it, turned around by `stack.reverse`."""
        if self.recurrent.batch_first:
            return reverse(a.swapaxes(0, 1), lengths).swapaxes(0, 1)
        return reverse(a, lengths)

    def __call__(self, x: Array, state: Any = None, lengths: Any = None) -> Output:
        """Run from each sequence's end to its beginning; return y and the state there."""
        layer = self.recurrent
        layer.training = self.training
        checked = layer.sequence("x", x, None, None, layer.input_size)
        lengths = check_lengths(layer.name, lengths, checked)
        y, state = layer(self.turned(x, lengths), state, lengths)
        return self.turned(y, lengths), state

    def backward(self, dy: Array, dstate: Any = None) -> Output:
        """Fill ``grads`` from the gradients of y and the last state; return dx, dstate."""
        layer, (caches, lengths) = self.recurrent, self.recurrent.kept()
        layer.sequence("dy", dy, *caches[0].x.shape[:2], layer.hidden_size)
        dx, dstate = layer.backward(self.turned(dy, lengths), dstate)
        self.grads = layer.grads
        return self.turned(dx, lengths), dstate

    def trace(self, run: str = "l0") -> Any:
        """Return the trace of a run, as `layers.Recurrent` does, in the order of time."""
        trace, lengths = self.recurrent.trace(run), self.recurrent.kept().lengths
        return type(trace)(*(reverse(a, lengths).copy() for a in trace))

    def traces(self) -> dict[str, Any]:
        """Return the traces of all runs by name."""
        return {run: self.trace(run) for run in self.recurrent.runs}
