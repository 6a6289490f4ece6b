"""What contributors are told: the commands, files and tests that it names exist."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from weave import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
TOLD = {
    name: (ROOT / name).read_text()
    for name in ("CONTRIBUTING.md", ".github/pull_request_template.md", "book/reference/contributing.md")
}


def targets() -> list[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    found: list[str] = phony.split()
    return found


def test_make_alone_lists_every_target_sorted_and_aligned() -> None:
    command = ["make", "--no-print-directory", "-C", ROOT]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    matched = [re.fullmatch(r"(make ([\w-]+) +)\S.*", line) for line in lines]
    assert all(matched), f"expected lines `make target  what it does`, got {lines}"
    listed = [match[2] for match in matched if match]
    rules = re.findall(r"^([a-z-]+):(?! *export| *\w+ *:=)", MAKEFILE, re.M)
    assert listed == sorted(set(rules)) == sorted(targets()), (
        "a target stands in .PHONY and has a line `target: needs  ## what it does`"
    )
    assert len({len(match[1]) for match in matched if match}) == 1


@pytest.mark.parametrize("text", TOLD.values(), ids=TOLD)
def test_every_command_is_a_target(text: str) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.M))
    assert named <= set(targets()), f"no targets of the Makefile: {named - set(targets())}"


def test_every_file_that_is_named_exists_or_is_to_be_written() -> None:
    text = "\n".join(TOLD.values())
    paths = set(re.findall(r"\b(?:book|tests|lstm|experiments|benchmarks)/[\w/.-]*\w\.\w+", text))
    lost = {path for path in paths if not (ROOT / path).exists()}
    assert lost == {
        "book/practice/foo.ipynb", "book/practice/foo.md", "book/figures/foo.html", "experiments/foo.py",
    }  # fmt: skip


def test_it_fits_a_page() -> None:
    assert len(TOLD["CONTRIBUTING.md"].splitlines()) <= 80


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_takes(path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea") and field["attributes"]["label"]


def test_the_forms_ask_for_what_is_needed() -> None:
    asked = {
        path.stem: {
            field["id"]
            for field in yaml.safe_load(path.read_text())["body"]
            if field.get("validations", {}).get("required")
        }
        for path in FORMS
    }
    assert asked == {"bug": {"command", "error", "version"}, "stopped": {"page", "sentence"}}
