"""Models kept in files, and weights from and to PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, Module, device_of, move_model, to_device, to_numpy
from .checks import check_arrays, check_size
from .files import FAULTS, read_arrays, write_arrays
from .layers import GRU, LSTM, RNN, Layer, Linear, Recurrent
from .model import Classifier, LSTMClassifier, LSTMRegressor, Regressor

# What can be kept, by the name that a file gives it: a file cannot ask for anything else.
CLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        LSTM, GRU, RNN, Linear, Regressor, LSTMRegressor, Classifier, LSTMClassifier
    )
}
OPTIONS = (
    "input_size", "hidden_size", "num_layers", "batch_first", "bias", "dropout", "stateful"
)


def assign(model: Module, params: Mapping[str, Array]) -> None:
    """Copy arrays into a model's parameters, in place, from any device and float dtype.

    An optimizer holds on to the same arrays and goes on with them. Gradients, caches and
    carried states belong to the old parameters and are dropped.

    Parameters
    ----------
    params : with the keys and shapes of ``model.params``
    """
    for name, p in model.params.items():
        p[...] = to_device(params[name], device_of(p))
    for layer in model.layers.values():
        layer.forget()


def named_layers(model: Module) -> dict[str, Layer]:
    """Return a model's layers by what stands before the names of their parameters."""
    if isinstance(model, Layer):
        return {"": model}
    return {f"{name}.": layer for name, layer in model.layers.items()}


def split_biases(layer: Layer) -> dict[str, Array]:
    """Return a layer's parameters under PyTorch's names, as copies on the processor.

    The one bias of a run becomes bias_ih, beside a bias_hh of zeros; in a GRU the last
    third of bias_hh is bias_hn.
    """
    found: dict[str, Array] = {}
    for name, p in layer.params.items():
        value = to_numpy(p).copy()
        if name.startswith("bias_hn_"):
            found[name.replace("_hn_", "_hh_")][-len(value) :] = value
        elif name.startswith("bias_"):
            found[name.replace("bias_", "bias_ih_")] = value
            found[name.replace("bias_", "bias_hh_")] = np.zeros_like(value)
        else:
            found[name] = value
    return found


def join_biases(layer: Layer, state: Mapping[str, Array]) -> dict[str, Array]:
    """Return a layer's parameters from arrays under PyTorch's names.

    PyTorch's two biases are summed, but for the last third of a GRU's bias_hh, which is
    multiplied by r and stays apart as bias_hn.
    """
    found: dict[str, Array] = {}
    for name, p in layer.params.items():
        if name.startswith("bias_hn_"):
            found[name] = state[name.replace("_hn_", "_hh_")][-len(p) :]
        elif name.startswith("bias_"):
            apart = len(layer.params.get(name.replace("bias_", "bias_hn_"), ()))
            second = state[name.replace("bias_", "bias_hh_")].copy()
            second[len(p) - apart :] = 0
            found[name] = state[name.replace("bias_", "bias_ih_")] + second
        else:
            found[name] = state[name]
    return found


def torch_state_dict(model: Module) -> dict[str, Array]:
    """Return a model's parameters under the names of torch.nn's LSTM, GRU, RNN and Linear.

    Parameters
    ----------
    model : a layer; or a model, whose names get ``recurrent.`` and ``linear.`` before them

    Returns
    -------
    dict of NumPy arrays, copies, for ``load_state_dict`` once they are tensors
    """
    return {
        prefix + name: array
        for prefix, layer in named_layers(model).items()
        for name, array in split_biases(layer).items()
    }


def load_torch_state_dict(
    model: Module, state: Mapping[str, Any], strict: bool = True
) -> None:
    """Copy PyTorch's weights into a model of the same sizes and options.

    Parameters
    ----------
    model : a layer or a model of this package
    state : arrays or PyTorch tensors on the processor, named as by `torch_state_dict`;
        cast to the model's dtype
    strict : False leaves parameters that are missing as they are, and unexpected names out

    Raises
    ------
    ValueError
        If names are missing or unexpected, or shapes differ; nothing is changed then.
    """
    present, given = torch_state_dict(model), {}
    for name, value in state.items():
        array = np.asarray(to_numpy(value))
        cast = name in present and array.dtype.kind == "f"
        given[name] = array.astype(present[name].dtype) if cast else array
    if not strict:
        given = present | {name: a for name, a in given.items() if name in present}
    check_arrays("load_torch_state_dict", given, present)
    joined: dict[str, Array] = {}
    for prefix, layer in named_layers(model).items():
        own = {k.removeprefix(prefix): a for k, a in given.items() if k.startswith(prefix)}
        joined |= {prefix + name: a for name, a in join_biases(layer, own).items()}
    assign(model, joined)


def configuration(model: Module) -> dict[str, Any]:
    """Return all that a model was made from but its weights, as JSON can hold it.

    Raises
    ------
    TypeError
        If its class is not one of this package's layers and models.
    """
    name, layers = type(model).__name__, model.layers
    if CLASSES.get(name) is not type(model):
        raise TypeError(
            f"expected a model of class {', '.join(CLASSES)}, got {name}; the weights "
            "alone are in its params"
        )
    if isinstance(model, Linear):
        sizes = {"input_size": model.input_size, "output_size": model.output_size}
        return {"class": name, "dtype": model.dtype.name, **sizes}
    if isinstance(model, Recurrent):
        found = {option: getattr(model, option) for option in OPTIONS}
        found |= {"forget_bias": model.forget_bias} if isinstance(model, LSTM) else {}
        both = {"bidirectional": model.directions == 2, "dtype": model.dtype.name}
        return {"class": name, **found, **both}
    inner = configuration(layers["recurrent"])
    found = dict(inner) if name.startswith("LSTM") else {"recurrent": inner}
    if isinstance(model, Classifier):
        found |= {"pool": model.pool, "classes": layers["linear"].output_size}
    else:
        found |= {"output_size": layers["linear"].output_size}
    return {**found, "class": name}


def least_numbers(found: Mapping[str, Any]) -> int:
    """Return a number of parameters that a model of a configuration has at least.

    It is known before the model is made: a file that names larger sizes than it has
    numbers for is refused before any memory is asked for.
    """
    inner = found.get("recurrent", {}) if isinstance(found, Mapping) else None
    if not isinstance(inner, Mapping):
        raise ValueError(f"expected a configuration, got {found!r}")
    named = {"num_layers": 1, **inner, **found}

    def size(name: str) -> int:
        return check_size("the model", name, named.get(name))

    outputs = sum(size(name) for name in ("output_size", "classes") if name in named)
    if "hidden_size" in named:
        H = size("hidden_size")
        least = H * (size("input_size") + size("num_layers") * H + outputs)
    else:
        least = size("input_size") * outputs
    return max(least, least_numbers(inner)) if "recurrent" in found else least


def build(found: Mapping[str, Any]) -> Any:
    """Return a new model of a `configuration`, on the processor.

    Raises
    ------
    ValueError, TypeError
        If it is not a configuration that a model of this package has.
    """
    arguments = {k: build(v) if k == "recurrent" else v for k, v in found.items()}
    name = arguments.pop("class", None)
    if name not in CLASSES:
        raise ValueError(f"expected class as one of {', '.join(CLASSES)}, got {name!r}")
    on_cpu = {} if "recurrent" in arguments else {"device": "cpu"}
    model = CLASSES[name](**arguments, **on_cpu)
    if configuration(model) != found:
        raise ValueError(f"expected configuration {configuration(model)}, got {found}")
    return model


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Write a model to a safetensors file: its weights, class, sizes and options.

    The weights have PyTorch's names, as in `torch_state_dict`. Neither gradients nor a
    carried state are kept. The file replaces an older one only when it is whole.

    Parameters
    ----------
    model : a layer or a model of this package
    path : by custom it ends in ``.safetensors``

    Raises
    ------
    TypeError, ImportError
        If the class is not this package's; if safetensors is not installed.
    """
    content = {"configuration": configuration(model)}
    write_arrays(Path(path), torch_state_dict(model), "model", content)


def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Return the model that `save` wrote to a file.

    Parameters
    ----------
    device : ``"cpu"``, ``"cuda"``, or None for the default device

    Raises
    ------
    ValueError
        If the file is not whole, not from `save`, from a newer version, or holds other
        arrays than its configuration asks for; the error names it.
    """
    arrays, content = read_arrays(Path(path), "model")
    try:
        found: Any = content.get("configuration")
        least = least_numbers(found)
        held = sum(array.size for array in arrays.values())
        if held < least:
            raise ValueError(f"expected at least {least} numbers by its sizes, got {held}")
        model = build(found)
        check_arrays("the model", arrays, torch_state_dict(model))
    except FAULTS as error:
        raise ValueError(f"{path}: {error}") from error
    load_torch_state_dict(model, arrays)
    move_model(model, device)
    return model
