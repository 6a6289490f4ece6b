"""A small, exact, inspectable LSTM on NumPy or CuPy, built in *LSTM from scratch*."""

from .backend import get_array_module, move_model, resolve_device, to_device, to_numpy
from .checkpoints import Checkpoints, EarlyStopping
from .data import japanese_vowels, pad, sine_task, sunspots, windows
from .diagnostics import gradient_check, traces
from .interop import load, load_torch_state_dict, save, torch_state_dict
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
from .variants import CoupledLSTM, PeepholeLSTM, ReluRNN, ResetFirstGRU

__version__ = "0.2.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "Checkpoints",
    "Classifier",
    "CoupledLSTM",
    "Dropout",
    "EarlyStopping",
    "LSTMClassifier",
    "LSTMRegressor",
    "Linear",
    "Momentum",
    "PeepholeLSTM",
    "Plateau",
    "RMSprop",
    "Regressor",
    "ReluRNN",
    "ResetFirstGRU",
    "clip_grad_norm",
    "clip_grad_value",
    "cosine",
    "cross_entropy",
    "evaluate",
    "fit",
    "get_array_module",
    "gradient_check",
    "japanese_vowels",
    "load",
    "load_torch_state_dict",
    "mean_squared_error",
    "move_model",
    "pad",
    "resolve_device",
    "save",
    "sine_task",
    "sunspots",
    "to_device",
    "to_numpy",
    "torch_state_dict",
    "traces",
    "warmup_exponential",
    "windows",
]
