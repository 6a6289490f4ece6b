"""What several test files share: a made-up book of two chapters around a package of one module."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# The same examples at every run, and none of them stored; EXAMPLES=1000 tries more. Where any
# failure will do, SHRINK=no saves the search for the smallest one.
settings.register_profile(
    "book", deadline=None, database=None, derandomize=True,
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    phases=[Phase.explicit, Phase.generate] if os.environ.get("SHRINK") == "no" else [*Phase],
)  # fmt: skip
settings.load_profile("book")

# For `experiments`, which is not installed. Last: a copy of the package may stand first.
sys.path.append(str(Path(__file__).parents[1]))

if sys.platform == "darwin":  # CuPy, from which the stand-in takes its names, has no build for it
    collect_ignore = [
        "test_cupy.py", "test_kernel_layers.py", "test_gpu.py", "test_graphs.py",
        "test_gpu_errors.py", "test_your_gpu.py", "test_cupy_names.py", "test_update_cupy.py",
        "test_chapters_cupy.py", "test_diagnose_cupy.py",
    ]  # fmt: skip


PACKAGE = {
    "__init__.py": "from .shapes import area\n",
    "shapes.py": '''"""Shapes."""

from __future__ import annotations

import math
from functools import cache

from .units import half

SIDES = (3, 4)


def square(x: float) -> Circle:  # the annotation does not count
    """Return the square."""
    return _times(x, x)  # a comment


def _times(a, b):
    return a * b


@cache
def area(radius):
    # above the product
    return math.pi * square(radius)


class Circle:
    def half_area(self, area=area):
        return half(area(self.radius))
''',
    "units.py": "def half(x):\n    return x / 2\n",
}

CHAPTERS = {
    "one": ["weave:toy.shapes.square", "weave:toy.units.half", "from toy.shapes import square"],
    "two": ["weave:toy.shapes.area", "weave:toy.shapes.Circle", "import toy\ntoy.area(square(2))"],
}


def code_cell(text: str) -> dict[str, Any]:
    """Return a code cell: a woven one, still empty, for a tag, else one with this source."""
    tag = text.startswith("weave:")
    return {
        "cell_type": "code", "execution_count": None, "id": "x", "outputs": [],
        "metadata": {"tags": [text]} if tag else {}, "source": [] if tag else text.splitlines(True),
    }  # fmt: skip


def write_notebook(path: Path, cells: list[dict[str, Any]]) -> None:
    """Write a notebook of these cells as Jupyter would."""
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Return the folder of a made-up project, its cells woven."""
    from weave import weave

    for name, text in PACKAGE.items():
        (tmp_path / "toy").mkdir(exist_ok=True)
        (tmp_path / "toy" / name).write_text(text)
    prose = {"cell_type": "markdown", "id": "p", "metadata": {}, "source": ["Größe"]}
    for name, cells in CHAPTERS.items():
        write_notebook(tmp_path / f"book/{name}.ipynb", [prose, *map(code_cell, cells)])
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- chapters:\n  - file: book/one\n- chapters:\n  - file: book/two\n"
    )
    weave(tmp_path, write=True)
    return tmp_path
