"""What `pip install .` installs: the package, its types, its data; NumPy and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from weave import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel from a copy of the tree, in which nothing is left behind; return its root."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("lstm", "tests", "book"):  # the last two must not get in
        shutil.copytree(
            ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb")
        )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
        "-w",
    ]
    made = subprocess.run([*command, folder, tree], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.Path(file)


def names(wheel: zipfile.Path) -> set[str]:
    """Return the files in the wheel, those about the wheel itself left out."""
    return {n for n in wheel.root.namelist() if ".dist-info/" not in n and not n.endswith("/")}


def metadata(wheel: zipfile.Path) -> list[tuple[str, str]]:
    (name,) = [name for name in wheel.root.namelist() if name.endswith(".dist-info/METADATA")]
    return list(message_from_bytes(wheel.root.read(name)).items())


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.Path) -> None:
    files = [path for kind in ("*.py", "*.csv", "*.npz") for path in (ROOT / "lstm").glob(kind)]
    files.append(ROOT / "lstm/py.typed")
    assert names(wheel) == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"lstm/sunspots.csv", "lstm/japanese_vowels.npz"} < names(wheel)


def test_it_requires_numpy_alone(wheel: zipfile.Path) -> None:
    required = [Requirement(value) for key, value in metadata(wheel) if key == "Requires-Dist"]
    assert [str(r) for r in required if r.marker is None] == ["numpy>=2"]
    extras = {value for key, value in metadata(wheel) if key == "Provides-Extra"}
    assert extras == {"plot", "train", "io", "cuda", "onnx", "book", "test"}


def test_it_carries_its_license(wheel: zipfile.Path) -> None:
    fields = dict(metadata(wheel))
    assert (fields["License-Expression"], fields["License-File"]) == ("MIT", "LICENSE")
    text = (ROOT / "LICENSE").read_text()
    assert "MIT License" in text and "creativecommons.org/licenses/by/4.0/" in text
    assert "lstm/sunspots.csv" in text and "lstm/japanese_vowels.npz" in text


def test_the_version_is_said_once(wheel: zipfile.Path) -> None:
    import lstm

    assert dict(metadata(wheel))["Version"] == lstm.__version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert changes.partition("\n## ")[2].startswith(f"{lstm.__version__}\n")


USE = """
import sys
sys.path[:0] = [{site!r}, {numpy!r}]
import lstm
assert lstm.__file__.startswith({site!r}), lstm.__file__
years, numbers = lstm.sunspots()
vowels, _ = lstm.japanese_vowels()
train, test = lstm.sine_task()
y, (h, c) = lstm.LSTMRegressor(1, 4, 1, rng=0)(test.x)
print(lstm.__version__, numbers.shape, vowels.x.shape, y.shape)
"""


def test_it_runs_where_only_numpy_is(wheel: zipfile.Path, tmp_path: Path) -> None:
    wheel.root.extractall(tmp_path / "site")
    numpy = Path(find_spec("numpy").origin).parent  # type: ignore[union-attr, arg-type]
    (tmp_path / "numpy_only").mkdir()
    for folder in (numpy, numpy.with_name("numpy.libs")):
        if folder.exists():
            (tmp_path / "numpy_only" / folder.name).symlink_to(folder)
    code = USE.format(site=str(tmp_path / "site"), numpy=str(tmp_path / "numpy_only"))
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True
    )
    import lstm

    assert result.stdout == f"{lstm.__version__} (309,) (26, 270, 12) (1000, 1, 1)\n", result.stderr


LOADED = """
import sys
import numpy
before = set(sys.modules)
import lstm
new = {name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(*sorted(new - {'numpy'}))
"""


def test_import_loads_no_other_library() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, cwd=ROOT
    )
    assert result.stdout == "lstm\n", result.stdout + result.stderr
