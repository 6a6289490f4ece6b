"""ONNX in and out, against ONNX Runtime on random nodes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import lstm
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
    direction = {"direction": "bidirectional"} if D == 2 else {}
    node = helper.make_node(op, inputs, outputs, name, hidden_size=H, **direction, **attributes)
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


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize(("op", "options"), CASES, ids=str)
def test_the_layer_equals_the_node(op, options, D):
    options = dict(options)
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
        y, state = layer(x, (h, c) if op == "LSTM" else h, lengths)
        np.testing.assert_allclose(y, Y.transpose(0, 2, 1, 3).reshape(T, B, -1), rtol=1e-4, atol=2e-6)
        for a, b in zip(state if op == "LSTM" else (state,), last):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def test_layout_one_is_batch_first():
    model = node_model("GRU", layout=1, linear_before_reset=1)
    layer, reference = from_onnx(model), from_onnx(node_model("GRU", linear_before_reset=1))
    x = np.random.default_rng(0).normal(size=(T, B, I)).astype(np.float32)
    assert layer.batch_first
    np.testing.assert_array_equal(layer(x.swapaxes(0, 1))[0].swapaxes(0, 1), reference(x)[0])


LAYERS = [lstm.LSTM, lstm.GRU, lstm.RNN, lstm.PeepholeLSTM, lstm.CoupledLSTM, lstm.ResetFirstGRU, lstm.ReluRNN]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bias": False}], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_written_file_runs_to_the_same_numbers_at_any_time_and_batch(tmp_path, kind, options):
    layer, rng = kind(I, H, rng=0, **options), np.random.default_rng(0)
    for name, p in layer.params.items():
        p += 0 if name.startswith(("weight_ih", "weight_hh")) else rng.normal(size=p.shape).astype(p.dtype)
    for model in (layer, lstm.Regressor(layer, 2, rng=1)):
        path = str(tmp_path / "model.onnx")
        to_onnx(model, path)
        for shape in ((T, B, I), (1, 1, I), (9, 2, I)):
            x = rng.normal(size=shape).astype(np.float32)
            y, state = model(x)
            expected = [y, *(state if isinstance(state, tuple) else (state,))]
            for a, b in zip(run(path, x=x), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_in_and_out_again_is_the_same_layer(tmp_path, kind):
    layer, path = kind(I, H, bidirectional=True, rng=0), tmp_path / "layer.onnx"
    to_onnx(layer, path)
    again = from_onnx(path)
    assert type(again) is kind and again.params.keys() == layer.params.keys()
    for name, p in layer.params.items():
        np.testing.assert_array_equal(again.params[name], p)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: node_model("LSTM", clip=1.0), r"expected LSTM without \['clip'\]"),
        (lambda: node_model("LSTM", activations=["Relu", "Tanh", "Tanh"]),
         r"expected LSTM activations \[\['Sigmoid', 'Tanh', 'Tanh'\]\], got \['Relu', 'Tanh', 'Tanh'\]"),
        (lambda: node_model("GRU", direction="reverse"), "expected direction 'forward' or 'bidirectional', got 'reverse'"),
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


def test_a_model_that_is_none_is_refused(tmp_path):
    with pytest.raises(TypeError, match="^to_onnx expected a recurrent layer or a Regressor, got Linear$"):
        to_onnx(lstm.Linear(2, 3), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
    assert onnx.__version__
