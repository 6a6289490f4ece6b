"""`make chapter`: what it writes passes the book's own tests, but for what it tells the author to do."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import new_chapter
import test_notebooks
from literate import Package, disorder
from weave import ROOT, notebooks, weave

NAME, TITLE = "practice/foo", 'What "foo" does'
CHECKS = "lstm_student/exercises/practice_foo.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start a chapter beside the notebooks of the book; return the folder."""
    root = tmp_path_factory.mktemp("project")
    (root / "_toc.yml").write_text((ROOT / "_toc.yml").read_text())
    for folder in ("lstm", "experiments", "benchmarks", "tests"):
        (root / folder).symlink_to(ROOT / folder)
    shutil.copytree(ROOT / "lstm_student", root / "lstm_student")
    for path in notebooks(ROOT):
        link = root / path.relative_to(ROOT)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    assert new_chapter.main(NAME, TITLE, root) == 0
    return root


def chapter(root: Path) -> list[test_notebooks.Cell]:
    found: list[test_notebooks.Cell] = json.loads((root / f"book/{NAME}.ipynb").read_text())["cells"]
    return found


def test_the_new_chapter_is_sound_but_unfinished(made: Path) -> None:
    cells = chapter(made)
    found = {check.__name__: check(cells) for check in test_notebooks.CHECKS}
    left = found.pop("unfinished")
    assert not any(found.values()), found
    assert disorder(made, Package(made / "lstm")) == [] and weave(made, write=False) == ([], [])
    assert all(re.match(r"cell \d+: TODO: \w+ .{20}", fault) for fault in left)
    headings = [line for cell in cells for line in cell["source"] if line.startswith("## ")]
    assert len(left) > len(headings) > 7


def test_it_is_stored_in_the_books_form_and_fills_the_template(made: Path) -> None:
    test_notebooks.test_is_stored_in_the_books_form(made / f"book/{NAME}.ipynb")
    text = "".join(line for cell in chapter(made) for line in cell["source"])
    assert text.startswith(f"# {TITLE}\n") and "@" not in text.replace(" @ ", "")
    labels = re.findall(r":label: (.*)|\(eq-(.*)\)", text)
    assert len(labels) == len(set(labels)) == 4
    assert all("practice-foo" in "".join(label) for label in labels)


def test_its_exercises_tell_right_from_wrong(made: Path) -> None:
    printed = ["".join(out.get("text", "")) for cell in chapter(made) if "print(check(" in "".join(cell["source"])
               for out in cell["outputs"]]  # fmt: skip
    scope: dict[str, Any] = {}
    exec((made / CHECKS).read_text(), scope)
    assert list(scope["EXERCISES"]) == [1, 2, 3] and len(printed) == 3
    for text, asked in zip(printed, scope["EXERCISES"].values()):
        right, wrong = text.splitlines()
        hints = [hint for _, hint in asked.wrong]
        assert right == "right" and wrong in hints and len(set(hints)) >= 2


def test_the_contents_gain_one_line(made: Path) -> None:
    before, after = ((root / "_toc.yml").read_text() for root in (ROOT, made))
    assert after.replace(f"      - file: book/{NAME}\n", "") == before
    pages = [page["file"] for part in yaml.safe_load(after)["parts"] for page in part["chapters"]]
    at = pages.index(f"book/{NAME}")
    assert "practice" in pages[at - 1] and not any("practice" in page for page in pages[at + 1 :])


@pytest.mark.parametrize(
    ("name", "title", "message"),
    [
        (NAME, TITLE, "book/practice/foo.ipynb exists"),
        ("reference/notation", TITLE, "book/reference/notation.md exists"),
        ("foo", TITLE, "expected NAME=folder/name"),
        ("", TITLE, "expected NAME=folder/name"),
        ("practice/../x", TITLE, "expected NAME=folder/name"),
        ("practice/bar", " ", "expected TITLE="),
        ("elsewhere/bar", TITLE, "in a folder of _toc.yml (bptt, debugging, "),
    ],
)
def test_what_cannot_be_started_is_refused(
    made: Path, capsys: pytest.CaptureFixture[str], name: str, title: str, message: str
) -> None:
    (made / "book/reference").mkdir(exist_ok=True)
    (made / "book/reference/notation.md").touch()
    before = sorted(made.rglob("*")), (made / "_toc.yml").read_text()
    assert new_chapter.main(name, title, made) == 1
    assert message in capsys.readouterr().out
    assert (sorted(made.rglob("*")), (made / "_toc.yml").read_text()) == before


def test_a_template_that_fails_leaves_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chapter.md").write_text("```{code-cell} ipython3\n1 / 0\n```\n")
    monkeypatch.setattr(new_chapter, "TEMPLATE", tmp_path / "chapter.md")
    before = (made / "_toc.yml").read_text()
    assert new_chapter.main("practice/bar", TITLE, made) == 1
    said = capsys.readouterr().out
    assert "ZeroDivisionError" in said and "mend book/chapter.md" in said
    assert not (made / "book/practice/bar.ipynb").exists()
    assert not (made / CHECKS.replace("foo", "bar")).exists()
    assert (made / "_toc.yml").read_text() == before
