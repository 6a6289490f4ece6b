"""Copies of the chapters for empty machines, the buttons that lead to them, and what Binder installs.

With WAYS=all (`make nightly`) some copies run as on Colab: an environment with nothing but
Jupyter's engine, an empty folder, and this repository as the one to fetch.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from sphinx.errors import ConfigError

import chapters
import launch
import run
from conftest import code_cell
from test_environment import EXTRAS, PROJECT, of_project
from weave import ROOT, notebooks

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import launch_buttons

URL = "https://github.com/someone/some.lstm"
REQUIREMENTS = ROOT / "binder" / "requirements.txt"
# Modules of the chapters that no extra has to bring, and why.
ELSEWHERE = {
    "lstm", "lstm_student", "experiments", "benchmarks",   # the repository's own
    "IPython",                                   # a notebook runs in it
    "numpy",                                     # the package's
    "cupy", "torch",                             # used where they are
    "cycler", "llvmlite",                        # come with matplotlib and numba
}  # fmt: skip
BROUGHT_BY = {"dask": "distributed"}
EMPTY = pytest.mark.skipif(
    os.environ.get("WAYS") != "all", reason="minutes: `make nightly` runs it"
)


def code(notebook: dict[str, Any]) -> str:
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def imported(notebook: dict[str, Any]) -> set[str]:
    """Return the top modules that a notebook imports, at any depth, but for the standard library."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "pass", code(notebook), flags=re.M))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda path: path.stem)
def test_the_extras_bring_what_a_chapter_imports(path: Path) -> None:
    notebook = json.loads(path.read_text())
    brought = of_project(PROJECT, tuple(launch.extras(notebook["cells"])))
    needed = {BROUGHT_BY.get(name, name) for name in imported(notebook) - ELSEWHERE}
    assert needed <= brought.keys(), f"{needed - brought.keys()}: add it to `notebooks` or EXTRAS"


def test_the_extras_of_notebooks_agree_with_the_others_and_binder_has_all() -> None:
    required = of_project(PROJECT, (*EXTRAS, "notebooks", *launch.EXTRAS.values()))
    assert required["scipy"] == of_project(PROJECT, ("notebooks",))["scipy"]
    line = f"-e .[{','.join(['notebooks', 'fast', 'onnx', 'cluster', 'mpi'])}]"
    assert line in REQUIREMENTS.read_text().splitlines()
    assert set(re.findall(r"\w+", line)) - {"e"} == {"notebooks", *launch.EXTRAS.values()}
    version = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    assert version in workflow["jobs"]["test"]["strategy"]["matrix"]["python"]


def test_a_copy_is_the_chapter_below_one_cell() -> None:
    notebook = {"cells": [code_cell("from dask.distributed import Client\nimport onnx")]}
    copy = launch.launch_copy(notebook, URL, "v1", Path("book/gates"))
    first, *others = copy["cells"]
    assert others == notebook["cells"] and len(notebook["cells"]) == 1
    text = "".join(first["source"])
    ast.parse(text)
    assert f'"{URL}", "v1"' in text and "[notebooks,cluster,onnx]" in text
    assert text.endswith('os.chdir("lstm-from-scratch/book/gates")\n')


def make(tmp_path: Path, *, url: str = "") -> Path:
    """Return the root of a book of one chapter."""
    theme = {"repository_url": url} if url else {}
    config = {"sphinx": {"config": {"html_theme_options": theme}}}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "_toc.yml").write_text("root: index\nchapters:\n- file: book/gates/x\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "book/gates").mkdir(parents=True)
    chapter = {"cells": [code_cell("x = 1")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "book/gates/x.ipynb").write_text(json.dumps(chapter))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "configured", "expected"),
    [
        ([], URL, f'"{URL}", "v1.2.3"'),
        (["--url", URL, "--ref", "main"], "", f'"{URL}", "main"'),
        (["--url", "file:///x/y"], URL, '"file:///x/y", "v1.2.3"'),
    ],
)
def test_the_copies_are_written(
    tmp_path: Path, arguments: list[str], configured: str, expected: str
) -> None:
    root = make(tmp_path, url=configured)
    stale = root / "_build/launch/old.ipynb"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert launch.main(arguments, root) == 0
    files = [path for path in (root / "_build/launch").rglob("*") if path.is_file()]
    assert [path.relative_to(root / "_build/launch").as_posix() for path in files] == [
        "book/gates/x.ipynb"
    ]
    assert expected in code(json.loads(files[0].read_text()))


@pytest.mark.parametrize(
    "arguments", [[], ["--url", "not an address"], ["--url", URL, "--ref", 'a"; b']]
)
def test_an_address_that_is_none_is_refused(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.main(arguments, make(tmp_path)) == 1
    assert "expected URL=https://" in capsys.readouterr().out
    assert not (tmp_path / "_build").exists()


# --- the buttons ---------------------------------------------------------------------------


def buttons(url: str, page: str) -> list[dict[str, Any]]:
    """Return what the extension puts into the header of a page."""
    app: Any = SimpleNamespace(
        srcdir=str(ROOT), config=SimpleNamespace(html_theme_options={"repository_url": url})
    )
    context: dict[str, Any] = {"header_buttons": []}
    launch_buttons.add_buttons(app, page, "page.html", context, None)
    found: list[dict[str, Any]] = context["header_buttons"]
    return found


def test_the_buttons_lead_to_the_page() -> None:
    (group,) = buttons(f"{URL}.git", "book/gates/cell")
    assert {button["text"]: button["url"] for button in group["buttons"]} == {
        "Colab": "https://colab.research.google.com/github/someone/some.lstm/blob/launch/book/gates/cell.ipynb",
        "Binder": "https://mybinder.org/v2/gh/someone/some.lstm/HEAD?urlpath=lab/tree/book/gates/cell.ipynb",
    }
    assert buttons(URL, "book/index") == buttons("", "book/gates/cell") == []
    with pytest.raises(ConfigError, match="expected https://github.com/OWNER/NAME, got https://x"):
        buttons("https://x.org/a/b", "book/gates/cell")


def test_the_button_to_edit_follows_the_address() -> None:
    config: Any = SimpleNamespace(html_theme_options={})
    launch_buttons.edit_button(SimpleNamespace(), config)  # type: ignore[arg-type]
    assert config.html_theme_options == {}
    config.html_theme_options["repository_url"] = URL
    launch_buttons.edit_button(SimpleNamespace(), config)  # type: ignore[arg-type]
    assert config.html_theme_options["use_edit_page_button"] is True


def test_the_workflow_publishes_the_branch_of_the_buttons() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text())
    commands = "\n".join(step.get("run", "") for step in workflow["jobs"]["launch"]["steps"])
    assert "make launch" in commands and f"refs/heads/{launch.BRANCH}" in commands
    assert (
        launch.tag(ROOT)
        == f"v{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
    )


@EMPTY
def test_the_site_has_the_buttons_where_the_address_is_known(tmp_path: Path) -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    config = (tmp_path / "_config.yml").read_text()
    commented = re.search(r"# repository_url: \S+", config)
    assert commented
    (tmp_path / "_config.yml").write_text(config.replace(commented[0], f"repository_url: {URL}"))
    command = [
        str(Path(sys.executable).with_name("jupyter-book")),
        "build",
        ".",
        "-W",
        "--keep-going",
        "-n",
        "--quiet",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    page = (tmp_path / "_build/html/book/gates/cell.html").read_text()
    for expected in [
        *launch.links(URL, "book/gates/cell").values(),
        f"{URL}/edit/main/book/gates/cell.ipynb",
    ]:
        assert f'href="{expected}"' in page
    text = (tmp_path / "_build/html/book/reference/notation.html").read_text()
    assert "colab" not in text and f"{URL}/edit/main/book/reference/notation.md" in text


# --- on an empty machine -------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an environment with Jupyter's engine and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "nbclient", "ipykernel"]
    subprocess.run(pip, check=True)
    return folder


@EMPTY
@pytest.mark.parametrize("name", ["start", "bptt/sine", "evidence/claims"])
def test_a_copy_runs_on_an_empty_machine(empty: Path, tmp_path: Path, name: str) -> None:
    notebook = json.loads((ROOT / f"book/{name}.ipynb").read_text())
    place = (Path("book") / name).parent
    copy = launch.launch_copy(notebook, ROOT.as_uri(), "HEAD", place)
    (tmp_path / "page.ipynb").write_text(run.text_of(copy))
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MPLBACKEND")}
    subprocess.run(
        [empty / "bin/jupyter-execute", "--output=out.ipynb", "page.ipynb"],
        cwd=tmp_path, env=environment, check=True,
    )  # fmt: skip
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"][1:]
    for number, (cell, stored) in enumerate(zip(cells, notebook["cells"], strict=True), 1):
        if cell["cell_type"] == "code" and run.MEASURED not in run.tags(stored):
            assert chapters.printed(cell) == chapters.printed(stored), f"cell {number}"
