"""Chapters of the book on the strict stand-in for CuPy, as on a machine with a GPU.

``python tests/chapters.py`` measures every chapter and stores the seconds, by which
`make test` chooses those that it can afford; `make nightly` runs all.
"""

from __future__ import annotations

import codeop
import contextlib
import io
import json
import multiprocessing
import os
import sys
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest

import run
import strict_cupy
from weave import ROOT, notebooks

SECONDS = ROOT / "tests" / "data" / "chapter_seconds.json"
BUDGET = 30.0  # seconds on one core for those that `make test` runs
ELSEWHERE = {"speed/your-gpu"}  # its sizes are for a GPU: test_your_gpu.py runs it with small ones


class WithoutTorch:
    """Let no import find PyTorch, which would look into CuPy.

    A None among `sys.modules` would do that too, and break SciPy, which looks there itself.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("no PyTorch beside the stand-in for CuPy", name=name)


@contextlib.contextmanager
def machine_with_a_gpu(folder: Path) -> Iterator[dict[str, Any]]:
    """Put the stand-in and its GPU in place; give the namespace that cells run in."""
    main = types.ModuleType("__main__")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
        patch.setitem(sys.modules, "__main__", main)
        patch.delitem(sys.modules, "torch", raising=False)
        patch.setattr(sys, "meta_path", [WithoutTorch(), *sys.meta_path])
        patch.setenv("LSTM_DEVICE", "cuda")
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "children"), prepend=os.pathsep)
        patch.chdir(folder)
        patch.setattr("matplotlib.pyplot.show", lambda: None)
        stack.enter_context(strict_cupy.as_in_a_notebook())
        stack.enter_context(matplotlib.rc_context())
        plt.switch_backend("Agg")
        stack.enter_context(warnings.catch_warnings())
        yield vars(main)
        plt.close("all")


def printed(cell: dict[str, Any]) -> str:
    """Return what a stored cell has printed."""
    texts = [o["text"] for o in cell["outputs"] if o.get("name") == "stdout"]
    return "".join(line for text in texts for line in text)


def run_cell(cell: dict[str, Any], name: str, compiler: Any, namespace: dict[str, Any]) -> None:
    """Run a cell; it must print what is stored, or raise an error if it is tagged so."""
    text, out = "".join(cell["source"]), io.StringIO()
    with contextlib.redirect_stdout(out):
        if "raises-exception" in run.tags(cell):
            try:
                exec(compiler(text, name, "exec"), namespace)
            except Exception:
                return
            raise AssertionError(f"{name} is tagged raises-exception and raises none")
        exec(compiler(text, name, "exec"), namespace)
    if run.MEASURED not in run.tags(cell):
        assert out.getvalue() == printed(cell), f"{name} prints otherwise: {out.getvalue()}"


def run_chapter(path: Path) -> None:
    """Run all code cells of a notebook on the stand-in, with the device chosen by one word."""
    compiler = codeop.Compile()  # carries `from __future__ import` from cell to cell
    with machine_with_a_gpu(path.parent) as namespace:
        for number, cell in enumerate(json.loads(path.read_text())["cells"], 1):
            if cell["cell_type"] == "code":
                run_cell(cell, f"{path.stem}, cell {number}", compiler, namespace)


def report(path: Path, sender: Any) -> None:
    """Run a chapter; send its error, or None."""
    try:
        run_chapter(path)
        sender.send(None)
    except BaseException as error:
        sender.send(f"{type(error).__name__}: {error}")


def run_apart(path: Path, limit: float = 300.0) -> None:
    """Run a chapter in a process of its own: what it imports and starts ends with it."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=report, args=(path, sender))
    process.start()
    found = receiver.recv() if receiver.poll(limit) else f"not done after {limit} seconds"
    process.kill()
    process.join()
    assert found is None, found


def name_of(path: Path) -> str:
    """Return a chapter's name, such as ``gates/step``."""
    return path.relative_to(ROOT / "book").with_suffix("").as_posix()


def chapters() -> list[Path]:
    """Return the chapters that run here, in the book's order."""
    return [path for path in notebooks(ROOT) if name_of(path) not in ELSEWHERE]


def affordable(paths: list[Path], seconds: dict[str, float], budget: float) -> list[Path]:
    """Return the fastest chapters that fit a budget together, in the book's order.

    One that nobody has measured counts as free, so that it runs.
    """
    chosen, spent = [], 0.0
    for path in sorted(paths, key=lambda path: seconds.get(name_of(path), 0.0)):
        spent += seconds.get(name_of(path), 0.0)
        if spent <= budget:
            chosen.append(path)
    return [path for path in paths if path in chosen]


def main() -> None:
    """Measure the chapters named, or all, and store their seconds."""
    stored = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    wanted = sys.argv[1:] or [name_of(path) for path in chapters()]
    for path in chapters():
        if name_of(path) in wanted:
            start = time.process_time()
            run_chapter(path)
            stored[name_of(path)] = round(time.process_time() - start, 1)
            print(f"{stored[name_of(path)]:6.1f} s  {name_of(path)}", flush=True)
            SECONDS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
