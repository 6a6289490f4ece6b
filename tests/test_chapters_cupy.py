"""Every chapter runs with LSTM_DEVICE=cuda, on the stand-in, and prints what is stored."""

import json
import os

import pytest

import chapters
import shim
from conftest import code_cell, write_notebook

ALL = chapters.chapters()
TIMES = json.loads(chapters.SECONDS.read_text())
CHOSEN = (
    ALL if os.environ.get("CHAPTERS") == "all" else chapters.affordable(ALL, TIMES, chapters.BUDGET)
)


@pytest.mark.parametrize("path", CHOSEN, ids=chapters.name_of)
def test_a_chapter_runs_on_the_device(path):
    if shim.COMPILER is None:
        pytest.skip(shim.NEEDED)
    chapters.run_apart(path)


@pytest.mark.parametrize("text, limit, message", [
    ("1 / 0", 60.0, "ZeroDivisionError"), ("import time; time.sleep(60)", 0.2, "not done after 0.2 s"),
])  # fmt: skip
def test_a_process_apart_says_what_failed(tmp_path, text, limit, message):
    write_notebook(tmp_path / "x.ipynb", [code_cell(text)])
    with pytest.raises(AssertionError, match=message):
        chapters.run_apart(tmp_path / "x.ipynb", limit)


def test_the_budget_takes_the_fastest_and_the_unknown():
    a, b, c = ALL[:3]
    times = {chapters.name_of(a): 9.0, chapters.name_of(b): 2.0}
    assert chapters.affordable([a, b, c], times, 10.0) == [b, c]
    assert chapters.affordable([a, b, c], times, 11.0) == [a, b, c]


START = "import numpy as np\nfrom lstm import LSTM, to_device\nlayer = LSTM(1, 2, rng=0)"
FAULTS = {
    "a host array": ("layer(np.ones((3, 1, 1)))", "LSTM expected x on cuda, got an array on cpu"),
    "a hidden copy": (
        "np.asarray(layer.params['bias_l0'])",
        "Implicit conversion to a NumPy array",
    ),
    "a name that CuPy lacks": ("import cupy\ncupy.no_such_name", "no attribute 'no_such_name'"),
    "another output": ("print(layer.device)", "x, cell 2 prints otherwise: cuda"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_chapter_is_noticed(tmp_path, fault):
    write_notebook(tmp_path / "x.ipynb", [code_cell(START), code_cell(fault[0])])
    with pytest.raises(Exception, match=fault[1]):
        chapters.run_chapter(tmp_path / "x.ipynb")


def test_what_cupy_allows_runs_and_nothing_is_left_behind(tmp_path):
    cells = ["print(np.exp(layer.params['bias_l0']).shape)", "np.ones(2) + layer.params['bias_l0']"]
    cells = [code_cell(text) for text in (START, *cells)]
    cells[1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["(8,)\n"]}]
    cells[2]["metadata"]["tags"] = ["raises-exception"]
    write_notebook(tmp_path / "x.ipynb", cells)
    chapters.run_chapter(tmp_path / "x.ipynb")
    assert "LSTM_DEVICE" not in os.environ
    cells[2]["source"] = ["pass"]
    write_notebook(tmp_path / "x.ipynb", cells)
    with pytest.raises(AssertionError, match="is tagged raises-exception and raises none"):
        chapters.run_chapter(tmp_path / "x.ipynb")


def test_torch_is_not_found_and_leaves_no_none_where_scipy_looks(tmp_path):
    look = "import sys\nprint(sys.modules.get('torch', 'none'))"
    cells = [code_cell(text) for text in (look, "import torch", look)]
    for cell in (cells[0], cells[2]):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["none\n"]}]
    cells[1]["metadata"]["tags"] = ["raises-exception"]
    write_notebook(tmp_path / "x.ipynb", cells)
    chapters.run_chapter(tmp_path / "x.ipynb")
