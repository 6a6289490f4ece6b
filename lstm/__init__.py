"""A small, exact, inspectable LSTM on NumPy or CuPy, built in *LSTM from scratch*."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .backend import get_array_module, move_model, resolve_device, to_device, to_numpy
from .data import (
    characters,
    digits,
    embedded_reber,
    japanese_vowels,
    pad,
    sine_task,
    sunspots,
    windows,
)
from .diagnostics import traces
from .layers import GRU, LSTM, RNN, Dropout, Embedding, Linear
from .losses import cross_entropy, mean_squared_error
from .model import Classifier, LSTMClassifier, LSTMRegressor, Regressor, Sequential
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

if TYPE_CHECKING:
    from .checkpoints import Checkpoints, EarlyStopping
    from .diagnosis import diagnose
    from .direction import Reversed
    from .fast import use_fast
    from .gradcheck import gradient_check
    from .interop import load, load_torch_state_dict, save, torch_state_dict
    from .parallel import RankCheckpoints, RankError, fit_parallel, share
    from .sanity import sanity_check
    from .tasks import (
        adding_task,
        adding_task_1997,
        continual_reber,
        copy_task,
        counting_task,
        mackey_glass,
        mackey_glass_task,
        noisy_sine_task,
        one_hot,
        parity_task,
        temporal_order_task,
    )
    from .tuning import rate_before_rise, rate_range_test
    from .variants import (
        CoupledLSTM,
        PeepholeLSTM,
        ReluRNN,
        ResetFirstGRU,
        ZoneoutLSTM,
    )

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
    "Embedding",
    "LSTMClassifier",
    "LSTMRegressor",
    "Linear",
    "Momentum",
    "PeepholeLSTM",
    "Plateau",
    "RMSprop",
    "RankCheckpoints",
    "RankError",
    "Regressor",
    "ReluRNN",
    "ResetFirstGRU",
    "Reversed",
    "Sequential",
    "ZoneoutLSTM",
    "adding_task",
    "adding_task_1997",
    "characters",
    "clip_grad_norm",
    "clip_grad_value",
    "continual_reber",
    "copy_task",
    "cosine",
    "counting_task",
    "cross_entropy",
    "diagnose",
    "digits",
    "embedded_reber",
    "evaluate",
    "fit",
    "fit_parallel",
    "get_array_module",
    "gradient_check",
    "japanese_vowels",
    "load",
    "load_torch_state_dict",
    "mackey_glass",
    "mackey_glass_task",
    "mean_squared_error",
    "move_model",
    "noisy_sine_task",
    "one_hot",
    "pad",
    "parity_task",
    "rate_before_rise",
    "rate_range_test",
    "resolve_device",
    "sanity_check",
    "save",
    "share",
    "sine_task",
    "sunspots",
    "temporal_order_task",
    "to_device",
    "to_numpy",
    "torch_state_dict",
    "traces",
    "use_fast",
    "warmup_exponential",
    "windows",
]

# Loaded when one of their names is first used: `import lstm` would take half as long again.
LATER = {
    "checkpoints": ("Checkpoints", "EarlyStopping"),
    "diagnosis": ("diagnose",),
    "direction": ("Reversed",),
    "fast": ("use_fast",),
    "gradcheck": ("gradient_check",),
    "interop": ("load", "load_torch_state_dict", "save", "torch_state_dict"),
    "parallel": ("RankCheckpoints", "RankError", "fit_parallel", "share"),
    "sanity": ("sanity_check",),
    "tasks": (
        "adding_task", "adding_task_1997", "continual_reber", "copy_task", "counting_task",
        "mackey_glass", "mackey_glass_task", "noisy_sine_task", "one_hot", "parity_task",
        "temporal_order_task",
    ),
    "tuning": ("rate_before_rise", "rate_range_test"),
    "variants": (
        "CoupledLSTM", "PeepholeLSTM", "ReluRNN", "ResetFirstGRU", "ZoneoutLSTM",
    ),
}


def __getattr__(name: str) -> Any:
    """Return a name of a module that is loaded later."""
    for module, names in LATER.items():
        if name in names:
            globals()[name] = getattr(import_module(f".{module}", __name__), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names at hand, those that are loaded later included."""
    return sorted({*globals(), *__all__})
