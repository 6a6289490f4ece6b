"""After a failure nothing is lost: what the book's page on recovery says, held to."""

import shutil
import sys

import numpy as np
import pytest

import lstm
import strict_cupy
from lstm import training


def same(before, after):
    return all(np.array_equal(a, after[name]) for name, a in before.items())


def copies(arrays):
    return {name: a.copy() for name, a in arrays.items()}


def exploding():
    """A model whose loss is finite and whose gradient is not: a tiny state grows threefold a step."""
    model = lstm.Regressor(lstm.RNN(1, 8, rng=0), 1, rng=1)
    model.params["recurrent.weight_hh_l0"][...] = 3 * np.eye(8)
    x, y = np.zeros((2, 100, 2, 1), np.float32)
    y[-1] = 1.0
    x[0] = 1e-30
    return model, x, y


# --- numbers that are not finite ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", [lstm.SGD, lstm.Momentum, lstm.Adam, lstm.AdamW, lstm.RMSprop])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_overflows_changes_nothing(kind, clip):
    model, x, y = exploding()
    optimizer = kind(model.params, 0.01)
    weights, memory = copies(model.params), copies(optimizer.state_dict())
    message = (
        r"^update 1 of the epoch: the gradient of recurrent\.bias_l0 has no finite square; "
        "the parameters were not changed$"
    )
    with pytest.raises(FloatingPointError, match=message):
        lstm.fit(model, x, y, optimizer, epochs=1, clip_norm=clip)
    assert same(weights, model.params) and same(memory, optimizer.state_dict())


def test_the_first_broken_array_is_named():
    sound = {"a": np.ones(2), "b": np.full(3, 1e19, np.float32)}
    assert training.first_broken(sound) == ""
    for bad in (np.nan, np.inf, np.float32(1e20)):
        with np.errstate(over="ignore"):
            found = training.first_broken(sound | {"c": np.array([1, bad], np.float32)}, "{}!")
        assert found == "c!"


# --- a state of the wrong shape ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [lstm.LSTM, lstm.GRU, lstm.RNN])
def test_a_refused_call_keeps_the_state(kind):
    rng = np.random.default_rng(0)
    layer, other = (kind(2, 4, rng=0, stateful=True) for _ in range(2))
    x, more = rng.normal(size=(2, 5, 3, 2))
    layer(x), other(x)
    for bad in (more[:, :2], more[..., :1], more[0], more.astype(int)):
        with pytest.raises((TypeError, ValueError)):
            layer(bad)
    assert np.array_equal(layer(more)[0], other(more)[0])


def test_the_message_says_how_to_begin_anew():
    layer = lstm.LSTM(2, 4, rng=0, stateful=True)
    layer(np.ones((5, 3, 2)))
    message = (
        "^LSTM expected h for a batch of 2, got one for 3; to start new sequences pass state=None, "
        r"and call reset_state\(\) if the layer is stateful$"
    )
    with pytest.raises(ValueError, match=message):
        layer(np.ones((5, 2, 2)))


# --- memory ---------------------------------------------------------------------------------------


class Limited(lstm.LSTM):
    """Has no memory left for more than ten sequences, on the way there or back."""

    failure, where = MemoryError("no memory"), "forward"

    def run(self, x, *arguments):
        if x.shape[1] > 10 and self.where == "forward":
            raise self.failure
        return lstm.LSTM.run(x, *arguments)

    def run_backward(self, dy, *arguments):
        if dy.shape[1] > 10 and self.where == "backward":
            raise self.failure
        return lstm.LSTM.run_backward(dy, *arguments)


def memory_failures():
    """The error of NumPy, and the one that CuPy raises, with bytes asked for and in use."""
    memory = pytest.importorskip("cupy.cuda.memory")
    return [MemoryError("no memory"), memory.OutOfMemoryError(1024, 4096)]


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_no_memory_for_a_batch_changes_nothing_and_a_smaller_one_goes_on(where):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 16, 1))
    for failure in memory_failures():
        assert isinstance(failure, MemoryError)  # so that one `except` is enough
        recurrent = Limited(1, 4, rng=0)
        recurrent.failure, recurrent.where = failure, where
        model = lstm.Regressor(recurrent, 1, rng=1)
        optimizer, history = lstm.Adam(model.params, 0.01), training.History()
        options = {"optimizer": optimizer, "history": history}
        lstm.fit(model, x[:, :8], y[:, :8], epochs=2, **options)
        weights, memory = copies(model.params), copies(optimizer.state_dict())
        with pytest.raises(MemoryError, match="(?i)memory") as raised:
            lstm.fit(model, x, y, epochs=4, **options)
        assert failure in (raised.value, raised.value.__cause__)
        assert same(weights, model.params) and same(memory, optimizer.state_dict())
        assert len(history.loss) == 2
        lstm.fit(model, x, y, epochs=4, batch_size=8, **options)
        assert len(history.loss) == 4 and np.isfinite(history.loss).all()


# --- files ----------------------------------------------------------------------------------------


DAMAGE = {
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "a header of nonsense": lambda data: data[:8] + b"?" + data[9:],
    "another program's": lambda data: b"PK\x03\x04" + data[4:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_goes_on(tmp_path, damage):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 4, 1))

    def training_of(folder):
        model = lstm.LSTMRegressor(1, 4, 1, rng=0)
        return model, lstm.Adam(model.params, 0.01), lstm.Checkpoints(folder)

    def train(folder, epochs):
        model, optimizer, keep = training_of(folder)
        history = keep.resume(model, optimizer)
        return model, lstm.fit(model, x, y, optimizer, epochs=epochs, callbacks=[keep], history=history)

    whole, expected = train(tmp_path / "whole", 5)
    train(tmp_path / "cut", 3)
    model, optimizer, keep = training_of(tmp_path / "cut")
    latest = keep.files()[-1]
    latest.write_bytes(damage(latest.read_bytes()))
    weights, memory = copies(model.params), copies(optimizer.state_dict())
    with pytest.raises(ValueError, match="epoch-00000003.safetensors: expected"):
        keep.resume(model, optimizer)
    assert same(weights, model.params) and same(memory, optimizer.state_dict())
    assert len(keep.files()) == 3  # nothing is deleted by itself
    shutil.move(latest, tmp_path / "damaged")
    again, history = train(tmp_path / "cut", 5)
    assert history.loss == expected.loss and same(whole.params, again.params)


def test_a_gradient_that_overflows_is_refused_on_the_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
    _, x, y = exploding()
    model = lstm.Regressor(lstm.RNN(1, 8, rng=0, device="cuda"), 1, rng=1)
    model.params["recurrent.weight_hh_l0"][...] = lstm.to_device(3 * np.eye(8, dtype=np.float32), "cuda")
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="no finite square"):
        lstm.fit(model, *(lstm.to_device(a, "cuda") for a in (x, y)), lstm.SGD(model.params, 0.1), epochs=1)
