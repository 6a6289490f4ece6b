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
from .direction import Reversed
from .layers import GRU, LSTM, RNN, Linear, Recurrent
from .model import Classifier, Regressor
from .variants import CoupledLSTM, PeepholeLSTM, ReluRNN, ResetFirstGRU

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
# What a class is in ONNX: a type of node, and the attributes that make it this class.
NODES: dict[type[Recurrent], tuple[str, dict[str, int]]] = {
    LSTM: ("LSTM", {}),
    PeepholeLSTM: ("LSTM", {}),
    CoupledLSTM: ("LSTM", {"input_forget": 1}),
    GRU: ("GRU", {"linear_before_reset": 1}),
    ResetFirstGRU: ("GRU", {}),
    RNN: ("RNN", {}),
    ReluRNN: ("RNN", {}),
}
DIRECTIONS = ("forward", "reverse", "bidirectional")
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
    if direction not in DIRECTIONS:
        raise ValueError(
            f"from_onnx expected direction as one of {DIRECTIONS}, got {direction!r}"
        )
    D, defaults = 1 + (direction == "bidirectional"), ACTIVATIONS[kind]
    names = [name.decode().capitalize() for name in found.get("activations", [])]
    if names and names not in [one * D for one in defaults]:
        raise ValueError(f"from_onnx expected {kind} activations {defaults}, got {names}")
    return found | {"direction": direction, "relu": names[:1] == ["Relu"]}


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


def from_onnx(source: Any, node: str | None = None) -> Recurrent | Reversed:
    """Return the layer that computes what a model's LSTM, GRU or RNN node computes.

    The node's ``sequence_lens`` are the layer's ``lengths``; its Y (T, D, B, H) is the
    layer's y (T, B, D * H). ``layout`` 1 is ``batch_first``, but the layer's states stay
    (D, B, H), where the node's are then (B, D, H). The direction ``reverse`` is a
    `Reversed` layer.

    Parameters
    ----------
    source : ``onnx.ModelProto``, or the path of a file
    node : the node's name, where the model has several

    Raises
    ------
    ValueError
        If the node is not found, or has what is not supported: clipping, other
        activations, weights that are no initializers.
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
        W.shape[2], R.shape[2], bidirectional=options["direction"] == "bidirectional",
        batch_first=bool(options.get("layout", 0)), dtype=W.dtype, device="cpu",
    )  # fmt: skip
    for d, run in enumerate(layer.runs):
        for name, a in from_run(kind, op, {k: v[d] for k, v in given.items()}).items():
            layer.params[f"{name}_{run}"] = np.ascontiguousarray(a)
    return Reversed(layer) if options["direction"] == "reverse" else layer


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


def state_nodes(
    layer: Recurrent,
) -> tuple[list[Any], dict[str, Array], dict[str, list[str]]]:
    """Return nodes that deal the inputs h0 and c0 out to the layers of a stack.

    Returns
    -------
    nodes, constants : a ``Split`` for each part of the state, and its sizes
    names : for each part, that of each layer's own
    """
    make, n = require_onnx().helper.make_node, layer.num_layers
    names = {part: [f"{part}0_l{k}" for k in range(n)] for part in layer.state_names}
    nodes = [
        make("Split", [f"{part}0", "runs"], own, axis=0) for part, own in names.items()
    ]
    return nodes, {"runs": np.full(n, layer.directions)}, names


def layer_nodes(
    layer: Recurrent, reverse: bool, x: str, lengths: str, first: Mapping[str, list[str]]
) -> tuple[list[Any], dict[str, Array]]:
    """Return the nodes of a layer, which end with y, h and c, and their constants.

    Parameters
    ----------
    reverse : whether it reads from the end to the beginning
    x, lengths : names of what it reads, and of the sequences' lengths, empty for none
    first : the names from `state_nodes`, or nothing, for zeros
    """
    make, D, n = require_onnx().helper.make_node, layer.directions, layer.num_layers
    op, own = NODES[type(layer)]
    options: dict[str, Any] = {"hidden_size": layer.hidden_size, **own}
    options |= {"direction": DIRECTIONS[2 if D == 2 else reverse]}
    options |= {"activations": ["Relu"] * D} if isinstance(layer, ReluRNN) else {}
    nodes, constants = [], {"joined": np.array([0, 0, -1])}
    for k in range(n):
        runs = [to_run(layer, op, run) for run in layer.runs[k * D : (k + 1) * D]]
        parts = {f"{key}_l{k}": np.stack([run[key] for run in runs]) for key in runs[0]}
        W, R, B, *P = parts
        state = [first[part][k] if first else "" for part in layer.state_names]
        inputs = [x, W, R, B, lengths, *state, *P]
        last, x = [f"{part}_l{k}" for part in layer.state_names], f"y_l{k}"
        nodes += [
            make(op, inputs, [f"Y_l{k}", *last], f"{op}{k}", **options),
            make("Transpose", [f"Y_l{k}"], [f"turned_l{k}"], perm=[0, 2, 1, 3]),
            make("Reshape", [f"turned_l{k}", "joined"], [x]),
        ]
        constants |= parts
    for part in layer.state_names:
        every = [f"{part}_l{k}" for k in range(n)]
        nodes.append(make("Concat", every, [part], axis=0))
    return nodes, constants


def pool_nodes(
    model: Classifier, y: str, ends: str, lengths: str
) -> tuple[list[Any], dict[str, Array]]:
    """Return the nodes of a classifier's pool, which end with ``pooled`` (B, D * H).

    Parameters
    ----------
    y, ends, lengths : names of the last layer's outputs, of its last hidden state, and of
        the sequences' lengths, empty for none
    """
    helper = require_onnx().helper
    make = helper.make_node
    if model.pool == "last":
        turn = make("Transpose", [ends], ["turned_ends"], perm=[1, 0, 2])
        rows = {"rows": np.array([0, -1])}
        return [turn, make("Reshape", ["turned_ends", "rows"], ["pooled"])], rows
    if not lengths:
        return [make("ReduceMean", [y], ["pooled"], axes=[0], keepdims=0)], {}
    kind = helper.np_dtype_to_tensor_dtype(model.recurrent.dtype)
    nodes = [
        make("ReduceSum", [y, "first_axis"], ["total"], keepdims=0),
        make("Cast", [lengths], ["steps"], to=kind),
        make("Unsqueeze", ["steps", "last_axis"], ["column"]),
        make("Div", ["total", "column"], ["pooled"]),
    ]
    return nodes, {"first_axis": np.array([0]), "last_axis": np.array([1])}


def readout_nodes(linear: Linear, x: str) -> tuple[list[Any], dict[str, Array]]:
    """Return the nodes of a linear readout, which end with ``read``, and its constants."""
    make, (weight, bias) = require_onnx().helper.make_node, linear.params.values()
    turned = np.ascontiguousarray(to_numpy(weight).T)
    nodes = [
        make("MatMul", [x, "weight"], ["product"]),
        make("Add", ["product", "bias"], ["read"]),
    ]
    return nodes, {"weight": turned, "bias": to_numpy(bias)}


def recurrent_of(model: Any) -> tuple[Recurrent, bool]:
    """Return a model's recurrent layer, and whether it is `Reversed`; refuse others."""
    read = isinstance(model, (Regressor, Classifier))
    layer = model.recurrent if read else model
    reverse = isinstance(layer, Reversed)
    layer = layer.recurrent if reverse else layer
    if type(layer) not in NODES:
        names = ", ".join(kind.__name__ for kind in NODES)
        raise TypeError(
            f"to_onnx expected a layer {names}, or a Regressor or Classifier of one, got "
            + " of ".join(dict.fromkeys([type(model).__name__, type(layer).__name__]))
        )
    return layer, reverse


def model_nodes(
    model: Any, lengths: str, state: bool
) -> tuple[list[Any], dict[str, Array]]:
    """Return the nodes of a whole model, from x to y or logits, and their constants.

    Parameters
    ----------
    lengths, state : name of the lengths, empty for none; whether there is a first state
    """
    make, (layer, reverse) = require_onnx().helper.make_node, recurrent_of(model)
    n, swap = layer.num_layers, {"perm": [1, 0, 2]}
    nodes, constants, first = state_nodes(layer) if state else ([], {}, {})
    x, y, out = "x", f"y_l{n - 1}", "y"
    if layer.batch_first:
        nodes, x = [*nodes, make("Transpose", ["x"], ["turned_x"], **swap)], "turned_x"
    parts = [layer_nodes(layer, reverse, x, lengths, first)]
    if isinstance(model, Classifier):
        parts.append(pool_nodes(model, y, f"h_l{n - 1}", lengths))
        y, out = "pooled", "logits"
    if isinstance(model, (Regressor, Classifier)):
        parts.append(readout_nodes(model.linear, y))
        y = "read"
    for more, arrays in parts:
        nodes, constants = nodes + more, constants | arrays
    turn = make("Transpose", [y], [out], **swap) if layer.batch_first else None
    return [*nodes, turn or make("Identity", [y], [out])], constants


def interface(
    model: Any, layer: Recurrent, lengths: bool, state: bool
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return the shapes of a file's inputs and of its outputs by name.

    Axes of any size have names in place of numbers. Arguments are those of `to_onnx`.
    """
    axes = ["batch", "time"] if layer.batch_first else ["time", "batch"]
    whole = [len(layer.runs), "batch", layer.hidden_size]
    inputs = {"x": [*axes, layer.input_size]} | ({"lengths": ["batch"]} if lengths else {})
    inputs |= {f"{part}0": whole for part in layer.state_names if state}
    width = layer.directions * layer.hidden_size
    if isinstance(model, (Regressor, Classifier)):
        width = model.linear.output_size
    classifies = isinstance(model, Classifier)
    y = {"logits": ["batch", width]} if classifies else {"y": [*axes, width]}
    return inputs, y | {part: whole for part in layer.state_names}


def make_graph(
    nodes: list[Any], constants: Mapping[str, Array],
    inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]], dtype: Any,
) -> Any:
    """Return nodes and their constants as an ONNX model with inputs and outputs by shape.

    All are of the dtype given but the input ``lengths``, which is int32.
    """
    onnx = require_onnx()
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)

    def declared(shapes: Mapping[str, list[Any]]) -> list[Any]:
        kinds = {name: kind for name in shapes} | {"lengths": onnx.TensorProto.INT32}
        value = onnx.helper.make_tensor_value_info
        return [value(name, kinds[name], shape) for name, shape in shapes.items()]

    tensors = [onnx.numpy_helper.from_array(a, name) for name, a in constants.items()]
    ends = declared(inputs), declared(outputs)
    graph = onnx.helper.make_graph(nodes, "lstm", *ends, tensors)
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def to_onnx(
    model: Recurrent | Reversed | Regressor | Classifier, path: str | os.PathLike[str], *,
    lengths: bool = False, state: bool = False,
) -> None:
    """Write a layer or a model as an ONNX file, for any time and batch.

    The file computes what the model does in evaluation: there is no dropout in it. It has
    the layer's dtype; ONNX Runtime runs recurrent nodes in float32 alone.

    Parameters
    ----------
    lengths : give the file an input of that name, int32 (B,); without it every sequence
        has all T steps
    state : give it inputs h0, and for an LSTM c0; without them it starts from zeros

    Notes
    -----
    The first input is ``x``. The outputs are ``y``, or ``logits`` of a classifier, and the
    last state, ``h`` and for an LSTM ``c``. All have the shapes that the model itself takes
    and returns; states are (num_layers * D, B, H).

    Raises
    ------
    TypeError
        If the model is of another kind, or its layer one that ONNX has no node for.
    """
    onnx, (layer, _) = require_onnx(), recurrent_of(model)
    nodes, constants = model_nodes(model, "lengths" if lengths else "", state)
    inputs, outputs = interface(model, layer, lengths, state)
    graph = make_graph(nodes, constants, inputs, outputs, layer.dtype)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
