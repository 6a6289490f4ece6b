"""Recurrent layers from the nodes of ONNX models, and models to ONNX files.

ONNX keeps the weights of a layer's directions in one array each, W (D, rows, I),
R (D, rows, H), B (D, 2 rows) and P (D, 3 H), with the blocks of gates in an order of its
own: i, o, f, g for the LSTM and z, r, n for the GRU.
Needs the extra ``onnx``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .backend import Array, to_numpy
from .layers import GRU, LSTM, RNN, Recurrent
from .model import Regressor
from .variants import CoupledLSTM, PeepholeLSTM, ReluRNN, ResetFirstGRU, ZoneoutLSTM

# Which of ONNX's blocks stands first, second... in ours.
ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
ACTIVATIONS = {
    "LSTM": [["Sigmoid", "Tanh", "Tanh"]],
    "GRU": [["Sigmoid", "Tanh"]],
    "RNN": [["Tanh"], ["Relu"]],
}
KNOWN = {
    "activations", "direction", "hidden_size", "input_forget", "layout",
    "linear_before_reset",
}  # fmt: skip
OPSET = 17
IR_VERSION = 9


def require_onnx() -> Any:
    """Return the library ``onnx``; an ImportError that says what to install without it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError("ONNX files need onnx: run `pip install onnx`") from error
    return onnx


def reordered(rows: Array, order: tuple[int, ...]) -> Array:
    """Return an array whose rows (blocks * H, ...) have their blocks in another order."""
    return rows.reshape(len(order), -1, *rows.shape[1:])[list(order)].reshape(rows.shape)


def find_node(graph: Any, name: str | None) -> Any:
    """Return the graph's recurrent node, the one of a name if there are several."""
    nodes = [n for n in graph.node if n.op_type in ORDERS]
    found = [n for n in nodes if name is None or n.name == name]
    if len(found) != 1:
        wanted = "one LSTM, GRU or RNN node" if name is None else f"a node {name!r}"
        names = [f"{n.op_type} {n.name!r}" for n in nodes]
        raise ValueError(f"from_onnx expected {wanted}, got {names or 'none'}")
    return found[0]


def node_options(node: Any) -> dict[str, Any]:
    """Return a node's attributes by name; refuse what no layer of this package computes."""
    helper = require_onnx().helper
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    kind, direction = node.op_type, found.get("direction", b"forward").decode()
    unknown = sorted(found.keys() - KNOWN)
    if unknown:
        raise ValueError(f"from_onnx expected {kind} without {unknown}")
    if direction not in ("forward", "bidirectional"):
        raise ValueError(
            f"from_onnx expected direction 'forward' or 'bidirectional', got {direction!r}"
        )
    D, defaults = 1 + (direction == "bidirectional"), ACTIVATIONS[kind]
    names = [name.decode().capitalize() for name in found.get("activations", [])]
    if names and names not in [one * D for one in defaults]:
        raise ValueError(f"from_onnx expected {kind} activations {defaults}, got {names}")
    return found | {"directions": D, "relu": names[:1] == ["Relu"]}


def node_weights(graph: Any, node: Any) -> dict[str, Array | None]:
    """Return a node's W, R, B and P, None for those it lacks; refuse a constant state."""
    to_array = require_onnx().numpy_helper.to_array
    constants = {tensor.name: tensor for tensor in graph.initializer}
    names = dict(zip(INPUTS, node.input))
    weights: dict[str, Array | None] = {}
    for key in ("W", "R", "B", "P"):
        name = names.get(key, "")
        if name and name not in constants:
            raise ValueError(f"from_onnx expected {key} as an initializer, got {name!r}")
        weights[key] = to_array(constants[name]) if name else None
    for key in ("initial_h", "initial_c"):
        name = names.get(key, "")
        if name in constants and to_array(constants[name]).any():
            raise ValueError(f"from_onnx expected {key} of zeros, or as an input: {name!r}")
    return weights


def kind_of(op: str, options: Mapping[str, Any], peepholes: bool) -> type[Recurrent]:
    """Return the class that computes what a node with these options does."""
    if op == "GRU":
        return GRU if options.get("linear_before_reset", 0) else ResetFirstGRU
    if op == "RNN":
        return ReluRNN if options["relu"] else RNN
    if options.get("input_forget", 0):
        if peepholes:
            raise ValueError("from_onnx expected input_forget=0 with peepholes P, got 1")
        return CoupledLSTM
    return PeepholeLSTM if peepholes else LSTM


def from_run(kind: type[Recurrent], op: str, parts: dict[str, Array]) -> dict[str, Array]:
    """Return one direction's weights under this package's names, without the run's name.

    Parameters
    ----------
    kind, op : the layer's class and the node's type
    parts : W (rows, I), R (rows, H), B (2 rows,), and P (3 H,) for a `PeepholeLSTM`
    """
    order, H = ORDERS[op], parts["R"].shape[1]
    W, R = (reordered(parts[key], order) for key in "WR")
    b_ih, b_hh = (reordered(b, order) for b in np.split(parts["B"], 2))
    if kind is GRU:
        kept = b_hh * (np.arange(3 * H) < 2 * H)
        extra = {"bias_hn": b_hh[2 * H :]}
        return {"weight_ih": W, "weight_hh": R, "bias": b_ih + kept} | extra
    weights = {"weight_ih": W, "weight_hh": R, "bias": b_ih + b_hh}
    if kind is CoupledLSTM:  # f = 1 - sigmoid(z_i) = sigmoid(-z_i)
        return {k: np.concatenate([-a[:H], a[2 * H :]]) for k, a in weights.items()}
    if kind is PeepholeLSTM:
        return weights | {"weight_peephole": parts["P"].reshape(3, H)[[0, 2, 1]]}
    return weights


def from_onnx(source: Any, node: str | None = None) -> Recurrent:
    """Return the layer that computes what a model's LSTM, GRU or RNN node computes.

    The node's ``sequence_lens`` are the layer's ``lengths``; its Y (T, D, B, H) is the
    layer's y (T, B, D * H). ``layout`` 1 is ``batch_first``, but the layer's states stay
    (D, B, H), where the node's are then (B, D, H).

    Parameters
    ----------
    source : ``onnx.ModelProto``, or the path of a file
    node : the node's name, where the model has several

    Raises
    ------
    ValueError
        If the node is not found, or has what is not supported: clipping, other
        activations, the direction ``reverse``, weights that are no initializers.
    """
    onnx = require_onnx()
    model = onnx.load(source) if isinstance(source, (str, os.PathLike)) else source
    found = find_node(model.graph, node)
    options, parts = node_options(found), node_weights(model.graph, found)
    W, R, op = parts["W"], parts["R"], found.op_type
    if W is None or R is None:
        raise ValueError("from_onnx expected a node with W and R")
    if parts["B"] is None:
        parts["B"] = np.zeros((len(W), 2 * W.shape[1]), W.dtype)
    given = {key: a for key, a in parts.items() if a is not None}
    kind = kind_of(op, options, "P" in given)
    layer = kind(
        W.shape[2], R.shape[2], bidirectional=options["directions"] == 2,
        batch_first=bool(options.get("layout", 0)), dtype=W.dtype, device="cpu",
    )  # fmt: skip
    for d, run in enumerate(layer.runs):
        for name, a in from_run(kind, op, {k: v[d] for k, v in given.items()}).items():
            layer.params[f"{name}_{run}"] = np.ascontiguousarray(a)
    return layer


def to_run(layer: Recurrent, op: str, run: str) -> dict[str, Array]:
    """Return the W, R, B, and P if there is one, of one direction: `from_run` backward."""
    W, R, b = (to_numpy(a) for a in layer.weights()[layer.runs.index(run)][:3])
    H, inverse = layer.hidden_size, tuple(int(k) for k in np.argsort(ORDERS[op]))
    if isinstance(layer, CoupledLSTM):
        W, R, b = (np.concatenate([-a[:H], a]) for a in (W, R, b))
    extra = np.zeros_like(b)
    if type(layer) is GRU and layer.bias:
        extra[2 * H :] = to_numpy(layer.params[f"bias_hn_{run}"])
    W, R, b, extra = (reordered(a, inverse) for a in (W, R, b, extra))
    parts = {"W": W, "R": R, "B": np.concatenate([b, extra])}
    if isinstance(layer, PeepholeLSTM):
        peepholes = to_numpy(layer.params[f"weight_peephole_{run}"])
        parts["P"] = peepholes[[0, 2, 1]].ravel()
    return parts


def layer_nodes(layer: Recurrent, x: str) -> tuple[list[Any], dict[str, Array], str]:
    """Return the nodes of a layer that reads ``x``, their constants, and the name of y."""
    make, D = require_onnx().helper.make_node, layer.directions
    op = next(op for op, kind in (("LSTM", LSTM), ("GRU", GRU), ("RNN", RNN))
              if isinstance(layer, kind))  # fmt: skip
    options: dict[str, Any] = {"hidden_size": layer.hidden_size}
    options |= {"direction": "bidirectional"} if D == 2 else {}
    options |= {"linear_before_reset": 1} if type(layer) is GRU else {}
    options |= {"input_forget": 1} if isinstance(layer, CoupledLSTM) else {}
    options |= {"activations": ["Relu"] * D} if isinstance(layer, ReluRNN) else {}
    nodes, constants = [], {"shape": np.array([0, 0, -1])}
    for k in range(layer.num_layers):
        runs = [to_run(layer, op, run) for run in layer.runs[k * D : (k + 1) * D]]
        parts = {f"{key}{k}": np.stack([run[key] for run in runs]) for key in runs[0]}
        W, R, B, *P = parts
        states = [f"{name}{k}" for name in layer.state_names]
        inputs = [x, W, R, B, "", "", "", *P] if P else [x, W, R, B]
        nodes += [
            make(op, inputs, [f"Y{k}", *states], f"{op}{k}", **options),
            make("Transpose", [f"Y{k}"], [f"turned{k}"], perm=[0, 2, 1, 3]),
            make("Reshape", [f"turned{k}", "shape"], [f"y{k}"]),
        ]
        x, constants = f"y{k}", constants | parts
    for name in layer.state_names:
        last = [f"{name}{k}" for k in range(layer.num_layers)]
        nodes.append(make("Concat", last, [name], axis=0))
    return nodes, constants, x


def to_onnx(model: Recurrent | Regressor, path: str | os.PathLike[str]) -> None:
    """Write a layer or a `Regressor` as an ONNX file, for any time and batch.

    The file has the layer's dtype; ONNX Runtime runs recurrent nodes in float32 alone.
    Its input is x, started from a state of zeros; its outputs are y and the parts of the
    last state, in the shapes of this package.

    Raises
    ------
    TypeError
        If the model is neither, or has zoneout, for which ONNX has no node.
    """
    onnx = require_onnx()
    layer = model.recurrent if isinstance(model, Regressor) else model
    if not isinstance(layer, Recurrent):
        raise TypeError(
            f"to_onnx expected a recurrent layer or a Regressor, got {type(model).__name__}"
        )
    if isinstance(layer, ZoneoutLSTM):
        raise TypeError("to_onnx expected a layer without zoneout, got ZoneoutLSTM")
    make, swap = onnx.helper.make_node, {"perm": [1, 0, 2]}
    first = [make("Transpose", ["x"], ["x0"], **swap)] if layer.batch_first else []
    nodes, constants, y = layer_nodes(layer, "x0" if first else "x")
    features = layer.directions * layer.hidden_size
    if isinstance(model, Regressor):
        weight, bias = (to_numpy(model.linear.params[k]) for k in ("weight", "bias"))
        constants |= {"weight": np.ascontiguousarray(weight.T), "bias": bias}
        nodes += [make("MatMul", [y, "weight"], ["product"]),
                  make("Add", ["product", "bias"], ["read"])]  # fmt: skip
        y, features = "read", len(bias)
    last = make("Transpose", [y], ["y"], **swap) if layer.batch_first else None
    nodes.append(last or make("Identity", [y], ["y"]))
    graph = make_graph(layer, [*first, *nodes], constants, features)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def make_graph(
    layer: Recurrent, nodes: list[Any], constants: dict[str, Array], features: int
) -> Any:
    """Return nodes and their constants as an ONNX model with inputs and outputs."""
    onnx = require_onnx()
    axes = ["batch", "time"] if layer.batch_first else ["time", "batch"]
    kind = onnx.helper.np_dtype_to_tensor_dtype(layer.dtype)
    value = onnx.helper.make_tensor_value_info
    state = [len(layer.runs), "batch", layer.hidden_size]
    graph = onnx.helper.make_graph(
        nodes, "lstm",
        [value("x", kind, [*axes, layer.input_size])],
        [value("y", kind, [*axes, features])]
        + [value(name, kind, state) for name in layer.state_names],
        [onnx.numpy_helper.from_array(a, name) for name, a in constants.items()],
    )  # fmt: skip
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
