"""Files of arrays: whole or not at all, and refused when they are not what they should be."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import lstm
from lstm import files

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "n": np.array(7), "e": np.zeros((0, 2), np.float32)}


def written(path, **change):
    """Write a file by hand, as the format is specified: 8 bytes of length, JSON, numbers."""
    metadata = {"lstm": json.dumps({"kind": "model", "version": 1, **change})}
    header = {"__metadata__": metadata, "w": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<d", 0.5))
    return path


def test_what_is_written_is_read_with_its_content(tmp_path):
    path = tmp_path / "x.safetensors"
    files.write_arrays(path, ARRAYS, "model", {"list": [1, "é"], "array": np.array([1, 2])})
    arrays, content = files.read_arrays(path, "model")
    assert content == {"list": [1, "é"], "array": [1, 2], "kind": "model", "version": 1}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype and arrays[name].flags.writeable
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_the_same_content_is_the_same_bytes_and_any_layout_of_memory(tmp_path):
    turned = {"a": np.asfortranarray(ARRAYS["a"]), "n": ARRAYS["n"], "e": ARRAYS["e"][:, ::-1]}
    for k, arrays in enumerate((ARRAYS, dict(reversed(turned.items())))):
        files.write_arrays(tmp_path / f"{k}", arrays, "model", {"q": 1, "b": 2, "z": 3})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_a_file_written_by_hand_is_read(tmp_path):
    arrays, content = files.read_arrays(written(tmp_path / "x"), "model")
    assert arrays["w"].tolist() == [0.5] and content == {"kind": "model", "version": 1}


@pytest.mark.parametrize("at", ["open", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, at):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError("disk full")

    if at == "open":  # half of the bytes arrive
        class Half:
            def __init__(self, *arguments):
                self.file = open(*arguments)  # noqa: SIM115

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self.file.close()

            def write(self, data):
                self.file.write(data[: len(data) // 2])
                fail()

        monkeypatch.setattr(files, "open", Half, raising=False)
    else:
        monkeypatch.setattr(files.os, at, fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(path, b"new content")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_the_order_is_write_sync_rename_sync(tmp_path, monkeypatch):
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def note(name):
        def noted(*arguments):
            size = os.fstat(arguments[0]).st_size if name == "fsync" else 0
            done.append((name, size) if name == "fsync" and size == 9 else name)
            return real[name](*arguments)

        monkeypatch.setattr(files.os, name, noted)

    note("fsync"), note("replace")
    files.write_atomically(tmp_path / "x", b"nine byte")
    assert done == [("fsync", 9), "replace", "fsync"]


def test_files_have_the_users_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    files.write_atomically(tmp_path / "x", b"")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def refused(path, kind="model"):
    with pytest.raises(ValueError) as error:
        files.read_arrays(path, kind)
    message = str(error.value)
    assert message.startswith(f"{path}: expected ")
    return message.removeprefix(f"{path}: ")


def test_a_missing_file_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        files.read_arrays(tmp_path / "x", "checkpoint")
    assert (error.value.errno, error.value.filename) == (2, str(tmp_path / "x"))
    assert error.value.strerror == "expected a checkpoint of this package, got no file of this name"


def test_each_wrong_file_is_named_with_what_is_wrong(tmp_path):
    path = tmp_path / "x"
    assert refused(written(path, version=2)) == (
        "expected version 1 of the format or an older one, got 2; a newer lstm can read it"
    )
    assert refused(written(path), "checkpoint") == "expected a checkpoint, got a model"
    for version in ("1", None, 1.5, True, 0):
        assert "without its metadata" in refused(written(path, version=version))
    safetensors.numpy.save_file({"w": np.ones(1)}, path)
    assert refused(path) == (
        "expected a model of this package, got a safetensors file without its metadata; "
        "arrays of other programs are for lstm.load_torch_state_dict"
    )
    safetensors.numpy.save_file({"w": np.ones(1)}, path, {"lstm": "[" * 100_000})
    assert "without its metadata" in refused(path)
    path.write_bytes(b"")
    assert refused(path).startswith(
        "expected a whole safetensors file of float and integer arrays, got 0 bytes that are not"
    )


def test_a_file_of_numbers_that_numpy_has_not_is_refused(tmp_path):
    path = written(tmp_path / "x")
    path.write_bytes(path.read_bytes().replace(b'"F64", "shape": [1]', b'"BF16", "shape":[4]'))
    assert "float and integer arrays" in refused(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read_arrays(tmp_path / "none", "model")


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("random") / "x"
    path.write_bytes(data)
    refused(path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_part_of_a_file_is_refused(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("part") / "x"
    files.write_arrays(path, ARRAYS, "model", {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)


WITHOUT = """
import sys
sys.modules["safetensors"] = None
import lstm
try:
    lstm.{call}
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("call", ["save(lstm.Linear(1, 1), 'x')", "load('x')"])
def test_without_safetensors_the_error_says_what_to_install(tmp_path, call):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(call=call)], capture_output=True, text=True,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(lstm.__file__).parents[1])},
    )  # fmt: skip
    assert result.stdout == "files of weights need safetensors: run `pip install safetensors`\n"
    assert os.listdir(tmp_path) == []
