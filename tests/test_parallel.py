"""Ranks that train together: as one with all sequences, whoever fails, killed and resumed.

Most ranks here are threads. What MPI alone can show runs under ``mpiexec``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lstm
from lstm.parallel import exchange, together
from ranks import run_ranks

RNG = np.random.default_rng(0)
T, B = 12, 7
X, Y, UNSEEN_X, UNSEEN_Y = RNG.normal(size=(4, T, B, 1))
LENGTHS = RNG.integers(1, T + 1, B)
LABELS = RNG.integers(0, 3, (T, B))
CLASSES = RNG.integers(0, 3, B)
MANY_X, MANY_Y = RNG.normal(size=(2, T, 14, 1))


def regressor(seed, **options):
    return lstm.LSTMRegressor(1, 5, 1, rng=seed, dtype=np.float64, **options)


def classifier(seed):
    return lstm.LSTMClassifier(1, 5, 3, rng=seed, dtype=np.float64)


def tagger(seed):
    return lstm.LSTMRegressor(1, 5, 3, rng=seed, dtype=np.float64)


CASES = {
    "unequal shares": (regressor, X, Y, {}),
    "lengths": (regressor, X, Y, {"lengths": LENGTHS}),
    "labels of steps, with lengths": (
        tagger, X, LABELS, {"lengths": LENGTHS, "loss": lstm.cross_entropy}),
    "labels of sequences": (
        classifier, X, CLASSES, {"lengths": LENGTHS, "loss": lstm.cross_entropy}),
    "clipped by the norm": (regressor, X, 9 * Y, {"clip_norm": 0.5}),
    "clipped by value": (regressor, X, 9 * Y, {"clip_value": 0.1}),
    "batches and truncated": (
        regressor, MANY_X, MANY_Y, {"batch_size": 8, "bptt_length": 5}),
    "a schedule": (regressor, X, Y, {"schedule": lambda epoch: 0.1 / (1 + epoch)}),
    "validation": (regressor, X, Y, {"validation": (UNSEEN_X, UNSEEN_Y)}),
    "validation, with lengths": (
        regressor, X, Y, {"validation": (UNSEEN_X, UNSEEN_Y, LENGTHS)}),
}  # fmt: skip


def shared(options, comm):
    """Return the options of a training with the data in them dealt out."""
    deal = {
        "lengths": lambda value: lstm.share(value, comm),
        "validation": lambda value: tuple(lstm.share(a, comm) for a in value),
    }
    return {name: deal.get(name, lambda v: v)(value) for name, value in options.items()}


def train(comm, make, x, y, epochs=6, **options):
    """Train on a rank; return its parameters, its optimizer's state and its history."""
    model = make(comm.rank)  # another on every rank; that of rank 0 counts
    optimizer = lstm.Adam(model.params, 0.05 * (1 + comm.rank))
    history = lstm.fit_parallel(
        comm, model, lstm.share(x, comm), lstm.share(y, comm), optimizer, epochs=epochs,
        **shared(options, comm))  # fmt: skip
    return model.params, optimizer.state_dict(), history


def alone(make, x, y, epochs=6, **options):
    """Train one model with all sequences by `fit`."""
    model = make(0)
    optimizer = lstm.Adam(model.params, 0.05)
    history = lstm.fit(model, x, y, optimizer, epochs=epochs, **options)
    return model.params, optimizer.state_dict(), history


def close(found, expected):
    """Say whether two trainings are the same up to rounding."""
    pairs = [(found[k][name], a) for k in (0, 1) for name, a in expected[k].items()]
    seen = [vars(history) for history in (found[2], expected[2])]
    pairs += [(seen[0][name], value) for name, value in seen[1].items()]
    return all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-12, atol=1e-13)
        for a, b in pairs
    )


# --- the same step ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("case", CASES)
def test_ranks_train_as_one_with_all_sequences(case, size):
    make, x, y, options = CASES[case]
    found = run_ranks(size, lambda comm: train(comm, make, x, y, **options))
    expected = alone(make, x, y, **options)
    assert [f for f in found if isinstance(f, BaseException)] == []
    assert all(close(f, expected) for f in found)
    for params, state, history in found[1:]:  # and to the last bit the same on every rank
        assert all(np.array_equal(p, found[0][0][name]) for name, p in params.items())
        assert all(np.array_equal(a, found[0][1][name]) for name, a in state.items())
        assert history == found[0][2]


def test_one_step_is_the_gradient_of_all_sequences():
    """By the naive road: the mean over all entries, differentiated numerically."""
    model = regressor(0)

    def loss():
        return float(((model(X)[0] - Y) ** 2).mean())

    before = {name: p.copy() for name, p in model.params.items()}
    slopes = {}
    for name, p in model.params.items():
        slopes[name] = np.empty_like(p)
        for k in np.ndindex(p.shape):
            p[k] += 1e-6
            high = loss()
            p[k] -= 2e-6
            slopes[name][k] = (high - loss()) / 2e-6
            p[k] += 1e-6

    def one_step(comm):
        own = regressor(comm.rank)
        lstm.fit_parallel(comm, own, lstm.share(X, comm), lstm.share(Y, comm),
                          lstm.SGD(own.params, 1.0), epochs=1)  # fmt: skip
        return own.params

    for params in run_ranks(3, one_step):
        for name, p in params.items():
            assert np.allclose(before[name] - p, slopes[name], atol=1e-8)


def test_a_mean_of_means_would_be_another_step():
    """The test above can fail: shares of 4 and 3 sequences weighted alike are not the whole."""
    parts = []
    for start in (0, 1):
        model = regressor(0)
        y, _ = model(X[:, start::2])
        model.backward(lstm.mean_squared_error(y, Y[:, start::2])[1])
        parts.append(model.grads)
    whole = regressor(0)
    whole.backward(lstm.mean_squared_error(whole(X)[0], Y)[1])
    name = "linear.weight"
    assert not np.allclose((parts[0][name] + parts[1][name]) / 2, whole.grads[name], rtol=1e-3)
    assert np.allclose((4 * parts[0][name] + 3 * parts[1][name]) / 7, whole.grads[name])


def test_messages_of_an_update():
    """One sum of all gradients in their own dtype, and one exchange of three numbers."""

    def count(comm):
        model = lstm.LSTMRegressor(1, 5, 1, rng=0)
        optimizer = lstm.Adam(model.params)
        data = [lstm.share(a, comm) for a in (X, Y)]
        found = []
        for epochs in (1, 4):
            comm.messages.clear()
            lstm.fit_parallel(comm, model, *data, optimizer, epochs=epochs)
            found.append(sorted(comm.messages))
        return found, sum(p.size for p in model.params.values())

    (one, four), size = run_ranks(2, count)[0]
    more = list(four)
    for message in one:
        more.remove(message)
    assert more == sorted(3 * [24, 4 * size])


def test_the_shares_are_dealt_like_cards():
    def shares(comm):
        return lstm.share(X, comm), lstm.share(LENGTHS, comm)

    for rank, (x, lengths) in enumerate(run_ranks(3, shares)):
        assert np.array_equal(x, X[:, rank::3]) and np.array_equal(lengths, LENGTHS[rank::3])


def test_the_package_does_not_import_mpi4py():
    code = "import sys, lstm; lstm.fit_parallel; print('mpi4py' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           env=environment())  # fmt: skip
    assert found.stdout == "False\n", found.stderr


# --- errors, on every rank and by name -------------------------------------------------------


def errors(size, function):
    """Return the one text with which all ranks end."""
    started = time.monotonic()
    found = run_ranks(size, function)
    assert time.monotonic() - started < 10
    assert all(type(error) is lstm.RankError for error in found), found
    assert len({str(error) for error in found}) == 1
    return str(found[0])


def test_fewer_sequences_than_ranks():
    for error in run_ranks(8, lambda comm: lstm.share(X, comm)):
        assert type(error) is ValueError and str(error) == (
            "share expected at least 8 sequences, one for each rank, got 7"
        )


@pytest.mark.parametrize("x", [[1.0, 2.0], np.array(3.0), None])
def test_what_is_no_batch(x):
    message = f"^{re.escape(f'share expected x as an array with a batch, got {x!r}')}$"
    with pytest.raises(TypeError, match=message):
        lstm.share(x, SimpleNamespace(rank=0, size=1))


@pytest.mark.parametrize("size", [2, 9])
def test_a_batch_that_cannot_be_dealt(size):
    text = errors(4, lambda comm: train(comm, regressor, X, Y, batch_size=size))
    assert text == (
        "every rank failed: ValueError: fit_parallel expected batch_size as a multiple of the "
        f"4 ranks, got {size}"
    )


def test_an_update_for_which_a_rank_has_no_sequence():
    """9 sequences in batches of 4: the last batch has one, and the second rank none."""
    x = RNG.normal(size=(3, 9, 1))
    text = errors(2, lambda comm: train(comm, regressor, x, x, batch_size=4))
    assert text.endswith(
        "fit_parallel expected the same number of updates on every rank, got [3, 2]"
    )


def test_plans_that_differ():
    def epochs(comm):
        return train(comm, regressor, X, Y, epochs=3 + comm.rank)

    assert errors(2, epochs).endswith("same number of epochs on every rank, got [3, 4]")

    def validation(comm):
        return train(comm, regressor, X, Y, **({"validation": (X, Y)} if comm.rank else {}))

    assert errors(2, validation).endswith(
        "same presence of validation on every rank, got [False, True]"
    )

    def clipping(comm):
        return train(comm, regressor, X, Y, clip_norm=1.0 if comm.rank else None)

    assert errors(2, clipping).endswith("same clip_norm on every rank, got [None, 1.0]")


def test_rank_0_alone_shows_a_bar(monkeypatch):
    shown = {}

    def fit(*arguments, progress, **options):
        shown[threading.get_ident()] = progress
        return lstm.fit(*arguments, **options)

    monkeypatch.setattr(lstm.parallel, "fit", fit)

    def bar(comm):
        train(comm, regressor, X, Y, epochs=1, progress=True)
        return shown[threading.get_ident()]

    assert run_ranks(3, bar) == [True, False, False]


def test_models_that_differ():
    def differ(comm):
        return train(comm, lambda rank: lstm.LSTMRegressor(1, 4 + rank, 1), X, Y)

    text = errors(2, differ)
    assert text.startswith("rank 1 failed: ValueError: fit_parallel expected other arrays; ")
    assert "recurrent.weight_hh_l0 float32 (20, 5) instead of float32 (16, 4)" in text


def test_optimizers_that_differ():
    def differ(comm):
        model = regressor(0)
        kind = lstm.Adam if comm.rank else lstm.SGD
        lstm.fit_parallel(comm, model, X, Y, kind(model.params), epochs=1)

    assert errors(2, differ).startswith("rank 1 failed: ValueError: Adam.load_state_dict expected")


def test_data_that_one_rank_cannot_use():
    def spoiled(comm):
        x = X.copy()
        x[3, 1] = np.nan  # the first sequence of rank 1
        return train(comm, regressor, x, Y)

    assert errors(3, spoiled) == (
        "rank 1 failed: ValueError: fit expected x without NaN or infinity, got some"
    )


def test_a_loss_that_is_not_finite_on_one_rank_stops_all_before_the_step():
    seen = {}

    def overflow(comm):
        y = np.where(np.arange(B)[:, None] == 2, 1e200, Y)  # of rank 2
        model = seen[comm.rank] = regressor(0)
        with np.errstate(over="ignore"):
            lstm.fit_parallel(comm, model, lstm.share(X, comm), lstm.share(y, comm),
                              lstm.SGD(model.params), epochs=3)  # fmt: skip

    text = errors(3, overflow)
    assert text == (
        "every rank failed: FloatingPointError: update 1 of the epoch: the loss became inf; "
        "the parameters were not changed"
    )
    start = regressor(0).params
    assert all(np.array_equal(p, start[k]) for m in seen.values() for k, p in m.params.items())


@pytest.mark.parametrize("place", ["__call__", "backward"])
def test_a_rank_that_fails_in_a_pass(place):
    class Failing(lstm.Regressor):
        calls = 0

        def pass_on(self, name, *arguments):
            if name == place and self.failing:
                self.calls += 1
                if self.calls == 3:
                    raise MemoryError("no room")
            return getattr(super(), name)(*arguments)

        def __call__(self, x, state=None, lengths=None):
            return self.pass_on("__call__", x, state, lengths)

        def backward(self, dy, dstate=None):
            return self.pass_on("backward", dy, dstate)

    losses = {}

    def fails(comm):
        model = Failing(lstm.LSTM(1, 3, rng=0), 1, rng=0)
        model.failing = comm.rank == 1
        history = losses[comm.rank] = lstm.training.History()
        lstm.fit_parallel(comm, model, lstm.share(X, comm), lstm.share(Y, comm),
                          lstm.Adam(model.params), epochs=9, history=history)  # fmt: skip

    assert "rank 1 failed: MemoryError: no room" in errors(3, fails)
    assert [len(history.loss) for history in losses.values()] == [2, 2, 2]


def test_a_rank_that_fails_in_a_callback_or_ends_early():
    def fails(epoch, *_):
        if epoch == 1:
            raise OSError("disk full")

    def callbacks(comm, callback):
        return train(comm, regressor, X, Y, callbacks=[callback] * (comm.rank == 1))

    assert errors(2, lambda comm: callbacks(comm, fails)) == (
        "rank 1 failed: OSError: disk full"
    )
    assert errors(2, lambda comm: callbacks(comm, lambda *_: True)) == (
        "rank 0 is in an update; rank 1 has ended"
    )


def test_a_block_that_all_leave_together():
    def block(comm):
        with together(comm):
            total = exchange(comm, comm.rank, 1)
        return total

    assert run_ranks(3, block) == [(3.0, 3.0)] * 3


# --- one checkpoint --------------------------------------------------------------------------


def resumable(comm, folder, epochs, stop=None, keep=3):
    """Train with all that differs by rank: dropout, a shuffle, carried states."""
    rng = np.random.default_rng([7, comm.rank])
    layer = lstm.LSTM(1, 3, num_layers=2, dropout=0.3, stateful=True, rng=rng, dtype=np.float64)
    model = lstm.Regressor(layer, 1, rng=rng)
    optimizer, shuffle = lstm.Adam(model.params, 0.05), np.random.default_rng([8, comm.rank])
    stopping = lstm.EarlyStopping(100)
    keeper = lstm.RankCheckpoints(folder, comm, keep, shuffle=shuffle, stopping=stopping)
    history = keeper.resume(model, optimizer)
    done, states = len(history.loss), []

    def look(*_):
        states[:] = [a.tolist() for a in layer.state]

    x, y = (lstm.share(a[:, :12], comm) for a in (MANY_X, MANY_Y))
    lstm.fit_parallel(
        comm, model, x, y, optimizer, epochs=epochs, batch_size=2 * comm.size, rng=shuffle,
        history=history, validation=(x, y), clip_norm=1.0,
        callbacks=[stopping, keeper, look, *([stop] if stop else [])])  # fmt: skip
    drawn = shuffle.random(2).tolist(), layer._between[0].rng.random(2).tolist()
    params = {name: p.tolist() for name, p in model.params.items()}
    return done, [history.loss, history.grad_norm, params, drawn, states]


def test_a_training_in_pieces_is_the_training_in_one(tmp_path):
    whole = run_ranks(2, lambda comm: resumable(comm, tmp_path / "whole", 6))
    run_ranks(2, lambda comm: resumable(comm, tmp_path / "pieces", 2))
    run_ranks(2, lambda comm: resumable(comm, tmp_path / "pieces", 3))
    pieces = run_ranks(2, lambda comm: resumable(comm, tmp_path / "pieces", 6))
    assert [done for done, _ in pieces] == [3, 3]
    assert [end for _, end in pieces] == [end for _, end in whole]
    assert whole[0][1][3] != whole[1][1][3]  # the ranks do draw different numbers
    assert whole[0][1][4] != whole[1][1][4]
    names = [f"epoch-{k:08}.safetensors" for k in (4, 5, 6)]
    assert sorted(path.name for path in (tmp_path / "pieces").iterdir()) == names


def test_a_checkpoint_of_another_number_of_ranks(tmp_path):
    run_ranks(2, lambda comm: resumable(comm, tmp_path, 2))
    text = errors(3, lambda comm: resumable(comm, tmp_path, 3))
    assert "ranks.numbers int64 (2,) instead of int64 (3,)" in text


def test_a_checkpoint_that_rank_0_cannot_write(tmp_path):
    (tmp_path / "file").write_text("in the way")
    text = errors(2, lambda comm: resumable(comm, tmp_path / "file" / "folder", 2))
    assert text.startswith("rank 0 failed: NotADirectoryError")


# --- on a GPU, as far as a stand-in goes -----------------------------------------------------


@pytest.mark.skipif(sys.platform == "darwin", reason="CuPy has no build for macOS")
def test_gradients_on_a_device_travel_by_the_host(monkeypatch):
    import strict_cupy

    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())

    def on_device(comm):
        model = regressor(0, device="cuda")
        optimizer = lstm.Adam(model.params, 0.05)
        x, y = (lstm.to_device(a, "cuda") for a in (X, Y))
        history = lstm.fit_parallel(comm, model, x, y, optimizer, epochs=3)
        return {name: lstm.to_numpy(p) for name, p in model.params.items()}, history

    params, history = run_ranks(1, on_device)[0]
    expected, _, whole = alone(regressor, X, Y, epochs=3)
    assert np.allclose(history.loss, whole.loss, rtol=1e-12)
    assert all(np.allclose(p, expected[name], rtol=1e-12) for name, p in params.items())


# --- MPI -------------------------------------------------------------------------------------

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None, reason="no mpiexec: `pip install mpi4py mpich` brings one"
)

SCRIPT = """
import json, os, sys
from pathlib import Path
from mpi4py import MPI
import lstm, test_parallel as tests

comm, what = MPI.COMM_WORLD, sys.argv[1]

def die(epoch, *_):
    if comm.rank == comm.size - 1 and epoch == 2:
        os.kill(os.getpid(), 9)

def fail(epoch, *_):
    if comm.rank == comm.size - 1 and epoch == 2:
        raise OSError("disk full")

if what == "cases":
    found = {}
    for name, (make, x, y, options) in tests.CASES.items():
        training = tests.train(comm, make, x, y, **options)
        equal = tests.close(training, tests.alone(make, x, y, **options))
        bits = comm.allgather(str([p.tobytes() for p in training[0].values()]))
        found[name] = comm.allgather(equal) + [len(set(bits)) == 1]
elif what == "fail":
    tests.train(comm, tests.regressor, tests.X, tests.Y, callbacks=[fail])
elif what == "outside":
    if comm.rank:
        raise OSError("before the training")
    comm.barrier()
else:
    stop = die if what == "die" else None
    found = comm.allgather(tests.resumable(comm, Path(sys.argv[2]), 5, stop))
if comm.rank == 0:
    print(json.dumps(found))
"""


def environment():
    """Return an environment in which this package and these tests are found."""
    paths = [str(Path(lstm.__file__).parents[1]), str(Path(__file__).parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}


def mpi(size, *arguments, options=()):
    """Run the script on some ranks; return the process that has ended."""
    command = [MPIEXEC, "-n", str(size), sys.executable, *options, *map(str, arguments)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def said(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@needs_mpi
@pytest.mark.parametrize("size", [1, 2, 4])
def test_mpi_ranks_train_as_one_with_all_sequences(script, size):
    found = said(mpi(size, script, "cases"))
    assert found == {name: [True] * (size + 1) for name in CASES}


@needs_mpi
def test_a_rank_that_fails_ends_the_others(script):
    process = mpi(2, script, "fail")
    assert process.returncode != 0
    assert process.stderr.count("lstm.parallel.RankError: rank 1 failed: OSError: disk full") == 2


@needs_mpi
def test_a_rank_that_fails_outside_of_the_training_ends_the_others(script):
    process = mpi(2, script, "outside", options=["-m", "mpi4py"])
    assert process.returncode != 0 and "OSError: before the training" in process.stderr


@needs_mpi
def test_a_killed_training_ends_bit_for_bit_as_uninterrupted(script, tmp_path):
    killed = mpi(2, script, "die", tmp_path / "killed")
    assert killed.returncode != 0 and killed.stdout.count("[[") == 0
    left = len(list((tmp_path / "killed").glob("epoch-*")))
    assert left in (2, 3)  # rank 0 may have been writing the third
    resumed = said(mpi(2, script, "go on", tmp_path / "killed"))
    assert [done for done, _ in resumed] == [left, left]
    whole = said(mpi(2, script, "go on", tmp_path / "whole"))
    assert [end for _, end in resumed] == [end for _, end in whole]
