"""The notation page: each symbol leads to where it is derived, and to the code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book" / "reference" / "notation.md"
TEXT = PAGE.read_text()
CHAPTER = re.compile(r"\]\(\.\./([\w/-]+\.ipynb)(?:#[\w-]+)?\)")
OBJECT = re.compile(r"\{py:obj\}`[^`<]+<(lstm\.[\w.]+)>`")
# By section: what no function or class of the package computes or takes by this name.
ALONE = {
    "Sizes": ["T", "B", "t"],
    "The GRU": [r"\bar r_t, \bar z_t, \bar n_t"],
    "Variants of the cells": [r"\tilde h_t, \tilde c_t"],
    "Operations and functions": [r"a \odot b", "W x", r"A^\top", r"\tanh x"],
    "Training": ["s", r"\kappa"],
    "Speed": [r"\tau", "n", "m", "q", "a", "r", r"\omega", r"\rho"],
    "Keeping": ["F"],
    "A grammar": [r"L_{\min}"],
    "Tasks": [r"L_{\text{clock}}, L_{\text{none}}", "H(p)", "p_n(k)", "N, N_k, D"],
    "Weights of other libraries": [r"\pi(k)", "b_W, b_U"],
}


def rows(text: str) -> list[tuple[str, str, str]]:
    """Return section, symbol and line of each row of the tables of symbols."""
    found = []
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        section, in_symbols = part.partition("\n")[0], False
        for line in part.splitlines():
            in_symbols = line.startswith("|") and (in_symbols or line.startswith("| symbol"))
            if in_symbols and not line.startswith(("| symbol", "| ---")):
                found.append((section, line.split(" | ")[0].strip("| $"), line))
    return found


def faults(text: str) -> list[str]:
    """Name each row that has not both links, or leads to what is not there."""
    found = []
    for section, symbol, line in rows(text):
        chapters, objects = CHAPTER.findall(line), OBJECT.findall(line)
        found += [f"{symbol}: no page {c}" for c in chapters if not (ROOT / "book" / c).exists()]
        if not chapters:
            found.append(f"{section}, {symbol}: no link to the chapter that derives it")
        if bool(objects) == (symbol in ALONE.get(section, [])):
            state = "has a link to code and is in ALONE" if objects else "no link to code"
            found.append(f"{section}, {symbol}: {state}")
        for name in objects:
            module, _, last = name.rpartition(".")
            if not hasattr(import_module(module), last):
                found.append(f"{symbol}: no {name}")
    return found


def test_every_symbol_leads_to_its_derivation_and_to_the_code() -> None:
    assert len(rows(TEXT)) > 100
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("[forget gate](../gates/step.ipynb#the-idea-six-equations)", "forget gate", "f_t: no link to the"),
        ("{py:obj}`f <lstm.gates.lstm_step>`", "`f`", "f_t: no link to code"),
        ("{py:obj}`f <lstm.gates.lstm_step>`", "{py:obj}`f <lstm.gates.gone>`", "f_t: no lstm.gates.gone"),
        ("[forget gate](../gates/step.ipynb", "[forget gate](../gates/gone.ipynb", "no page gates/gone"),
        ("| `A.T` |", "| {py:obj}`A.T <lstm.gates.sigmoid>` |", "is in ALONE"),
    ],
)  # fmt: skip
def test_a_missing_link_is_found(right: str, wrong: str, fault: str) -> None:
    assert TEXT.count(right) == 1
    (found,) = faults(TEXT.replace(right, wrong))
    assert fault in found
