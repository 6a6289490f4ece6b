"""Write the package's source into the book's woven cells; with ``--check``, compare instead.

A code cell tagged ``weave:lstm.gates.sigmoid`` holds the exact source text of that object under
a first line ``# lstm/gates.py``. Objects are a module's top-level functions, classes and
constants, from the first decorator to the last line. The package is read, not imported.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TAG = "weave:"
Cell = dict[str, Any]


def notebooks(root: Path) -> list[Path]:
    """Return the notebooks that `_toc.yml` lists, in its order."""

    def files(entry: dict[str, Any]) -> list[str]:
        own = [entry[key] for key in ("root", "file") if key in entry]
        lists = [value for value in entry.values() if isinstance(value, list)]
        return own + [file for parts in lists for part in parts for file in files(part)]

    toc = yaml.safe_load((root / "_toc.yml").read_text())
    return [path for file in files(toc) if (path := root / f"{file}.ipynb").exists()]


def woven_cells(root: Path, path: Path, notebook: Cell) -> Iterator[tuple[str, str, Cell]]:
    """Yield, for each weave tag, its place ("book/x.ipynb cell 7"), its object and its cell."""
    for number, cell in enumerate(notebook["cells"], 1):
        for tag in cell["metadata"].get("tags", []):
            if tag.startswith(TAG):
                yield f"{path.relative_to(root)} cell {number}", tag.removeprefix(TAG), cell


def definitions(module: Path) -> dict[str, tuple[ast.stmt, str]]:
    """Return the syntax tree and the source text of every top-level object of a module."""
    found: dict[str, tuple[ast.stmt, str]] = {}
    lines = (text := module.read_text()).split("\n")
    for node in ast.parse(text).body:
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        first = min(n.lineno for n in [node, *getattr(node, "decorator_list", [])])
        found |= {name: (node, "\n".join(lines[first - 1 : node.end_lineno])) for name in names}
    return found


def cell_text(root: Path, name: str) -> str | None:
    """Return what a cell woven from ``package.module.object`` must hold, None if there is none."""
    *parts, last = name.split(".")
    module = root.joinpath(*parts).with_suffix(".py")
    found = definitions(module).get(last) if parts and module.exists() else None
    return f"# {module.relative_to(root).as_posix()}\n{found[1]}" if found else None


def weave(root: Path, *, write: bool) -> tuple[list[str], list[str]]:
    """Fill the woven cells of all notebooks, on disk if told so; return (stale cells, faults)."""
    stale: list[str] = []
    faults: list[str] = []
    seen: dict[str, str] = {}
    for path in notebooks(root):
        notebook, before = json.loads(path.read_text()), len(stale)
        for where, name, cell in woven_cells(root, path, notebook):
            text = cell_text(root, name)
            if name in seen:
                faults.append(f"{where}: {name} is woven twice, first in {seen[name]}: drop one tag")
            if text is None:
                faults.append(f"{where}: {name} is unknown: mend the tag, or write the object")
            if cell["cell_type"] != "code" or where in seen.values():
                faults.append(f"{where}: {name} needs a code cell of its own, with no other tag weave:")
            elif text is not None and "".join(cell["source"]) != text:
                stale.append(f"{where}: {name} is stale")
                cell["source"] = text.splitlines(keepends=True)
            seen.setdefault(name, where)
        if write and len(stale) > before:
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return stale, faults


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return 1 if there is a fault, or with ``--check`` a stale cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare and name what differs")
    check = parser.parse_args(arguments).check
    stale, faults = weave(root, write=not check)
    said = "is stale: run `make weave`" if check else "is rewoven"
    lines = faults + [line.replace("is stale", said) for line in stale]
    print("\n".join(lines) or "every woven cell equals the package's source")
    return int(bool(faults) or (check and bool(stale)))


if __name__ == "__main__":
    raise SystemExit(main())
