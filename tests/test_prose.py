"""The book's words: spelled in one way, each thing by one name, none that say nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from weave import ROOT, notebooks

PAGES = [
    *notebooks(ROOT),
    *(path for path in (ROOT / "book").rglob("*.md") if "locale" not in path.parts),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
]
# What is no prose: code between backticks, mathematics, addresses.
LEFT_OUT = re.compile(
    r"```.*?^```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\]\([^)]*\)|<[^>]*>", re.S | re.M
)
SPELLING = ["--builtin", "clear,rare,en-GB_to_en-US"]

# A thing has the name on the right everywhere; the glossary explains it.
ONE_NAME = {
    "memory cell|cell vector|cell memory": "cell state",
    "hidden vector|hidden-state": "hidden state",
    "forget-gate|remember gate|keep gate": "forget gate",
    "mini-?batch": "batch",
    "time-?steps?": "step, or time step",
    "preactivation|net input": "pre-activation",
    "pointwise|element-?wise|entry-?wise": "point-wise",
    "back-propagation|backprop": "backpropagation",
    "vanilla RNN": "plain RNN",
    "hyper-?parameters?": "setting",
    "data set": "dataset",
    "head weights|output layer": "readout",
    "learning-rate|step size": "learning rate",
    "warmup": "warm-up",
    "peep-hole|peephole connection": "peephole",
}  # fmt: skip
EMPTY = re.compile(
    r"\b(simply|obviously|of course|basically|essentially|actually|trivially|needless|really|"
    r"Note that|it is worth|in order to|very (?!same|path|model)|just (?:an?|the|one|like|use))\b"
)


def prose(path: Path) -> str:
    """Return the words of a page, without code, mathematics and addresses, lines kept."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return LEFT_OUT.sub(lambda found: " x " + "\n" * found[0].count("\n"), text)


def misspelled(texts: dict[str, str], folder: Path) -> list[str]:
    """Return what codespell says of texts, by name."""
    for name, text in texts.items():
        (folder / name.replace("/", "__")).write_text(text)
    command = [sys.executable, "-m", "codespell_lib", *SPELLING, "."]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert found.returncode in (0, 65) and not found.stderr, found.stderr
    return found.stdout.splitlines()


def other_names(text: str) -> list[str]:
    """Return each word that stands for a thing with another name."""
    return [
        f"{found[0]!r}: say {name!r}"
        for pattern, name in ONE_NAME.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", text, re.I)
    ]


def empty_words(text: str) -> list[str]:
    """Return the words that say nothing, each with what follows it."""
    return [text[found.start() : found.end() + 30] for found in EMPTY.finditer(text)]


def test_it_is_spelled_as_american_english(tmp_path: Path) -> None:
    texts = {path.relative_to(ROOT).as_posix(): prose(path) for path in PAGES}
    assert not (found := misspelled(texts, tmp_path)), "\n".join(found)


@pytest.mark.parametrize("fault", [other_names, empty_words], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words(path: Path, fault) -> None:
    assert not (found := fault(prose(path))), "\n".join(found)


def test_faults_are_found(tmp_path: Path) -> None:
    text = "The hidden vector is simply multiplied pointwise, a behaviour that is recieved."
    assert [line.split(": say")[0] for line in other_names(text)] == [
        "'hidden vector'",
        "'pointwise'",
    ]
    assert [words.split()[0] for words in empty_words(text)] == ["simply"]
    assert {line.split()[1] for line in misspelled({"a": text}, tmp_path)} == {
        "behaviour",
        "recieved",
    }


def test_what_is_no_prose_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("a `simply` b $simply$ [c](simply.md)\n```\nsimply\n```\nd")
    assert prose(path).split() == ["a", "x", "b", "x", "[c", "x", "x", "d"]
