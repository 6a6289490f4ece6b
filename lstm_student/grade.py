"""Run the project's tests against a student's package, and say what they say of each function."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lstm_student.modules import MODULES

QUIET = ["no:terminal", "no:cacheprovider", "no:nbval", "no:xdist", "no:hypothesispytest"]
BLANK = "write lstm."  # how the error of a function begins that is not written yet


def find(tree: ast.AST, names: Iterable[str]) -> Any:
    """Return the definition that a chain of names leads to, such as a class and its method."""
    for name in names:
        tree = next(
            node for node in getattr(tree, "body", [])
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
        )  # fmt: skip
    return tree


def lacking(folder: Path, function: str) -> str:
    """Return what there is to say of a function before any test, such as ``gates.sigmoid``."""
    module, *names = function.split(".")
    try:
        body = find(ast.parse((folder / f"lstm/{module}.py").read_text()), names).body
    except StopIteration:
        return f"not found in lstm/{module}.py: give it its name back"
    return "not written yet" if BLANK in ast.unparse(body[-1]) else ""


def selected(test: str, nodeid: str) -> bool:
    """Tell whether the name of a test, with its parameters, is one that a line of the table means."""
    start, *words = test.split()
    name, _, values = nodeid.partition("[")
    name = name.rpartition("/")[2]
    return name.startswith(start) and set(words) <= set(values.rstrip("]").split("-"))


def first_line(report: Any) -> str:
    """Return why a test failed, in a line; of NumPy's many, those that say how far it is off."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr).strip().splitlines()[-1]
    text = text.strip().removeprefix("E ").strip().removeprefix("AssertionError:")
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["AssertionError"]
    far = [line for line in lines[1:] if line.startswith(("Mismatched", "Max absolute"))]
    return "; ".join([lines[0], *far])


class Outcomes:
    """A plugin of pytest: runs the wanted tests alone, and notes the outcome of each."""

    def __init__(self, tests: Iterable[str]) -> None:
        self.tests = set(tests)
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.broken: dict[str, str] = {}  # files that could not be read

    def pytest_configure(self, config: Any) -> None:
        config.option.tbstyle = "short"  # what else it would write down takes longer than the tests

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [i for i in items if any(selected(t, i.nodeid) for t in self.tests)]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.broken[report.nodeid.rpartition("/")[2]] = first_line(report)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed[report.nodeid] = first_line(report)
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def of(self, test: str) -> tuple[bool, dict[str, str]]:
        """Return whether a line of the table passed, and why each of its tests failed."""
        file = test.partition("::")[0]
        failed = {file: self.broken[file]} if file in self.broken else {}
        failed |= {name: why for name, why in self.failed.items() if selected(test, name)}
        return not failed and any(selected(test, name) for name in self.passed), failed


def run(folder: Path, tests: set[str]) -> Outcomes:
    """Run tests of the folder's ``tests/`` in this process."""
    os.environ |= {"EXAMPLES": os.environ.get("EXAMPLES", "30"), "SHRINK": "no"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    outcomes = Outcomes(tests)
    if not tests:
        return outcomes
    files = sorted({str(folder / "tests" / test.partition("::")[0]) for test in tests})
    options = [part for name in QUIET for part in ("-p", name)]
    options += ["-c", os.devnull, "--rootdir", str(folder), "--continue-on-collection-errors"]
    pytest.main([*options, *files], plugins=[outcomes])
    return outcomes


def sentence(nodeid: str) -> str:
    """Return the name of a test as words, or that of a file that does not load."""
    if "::" not in nodeid:
        return f"tests/{nodeid} cannot be loaded"
    name = re.sub(r"^.*::test_|\[.*", "", nodeid)
    return name.replace("_", " ")


def judged(outcomes: Outcomes, tests: tuple[str, ...]) -> str:
    """Return what its tests say of a function: right, or what failed first."""
    results = [outcomes.of(test) for test in tests]
    if all(passed for passed, _ in results):
        return "right"
    name, why = next(iter((failed for _, failed in results if failed)), {"": ""}).popitem()
    if BLANK in why:
        other = why.partition(BLANK)[2].partition(":")[0]
        return f"cannot be judged: its tests use {other}, which is not written yet"
    return f"wrong: {sentence(name)}\n    {why}" if name else "wrong: its tests did not run"


def check(folder: Path, names: Iterable[str]) -> bool:
    """Print what the tests say of each function of some modules; return whether all are right."""
    chosen = {name: MODULES[name] for name in names}
    functions = {f: tests for module in chosen.values() for f, tests in module.functions.items()}
    lack = {function: lacking(folder, function) for function in functions}
    tests = {test for f, found in functions.items() if not lack[f] for test in found}
    outcomes, right = run(folder, tests), True
    for name, module in chosen.items():
        print(f"{name}: see {' and '.join(module.chapters)}")
        for function, wanted in module.functions.items():
            said = lack[function] or judged(outcomes, wanted)
            print(f"  {function:36} {said}")
            right &= said == "right"
    return right


def overview(folder: Path) -> None:
    """Print the modules in the order of the book, and how much of each is written."""
    for name, module in MODULES.items():
        written = sum(not lacking(folder, function) for function in module.functions)
        chapters = ", ".join(module.chapters)
        print(f"{name:14} {written} of {len(module.functions)} written   {chapters}")
