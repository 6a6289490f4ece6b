"""Initial weights and gate biases, drawn on the processor from a generator passed in.

Weights have the shape (fan_out, fan_in): the last axis is what a unit reads.
All are float64; a layer casts them to its own dtype and moves them to its device,
so that one seed gives the same weights everywhere.
"""

from __future__ import annotations

import numpy as np

from .backend import Array
from .checks import check_size


def lecun_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Gaussian weights of variance 1 / fan_in, which keep the variance of a sum's terms.

    Parameters
    ----------
    shape : (fan_out, fan_in)
    rng : generator to draw from

    References
    ----------
    LeCun, Bottou, Orr and Müller (1998). Often called Xavier, which it is not.
    """
    return rng.normal(0.0, shape[1] ** -0.5, shape)


def glorot_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Gaussian weights of variance 2 / (fan_in + fan_out): a compromise of both directions.

    Parameters
    ----------
    shape : (fan_out, fan_in)
    rng : generator to draw from

    References
    ----------
    Glorot and Bengio (2010), known by the first name Xavier.
    """
    return rng.normal(0.0, (2.0 / sum(shape)) ** 0.5, shape)


def he_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Gaussian weights of variance 2 / fan_in, for units of which half are silent (ReLU).

    Parameters
    ----------
    shape : (fan_out, fan_in)
    rng : generator to draw from

    References
    ----------
    He, Zhang, Ren and Sun (2015).
    """
    return rng.normal(0.0, (2.0 / shape[1]) ** 0.5, shape)


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Weights with orthonormal rows or columns, whichever are fewer: lengths are kept.

    Parameters
    ----------
    shape : (fan_out, fan_in)
    rng : generator to draw from

    References
    ----------
    Saxe, McClelland and Ganguli (2014).
    """
    tall = rng.normal(size=(max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    return q if shape[0] >= shape[1] else q.T


def lstm_bias(hidden_size: int, forget_bias: float = 1.0) -> Array:
    """Bias of an LSTM (4 hidden_size,): zero, but for the forget gate's block.

    A bias of b opens the forget gate to sigmoid(b) before anything is learned:
    1 gives 0.73. The gate is not the bias.

    References
    ----------
    Gers, Schmidhuber and Cummins (2000); Jozefowicz, Zaremba and Sutskever (2015).
    """
    bias = np.zeros((4, hidden_size))
    bias[1] = forget_bias
    return bias.ravel()


def chrono_bias(hidden_size: int, longest_lag: int, rng: np.random.Generator) -> Array:
    """Bias of an LSTM (4 hidden_size,) whose units forget at time scales up to a lag.

    Forget gates start at 1 - 1/u for u uniform between 2 and the lag, so that a unit
    holds its cell for about u steps; input gates are their complement.

    Parameters
    ----------
    hidden_size : number of units
    longest_lag : longest dependency expected, in time steps, above 2
    rng : generator to draw from

    References
    ----------
    Tallec and Ollivier (2018).
    """
    if check_size("chrono_bias", "longest_lag", longest_lag) <= 2:
        raise ValueError(f"chrono_bias expected longest_lag above 2, got {longest_lag}")
    bias = np.zeros((4, hidden_size))
    bias[1] = np.log(rng.uniform(1.0, longest_lag - 1.0, hidden_size))
    bias[0] = -bias[1]
    return bias.ravel()
