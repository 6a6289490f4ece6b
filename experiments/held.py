"""An LSTM with one of its gates held open: what is left when that gate is taken away."""

from __future__ import annotations

from lstm import LSTM

BLOCKS = {"i": 0, "f": 1, "o": 3}
OPEN = 40.0  # its sigmoid is 1 to the last bit, also in float64


class HeldLSTM(LSTM):
    """An `LSTM` whose gate i, f or o is 1 at every step and stays so in training.

    The gate's rows are zero and its bias is so large that the sigmoid is exactly 1. Its slope
    s (1 - s) is then exactly 0, so no gradient reaches these rows and nothing moves them, but
    for weight decay. With ``held="f"`` this is the LSTM of 1997, which cannot forget.

    Parameters
    ----------
    input_size, hidden_size : I and H
    held : "i", "f" or "o"
    **options : those of `LSTM`, with a bias
    """

    def __init__(self, input_size, hidden_size, *, held="f", **options):
        if held not in BLOCKS:
            raise ValueError(f"HeldLSTM expected held as one of {[*BLOCKS]}, got {held!r}")
        if not options.get("bias", True):
            raise ValueError("HeldLSTM expected bias=True, got False: the bias holds the gate")
        self.held = held
        super().__init__(input_size, hidden_size, **options)

    def initial_weights(self, size, rng):
        """Return those of `LSTM`, drawn from the same numbers, with the gate's rows held."""
        weights = super().initial_weights(size, rng)
        block = BLOCKS[self.held] * self.hidden_size
        rows = slice(block, block + self.hidden_size)
        weights["weight_ih"][rows] = weights["weight_hh"][rows] = 0.0
        weights["bias"][rows] = OPEN
        return weights
