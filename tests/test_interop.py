"""Models kept in files; weights from and to PyTorch, against its stored results."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import lstm
from lstm import files, interop
from lstm.layers import Layer
from lstm.model import Model
from lstm.training import evaluating
from test_torch import OPTIONS, TOLERANCE, stored, to_package

TORCH = {  # models of layers that PyTorch has too
    "LSTM": lambda: lstm.LSTM(2, 3, rng=0, forget_bias=0.5, dropout=0.25, num_layers=2),
    "LSTM64": lambda: lstm.LSTM(2, 3, rng=0, dtype=np.float64, bias=False),
    "GRU": lambda: lstm.GRU(2, 3, rng=0, num_layers=3, bidirectional=True),
    "GRU without bias": lambda: lstm.GRU(2, 3, rng=0, bias=False, batch_first=True),
    "RNN": lambda: lstm.RNN(1, 1, rng=0, stateful=True, bidirectional=True),
    "ReluRNN": lambda: lstm.ReluRNN(2, 3, rng=0, num_layers=2, dropout=0.5),
    "Linear": lambda: lstm.Linear(3, 2, rng=0, dtype=np.float64),
    "Embedding": lambda: lstm.Embedding(5, 2, rng=0, dtype=np.float64),
    "Dropout": lambda: lstm.Dropout(0.25, rng=0),
    "Regressor": lambda: lstm.Regressor(lstm.GRU(2, 3, rng=0, bidirectional=True), 4, rng=1),
    "LSTMRegressor": lambda: lstm.LSTMRegressor(2, 3, 1, rng=0, num_layers=2, dropout=0.1),
    "Classifier": lambda: lstm.Classifier(lstm.RNN(2, 3, rng=0), 4, pool="mean", rng=1),
    "LSTMClassifier": lambda: lstm.LSTMClassifier(2, 3, 5, rng=0, dtype=np.float64),
    "Sequential": lambda: lstm.Sequential(
        layers=lstm.Embedding(5, 2, rng=0), device=lstm.Dropout(0.5), recurrent=lstm.LSTM(2, 3, rng=1),
        a=lstm.GRU(3, 2, rng=2, bidirectional=True)),  # in an order that is not the alphabet's
    "Sequential of one": lambda: lstm.Sequential(**{"class": lstm.Linear(2, 2, rng=0)}),
}  # fmt: skip
OTHERS = {
    "PeepholeLSTM": lambda: lstm.PeepholeLSTM(2, 3, rng=0, num_layers=2, forget_bias=2.0),
    "CoupledLSTM": lambda: lstm.CoupledLSTM(2, 3, rng=0, bidirectional=True),
    "CoupledLSTM without bias": lambda: lstm.CoupledLSTM(2, 3, rng=0, bias=False, stateful=True),
    "ZoneoutLSTM": lambda: lstm.ZoneoutLSTM(2, 3, rng=0, zoneout_h=0.25, zoneout_c=0.125, num_layers=2, dropout=0.5),
    "ResetFirstGRU": lambda: lstm.ResetFirstGRU(2, 3, rng=0, dtype=np.float64, num_layers=2, dropout=0.1),
    "Reversed": lambda: lstm.Reversed(lstm.PeepholeLSTM(2, 3, rng=0, num_layers=2, batch_first=True)),
    "Regressor of another": lambda: lstm.Regressor(lstm.Reversed(lstm.GRU(2, 3, rng=0)), 2, rng=1),
    "Classifier of another": lambda: lstm.Classifier(lstm.ResetFirstGRU(2, 3, rng=0), 4, rng=1),
    "Sequential of others": lambda: lstm.Sequential(
        z=lstm.Reversed(lstm.CoupledLSTM(2, 3, rng=0)), b=lstm.Dropout(0.1), a=lstm.PeepholeLSTM(3, 2, rng=1),
        linear=lstm.Linear(2, 4, rng=2)),
}  # fmt: skip
MODELS = TORCH | OTHERS


def made(name):
    """A model, none of its parameters zero."""
    model, rng = MODELS[name](), np.random.default_rng(3)
    for p in model.params.values():
        p[...] = rng.normal(size=p.shape)
    return model


@pytest.fixture(params=MODELS)
def model(request):
    """A model of every class."""
    return made(request.param)


@pytest.fixture(params=TORCH)
def torch_model(request):
    """A model of layers that PyTorch has too."""
    return made(request.param)


def answer(model):
    """All that a model returns in evaluation, for random input, as one flat list of arrays."""
    first, rng = next(iter(model.layers.values())), np.random.default_rng(0)
    tokens, size = isinstance(first, lstm.Embedding), getattr(first, "input_size", 2)
    x = rng.integers(0, 5, size=(4, 3)) if tokens else rng.normal(size=(4, 3, size))
    found, flat = [], [model(x)]
    while flat:
        part = flat.pop(0)
        found += [] if part is None or isinstance(part, tuple) else [part]
        flat += part if isinstance(part, tuple) else []
    return found


def same(a, b):
    assert a.params.keys() == b.params.keys()
    return all(np.array_equal(p, b.params[k]) and p.dtype == b.params[k].dtype
               for k, p in a.params.items())  # fmt: skip


def cases():
    for kind in ("LSTM", "GRU", "RNN"):
        for number, options in enumerate(OPTIONS):
            yield kind, number, {k: v for k, v in options.items() if k != "lengths"}, options


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("kind, number, options, given", list(cases()))
def test_pytorchs_weights_give_pytorchs_outputs(kind, number, options, given, bits):
    case = stored(f"{kind}{number}", bits)
    layer = getattr(lstm, kind)(4, 5, dtype=f"float{bits}", **options)
    state = {k: a for k, a in case.items() if k.startswith(("weight", "bias"))}
    lstm.load_torch_state_dict(layer, state)
    for name, expected in to_package(layer, case).items():
        np.testing.assert_array_equal(layer.params[name], expected)
    first = tuple(case[f"{n}0"] for n in layer.state_names)
    y, _ = layer(case["x"], first if len(first) > 1 else first[0], given.get("lengths"))
    np.testing.assert_allclose(y, case["y"], **TOLERANCE[bits])
    back = lstm.torch_state_dict(layer)
    assert {k: (a.shape, a.dtype) for k, a in back.items()} == {
        k: (a.shape, a.dtype) for k, a in state.items()
    }
    assert list(back) == list(state)  # in PyTorch's order


def test_there_and_back_is_exact(torch_model):
    state, other = lstm.torch_state_dict(torch_model), copy.deepcopy(torch_model)
    for p in other.params.values():
        p[...] = 9
    lstm.load_torch_state_dict(other, state)
    assert same(torch_model, other)


def test_second_biases_are_zero_but_for_the_grus(torch_model):
    for name, array in lstm.torch_state_dict(torch_model).items():
        if "bias_hh" in name:
            extra = torch_model.params.get(name.replace("bias_hh_", "bias_hn_"))
            blocks = array if extra is None else array.reshape(3, len(extra))
            if extra is not None:
                np.testing.assert_array_equal(blocks[2], extra)
                blocks = blocks[:2]
            assert not blocks.any()


def test_names_of_models_begin_with_the_layers():
    state = lstm.torch_state_dict(lstm.LSTMClassifier(1, 2, 3, rng=0))
    assert list(state) == [
        *(f"recurrent.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        "linear.weight", "linear.bias",
    ]  # fmt: skip


def test_a_state_dict_is_a_copy():
    model = lstm.LSTMRegressor(1, 2, 1, rng=0)
    before = copy.deepcopy(model.params)
    for array in lstm.torch_state_dict(model).values():
        array[...] = 9
    assert all(np.array_equal(p, before[k]) for k, p in model.params.items())


def test_loading_keeps_the_arrays_that_an_optimizer_holds_and_drops_what_is_stale():
    model, other = (lstm.LSTMRegressor(1, 2, 1, rng=seed) for seed in (0, 1))
    arrays = dict(model.params)
    model.backward(model(np.ones((3, 1, 1), np.float32))[0])
    lstm.load_torch_state_dict(model, lstm.torch_state_dict(other))
    assert all(model.params[k] is p for k, p in arrays.items()) and same(model, other)
    assert model.grads == {}
    with pytest.raises(RuntimeError, match="no forward pass"):
        model.backward(np.ones((3, 1, 1), np.float32))


def test_float64_weights_are_cast_and_integers_refused():
    layer = lstm.Linear(2, 1, rng=0)
    state = {"weight": np.full((1, 2), 0.1), "bias": np.zeros(1)}
    lstm.load_torch_state_dict(layer, state)
    assert layer.params["weight"].dtype == np.float32
    with pytest.raises(ValueError) as error:
        lstm.load_torch_state_dict(layer, {"weight": np.array([[1, 2]]), "bias": np.zeros(1)})
    assert str(error.value) == (
        "load_torch_state_dict expected other arrays; "
        "different: weight int64 (1, 2) instead of float32 (1, 2)"
    )


def test_names_of_a_row_of_layers_and_of_an_embedding_are_pytorchs():
    assert {k: a.shape for k, a in lstm.torch_state_dict(lstm.Embedding(5, 2)).items()} == {"weight": (5, 2)}
    row = lstm.Sequential(words=lstm.Embedding(5, 2), drop=lstm.Dropout(), cell=lstm.LSTM(2, 3))
    assert list(lstm.torch_state_dict(row)) == [
        "words.weight", "cell.weight_ih_l0", "cell.weight_hh_l0", "cell.bias_ih_l0", "cell.bias_hh_l0",
    ]  # fmt: skip


def test_whatever_numpy_can_read_is_taken_as_a_tensor():
    class Tensor:  # as torch.Tensor does
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    layer, other = lstm.GRU(1, 2, rng=0), lstm.GRU(1, 2, rng=1)
    state = {name: Tensor(array) for name, array in lstm.torch_state_dict(other).items()}
    lstm.load_torch_state_dict(layer, state)
    assert same(layer, other)


BOOK = Path(__file__).parents[1] / "book/practice"


def test_the_books_model_from_pytorch_gives_pytorchs_outputs():
    state = safetensors.numpy.load_file(BOOK / "torch_sine.safetensors")
    model = lstm.LSTMRegressor(1, 8, 1)
    lstm.load_torch_state_dict(model, state)
    y, _ = model(lstm.sine_task()[0].x)
    np.testing.assert_allclose(y.ravel(), np.load(BOOK / "torch_sine.npy"), rtol=0, atol=1e-6)
    assert lstm.torch_state_dict(model).keys() == state.keys()
    assert sum((BOOK / f"torch_sine.{end}").stat().st_size for end in ("npy", "safetensors")) < 20_000


def test_an_error_lists_all_that_is_wrong_and_changes_nothing():
    layer = lstm.LSTM(1, 2, rng=0)
    before, state = copy.deepcopy(layer), lstm.torch_state_dict(lstm.LSTM(1, 2, rng=1))
    del state["bias_hh_l0"]
    state |= {"weight_ih_l1": np.ones((8, 2)), "weight_ih_l0": np.ones((8, 3), np.float32)}
    with pytest.raises(ValueError) as error:
        lstm.load_torch_state_dict(layer, state)
    assert str(error.value) == (
        "load_torch_state_dict expected other arrays; missing: bias_hh_l0; unexpected: "
        "weight_ih_l1; different: weight_ih_l0 float32 (8, 3) instead of float32 (8, 1)"
    )
    assert same(layer, before)


def test_not_strict_takes_what_is_there():
    layer, other = lstm.GRU(1, 2, rng=0), lstm.GRU(1, 2, rng=1)
    other.params["bias_l0"][...] = other.params["bias_hn_l0"][...] = 3
    before, state = copy.deepcopy(layer.params), lstm.torch_state_dict(other)
    state = {"weight_hh_l0": state["weight_hh_l0"], "bias_hh_l0": state["bias_hh_l0"], "x": 0}
    lstm.load_torch_state_dict(layer, state, strict=False)
    np.testing.assert_array_equal(layer.params["weight_hh_l0"], other.params["weight_hh_l0"])
    np.testing.assert_array_equal(layer.params["bias_hn_l0"], [3, 3])
    for name in ("weight_ih_l0", "bias_l0"):
        np.testing.assert_array_equal(layer.params[name], before[name])
    with pytest.raises(ValueError, match="different: weight_ih_l0"):
        lstm.load_torch_state_dict(layer, {"weight_ih_l0": np.ones(3)}, strict=False)


# --- files ---------------------------------------------------------------------------------


def test_a_model_comes_back_as_it_was(model, tmp_path):
    path = tmp_path / "m.safetensors"
    lstm.save(model, path)
    other = lstm.load(str(path))
    assert type(other) is type(model) and same(model, other)
    assert interop.configuration(other) == interop.configuration(model)
    assert list(other.layers) == list(model.layers)  # in the order of the computation
    with evaluating(model), evaluating(other):
        for a, b in zip(answer(model), answer(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_public_layer_and_model_is_among_those_that_come_back():
    public = {name: getattr(lstm, name) for name in lstm.__all__}
    kinds = {k for k in public.values() if isinstance(k, type) and issubclass(k, Layer | Model)}
    assert {type(make()) for make in MODELS.values()} == kinds
    assert {getattr(lstm, name) for name in interop.CLASSES} == kinds
    assert len(interop.CLASSES) == len(kinds) > 14


def test_a_file_holds_what_pytorch_reads(torch_model, tmp_path):
    lstm.save(torch_model, tmp_path / "m")
    arrays, state = safetensors.numpy.load_file(tmp_path / "m"), lstm.torch_state_dict(torch_model)
    assert arrays.keys() == state.keys()
    assert all(np.array_equal(array, state[name]) for name, array in arrays.items())


def test_saving_twice_gives_the_same_bytes(model, tmp_path):
    for name in "ab":
        lstm.save(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_model_of_the_package_is_not_saved(tmp_path):
    class Mine(lstm.LSTM):
        pass

    refused = [Mine(1, 2), lstm.Regressor(Mine(1, 2), 1), lstm.Sequential(a=Mine(1, 2)), 3, None, np.ones(2), lstm.LSTM]
    names = ["Mine", "Mine", "Mine", "int", "NoneType", "ndarray", "type"]
    for other, name in zip(refused, names, strict=True):
        with pytest.raises(TypeError) as error:
            lstm.save(other, tmp_path / "m")
        expected = f"save expected a layer or model of class {', '.join(interop.CLASSES)}, got {name}"
        assert str(error.value) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_class_of_the_same_name_is_another(tmp_path):
    LSTM = type("LSTM", (lstm.LSTM,), {})
    with pytest.raises(TypeError, match="^save expected a layer or model of class .*, got LSTM$"):
        lstm.save(LSTM(1, 2), tmp_path / "m")


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "nothing.safetensors"
    with pytest.raises(FileNotFoundError) as error:
        lstm.load(path)
    assert str(error.value) == (
        f"[Errno 2] expected a model of this package, got no file of this name: {str(path)!r}"
    )
    assert error.value.filename == str(path)


@pytest.mark.parametrize("name", OTHERS)
def test_layers_that_pytorch_lacks_have_no_names_there(name):
    model = MODELS[name]()
    got = next(type(k).__name__ for k in model.layers.values() if type(k).__name__ not in interop.TORCH)
    names, before = ", ".join(interop.TORCH), copy.deepcopy(model.params)
    for function, arguments in ((lstm.torch_state_dict, ()), (lstm.load_torch_state_dict, ({},))):
        with pytest.raises(TypeError) as error:
            function(model, *arguments)
        owner = function.__name__
        assert str(error.value) == f"{owner} expected layers that torch.nn has ({names}), got {got}"
    assert all(np.array_equal(p, before[k]) for k, p in model.params.items())


def lie(path, change):
    """Save a small model whose configuration or arrays a function has changed."""
    model = lstm.LSTMRegressor(2, 3, 1, rng=0)
    found, arrays = interop.configuration(model), lstm.torch_state_dict(model)
    found = change(found, arrays) or found
    files.write_arrays(path, arrays, "model", {"configuration": found})
    with pytest.raises(ValueError) as error:
        lstm.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_a_lying_file_is_named_with_its_lie(tmp_path):
    path, change = tmp_path / "m", lambda **new: lambda found, _: found.update(new)
    assert lie(path, change(**{"class": "Popen"})) == (
        f"expected class as one of {', '.join(interop.CLASSES)}, got 'Popen'"
    )
    assert lie(path, change(input_size=3)) == (
        "the model expected other arrays; different: "
        "recurrent.weight_ih_l0 float32 (12, 2) instead of float32 (12, 3)"
    )
    assert "instead of float64 (12, 2)" in lie(path, change(dtype="float64"))
    assert lie(path, change(hidden_size=10**9)) == (
        "expected at least 1000000003000000000 numbers by its sizes, got 88"
    )
    assert "expected at least" in lie(path, change(num_layers=10**6))
    assert "expected at least" in lie(path, change(output_size=10**12))
    assert "missing: recurrent.weight_ih_l1" in lie(path, change(num_layers=2))
    assert "hidden_size as an int, got 'x'" in lie(path, change(hidden_size="x"))
    assert "output_size of at least 1, got 0" in lie(path, change(output_size=0))
    assert "unexpected keyword argument 'command'" in lie(path, change(command="rm"))
    assert lie(path, change(rng=3)).startswith("expected configuration {")
    assert "missing: recurrent.weight_ih_l0_reverse" in lie(path, change(bidirectional=True))
    assert lie(path, change(dropout=1.5)) == "LSTM expected dropout from 0 to below 1, got 1.5"
    assert "'device'" in lie(path, change(device="cuda"))
    for nothing in ([1], "LSTM", {"class": "Regressor", "recurrent": "LSTM", "output_size": 1}):
        assert lie(path, lambda *_: nothing).startswith("expected a configuration, got ")  # noqa: B023
    assert "missing: linear.bias" in lie(path, lambda _, arrays: arrays.pop("linear.bias") is None or None)
    assert "unexpected: x" in lie(path, lambda _, arrays: arrays.update(x=np.ones(1)))
    big = {"class": "Linear", "input_size": 10**6, "output_size": 10**6, "dtype": "float32"}
    assert "expected at least 1000000000000" in lie(path, lambda *_: big)
    inner = {"class": "Regressor", "recurrent": {**big, "hidden_size": 10**9}, "output_size": 1}
    outer = {"class": "Regressor", "recurrent": inner, "output_size": 1}
    assert "expected at least" in lie(path, lambda *_: outer)
    assert "expected at least" in lie(path, lambda *_: {"class": "Sequential", "layers": [["a", big]]})
    tokens = {"class": "Embedding", "num_embeddings": 10**9, "embedding_size": 10**9, "dtype": "float32"}
    for layers in ([["a", tokens]], [["b", {"class": "Dropout", "p": 0.5}], ["a", {**tokens, "p": 0.5}]]):
        found = {"class": "Sequential", "layers": layers}
        assert lie(path, lambda *_: found) == f"expected at least {10**18} numbers by its sizes, got 88"  # noqa: B023
    reverse = {"class": "Reversed", "recurrent": {"class": "LSTM", "input_size": 1, "hidden_size": 10**9}}
    deep = {"class": "Classifier", "recurrent": reverse, "classes": 10**10, "pool": "mean"}
    assert lie(path, lambda *_: deep).startswith(f"expected at least {10**9 * (1 + 10**9 + 10**10)} numbers")
    part = {"class": "Dropout", "p": 0.5}
    for layers in ([["a", part], ["a", part]], 3, [3], [["a"]], [[["a"], part]], {}, [["class", 3]], [["a.b", part]]):
        lie(path, lambda *_: {"class": "Sequential", "layers": layers})  # noqa: B023
    lie(path, lambda *_: {"class": "Sequential", "layers": [["a", part]], "recurrent": part})
    for extra in ({"dtype": "float64"}, {"p": 1.0}, {"p": "x"}, {"device": "cpu"}, {"rng": 1}, {"layers": []}):
        lie(path, lambda *_: {**part, **extra})  # noqa: B023
    files.write_arrays(path, {}, "model", {})
    with pytest.raises(ValueError, match="expected a configuration, got None$"):
        lstm.load(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    | st.sampled_from([*interop.CLASSES, "float32", "float64", "mean"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["class", "recurrent", "layers", "input_size", "dtype"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(key=st.sampled_from([*interop.configuration(MODELS["LSTMRegressor"]()), "recurrent", "layers", "classes"]),
       value=VALUES)  # fmt: skip
def test_any_change_of_a_configuration_is_refused_or_changes_nothing(tmp_path_factory, key, value):
    model, path = MODELS["LSTMRegressor"](), tmp_path_factory.mktemp("lie") / "m"
    found = interop.configuration(model)
    found[key] = value
    files.write_arrays(path, lstm.torch_state_dict(model), "model", {"configuration": found})
    try:
        other = lstm.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert same(model, other)


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_is_a_weight_or_an_option(tmp_path_factory, position, bit):
    model, path = MODELS["LSTMRegressor"](), tmp_path_factory.mktemp("flip") / "m"
    lstm.save(model, path)
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data)
    try:
        other = lstm.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert other.params.keys() == model.params.keys()


def test_a_checkpoint_is_no_model(tmp_path):
    files.write_arrays(tmp_path / "c", {}, "checkpoint", {})
    with pytest.raises(ValueError, match="expected a model, got a checkpoint$"):
        lstm.load(tmp_path / "c")


def test_a_configuration_is_json(model):
    found = interop.configuration(model)
    assert json.loads(json.dumps(found)) == found


