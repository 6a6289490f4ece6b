"""ONNX in and out, against ONNX Runtime on random nodes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import lstm
from lstm.direction import Reversed
from lstm.onnx import from_onnx, to_onnx

T, B, I, H = 6, 3, 4, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FLOAT = TensorProto.FLOAT


def node_model(op, D=1, bias=True, peepholes=False, seed=0, name="cell", **attributes):
    """A model of one node with random weights, inputs X, lens and the first state."""
    rng, G = np.random.default_rng(seed), GATES[op]
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    arrays = {"W": draw(D, G * H, I), "R": draw(D, G * H, H)}
    arrays |= {"B": draw(D, 2 * G * H)} if bias else {}
    arrays |= {"P": draw(D, 3 * H)} if peepholes else {}
    states = ["h0", "c0"] if op == "LSTM" else ["h0"]
    inputs = ["X", "W", "R", "B" if bias else "", "lens", *states] + (["P"] if peepholes else [])
    outputs = ["Y", "Yh", "Yc"][: 1 + len(states)]
    attributes = {"hidden_size": H, **({"direction": "bidirectional"} if D == 2 else {}), **attributes}
    node = helper.make_node(op, inputs, outputs, name, **attributes)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "g",
        [info("X", FLOAT, [None, None, I]), info("lens", TensorProto.INT32, [None]),
         *(info(s, FLOAT, [None, None, H]) for s in states)],
        [info("Y", FLOAT, None), *(info(o, FLOAT, None) for o in outputs[1:])],
        [numpy_helper.from_array(a, k) for k, a in arrays.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model, **inputs):
    content = model.SerializeToString() if not isinstance(model, str) else model
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


CASES = [
    ("LSTM", {}), ("LSTM", {"bias": False}), ("LSTM", {"peepholes": True}), ("LSTM", {"input_forget": 1}),
    ("GRU", {"linear_before_reset": 1}), ("GRU", {"linear_before_reset": 0}), ("GRU", {"bias": False}),
    ("RNN", {}), ("RNN", {"activations": ["Relu"]}),
]  # fmt: skip


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "options"), CASES, ids=str)
def test_the_layer_equals_the_node(op, options, direction):
    options, D = {**options, "direction": direction}, 1 + (direction == "bidirectional")
    if "activations" in options:
        options["activations"] = options["activations"] * D
    for seed in range(3):
        model = node_model(op, D, seed=seed, **options)
        rng = np.random.default_rng(seed)
        x, h, c = (rng.normal(size=s).astype(np.float32) for s in ((T, B, I), (D, B, H), (D, B, H)))
        lengths = rng.integers(1, T + 1, size=B)
        states = {"h0": h, "c0": c} if op == "LSTM" else {"h0": h}
        Y, *last = run(model, X=x, lens=lengths.astype(np.int32), **states)
        layer = from_onnx(model)
        assert isinstance(layer, Reversed) == (direction == "reverse")
        y, state = layer(x, (h, c) if op == "LSTM" else h, lengths)
        np.testing.assert_allclose(y, Y.transpose(0, 2, 1, 3).reshape(T, B, -1), rtol=1e-4, atol=2e-6)
        for a, b in zip(state if op == "LSTM" else (state,), last):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_layout_one_is_batch_first(direction):
    options = {"linear_before_reset": 1, "direction": direction, "D": 1 + (direction == "bidirectional")}
    layer, reference = from_onnx(node_model("GRU", layout=1, **options)), from_onnx(node_model("GRU", **options))
    x = np.random.default_rng(0).normal(size=(T, B, I)).astype(np.float32)
    assert getattr(layer, "recurrent", layer).batch_first
    np.testing.assert_array_equal(layer(x.swapaxes(0, 1))[0].swapaxes(0, 1), reference(x)[0])


LAYERS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU, lstm.ReluRNN]


OPTIONS = [
    {}, {"num_layers": 2, "bidirectional": True, "dropout": 0.3}, {"batch_first": True, "bias": False, "num_layers": 3},
]  # fmt: skip


def models(kind, **options):
    """A layer of a kind, and all models that can be made of it, with random parameters, dropout off."""
    layer, rng = kind(I, H, rng=0, **options), np.random.default_rng(0)
    for p in layer.params.values():
        p[...] = 0.5 * rng.normal(size=p.shape)
    made = [layer, lstm.Regressor(layer, 2, rng=1)]
    if not layer.batch_first:
        made += [lstm.Classifier(layer, 3, pool=pool, rng=1) for pool in ("last", "mean")]
    if layer.directions == 1 and not layer.batch_first:
        made += [lstm.Classifier(Reversed(layer), 3, pool=pool, rng=1) for pool in ("last", "mean")]
    if layer.directions == 1:
        made += [Reversed(layer), lstm.Regressor(Reversed(layer), 2, rng=1)]
    for model in made:
        model.layers[next(iter(model.layers))].training = False
        if hasattr(model, "linear"):
            model.linear.params["bias"][...] = rng.normal(size=model.linear.output_size)
    return made


def inputs_of(layer, steps, batch, lengths, state, rng):
    """Random inputs of a file, by name, and the same as a model takes them."""
    shape = (batch, steps, I) if layer.batch_first else (steps, batch, I)
    named = {"x": rng.normal(size=shape).astype(np.float32)}
    if lengths:
        named["lengths"] = rng.integers(1, steps + 1, size=batch).astype(np.int32)
    whole = (len(layer.runs), batch, H)
    parts = {f"{part}0": rng.normal(size=whole).astype(np.float32) for part in layer.state_names if state}
    first = tuple(parts.values()) if len(parts) > 1 else parts.get("h0")
    return named | parts, (named["x"], first, named.get("lengths"))


def agree(model, path, **asked):
    """Whether a file runs to a model's numbers, at any time and batch, inputs and outputs by name."""
    layer, rng = getattr(model, "recurrent", model), np.random.default_rng(1)
    to_onnx(model, path, **asked)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first = "logits" if isinstance(model, lstm.Classifier) else "y"
    assert [value.name for value in session.get_outputs()] == [first, *layer.state_names]
    for steps, batch in ((T, B), (1, 1), (9, 2)):
        named, arguments = inputs_of(layer, steps, batch, asked.get("lengths"), asked.get("state"), rng)
        assert [value.name for value in session.get_inputs()] == list(named)
        y, last = model(*arguments)
        expected = [y, *(last if isinstance(last, tuple) else (last,))]
        for a, b in zip(session.run(None, named), expected, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_written_file_runs_to_the_same_numbers_at_any_time_and_batch(tmp_path, kind, options):
    path = str(tmp_path / "model.onnx")
    for model in models(kind, **options):
        agree(model, path)
        agree(model, path, lengths=True, state=True)


@pytest.mark.parametrize("asked", [{"lengths": True}, {"state": True}], ids=str)
def test_lengths_and_states_are_asked_for_one_by_one(tmp_path, asked):
    for model in models(lstm.LSTM, num_layers=2):
        agree(model, str(tmp_path / "model.onnx"), **asked)


def test_classes_of_the_package_are_written_too(tmp_path):
    path = str(tmp_path / "model.onnx")
    agree(lstm.LSTMRegressor(I, H, 2, rng=0, batch_first=True), path, state=True)
    for pool in ("last", "mean"):
        agree(lstm.LSTMClassifier(I, H, 2, pool=pool, rng=0, bidirectional=True), path, lengths=True)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {}, {"reverse": True}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_in_and_out_again_is_the_same_layer(tmp_path, kind, options):
    options, path = dict(options), tmp_path / "layer.onnx"
    reverse = options.pop("reverse", False)
    layer = kind(I, H, rng=0, **options)
    to_onnx(Reversed(layer) if reverse else layer, path)
    again = from_onnx(path)
    assert type(again) is (Reversed if reverse else kind)
    assert type(getattr(again, "recurrent", again)) is kind and again.params.keys() == layer.params.keys()
    for name, p in layer.params.items():
        np.testing.assert_array_equal(again.params[name], p)


def test_a_node_that_reads_a_first_state_is_read_again(tmp_path):
    path = tmp_path / "layer.onnx"
    to_onnx(lstm.GRU(I, H, num_layers=2, rng=0), path, lengths=True, state=True)
    assert type(from_onnx(path, "GRU1")) is lstm.GRU


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: node_model("LSTM", clip=1.0), r"expected LSTM without \['clip'\]"),
        (lambda: node_model("LSTM", activations=["Relu", "Tanh", "Tanh"]),
         r"expected LSTM activations \[\['Sigmoid', 'Tanh', 'Tanh'\]\], got \['Relu', 'Tanh', 'Tanh'\]"),
        (lambda: node_model("GRU", direction="sideways"),
         r"expected direction as one of \('forward', 'reverse', 'bidirectional'\), got 'sideways'"),
        (lambda: node_model("LSTM", peepholes=True, input_forget=1), "expected input_forget=0 with peepholes P, got 1"),
        (lambda: helper.make_model(helper.make_graph([], "g", [], [])), "expected one LSTM, GRU or RNN node, got none"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(model, message):
    with pytest.raises(ValueError, match=f"^from_onnx {message}$"):
        from_onnx(model())


def test_a_node_is_found_by_its_name():
    model = node_model("LSTM", name="first")
    model.graph.node.append(node_model("GRU", name="second").graph.node[0])
    with pytest.raises(ValueError, match=r"expected one LSTM, GRU or RNN node, got \[\"LSTM 'first'\", \"GRU 'second'\"\]"):
        from_onnx(model)
    with pytest.raises(ValueError, match="expected a node 'third'"):
        from_onnx(model, "third")
    assert type(from_onnx(model, "first")) is lstm.LSTM


def test_weights_and_states_must_be_constants_of_the_right_sort():
    model = node_model("LSTM")
    del model.graph.initializer[0]
    with pytest.raises(ValueError, match="^from_onnx expected W as an initializer, got 'W'$"):
        from_onnx(model)
    model = node_model("LSTM")
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, B, H), np.float32), "h0"))
    with pytest.raises(ValueError, match="^from_onnx expected initial_h of zeros, or as an input: 'h0'$"):
        from_onnx(model)


KINDS = "LSTM, PeepholeLSTM, CoupledLSTM, GRU, ResetFirstGRU, RNN, ReluRNN"


def test_a_model_that_is_none_is_refused(tmp_path):
    class Mine(lstm.LSTM):
        """What it computes is unknown, whatever it is derived from."""

    mine = Mine(I, H)
    refused = {"Linear": lstm.Linear(2, 3), "Mine": mine, "Reversed of Mine": Reversed(mine),
               "Classifier of Mine": lstm.Classifier(mine, 2)}  # fmt: skip
    for got, model in refused.items():
        expected = f"to_onnx expected a layer {KINDS}, or a Regressor or Classifier of one, got {got}"
        with pytest.raises(TypeError, match=f"^{expected}$"):
            to_onnx(model, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
    assert onnx.__version__
