"""environment.yml, pyproject.toml, constraints.txt and what is installed say the same."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from weave import ROOT

Specifiers = dict[str, SpecifierSet]
EXTRAS = ("plot", "train", "io", "book", "test")  # what the Makefile installs
CONDA_NAMES = {"cupy": "cupy-cuda12x"}
CONDA_ALONE = {"pip", "python"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def specifiers(requirements: list[str]) -> Specifiers:
    """Return the specifiers of requirements by name; refuse two that differ."""
    found: Specifiers = {}
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        if (
            found.setdefault(CONDA_NAMES.get(name, name), requirement.specifier)
            != requirement.specifier
        ):
            raise ValueError(
                f"{name} has two specifiers: {found[name]} and {requirement.specifier}"
            )
    return found


def of_project(project: dict[str, Any], extras: tuple[str, ...]) -> Specifiers:
    """Return what the package and some of its extras require, Python included."""
    optional = project["optional-dependencies"]
    required = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    return specifiers(required) | {"python": SpecifierSet(project["requires-python"])}


def of_conda(text: str, *, gpu: bool = False) -> Specifiers:
    """Return what a conda environment requires; for a GPU the cupy line counts too."""
    if gpu:
        text = re.sub(r"# (- cupy)", r"\1", text)
    found: list[str] = []
    for entry in yaml.safe_load(text)["dependencies"]:
        found += entry["pip"] if isinstance(entry, dict) else [entry]
    return specifiers(found)


def differences(conda: Specifiers, project: Specifiers) -> list[str]:
    """Name each package that the two do not require alike."""
    names = sorted((conda.keys() | project.keys()) - {"pip"})
    return [
        f"{name}: environment.yml says {conda.get(name)}, pyproject.toml {project.get(name)}"
        for name in names
        if conda.get(name) != project.get(name)
    ]


def pins(text: str) -> dict[str, str]:
    """Return the version of every package that a constraints file names."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {
        canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in lines)
    }


CONDA = (ROOT / "environment.yml").read_text()


def test_the_conda_environment_says_the_same() -> None:
    project = of_project(PROJECT, EXTRAS)
    del project["cupy-cuda12x"]  # the tests' stand-in for a GPU, named for pip alone
    assert differences(of_conda(CONDA), project) == []


def test_its_gpu_line_says_the_same() -> None:
    assert (
        of_conda(CONDA, gpu=True)["cupy-cuda12x"] == of_project(PROJECT, ("cuda",))["cupy-cuda12x"]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("numpy>=2", "numpy>=1.26", "numpy: environment.yml says >=1.26, pyproject.toml >=2"),
        (
            "  - matplotlib>=3.8\n",
            "",
            "matplotlib: environment.yml says None, pyproject.toml >=3.8",
        ),
        (
            "python>=3.11",
            "python>=3.10",
            "python: environment.yml says >=3.10, pyproject.toml >=3.11",
        ),
        ("numpy>=2", "numpy>=2\n  - pandas", "pandas: environment.yml says , pyproject.toml None"),
    ],
)
def test_a_difference_is_named(old: str, new: str, message: str) -> None:
    project = of_project(PROJECT, EXTRAS)
    del project["cupy-cuda12x"]
    assert old in CONDA
    assert differences(of_conda(CONDA.replace(old, new)), project) == [message]


def test_two_specifiers_for_one_package_are_refused() -> None:
    with pytest.raises(ValueError, match="tqdm has two specifiers"):
        specifiers(["tqdm>=1", "tqdm>=2"])


def test_what_is_installed_satisfies_them() -> None:
    required = of_project(PROJECT, EXTRAS)
    required.pop("python")
    if sys.platform == "darwin":
        for name in ("cupy-cuda12x", "nvidia-cuda-nvrtc-cu12"):
            required.pop(name)
    faults = []
    for name, specifier in required.items():
        try:
            if version(name) not in specifier:
                faults.append(f"{name} {version(name)} is not {specifier}")
        except PackageNotFoundError:
            faults.append(f"{name} is not installed")
    assert not faults, "\n".join(faults)


def test_python_is_one_that_is_allowed() -> None:
    assert ".".join(map(str, sys.version_info[:3])) in SpecifierSet(PROJECT["requires-python"])


def test_the_constraints_pin_everything_and_agree() -> None:
    pinned = pins((ROOT / "constraints.txt").read_text())
    required = of_project(PROJECT, EXTRAS)
    assert required.keys() - pinned.keys() <= CONDA_ALONE
    wrong = {
        name: pin for name, pin in pinned.items() if pin not in required.get(name, SpecifierSet())
    }
    assert wrong == {}


def test_no_file_names_a_package_registry() -> None:
    files = ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"]
    texts = {name: (ROOT / name).read_text() for name in files}
    assert [
        name for name, text in texts.items() if re.search(r"pypi|pythonhosted|index-url|://", text)
    ] == []


def test_the_workflows_test_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13"]
    assert all(python in SpecifierSet(PROJECT["requires-python"]) for python in pythons)
