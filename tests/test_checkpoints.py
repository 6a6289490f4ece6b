"""Checkpoints, going on from them, and early stopping, within one process; kills: test_resume.py."""

import copy
import shutil

import numpy as np
import pytest

import lstm
from lstm import checkpoints, files

RNG = np.random.default_rng(0)
X, Y, UNSEEN_X, UNSEEN_Y = RNG.normal(size=(4, 6, 8, 1))
OPTIMIZERS = {
    "SGD": lambda params: lstm.SGD(params, 0.05),
    "Adam": lambda params: lstm.Adam(params, 0.05),
}


class Training:
    """All that a training is made of, new; with dropout, a shuffle and early stopping."""

    def __init__(self, folder, optimizer="Adam", keep=3, patience=100, bits=np.random.PCG64):
        layer = lstm.LSTM(1, 3, num_layers=3, dropout=0.2, rng=np.random.Generator(bits(1)))
        self.model = lstm.Regressor(layer, 1, rng=2)
        self.optimizer = OPTIMIZERS[optimizer](self.model.params)
        self.rng = np.random.Generator(bits(3))
        self.stopping = lstm.EarlyStopping(UNSEEN_X, UNSEEN_Y, patience)
        self.parts = {"rng": self.rng, "stopping": self.stopping}
        self.checkpoints = lstm.Checkpoints(folder, keep, **self.parts)
        self.history = None

    def run(self, epochs):
        self.history = lstm.fit(
            self.model, X, Y, self.optimizer, epochs=epochs, batch_size=3, rng=self.rng,
            schedule=lambda epoch: 0.05 * 0.9**epoch, clip_norm=1.0,
            history=self.checkpoints.resume(self.model, self.optimizer),
            callbacks=[self.stopping, self.checkpoints],
        )  # fmt: skip
        return self

    def all(self):
        arrays = checkpoints.snapshot(self.model, self.optimizer, self.parts)
        draws = checkpoints.generators(self.model, self.parts)
        numbers = {name: copy.deepcopy(g).random(4) for name, g in draws.items()}
        return {**arrays, **numbers, "history": np.array(self.history.loss),
                "norms": np.array(self.history.grad_norm)}  # fmt: skip


def equal(a, b):
    assert a.keys() == b.keys()
    different = [name for name in a if not np.array_equal(a[name], b[name])]
    assert different == []


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_in_pieces_is_the_training_in_one(tmp_path, optimizer, bits):
    whole = Training(tmp_path / "whole", optimizer, bits=bits).run(9)
    for epochs in (1, 4, 5, 9):
        pieces = Training(tmp_path / "pieces", optimizer, bits=bits).run(epochs)
    equal(pieces.all(), whole.all())
    assert len(whole.history.loss) == 9


def forget(training, name, monkeypatch):
    """Let one part of a training be what it was before `resume`."""
    real = training.checkpoints.resume
    part = getattr(training, name, None)
    stated = part.state_dict() if hasattr(part, "state_dict") else None
    before = copy.deepcopy(part.params) if name == "model" else stated
    draws = checkpoints.generators(training.model, training.parts)
    states = {k: g.bit_generator.state for k, g in draws.items() if name in k}

    def resume(model, optimizer):
        history = real(model, optimizer)
        if name == "model":
            checkpoints.assign(model, before)
        elif before is not None:
            part.load_state_dict(before)
        for k, state in states.items():
            draws[k].bit_generator.state = state
        return history

    monkeypatch.setattr(training.checkpoints, "resume", resume)


@pytest.mark.parametrize("name", ["model", "optimizer", "rng", "dropout", "stopping"])
def test_each_thing_that_is_kept_is_needed(tmp_path, monkeypatch, name):
    """The comparison above fails for each part that is not restored."""
    whole = Training(tmp_path / "whole").run(6)
    Training(tmp_path / "pieces").run(3)
    second = Training(tmp_path / "pieces")
    forget(second, name, monkeypatch)
    second.run(6)
    with pytest.raises(AssertionError):
        equal(second.all(), whole.all())


def test_the_generator_of_a_dropout_layer_is_among_those_that_are_kept():
    layers = {"recurrent": lstm.LSTM(1, 2, num_layers=3, dropout=0.5), "drop": lstm.Dropout(0.5)}
    model, rng = type("Model", (), {"layers": layers})(), np.random.default_rng(0)
    found = checkpoints.generators(model, {"rng": rng, "other": object()})
    assert list(found) == ["rng", "recurrent.dropout0", "recurrent.dropout1", "drop.dropout0"]
    assert found["drop.dropout0"] is layers["drop"].rng and found["rng"] is rng


def test_a_training_with_zoneout_in_pieces_is_the_training_in_one(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4, 1))

    def train(folder, epochs):
        model = lstm.Regressor(lstm.ZoneoutLSTM(1, 3, rng=1), 1, rng=2)
        assert list(checkpoints.generators(model, {})) == ["recurrent.rng"]
        optimizer, keep = lstm.Adam(model.params, 0.05), lstm.Checkpoints(tmp_path / folder)
        lstm.fit(model, x, -x, optimizer, epochs=epochs, callbacks=[keep],
                 history=keep.resume(model, optimizer))  # fmt: skip
        return model.params

    whole, _ = train("whole", 6), train("pieces", 3)
    for name, p in train("pieces", 6).items():
        np.testing.assert_array_equal(p, whole[name])


def test_the_latest_files_stay_and_nothing_else(tmp_path):
    training = Training(tmp_path, keep=2)
    (tmp_path / ".epoch-00000001.safetensors.123.tmp").write_bytes(b"what a kill left")
    (tmp_path / "notes.txt").write_text("mine")
    training.run(5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch-00000004.safetensors", "epoch-00000005.safetensors", "notes.txt"
    ]  # fmt: skip


def test_a_training_that_is_done_is_not_done_again(tmp_path):
    first = Training(tmp_path).run(4)
    equal(Training(tmp_path).run(4).all(), first.all())
    assert len(Training(tmp_path).run(2).history.loss) == 4


def test_a_training_that_stopped_early_stays_stopped(tmp_path):
    first = Training(tmp_path, patience=2).run(50)
    assert first.history.stopped and len(first.history.loss) < 50
    again = Training(tmp_path, patience=2).run(50)
    equal(again.all(), first.all())
    assert again.history == first.history


def test_without_a_checkpoint_nothing_is_set(tmp_path):
    training = Training(tmp_path / "new")
    before = copy.deepcopy(training.model.params)
    assert training.checkpoints.resume(training.model, training.optimizer) == lstm.training.History()
    assert all(np.array_equal(p, before[k]) for k, p in training.model.params.items())


def test_a_new_training_does_not_write_into_the_folder_of_an_old_one(tmp_path):
    Training(tmp_path).run(4)
    new = Training(tmp_path)
    with pytest.raises(ValueError) as error:
        new.checkpoints(0, new.model, new.optimizer, lstm.training.History())
    assert str(error.value) == (
        f"Checkpoints expected {tmp_path} without later epochs than 1, found "
        "epoch-00000004.safetensors: resume, or take a new folder"
    )


def refused(training, message):
    before = {**copy.deepcopy(training.model.params), **training.optimizer.state_dict()}
    drawn = training.rng.bit_generator.state
    with pytest.raises(ValueError) as error:
        training.checkpoints.resume(training.model, training.optimizer)
    (path,) = training.checkpoints.files()[-1:]
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    after = {**training.model.params, **training.optimizer.state_dict()}
    equal(after, before)
    assert training.rng.bit_generator.state == drawn
    assert training.stopping.best == float("inf")


def test_a_checkpoint_of_another_training_is_refused_and_nothing_changed(tmp_path):
    Training(tmp_path).run(2)
    refused(Training(tmp_path, "SGD"), "the training expected other arrays; unexpected: optimizer.")
    other = Training(tmp_path)
    other.model = lstm.Regressor(lstm.LSTM(1, 4, num_layers=3, dropout=0.2), 1)
    other.optimizer = lstm.Adam(other.model.params)
    refused(other, "different: model.recurrent.weight_ih_l0 float32 (12, 1) instead of float32 (16, 1)")
    other = Training(tmp_path)
    del other.parts["stopping"], other.checkpoints.parts["stopping"]
    refused(other, "expected parts ['model', 'optimizer'], got ['model', 'optimizer', 'stopping']")
    other = Training(tmp_path)
    other.checkpoints.parts["second"] = np.random.default_rng(0)
    refused(other, "expected generators ['recurrent.dropout0', 'recurrent.dropout1', 'rng', 'second'], got ['rec")
    other = Training(tmp_path)
    other.checkpoints.parts["rng"] = np.random.Generator(np.random.MT19937(0))
    refused(other, "MT19937")


def test_a_damaged_checkpoint_is_refused_and_the_one_before_can_be_used(tmp_path):
    whole = Training(tmp_path / "whole").run(6)
    Training(tmp_path / "run").run(4)
    last = Training(tmp_path / "run").checkpoints.files()[-1]
    last.write_bytes(last.read_bytes()[:-1])
    refused(Training(tmp_path / "run"), "expected a whole safetensors file")
    last.unlink()
    equal(Training(tmp_path / "run").run(6).all(), whole.all())


@pytest.mark.parametrize("content", [{}, {"generators": 1}, {"generators": {}, "history": {}},
                                     {"generators": None, "history": {"losses": []}}])  # fmt: skip
def test_a_checkpoint_with_other_content_is_refused(tmp_path, content):
    training = Training(tmp_path).run(1)
    arrays = checkpoints.snapshot(training.model, training.optimizer, training.parts)
    files.write_arrays(tmp_path / "epoch-00000002.safetensors", arrays, "checkpoint", content)
    refused(Training(tmp_path), "")
    shutil.copy(tmp_path / "epoch-00000001.safetensors", tmp_path / "epoch-00000002.safetensors")


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="^Checkpoints expected rng as a generator or an object with state_dict and load_state_dict, got int$"):
        lstm.Checkpoints(tmp_path, rng=3)
    with pytest.raises(TypeError, match="^Checkpoints expected model as"):
        lstm.Checkpoints(tmp_path, model=np.random.default_rng(0))
    with pytest.raises(ValueError, match="^Checkpoints expected keep of at least 1, got 0$"):
        lstm.Checkpoints(tmp_path, keep=0)
    model = lstm.Regressor(lstm.LSTM(1, 2, stateful=True), 1)
    with pytest.raises(ValueError, match="^Checkpoints expected layers with stateful=False, got recurrent with True; "):
        lstm.Checkpoints(tmp_path)(0, model, lstm.SGD(model.params), lstm.training.History())
    assert list(tmp_path.iterdir()) == []


# --- early stopping ------------------------------------------------------------------------


class Scripted:
    """A model of one number whose loss against zeros is what the script says."""

    layers: dict = {}

    def __init__(self, values):
        self.params, self.grads = {"p": np.zeros(1)}, {"p": np.zeros(1)}
        self.values, self.epoch = values, -1

    def __call__(self, x, state=None, lengths=None):
        return x * 0 + self.values[self.epoch] ** 0.5, None

    def backward(self, dy, dstate=None):
        return dy, None

    def advance(self, epoch, *_):
        self.epoch = epoch
        self.params["p"][...] = epoch


def stopped(values, patience, epochs=None):
    model, x = Scripted(values), np.ones((2, 1, 1))
    stopping = lstm.EarlyStopping(x, 0 * x, patience)
    history = lstm.fit(
        model, x, 0 * x, lstm.SGD(model.params), epochs=epochs or len(values),
        callbacks=[model.advance, stopping],
    )  # fmt: skip
    return history, stopping, model.params["p"][0]


def test_it_stops_when_patience_has_run_out_and_the_best_weights_are_back():
    history, stopping, p = stopped([5, 3, 4, 3, 1, 2, 2, 2, 0], patience=3)
    assert len(history.loss) == 8 and history.stopped
    assert (p, stopping.best, stopping.waited) == (4, 1, 3)


def test_an_equal_loss_is_no_better_one():
    history, _, p = stopped([2, 1, 1, 1, 1], patience=2)
    assert len(history.loss) == 4 and p == 1


def test_the_best_weights_are_back_when_the_epochs_run_out():
    history, stopping, p = stopped([5, 1, 2, 3], patience=9)
    assert len(history.loss) == 4 and not history.stopped and p == 1


def test_a_loss_that_is_never_a_number_leaves_the_weights():
    model, x = Scripted([1, 1, 1]), np.ones((2, 1, 1))
    stopping = lstm.EarlyStopping(x, x, 2, loss=lambda y, t: (np.nan, y))
    history = lstm.fit(model, x, x, lstm.SGD(model.params), epochs=3, callbacks=[model.advance, stopping])
    assert len(history.loss) == 2 and model.params["p"] == 1


def test_patience_is_checked():
    with pytest.raises(ValueError, match="^EarlyStopping expected patience of at least 1, got 0$"):
        lstm.EarlyStopping(X, Y, 0)


def test_it_looks_at_the_lengths_and_the_loss_that_it_was_given():
    model = lstm.LSTMRegressor(1, 3, 1, rng=0)
    x, lengths = X.copy(), np.full(8, 2)
    x[2:] = np.nan
    stopping = lstm.EarlyStopping(x, x, 1, lengths, loss=lambda y, t: (abs(y - t).mean(), y))
    stopping(0, model, None, None)
    expected = abs(model(X[:2])[0] - X[:2]).mean()
    assert stopping.best == pytest.approx(expected, rel=1e-6)
