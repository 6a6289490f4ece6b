"""A small, exact, inspectable LSTM on NumPy or CuPy, built in *LSTM from scratch*."""

from .backend import get_array_module, move_model, resolve_device, to_device, to_numpy
from .data import sine_task, sunspots, windows
from .diagnostics import gradient_check
from .layers import GRU, LSTM, RNN, Dropout, Linear
from .losses import cross_entropy, mean_squared_error
from .model import Classifier, LSTMClassifier, LSTMRegressor, Regressor
from .optim import (
    SGD,
    Adam,
    AdamW,
    Momentum,
    Plateau,
    RMSprop,
    clip_grad_norm,
    clip_grad_value,
    cosine,
    warmup_exponential,
)
from .training import evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "Classifier",
    "Dropout",
    "LSTMClassifier",
    "LSTMRegressor",
    "Linear",
    "Momentum",
    "Plateau",
    "RMSprop",
    "Regressor",
    "clip_grad_norm",
    "clip_grad_value",
    "cosine",
    "cross_entropy",
    "evaluate",
    "fit",
    "get_array_module",
    "gradient_check",
    "mean_squared_error",
    "move_model",
    "resolve_device",
    "sine_task",
    "sunspots",
    "to_device",
    "to_numpy",
    "warmup_exponential",
    "windows",
]
