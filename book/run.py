"""Execute the book's notebooks, in order, and store them so that a second run leaves no diff.

A stored notebook holds no times, no versions and no random ids: cell 7 is ``cell-007``, its
counts are 1 to n, its metadata are tags and what the site needs (``mystnb``). Figures are PNG at
twice the size. A cell that writes to stderr is refused unless it is tagged ``allow-stderr``.

A cell tagged ``nbval-ignore-output`` measures something (a time, say) that differs at every
run. Its stored outputs are kept as long as its source is the one that made them, of which
``recorded`` in its metadata is a digest; ``--fresh`` measures anew.

How long a chapter runs is stored in ``book/seconds.json``, rounded to 1, 2, 5, 10, ... seconds.
A stored time stays while the new one is at most one such step away. The time is the processor's
if that is less than what the clock says: a machine that is busy with something else does not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from weave import ROOT, notebooks

Cell = dict[str, Any]  # a cell, or one of its outputs
Notebook = dict[str, Any]

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT = ("tags", "mystnb", "recorded")  # of a cell's metadata
MEASURED, STDERR = "nbval-ignore-output", "allow-stderr"
SLOW = 20.0  # seconds a chapter may take
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # seconds that are told to readers


def text_of(notebook: Notebook) -> str:
    """Return the text of a notebook's file, laid out as Jupyter does."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def lines_of(text: str | list[str]) -> list[str]:
    """Return text as notebooks store it: a list of lines with their ends."""
    return "".join(text).splitlines(keepends=True)


def tags(cell: Cell) -> list[str]:
    """Return the tags of a cell."""
    found: list[str] = cell["metadata"].get("tags", [])
    return found


def digest(cell: Cell) -> str:
    """Return a short name of a cell's source."""
    return hashlib.sha256("".join(cell["source"]).encode()).hexdigest()[:12]


def normal_output(output: Cell, count: int | None) -> Cell:
    """Return an output with its text as lines, and the count of its cell."""
    output = dict(output)
    if "text" in output:
        output["text"] = lines_of(output["text"])
    if "execution_count" in output:
        output["execution_count"] = count
    if "data" in output:
        output["data"] = {kind: normal_data(kind, data) for kind, data in output["data"].items()}
    return output


def normal_data(kind: str, data: Any) -> Any:
    """Return an output's data as nbformat stores it: text as lines, binary data as one string."""
    return lines_of(data) if kind.startswith("text/") or kind == "image/svg+xml" else data


def normal_outputs(outputs: list[Cell], count: int | None) -> list[Cell]:
    """Return outputs in normal form, adjoining pieces of one stream joined."""
    joined: list[Cell] = []
    for output in (normal_output(output, count) for output in outputs):
        if (
            joined
            and output["output_type"] == "stream"
            and output["name"] == joined[-1].get("name")
        ):
            joined[-1]["text"] = lines_of(joined[-1]["text"] + output["text"])
        else:
            joined.append(output)
    return joined


def normalize(notebook: Notebook) -> Notebook:
    """Return a notebook in the one form in which the book stores it; applying it twice is as once."""
    cells, count = [], 0
    for number, old in enumerate(notebook["cells"], 1):
        kept = {key: old["metadata"][key] for key in KEPT if key in old["metadata"]}
        cell = {"cell_type": old["cell_type"], "id": f"cell-{number:03}", "metadata": kept}
        if "attachments" in old:
            cell["attachments"] = old["attachments"]
        if old["cell_type"] == "code":
            ran = old["execution_count"] is not None
            count += ran
            cell["execution_count"] = count if ran else None
            cell["outputs"] = normal_outputs(old["outputs"], cell["execution_count"])
        cells.append(cell | {"source": lines_of(old["source"])})
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def keep_measured(new: Notebook, stored: Notebook, *, fresh: bool = False) -> None:
    """Put stored outputs back into cells that measure, if this source made them; else record it."""
    for cell, old in zip(new["cells"], stored["cells"], strict=True):
        if MEASURED in tags(cell):
            if not fresh and old["metadata"].get("recorded") == digest(old):
                cell["outputs"] = old["outputs"]
            cell["metadata"]["recorded"] = digest(cell)
        else:
            cell["metadata"].pop("recorded", None)


def stderr_of(notebook: Notebook, name: str) -> list[str]:
    """Name each cell that wrote to stderr without leave."""
    return [
        f"{name} cell {number} writes to stderr: {''.join(output['text']).strip()}\n"
        f"  mend what warns, or tag the cell {STDERR} if it shows the warning; not stored"
        for number, cell in enumerate(notebook["cells"], 1)
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr" and STDERR not in tags(cell)
    ]


def execute(stored: Notebook, folder: Path) -> Notebook:
    """Run all cells in a new kernel that starts in a folder; return the notebook with its outputs."""
    notebook = nbformat.reads(json.dumps(normalize(stored)), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--InlineBackend.figure_formats={'retina'}", "--log-level=ERROR"],
    )
    executed: Notebook = json.loads(json.dumps(client.execute()))
    return executed


def run(path: Path, name: str, *, fresh: bool = False) -> list[str]:
    """Execute one notebook and store it; return its faults, with which it is not stored."""
    text = path.read_text()
    stored = json.loads(text)
    try:
        new = normalize(execute(stored, path.parent))
    except CellExecutionError as error:
        return [f"{name}: {error}\n  mend it, or tag the cell raises-exception; not stored"]
    keep_measured(new, stored, fresh=fresh)
    faults = stderr_of(new, name)
    if not faults and text_of(new) != text:
        path.write_text(text_of(new))
    return faults


def step_of(seconds: float) -> int:
    """Return the place in STEPS that is nearest to a time, in ratio."""
    return min(range(len(STEPS)), key=lambda k: abs(math.log(STEPS[k] / max(seconds, 0.1))))


def processor_time() -> float:
    """Return the seconds that the processor has spent on programs which this one started."""
    spent = os.times()
    return spent.children_user + spent.children_system


def record(path: Path, seconds: float, root: Path) -> None:
    """Store how long a chapter of the book ran, if it is not much what is stored already."""
    folder = root / "book"
    if not path.is_relative_to(folder):
        return
    file, name = folder / "seconds.json", path.relative_to(folder).with_suffix("").as_posix()
    stored = json.loads(file.read_text()) if file.exists() else {}
    if name not in stored or abs(step_of(seconds) - step_of(stored[name])) > 1:
        stored[name] = STEPS[step_of(seconds)]
        file.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return 1 if a notebook failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks; all of the book if none")
    parser.add_argument("--fresh", action="store_true", help="measure anew what is kept otherwise")
    options = parser.parse_args(arguments)
    # The kernel is to use this package, and the notebook's own way of drawing.
    os.environ["PYTHONPATH"] = str(root)
    os.environ.pop("MPLBACKEND", None)
    faults = []
    for path in options.paths or notebooks(root):
        name = os.path.relpath(path, root)
        start, spent = time.perf_counter(), processor_time()
        found = run(path.resolve(), name, fresh=options.fresh)
        seconds = time.perf_counter() - start
        print(f"{seconds:6.1f} s  {name}", "FAILED" if found else "", flush=True)
        if seconds > SLOW:
            print(f"warning: {name} took {seconds:.1f} s, more than {SLOW:.0f} s")
        if not found:
            record(
                path.resolve(), min(seconds, processor_time() - spent or seconds), root.resolve()
            )
        faults += found
    print(*faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
