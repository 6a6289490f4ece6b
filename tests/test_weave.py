"""The weaving tool, on a made-up book."""

import json

import pytest

from conftest import code_cell, write_notebook
from weave import ROOT, cell_text, main, notebooks, weave


def cells(toy, name):
    return json.loads((toy / f"book/{name}.ipynb").read_text())["cells"]


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_cell_holds_the_exact_source(toy):
    source = "".join(cells(toy, "one")[1]["source"])
    assert source == (
        "# toy/shapes.py\ndef square(x: float) -> Circle:  # the annotation does not count\n"
        '    """Return the square."""\n    return _times(x, x)  # a comment'
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "toy.shapes.area",
            "@cache\ndef area(radius):\n    # above the product\n    return math.pi * square(radius)",
        ),
        ("toy.shapes.SIDES", "SIDES = (3, 4)"),
        ("toy.shapes._times", "def _times(a, b):\n    return a * b"),
    ],
)
def test_decorators_comments_constants_and_helpers(toy, name, text):
    assert cell_text(toy, name) == f"# toy/shapes.py\n{text}"


@pytest.mark.parametrize(
    "name", ["toy.shapes.nothing", "toy.nowhere.square", "toy.shapes", "square", "toy"]
)
def test_what_is_no_object_has_no_text(toy, name):
    assert cell_text(toy, name) is None


def test_a_woven_book_passes_and_stays_as_it_is(toy, capsys):
    before = [path.read_bytes() for path in notebooks(toy)]
    assert main(["--check"], toy) == 0 and main([], toy) == 0
    assert [path.read_bytes() for path in notebooks(toy)] == before and len(before) == 2
    assert "every woven cell equals" in capsys.readouterr().out


def test_one_character_makes_a_cell_stale(toy, capsys):
    edit(toy / "toy/shapes.py", "# a comment", "# a Comment")
    assert main(["--check"], toy) == 1
    assert capsys.readouterr().out == (
        "book/one.ipynb cell 2: toy.shapes.square is stale: run `make weave`\n"
    )


def test_check_writes_nothing(toy):
    edit(toy / "toy/shapes.py", "# a comment", "# a Comment")
    before = (toy / "book/one.ipynb").read_bytes()
    main(["--check"], toy)
    assert (toy / "book/one.ipynb").read_bytes() == before


def test_weaving_changes_that_cell_and_no_other_byte(toy, capsys):
    edit(toy / "toy/shapes.py", "# a comment", "# ein Maß")
    before = [path.read_text() for path in notebooks(toy)]
    assert main([], toy) == 0
    assert "cell 2: toy.shapes.square is rewoven" in capsys.readouterr().out
    assert [path.read_text() for path in notebooks(toy)] == [
        text.replace("# a comment", "# ein Maß") for text in before
    ]


def test_outputs_and_ids_are_kept(toy):
    path = toy / "book/one.ipynb"
    notebook = json.loads(path.read_text())
    output = {"name": "stdout", "output_type": "stream", "text": ["1\n"]}
    notebook["cells"][1] |= {
        "outputs": [output],
        "id": "my-own",
        "execution_count": 7,
        "source": "old",
    }
    path.write_text(json.dumps(notebook))
    main([], toy)
    cell = cells(toy, "one")[1]
    assert (cell["outputs"], cell["id"], cell["execution_count"]) == ([output], "my-own", 7)
    assert cell["source"][0] == "# toy/shapes.py\n"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code_cell("weave:toy.shapes.gone"), "book/one.ipynb cell 1: toy.shapes.gone is unknown"),
        (code_cell("weave:toy.shapes.area"),
         "book/two.ipynb cell 2: toy.shapes.area is woven twice, first in book/one.ipynb cell 1"),
        (code_cell("weave:toy.shapes.SIDES") | {"cell_type": "markdown"},
         "book/one.ipynb cell 1: toy.shapes.SIDES needs a code cell of its own"),
        (code_cell("x") | {"metadata": {"tags": ["weave:toy.shapes.SIDES", "weave:toy.shapes._times"]}},
         "book/one.ipynb cell 1: toy.shapes._times needs a code cell of its own"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_fault_is_named_with_its_cell(toy, capsys, cell, message, arguments):
    write_notebook(toy / "book/one.ipynb", [cell])
    assert main(arguments, toy) == 1
    assert message in capsys.readouterr().out


def test_the_order_is_that_of_the_contents(toy):
    (toy / "_toc.yml").write_text(
        "root: book/two\nchapters:\n- file: book/page\n  sections:\n  - file: book/one\n- file: book/gone\n"
    )
    assert [path.stem for path in notebooks(toy)] == ["two", "one"]


def test_the_book_is_woven():
    stale, faults = weave(ROOT, write=False)
    assert not stale + faults, "\n".join([*stale, *faults, "stale: run `make weave`"])


def test_the_tool_stays_small():
    assert len((ROOT / "book/weave.py").read_text().splitlines()) <= 105
