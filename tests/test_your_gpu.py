"""The notebook for a reader's GPU, run on the stand-in: its checks look, and can fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import capture
import lstm
import shim
import strict_cupy
from lstm import kernels

NOTEBOOK = Path(__file__).parents[1] / "book/speed/your-gpu.ipynb"
SMALL = [(3, 2, 2, 4), (4, 1, 1, 3)]  # what the stand-in runs in a moment


def code():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return the notebook's names after a run where a GPU seems to be, its folder, its prints."""
    if shim.COMPILER is None:
        pytest.skip(shim.NEEDED)
    folder, printed = tmp_path_factory.mktemp("reader"), []
    names = {"__name__": "reader", "print": lambda *a, sep=" ": printed.append(sep.join(map(str, a)))}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
        with pytest.MonkeyPatch.context() as running:
            running.setitem(sys.modules, "torch", None)  # importing it takes seconds
            running.chdir(folder)
            for cell in code():
                exec(compile(cell, NOTEBOOK.name, "exec"), names)
                if "SIZES = [(" in cell:
                    names["SIZES"], names["LONG"] = SMALL, 0.0
        names["graphs"] = capture.Recording.graphs
        yield names, folder, "\n".join(printed)


def test_every_cell_is_compared_and_agrees(ran):
    names, _, printed = ran
    assert "a GPU is here" in printed and "beyond the limit: none" in printed
    assert "losses agree to 1e-8: True" in printed
    assert len(names["worst"]) == 8 * 2 * 2
    for cell in ("LSTM", "GRU", "PeepholeLSTM", "CoupledLSTM"):  # that have kernels of their own
        for dtype in names["LIMITS"]:
            for way in ("launches", "graphs"):  # what is compared with itself would give zeros
                assert names["worst"][f"{cell} {dtype} {way}"] > 0
    assert names["graphs"] > 100


def test_the_report_is_written_and_says_what_was_found(ran):
    names, folder, printed = ran
    found = json.loads((folder / "gpu-report.json").read_text())
    assert found["machine"]["gpu"] == "A stand-in" and found["beyond the limit"] == []
    assert found["machine"]["driver's CUDA"] == 12040
    assert set(found["seconds forward and backward"]) == {"NumPy", "launches", "graphs"}
    assert found["largest relative differences"] == names["worst"]
    text = (folder / "gpu-report.md").read_text()
    assert "- gpu: A stand-in" in text and "| (3, 2, 2, 4) |" in text
    assert str(folder) not in text + json.dumps(found)
    assert sorted(path.name for path in folder.iterdir()) == ["gpu-report.json", "gpu-report.md"]


def test_a_gpu_that_computes_something_else_is_reported(ran, monkeypatch):
    names, _, _ = ran
    right = kernels.FUSED[lstm.LSTM.run]

    def wrong(*arguments, **options):
        y, state, cache = right(*arguments, **options)
        y *= 1.001
        return y, state, cache

    monkeypatch.setitem(kernels.FUSED, lstm.LSTM.run, wrong)
    for dtype in names["LIMITS"]:
        value = names["compare"](lstm.LSTM, dtype, False)
        assert names["too_large"]({f"LSTM {dtype} launches": value}) == [f"LSTM {dtype} launches"]
    assert np.isnan(names["delta"](np.array([np.nan]), np.ones(1)))


def test_pytorch_is_measured_where_it_is(ran):
    with pytest.MonkeyPatch.context() as hidden:  # PyTorch's import looks into every module
        for name in [n for n in sys.modules if n.split(".")[0] == "cupyx"]:
            hidden.delitem(sys.modules, name)
        pytest.importorskip("torch")
    names, _, _ = ran
    assert "cuDNN" not in names["timed"]
    assert names["torch_seconds"](SMALL[0], "cpu") > 0
