"""The literate rule: the book shows the whole package, in an order in which each part stands by itself.

The first tests hold the book to it. The others plant faults, in a made-up book and in a copy
of the real one, and see each of them caught.
"""

import json
import shutil

import pytest

from conftest import code_cell
from literate import Package, disorder, missing
from weave import ROOT, notebooks, weave, woven_cells


def faults(root, name):
    """Return everything that is wrong with a book."""
    package = Package(root / name)
    stale, others = weave(root, write=False)
    return [*stale, *others, *missing(root, package), *disorder(root, package)]


# --- the book --------------------------------------------------------------------------

ORDER = (
    "A chapter uses what it and those before it weave: move the chapter down in _toc.yml, weave "
    "the object earlier, or do without it here. An unknown name is misspelled, or not exported."
)


def test_every_public_object_is_woven():
    found = missing(ROOT, Package(ROOT / "lstm"))
    assert not found, "\n".join([*found, "Then `make weave` fills it. A helper begins with _."])


def test_no_chapter_needs_a_later_one():
    found = disorder(ROOT, Package(ROOT / "lstm"))
    assert not found, "\n".join([*found, ORDER])


def test_every_notebook_is_in_the_contents():
    found = {p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    lost = [path.relative_to(ROOT).with_suffix("") for path in found - set(notebooks(ROOT))]
    assert not lost, "\n".join(f"add to _toc.yml: - file: {path.as_posix()}" for path in lost)


def test_modules_import_one_way():
    package = Package(ROOT / "lstm")
    edges = {(name.rsplit(".", 1)[0], need.rsplit(".", 1)[0])
             for name, found in package.objects.items() for need in found.needs}  # fmt: skip
    edges = {(a, b) for a, b in edges if a != b}
    while leaves := {b for _, b in edges} - {a for a, _ in edges}:
        edges = {(a, b) for a, b in edges if b not in leaves}
    assert not edges, "\n".join(
        ["modules that use each other: move what both need to a module before them"]
        + [f"{a} uses {b}" for a, b in sorted(edges)]
    )


# --- a made-up book, with faults ---------------------------------------------------------


def edit_notebook(path, change):
    notebook = json.loads(path.read_text())
    change(notebook["cells"])
    path.write_text(json.dumps(notebook))


def append(toy, chapter, source):
    edit_notebook(toy / f"book/{chapter}.ipynb", lambda cells: cells.append(code_cell(source)))


def test_a_sound_book_has_no_fault(toy):
    assert faults(toy, "toy") == []


def test_an_object_that_is_not_woven(toy):
    edit_notebook(toy / "book/two.ipynb", lambda cells: cells.pop(2))
    assert faults(toy, "toy") == [
        "toy.shapes.Circle is woven in no chapter: give a cell the tag weave:toy.shapes.Circle"
    ]


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("from toy import area", "toy.shapes.area"),
        ("from toy.shapes import area as size", "toy.shapes.area"),
        ("import toy\nprint(toy.area(1))", "toy.shapes.area"),
        ("import toy.shapes\ntoy.shapes.Circle()", "toy.shapes.Circle"),
        ("import toy.shapes as s\ns.Circle.half_area", "toy.shapes.Circle"),
        (
            "from toy import shapes\ndef f():\n    return [shapes.area(x) for x in 'ab']",
            "toy.shapes.area",
        ),
        ("%matplotlib inline\ndef f():\n    from toy.shapes import area", "toy.shapes.area"),
    ],
)
def test_a_forward_reference(toy, source, needed):
    append(toy, "one", source)
    where = {"toy.shapes.area": 2, "toy.shapes.Circle": 3}[needed]
    message = f"book/one.ipynb cell 5: {needed}, woven later, in book/two.ipynb cell {where}"
    assert message in faults(toy, "toy")


@pytest.mark.parametrize(
    "source",
    [
        "import toy",
        "from toy import shapes\nshapes.SIDES",
        "area = square\narea(2)",
        "def f(shapes):\n    return shapes.area",
        "import math as toy\ntoy.area",
        "x: toy.area = 1",
    ],
)
def test_what_is_no_forward_reference(toy, source):
    append(toy, "one", source)
    assert faults(toy, "toy") == []


def test_a_forward_reference_through_the_source(toy):
    text = (toy / "toy/shapes.py").read_text()
    (toy / "toy/shapes.py").write_text(text.replace("return a * b", "return area(a)"))
    assert faults(toy, "toy") == [
        "book/one.ipynb cell 2: toy.shapes.square needs toy.shapes._times needs toy.shapes.area, "
        "woven later, in book/two.ipynb cell 2"
    ]


def test_a_base_class_is_needed(toy):
    (toy / "toy/units.py").write_text(
        "from .shapes import Circle\n\nclass half(Circle):\n    pass\n"
    )
    weave(toy, write=True)
    message = "book/one.ipynb cell 3: toy.units.half needs toy.shapes.Circle, woven later, in book/two.ipynb cell 3"
    assert message in faults(toy, "toy")


@pytest.mark.parametrize(
    "source", ["from toy import gone", "import toy\ntoy.shapes.gone()", "from toy.shapes import *"]
)
def test_a_name_that_the_package_lacks(toy, source):
    append(toy, "two", source)
    assert any(
        f.startswith("book/two.ipynb cell 5: toy.") and "unknown" in f for f in faults(toy, "toy")
    )


# --- the real book, with faults -----------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """Return the folder of a copy of the package, the grids, the notebooks and their order."""
    for name in ("lstm", "experiments", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "faults.py", tmp_path / "tests")
    for path in notebooks(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def places(root, path):
    """Return (cell, where, name) of every woven cell of a notebook, and the notebook."""
    notebook = json.loads(path.read_text())
    return notebook, [
        (cell, where, name) for where, name, cell in woven_cells(root, path, notebook)
    ]


def test_each_lost_tag_is_noticed(copy):
    package = Package(copy / "lstm")
    before = missing(copy, package)
    for path in notebooks(copy):
        text = path.read_text()
        path.write_text(text.replace('"weave:lstm.', '"lost:lstm.'))
        found = [fault.split()[0] for fault in missing(copy, package) if fault not in before]
        path.write_text(text)
        _, woven = places(copy, path)
        names = [name for _, _, name in woven if name in package.objects]
        assert sorted(found) == sorted(name for name in names if package.objects[name].public)


def test_each_edited_cell_is_noticed(copy):
    expected = []
    for path in notebooks(copy):
        notebook, woven = places(copy, path)
        for cell, where, name in woven:
            cell["source"][-1] += " "
            expected.append(f"{where}: {name} is stale")
        path.write_text(json.dumps(notebook))
    stale, _ = weave(copy, write=False)
    assert stale == expected


def test_an_object_woven_again_is_noticed(copy):
    _, where, name = next(w for path in notebooks(copy) for w in places(copy, path)[1])
    last = notebooks(copy)[-1]
    edit_notebook(last, lambda cells: cells.append(code_cell(f"weave:{name}")))
    assert any(
        f"{name} is woven twice, first in {where}" in fault for fault in faults(copy, "lstm")
    )


def test_the_last_chapter_does_not_stand_first(copy):
    first, last = (
        path.relative_to(copy).with_suffix("").as_posix()
        for path in notebooks(copy)[:: len(notebooks(copy)) - 1]
    )
    toc = (copy / "_toc.yml").read_text()
    swapped = toc.replace(f"file: {last}\n", "file: X\n").replace(
        f"file: {first}\n", f"file: {last}\n"
    )
    (copy / "_toc.yml").write_text(swapped.replace("file: X\n", f"file: {first}\n"))
    assert any(
        fault.startswith(f"{last}.ipynb cell") for fault in disorder(copy, Package(copy / "lstm"))
    )


@pytest.mark.parametrize("name", ["lstm.training.fit", "lstm.layers.LSTM"])
def test_the_first_chapter_may_not_use_what_comes_later(copy, name):
    module, _, last = name.rpartition(".")
    first = notebooks(copy)[0]
    edit_notebook(first, lambda cells: cells.append(code_cell(f"from {module} import {last}")))
    found = disorder(copy, Package(copy / "lstm"))
    assert any(
        fault.startswith(f"{first.relative_to(copy)} cell") and f"{name}, woven later" in fault
        for fault in found
    )
