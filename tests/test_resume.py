"""A training that is killed again and again, also while it writes, ends as if it never was.

Each process begins a training or goes on from the folder, and is ended by SIGKILL: by itself in
the middle of a write, after a random number of bytes, or by the test at a random moment.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lstm

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is needed")

EPOCHS = 60
SCRIPT = """
import hashlib, os, signal, sys, time
import numpy as np
import lstm
from lstm import checkpoints, files

folder, kill_at, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
written = 0


class Slow:
    # A slow disk, 64 bytes at a time, so that many kills come while a file is half written.
    def __init__(self, path, mode):
        self.file = open(path, mode, buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        global written
        for start in range(0, len(data), 64):
            self.file.write(data[start : start + 64])
            written += 1
            if written == kill_at:
                os.kill(os.getpid(), 9)
            time.sleep(1e-4)

    def flush(self):
        pass

    def fileno(self):
        return self.file.fileno()


if kill_at:
    files.open = Slow
if "IN_PLACE" in os.environ:
    files.write_atomically = lambda path, data: files.open(path, "wb").write(data)
rng = np.random.default_rng(0)
x, y, unseen = rng.normal(size=(3, 4, 6, 1))
model = lstm.Regressor(lstm.LSTM(1, 2, num_layers=2, dropout=0.3, stateful=True, rng=1), 1, rng=2)
optimizer, shuffle = lstm.Adam(model.params, 0.01), np.random.default_rng(3)
stopping, plateau = lstm.EarlyStopping(1000), lstm.Plateau(factor=0.9, patience=2)
keeper = lstm.Checkpoints(folder, 2, rng=shuffle, stopping=stopping, plateau=plateau)
history = keeper.resume(model, optimizer)
print(len(history.loss), flush=True)
lstm.fit(model, x, y, optimizer, epochs=epochs, batch_size=2, rng=shuffle, history=history,
         validation=(unseen, unseen), callbacks=[stopping, plateau, keeper, lambda epoch, *_: print(epoch, flush=True)])
parts = keeper.parts
digest = hashlib.sha256(repr((history, shuffle.random(3), model.recurrent._between[0].rng.random(3))).encode())
for name, array in sorted(checkpoints.snapshot(model, optimizer, parts).items()):
    digest.update(name.encode() + array.tobytes())
print("end", digest.hexdigest())
"""


def start(folder, kill_at=0, epochs=EPOCHS):
    environment = os.environ | {
        "PYTHONPATH": str(Path(lstm.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(kill_at), str(epochs)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def finish(process):
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return output.split()[-1]


def test_killed_at_random_moments_it_ends_bit_for_bit_as_uninterrupted(tmp_path):
    whole, draw, half_written = finish(start(tmp_path / "whole")), random.Random(0), 0
    folder = tmp_path / "killed"
    for n in range(24):
        by_itself = n % 2 == 0
        process = start(folder, draw.randrange(1, 150) if by_itself else 10**9)
        done = int(process.stdout.readline())
        assert done < EPOCHS
        if not by_itself:
            time.sleep(draw.uniform(0, 0.05))
            process.kill()
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        left = list(folder.glob(f".epoch-*.{process.pid}.tmp"))
        half_written += bool(left)
        assert left or not by_itself
    assert half_written >= 12
    assert finish(start(folder)) == whole
    assert len(list(folder.iterdir())) == 2  # the two last epochs; nothing that a kill left


def test_a_checkpoint_that_is_written_in_place_does_not_survive(tmp_path, monkeypatch):
    """What `write_atomically` is for: the same kill leaves half of a file under its name."""
    monkeypatch.setenv("IN_PLACE", "1")
    start(tmp_path, kill_at=20).communicate(timeout=120)
    process = start(tmp_path)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1 and "expected a whole safetensors file" in error


def test_another_number_of_epochs_is_another_end(tmp_path):
    """The digest is not the same whatever happens."""
    assert finish(start(tmp_path / "a", epochs=2)) != finish(start(tmp_path / "b", epochs=3))
