"""What `pip install .` installs: the package, its types, its data; NumPy and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from weave import ROOT

PIP = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--no-input"]
PACKAGES = ("lstm", "lstm_student")  # the second beside the first: checks of exercises
DATA = ("sunspots.csv", "japanese_vowels.npz", "digits.npz", "topics.npz")
OFFLINE = ["--no-deps", "--no-build-isolation", "--no-index"]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command, which must not fail; return what it prints."""
    made = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree, so that nothing is left behind in it; return the copy."""
    tree = tmp_path_factory.mktemp("source") / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree)
    for name in (*PACKAGES, "tests", "book"):  # the last two must not get in
        shutil.copytree(
            ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb")
        )
    return tree


def build_wheel(source: Path, folder: Path) -> zipfile.Path:
    """Build a wheel from a tree or a source archive, without a network; return its root."""
    run(*PIP, "wheel", *OFFLINE, "-w", folder, source)
    (file,) = folder.glob("*.whl")
    return zipfile.Path(file)


@pytest.fixture(scope="module")
def archive(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive from the tree; return it."""
    folder = tmp_path_factory.mktemp("archive")
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", code, folder, cwd=tree)
    (file,) = folder.glob("*.tar.gz")
    return file


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel from the tree; return its root."""
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


def packaged() -> set[str]:
    """Return the files of the packages in the tree."""
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    return {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}


def names(wheel: zipfile.Path) -> set[str]:
    """Return the files in the wheel, those about the wheel itself left out."""
    return {n for n in wheel.root.namelist() if ".dist-info/" not in n and not n.endswith("/")}


def metadata(wheel: zipfile.Path) -> list[tuple[str, str]]:
    (name,) = [name for name in wheel.root.namelist() if name.endswith(".dist-info/METADATA")]
    return list(message_from_bytes(wheel.root.read(name)).items())


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: zipfile.Path) -> None:
    assert names(wheel) == packaged()
    assert {f"lstm/{name}" for name in DATA} < names(wheel)
    sizes = {name: 0 for name in PACKAGES}
    for file in wheel.root.infolist():
        sizes |= {n: sizes[n] + file.file_size for n in PACKAGES if file.filename.startswith(f"{n}/")}
    assert sizes["lstm"] < 2**20 and sizes["lstm_student"] < 2**19, sizes  # a megabyte, and half of one


def test_it_requires_numpy_alone(wheel: zipfile.Path) -> None:
    required = [Requirement(value) for key, value in metadata(wheel) if key == "Requires-Dist"]
    assert [str(r) for r in required if r.marker is None] == ["numpy>=2"]
    extras = {value for key, value in metadata(wheel) if key == "Provides-Extra"}
    assert extras == {"plot", "train", "io", "cuda", "onnx", "fast", "cluster", "mpi", "notebooks", "book", "test"}


def test_it_carries_its_license(wheel: zipfile.Path) -> None:
    fields = dict(metadata(wheel))
    assert (fields["License-Expression"], fields["License-File"]) == ("MIT", "LICENSE")
    text = (ROOT / "LICENSE").read_text()
    assert "MIT License" in text and "creativecommons.org/licenses/by/4.0/" in text
    assert all(f"`lstm/{name}`" in text for name in DATA)
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in text  # has to go with the text


def test_the_version_is_said_once(wheel: zipfile.Path) -> None:
    import lstm

    assert dict(metadata(wheel))["Version"] == lstm.__version__
    headings = re.findall("^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    released = [name for name in headings if not name.endswith(", not yet released")]
    assert released[0] == lstm.__version__


def test_the_archive_holds_the_package_and_what_it_says(archive: Path) -> None:
    import lstm

    top = f"lstm_from_scratch-{lstm.__version__}"
    with tarfile.open(archive) as files:
        held = {f.name for f in files if f.isfile() and ".egg-info/" not in f.name}
    about = ["pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"]
    assert held == {f"{top}/{name}" for name in {*about, "setup.cfg", *packaged()}}


def test_a_wheel_of_the_archive_is_that_of_the_tree(
    archive: Path, wheel: zipfile.Path, tmp_path: Path
) -> None:
    other, held = build_wheel(archive, tmp_path), sorted(wheel.root.namelist())
    assert sorted(other.root.namelist()) == held
    for name in held:  # folders are no entries; RECORD may list the files in another order
        if not name.endswith(("/", "/RECORD")):
            assert other.root.read(name) == wheel.root.read(name), name


USE = """
import importlib.metadata, sys
sys.path[:0] = {paths!r}
import lstm
assert lstm.__file__.startswith({site!r}), lstm.__file__
assert importlib.metadata.version("lstm-from-scratch") == lstm.__version__
years, numbers = lstm.sunspots()
vowels, _ = lstm.japanese_vowels()
train, test = lstm.sine_task()
model = lstm.LSTMRegressor(1, 4, 1, rng=0)
lstm.fit(model, train.x, train.y, lstm.Adam(model.params), epochs=1, bptt_length=50)
y, (h, c) = model(test.x)
print(lstm.__version__, numbers.shape, vowels.x.shape, y.shape)
try:
    lstm.save(model, "model")
except ImportError as error:
    print(error)
"""
USED = "(309,) (26, 270, 12) (1000, 1, 1)\nfiles of weights need safetensors: run `pip install safetensors`\n"


def link_numpy(site: Path) -> None:
    """Put this environment's NumPy, and nothing else of it, into a folder of packages."""
    site.mkdir(exist_ok=True)
    numpy = Path(find_spec("numpy").origin).parent  # type: ignore[union-attr, arg-type]
    for folder in (numpy, numpy.with_name("numpy.libs")):
        if folder.exists():
            (site / folder.name).symlink_to(folder)


def test_it_runs_where_only_numpy_is(wheel: zipfile.Path, tmp_path: Path) -> None:
    import lstm

    site, numpy = tmp_path / "site", tmp_path / "numpy_only"
    wheel.root.extractall(site)
    link_numpy(numpy)
    code = USE.format(site=str(site), paths=[str(site), str(numpy)])
    assert run(sys.executable, "-I", "-S", "-c", code) == f"{lstm.__version__} {USED}"


def test_the_archive_installs_into_an_environment_of_its_own(archive: Path, tmp_path: Path) -> None:
    import lstm

    venv.create(tmp_path / "env")
    run(*PIP, "install", *OFFLINE, "--ignore-installed", "--prefix", tmp_path / "env", archive)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {
        "lstm", "lstm_from_scratch", "lstm_student",
    }  # fmt: skip
    link_numpy(site)
    code = USE.format(site=str(site), paths=[])
    python = tmp_path / "env/bin/python"
    assert run(python, "-I", "-c", code, cwd=tmp_path) == f"{lstm.__version__} {USED}"


LOADED = """
import sys
import numpy
before = set(sys.modules)
import lstm
new = {name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(*sorted(new - {'numpy'}))
"""


def test_import_loads_no_other_library() -> None:
    assert run(sys.executable, "-c", LOADED, cwd=ROOT) == "lstm\n"
