"""Write copies of the chapters that run where nothing is installed, such as on Colab.

``make launch URL=https://github.com/OWNER/NAME`` writes them to ``_build/launch``. The first cell
of each gets the repository at the tag of this version, or at ``REF=...`` (a tag, a branch or a
commit), installs the package with what the chapter imports, and goes to the chapter's folder,
where its relative paths hold. Without URL it is the ``repository_url`` of ``_config.yml``.

The folder is published as the branch ``launch``, to which the site's Colab buttons lead.
Binder installs what ``binder/`` says and shows the chapters themselves.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import yaml

import run
from weave import ROOT, notebooks

BRANCH = "launch"
FOLDER = "lstm-from-scratch"
GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
ADDRESS = re.compile(r"(?:https|file)://[\w./~%+-]+")
# What a chapter imports, and the extra that brings it. All others are in `notebooks`.
EXTRAS = {"dask": "cluster", "mpi4py": "mpi", "numba": "fast", "onnx": "onnx"}
CELL = '''\
# Gets the course ({ref}), installs what this chapter uses, and goes to the chapter's folder.
import os
import subprocess
import sys


def get_course(folder):
    """Fetch the repository into a folder, unless it is there, and install it."""
    pip = [sys.executable, "-m", "pip", "install", "-q", f"{{folder}}[{extras}]"]
    fetch = ["git", "-C", folder, "fetch", "-q", "--depth", "1", "{url}", "{ref}"]
    checkout = ["git", "-C", folder, "checkout", "-q", "FETCH_HEAD"]
    for command in (["git", "init", "-q", folder], fetch, checkout, pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{{' '.join(command)}}\\n{{done.stderr}}")


if "{folder}" not in os.getcwd():
    get_course(os.path.abspath("{folder}"))
    os.chdir("{folder}/{chapter}")
'''


def extras(cells: list[dict[str, Any]]) -> list[str]:
    """Return the extras of the package that a notebook's code needs."""
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE))
    return ["notebooks", *sorted({EXTRAS[name] for name in imported & EXTRAS.keys()})]


def first_cell(url: str, ref: str, chapter: Path, needed: list[str]) -> dict[str, Any]:
    """Return the cell that brings the course to an empty machine; chapter is its folder."""
    text = CELL.format(
        url=url, ref=ref, folder=FOLDER, chapter=chapter.as_posix(), extras=",".join(needed)
    )
    return {
        "cell_type": "code", "id": "get-the-course", "metadata": {}, "execution_count": None,
        "outputs": [], "source": run.lines_of(text),
    }  # fmt: skip


def launch_copy(notebook: dict[str, Any], url: str, ref: str, chapter: Path) -> dict[str, Any]:
    """Return a notebook with the cell before all others."""
    cells = notebook["cells"]
    return notebook | {"cells": [first_cell(url, ref, chapter, extras(cells)), *cells]}


def configured(root: Path) -> str | None:
    """Return the public address that `_config.yml` has, if any."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    found: str | None = config["sphinx"]["config"]["html_theme_options"].get("repository_url")
    return found


def tag(root: Path) -> str:
    """Return the tag of this version."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return f"v{project['version']}"


def links(url: str, page: str) -> dict[str, str]:
    """Return the addresses that open a notebook of the book on Colab and on Binder."""
    match = GITHUB.fullmatch(url)
    if not match:
        raise ValueError(f"repository_url: expected https://github.com/OWNER/NAME, got {url}")
    name = "/".join(match.groups())
    return {
        "Colab": f"https://colab.research.google.com/github/{name}/blob/{BRANCH}/{page}.ipynb",
        "Binder": f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath=lab/tree/{page}.ipynb",
    }


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return 1 if there is no address."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="where the repository is; as in _config.yml if not given")
    parser.add_argument("--ref", help="what to fetch; the tag of this version if not given")
    options = parser.parse_args(arguments)
    url, ref = options.url or configured(root), options.ref or tag(root)
    if not url or not ADDRESS.fullmatch(url) or not re.fullmatch(r"[\w./-]+", ref):
        print(f"expected URL=https://... and, if any, REF=a tag or commit, got {url} and {ref}")
        return 1
    target = root / "_build" / BRANCH
    shutil.rmtree(target, ignore_errors=True)
    for path in notebooks(root):
        copy = target / (name := path.relative_to(root))
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(
            run.text_of(launch_copy(json.loads(path.read_text()), url, ref, name.parent))
        )
    print(f"copies that fetch {ref} of {url}: {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
