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
from lstm.training import evaluating
from test_torch import OPTIONS, TOLERANCE, stored, to_package

MODELS = {
    "LSTM": lambda: lstm.LSTM(2, 3, rng=0, forget_bias=0.5, dropout=0.25, num_layers=2),
    "LSTM64": lambda: lstm.LSTM(2, 3, rng=0, dtype=np.float64, bias=False),
    "GRU": lambda: lstm.GRU(2, 3, rng=0, num_layers=3, bidirectional=True),
    "GRU without bias": lambda: lstm.GRU(2, 3, rng=0, bias=False, batch_first=True),
    "RNN": lambda: lstm.RNN(1, 1, rng=0, stateful=True, bidirectional=True),
    "Linear": lambda: lstm.Linear(3, 2, rng=0, dtype=np.float64),
    "Regressor": lambda: lstm.Regressor(lstm.GRU(2, 3, rng=0, bidirectional=True), 4, rng=1),
    "LSTMRegressor": lambda: lstm.LSTMRegressor(2, 3, 1, rng=0, num_layers=2, dropout=0.1),
    "Classifier": lambda: lstm.Classifier(lstm.RNN(2, 3, rng=0), 4, pool="mean", rng=1),
    "LSTMClassifier": lambda: lstm.LSTMClassifier(2, 3, 5, rng=0, dtype=np.float64),
}


@pytest.fixture(params=MODELS)
def model(request):
    """A model of every class, none of its parameters zero."""
    made = MODELS[request.param]()
    rng = np.random.default_rng(3)
    for p in made.params.values():
        p[...] = rng.normal(size=p.shape)
    return made


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


def test_there_and_back_is_exact(model):
    state, other = lstm.torch_state_dict(model), copy.deepcopy(model)
    for p in other.params.values():
        p[...] = 9
    lstm.load_torch_state_dict(other, state)
    assert same(model, other)


def test_second_biases_are_zero_but_for_the_grus(model):
    for name, array in lstm.torch_state_dict(model).items():
        if "bias_hh" in name:
            blocks = array.reshape(-1, getattr(model, "recurrent", model).hidden_size)
            extra = model.params.get(name.replace("bias_hh_", "bias_hn_"))
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
    x = np.random.default_rng(0).normal(size=(4, 3, getattr(model, "recurrent", model).input_size))
    with evaluating(model), evaluating(other):
        np.testing.assert_array_equal(model(x)[0], other(x)[0])


def test_a_file_holds_what_pytorch_reads(model, tmp_path):
    lstm.save(model, tmp_path / "m")
    arrays, state = safetensors.numpy.load_file(tmp_path / "m"), lstm.torch_state_dict(model)
    assert arrays.keys() == state.keys()
    assert all(np.array_equal(array, state[name]) for name, array in arrays.items())


def test_saving_twice_gives_the_same_bytes(model, tmp_path):
    for name in "ab":
        lstm.save(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_class_is_not_saved(tmp_path):
    class Mine(lstm.LSTM):
        pass

    with pytest.raises(TypeError, match="^expected a model of class LSTM, GRU, .*, got Mine; the weights"):
        lstm.save(Mine(1, 2), tmp_path / "m")
    with pytest.raises(TypeError, match="got Dropout"):
        lstm.save(lstm.Dropout(0.5), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


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
        "expected class as one of LSTM, GRU, RNN, Linear, Regressor, LSTMRegressor, "
        "Classifier, LSTMClassifier, got 'Popen'"
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
    assert lie(path, lambda *_: outer) == "the model expected input_size as an int, got None"
    files.write_arrays(path, {}, "model", {})
    with pytest.raises(ValueError, match="expected a configuration, got None$"):
        lstm.load(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    | st.sampled_from([*interop.CLASSES, "float32", "float64", "mean"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["class", "recurrent", "input_size", "dtype"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(key=st.sampled_from([*interop.configuration(MODELS["LSTMRegressor"]()), "recurrent", "classes"]),
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


