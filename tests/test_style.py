"""What tools can say about the code: types, and a short list of lint rules."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "lstm").glob("*.py"))


@pytest.mark.parametrize(
    "command",
    [
        ["mypy", "lstm", "--cache-dir", "_build/mypy"],
        ["ruff", "check", "--no-cache", "."],
    ],
    ids=lambda command: command[0],
)
def test_no_complaint(command):
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"{said}\nto repeat: .venv/bin/python -m {' '.join(command)}"


def definitions():
    """Return (module, node) of every function and class of the package."""
    found = (ast.FunctionDef, ast.ClassDef)
    return [
        (path.name, node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, found)
    ]


def test_functions_are_short():
    sizes = [
        (node.end_lineno - node.lineno + 1, module, node.name)
        for module, node in definitions()
        if isinstance(node, ast.FunctionDef)
    ]
    long = [f"lstm/{module}: {name} has {size}" for size, module, name in sizes if size > 40]
    assert not long, "\n".join(["more than 40 lines: take an idea out of it", *long])
    median = statistics.median(size[0] for size in sizes)
    assert median <= 12, f"the median function has {median} lines, more than 12: shorten the new ones"


def test_everything_public_has_a_docstring():
    stub = ast.dump(ast.Expr(ast.Constant(...)))
    missing = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for parent in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
            for node in parent.body:
                public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
                if not public or ast.dump(node.body[0]) == stub:
                    continue
                setter = any(isinstance(d, ast.Attribute) for d in node.decorator_list)
                if not setter and not ast.get_docstring(node):
                    missing.append(f"lstm/{path.name}:{node.lineno} {node.name}")
    assert not missing, "\n".join(["no docstring: say shapes, units, what is raised", *missing])


def test_lines_fit_the_page():
    wide = [
        f"lstm/{path.name}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 92
    ]
    assert not wide, "\n".join(["more than 92 letters, which a page cannot show: break", *wide])
