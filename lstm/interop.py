"""Models kept in files, and weights from and to PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Array, Module, device_of, move_model, to_device, to_numpy
from .checks import check_arrays, check_size
from .files import FAULTS, read_arrays, write_arrays
from .layers import Layer, Recurrent

# What can be kept, by the name that a file gives it: a file cannot ask for anything else.
CLASSES = (
    "LSTM", "GRU", "RNN", "PeepholeLSTM", "CoupledLSTM", "ZoneoutLSTM", "ResetFirstGRU",
    "ReluRNN", "Reversed", "Linear", "Dropout", "Embedding",
    "Sequential", "Regressor", "LSTMRegressor", "Classifier", "LSTMClassifier",
)  # fmt: skip
# Those that torch.nn has too, ReluRNN as RNN(nonlinearity="relu").
TORCH = ("LSTM", "GRU", "RNN", "ReluRNN", "Linear", "Dropout", "Embedding")
# A layer's arguments are its attributes of these names, those that it has and are not None.
OPTIONS = (
    "input_size", "hidden_size", "output_size", "num_embeddings", "embedding_size",
    "num_layers", "batch_first", "bias", "dropout", "stateful", "recompute",
    "forget_bias", "zoneout_h", "zoneout_c", "p",
)  # fmt: skip


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


def split_state(model: Module) -> dict[str, Array]:
    """Return the parameters of a model by `split_biases`, the layers' names before theirs.

    The names are unique and the arrays copies, whether PyTorch has such layers or not.
    """
    return {
        prefix + name: array
        for prefix, layer in named_layers(model).items()
        for name, array in split_biases(layer).items()
    }


def join_state(model: Module, state: Mapping[str, Array]) -> dict[str, Array]:
    """Return a model's parameters from what `split_state` returned, by `join_biases`."""
    joined: dict[str, Array] = {}
    for prefix, layer in named_layers(model).items():
        own = {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
        joined |= {prefix + name: a for name, a in join_biases(layer, own).items()}
    return joined


def is_one_of(model: Any, names: tuple[str, ...]) -> bool:
    """Return whether a model is of a class of this package with one of these names."""
    kind = type(model)
    return kind.__name__ in names and getattr(import_module("lstm"), kind.__name__) is kind


def check_torch(owner: str, model: Module) -> None:
    """Refuse a model with a layer that torch.nn lacks.

    Some of these have the names and shapes of a layer that it has, and compute otherwise:
    a `ResetFirstGRU` those of torch.nn.GRU.

    Raises
    ------
    TypeError
        It names the layer's class.
    """
    for layer in model.layers.values():
        if not is_one_of(layer, TORCH):
            raise TypeError(
                f"{owner} expected layers that torch.nn has ({', '.join(TORCH)}), got "
                f"{type(layer).__name__}"
            )


def torch_state_dict(model: Module) -> dict[str, Array]:
    """Return a model's parameters under the names of torch.nn's layers.

    Parameters
    ----------
    model : a layer, whose names are those of torch.nn's LSTM, GRU, RNN, Linear or
        Embedding; or a model, with the names of its layers before them, such as
        ``recurrent.`` and ``linear.``

    Returns
    -------
    dict of NumPy arrays, copies, for ``load_state_dict`` once they are tensors

    Raises
    ------
    TypeError
        If it has a layer that torch.nn lacks; its parameters are in ``params``.
    """
    check_torch("torch_state_dict", model)
    return split_state(model)


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
    TypeError, ValueError
        If the model has a layer that torch.nn lacks; if names are missing or unexpected,
        or shapes differ. Nothing is changed then.
    """
    check_torch("load_torch_state_dict", model)
    present, given = split_state(model), {}
    for name, value in state.items():
        array = np.asarray(to_numpy(value))
        cast = name in present and array.dtype.kind == "f"
        given[name] = array.astype(present[name].dtype) if cast else array
    if not strict:
        given = present | {name: a for name, a in given.items() if name in present}
    check_arrays("load_torch_state_dict", given, present)
    assign(model, join_state(model, given))


def configuration(model: Any) -> dict[str, Any]:
    """Return all that a model was made from but its weights, as JSON can hold it.

    Raises
    ------
    TypeError
        If its class, or that of a layer in it, is not one of this package's.
    """
    name = type(model).__name__
    if not is_one_of(model, CLASSES):
        raise TypeError(
            f"save expected a layer or model of class {', '.join(CLASSES)}, got {name}"
        )
    inner = getattr(model, "recurrent", None)
    if isinstance(model, Layer):
        found = {"recurrent": configuration(inner)} if inner else arguments_of(model)
    elif inner is None:
        found = {"layers": [[k, configuration(part)] for k, part in model.layers.items()]}
    else:
        own = configuration(inner)
        found = own if name.startswith("LSTM") else {"recurrent": own}
        size = "classes" if hasattr(model, "pool") else "output_size"
        found |= {"pool": model.pool} if hasattr(model, "pool") else {}
        found |= {size: model.linear.output_size}
    return {**found, "class": name}


def arguments_of(layer: Layer) -> dict[str, Any]:
    """Return the arguments of a layer's class that make another like it."""
    found = {name: getattr(layer, name, None) for name in OPTIONS}
    found = {name: value for name, value in found.items() if value is not None}
    if isinstance(layer, Recurrent):
        found["bidirectional"] = layer.directions == 2
    return found | ({"dtype": layer.dtype.name} if layer.params else {})


def parts_of(found: Any) -> list[tuple[str, Any]]:
    """Return the configurations in a configuration, by name."""
    if not isinstance(found, Mapping):
        raise ValueError(f"expected a configuration, got {found!r}")
    single = [("recurrent", found["recurrent"])] if "recurrent" in found else []
    return single + [(name, part) for name, part in found.get("layers", [])]


def least_numbers(found: Any) -> int:
    """Return a number of parameters that a model of a configuration has at least.

    It is known before the model is made: a file that names larger sizes than it has
    numbers for is refused before any memory is asked for.
    """
    inside = sum(least_numbers(part) for _, part in parts_of(found))
    named: dict[str, Any] = {"num_layers": 1}
    chain = [found]
    while "recurrent" in chain[-1]:
        chain.append(chain[-1]["recurrent"])
    for part in reversed(chain):
        named |= part

    def size(name: str) -> int:
        return check_size("the model", name, named.get(name))

    outputs = sum(size(name) for name in ("output_size", "classes") if name in named)
    if "hidden_size" in named:
        H = size("hidden_size")
        least = H * (size("input_size") + size("num_layers") * H + outputs)
    elif "num_embeddings" in named:
        least = size("num_embeddings") * size("embedding_size")
    else:
        least = size("input_size") * outputs if outputs else 0
    return max(least, inside)


def build(found: Mapping[str, Any]) -> Any:
    """Return a new model of a `configuration`, on the processor.

    Raises
    ------
    ValueError, TypeError
        If it is not a configuration that a model of this package has.
    """
    parts, name = parts_of(found), found.get("class")
    if name not in CLASSES:
        raise ValueError(f"expected class as one of {', '.join(CLASSES)}, got {name!r}")
    arguments = {k: v for k, v in found.items() if k not in ("class", "layers")}
    arguments |= {"device": "cpu"} if "dtype" in found else {}
    arguments |= {k: build(part) for k, part in parts}
    model = getattr(import_module("lstm"), name)(**arguments)
    if configuration(model) != found:
        raise ValueError(f"expected configuration {configuration(model)}, got {found}")
    return model


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Write a model to a safetensors file: its weights, class, sizes and options.

    The weights have PyTorch's names where it has such layers. Neither gradients nor a
    carried state nor the generators of dropout and zoneout are kept. The file replaces an
    older one only when it is whole.

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
    write_arrays(Path(path), split_state(model), "model", content)


def load(path: str | os.PathLike[str], device: str | None = None) -> Any:
    """Return the model that `save` wrote to a file.

    Parameters
    ----------
    device : ``"cpu"``, ``"cuda"``, or None for the default device

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no file; if it is not whole, not from `save`, from a newer version, or
        holds other arrays than its configuration asks for. The error names it.
    """
    arrays, content = read_arrays(Path(path), "model")
    try:
        found: Any = content.get("configuration")
        least = least_numbers(found)
        held = sum(array.size for array in arrays.values())
        if held < least:
            raise ValueError(f"expected at least {least} numbers by its sizes, got {held}")
        model = build(found)
        check_arrays("the model", arrays, split_state(model))
    except FAULTS as error:
        raise ValueError(f"{path}: {error}") from error
    assign(model, join_state(model, arrays))
    move_model(model, device)
    return model
